/** What the exits view and its webview say to each other. */
import type { ExitFilter, ExitPage } from '../../debug-adapter/protocol/exits.ts';

/** To the webview. */
export type ViewMessage =
  /** Another session is shown, or none, or its machine was made anew: what was known is no longer true. */
  | { readonly kind: 'session'; readonly id: string | undefined }
  /** There are more exits, or the machine has stopped; at most ten a second. */
  | { readonly kind: 'changed' }
  | { readonly kind: 'page'; readonly id: number; readonly page: ExitPage }
  | { readonly kind: 'failed'; readonly id: number; readonly reason: string }
  | { readonly kind: 'focusFilter' }
  | { readonly kind: 'clearFilter' };

/** From the webview. */
export type WebviewMessage =
  | { readonly kind: 'ready' }
  | {
      readonly kind: 'request';
      readonly id: number;
      readonly start?: number;
      readonly count: number;
      readonly filter: ExitFilter;
    }
  | { readonly kind: 'filter'; readonly filter: ExitFilter }
  /** `focus`: whether the editor is to have the keyboard. */
  | { readonly kind: 'showSource'; readonly number: number; readonly focus: boolean }
  | { readonly kind: 'showVmcs'; readonly number: number };
