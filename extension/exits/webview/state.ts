/** What the page remembers while it is hidden. VS Code keeps the value and forgets the page. */
import type { WebviewMessage } from '../messages.ts';

export interface PageState {
  /** The session that places and selection belong to. */
  readonly session?: string;
  readonly typed: string;
  readonly reasons: readonly string[];
  readonly follows: boolean;
  /** Place of the entry at the top of the view, and of the selected one. */
  readonly top: number;
  readonly selected?: number;
  readonly widths?: readonly number[];
  readonly sortBy: 'count' | 'cost';
}

interface VsCodeApi {
  postMessage(message: WebviewMessage): void;
  getState(): PageState | undefined;
  setState(state: PageState): void;
}

declare function acquireVsCodeApi(): VsCodeApi;

export const vscode = acquireVsCodeApi();

const INITIAL: PageState = { typed: '', reasons: [], follows: true, top: 0, sortBy: 'count' };

let state: PageState = { ...INITIAL, ...vscode.getState() };

export function pageState(): PageState {
  return state;
}

export function remember(change: Partial<PageState>): void {
  state = { ...state, ...change };
  vscode.setState(state);
}
