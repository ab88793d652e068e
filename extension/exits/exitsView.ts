/**
 * The exits view: a page in the bottom panel that asks for the part of the list that is in view. Here is the way
 * between the page and the session that is focused in the call stack.
 */
import * as vscode from 'vscode';
import type { ExitFilter } from '../../debug-adapter/protocol/exits.ts';
import type { HvmSession } from '../session/hvmSession.ts';
import type { Sessions } from '../session/sessions.ts';
import { exitsPage } from './html.ts';
import type { ViewMessage, WebviewMessage } from './messages.ts';
import { showExitSource } from './showExitSource.ts';

export const EXITS_VIEW = 'hvm.exits';
const SCRIPT = 'exits.js';
const STYLE = 'exits.css';

export class ExitsView implements vscode.WebviewViewProvider, vscode.Disposable {
  readonly #folder: vscode.Uri;
  readonly #sessions: Sessions;
  readonly #subscriptions: vscode.Disposable[];
  #sessionSubscription: vscode.Disposable | undefined;
  #view: vscode.WebviewView | undefined;
  #filter: ExitFilter = {};
  #restarts = 0;

  constructor(extension: vscode.Uri, sessions: Sessions) {
    this.#folder = vscode.Uri.joinPath(extension, 'dist', 'webview');
    this.#sessions = sessions;
    this.#subscriptions = [
      vscode.window.registerWebviewViewProvider(EXITS_VIEW, this),
      sessions.onDidChangeActive((session) => this.#follow(session)),
    ];
    this.#follow(sessions.active);
  }

  /** The session that is shown. */
  get session(): HvmSession | undefined {
    return this.#sessions.active;
  }

  /** What the list is restricted to. */
  get filter(): ExitFilter {
    return this.#filter;
  }

  resolveWebviewView(view: vscode.WebviewView): void {
    const { webview } = view;
    const uriOf = (file: string): string =>
      webview.asWebviewUri(vscode.Uri.joinPath(this.#folder, file)).toString();
    this.#view = view;
    webview.options = {
      enableScripts: true,
      localResourceRoots: [this.#folder],
    };
    const listening = webview.onDidReceiveMessage((message: WebviewMessage) => void this.#take(message));
    view.onDidDispose(() => {
      listening.dispose();
      if (this.#view === view) this.#view = undefined;
    });
    webview.html = exitsPage({
      script: uriOf(SCRIPT),
      style: uriOf(STYLE),
      cspSource: webview.cspSource,
      nonce: crypto.randomUUID(),
    });
  }

  async focusFilter(): Promise<void> {
    await vscode.commands.executeCommand(`${EXITS_VIEW}.focus`);
    this.#post({ kind: 'focusFilter' });
  }

  clearFilter(): void {
    this.#post({ kind: 'clearFilter' });
  }

  dispose(): void {
    this.#sessionSubscription?.dispose();
    for (const subscription of this.#subscriptions) subscription.dispose();
  }

  #follow(session: HvmSession | undefined): void {
    this.#sessionSubscription?.dispose();
    this.#sessionSubscription =
      session &&
      vscode.Disposable.from(
        session.on('hvm/exitsChanged', () => this.#changed()),
        session.onDidChange(() => this.#changed()),
        session.onDidRestart(() => {
          this.#restarts++;
          this.#tellSession();
        }),
      );
    this.#tellSession();
  }

  #tellSession(): void {
    const { session } = this;
    const id = session && !session.hasEnded ? `${session.debugSession.id}/${this.#restarts}` : undefined;
    this.#post({ kind: 'session', id });
  }

  #changed(): void {
    if (this.session?.hasEnded === false) this.#post({ kind: 'changed' });
  }

  /** A page that is hidden has no script that runs; it asks anew when it is shown again. */
  #post(message: ViewMessage): void {
    if (this.#view?.visible) void this.#view.webview.postMessage(message);
  }

  async #take(message: WebviewMessage): Promise<void> {
    switch (message.kind) {
      case 'ready':
        return this.#tellSession();
      case 'filter':
        this.#filter = message.filter;
        return;
      case 'request':
        return this.#answer(message);
      case 'showSource':
        return this.#try((session) => showExitSource(session, message.number, message.focus));
      case 'showVmcs':
        return this.#try(async () => {
          await vscode.commands.executeCommand('hvm.showVmcsAtExit', message.number);
        });
    }
  }

  async #answer({ id, start, count, filter }: WebviewMessage & { kind: 'request' }): Promise<void> {
    const { session } = this;
    if (session === undefined) return;
    try {
      const page = await session.request('hvm/exits', {
        ...(start !== undefined && { start }),
        count,
        filter,
      });
      if (session === this.session) this.#post({ kind: 'page', id, page });
    } catch (error) {
      if (session === this.session && !session.hasEnded)
        this.#post({ kind: 'failed', id, reason: messageOf(error) });
    }
  }

  async #try(run: (session: HvmSession) => Promise<void>): Promise<void> {
    const { session } = this;
    if (session === undefined) return;
    try {
      await run(session);
    } catch (error) {
      if (!session.hasEnded) void vscode.window.showErrorMessage(messageOf(error));
    }
  }
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
