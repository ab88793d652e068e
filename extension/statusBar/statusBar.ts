/** The status bar's item about the machine that is debugged. */
import * as vscode from 'vscode';
import type { HvmSession } from '../session/hvmSession.ts';
import type { Sessions } from '../session/sessions.ts';
import { type Sample, statusText } from './statusText.ts';

const INTERVAL_MS = 500;

export class StatusBar implements vscode.Disposable {
  readonly #sessions: Sessions;
  readonly #item: vscode.StatusBarItem;
  readonly #subscription: vscode.Disposable;
  #changes: vscode.Disposable | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #previous: Sample | undefined;
  #isAsking = false;
  /** Something happened while the machine was being asked. */
  #isOld = false;

  constructor(sessions: Sessions) {
    this.#sessions = sessions;
    this.#item = vscode.window.createStatusBarItem('hvm.machine', vscode.StatusBarAlignment.Left, 0);
    this.#item.name = 'HVM Machine';
    this.#item.command = 'hvm.exits.focus';
    this.#subscription = sessions.onDidChangeActive((session) => this.#show(session));
  }

  dispose(): void {
    clearTimeout(this.#timer);
    this.#changes?.dispose();
    this.#subscription.dispose();
    this.#item.dispose();
  }

  #show(session: HvmSession | undefined): void {
    this.#changes?.dispose();
    this.#changes = session?.onDidChange(() => this.#update());
    this.#previous = undefined;
    if (session === undefined) {
      clearTimeout(this.#timer);
      this.#item.hide();
    } else this.#update();
  }

  /** Reads now, and again after a while as long as the machine runs. */
  #update(): void {
    clearTimeout(this.#timer);
    const session = this.#sessions.active;
    if (session === undefined || session.hasEnded) return;
    if (!session.isStopped) this.#timer = setTimeout(() => this.#update(), INTERVAL_MS);
    this.#isOld = this.#isAsking;
    if (this.#isAsking) return;
    this.#isAsking = true;
    void this.#read(session).finally(() => {
      this.#isAsking = false;
      if (this.#isOld) this.#update();
    });
  }

  async #read(session: HvmSession): Promise<void> {
    try {
      const statistics = await session.request('hvm/statistics', undefined);
      if (session !== this.#sessions.active) return;
      this.#draw(session, { statistics, time: performance.now() });
    } catch {
      // The machine does not exist yet, or no longer.
    }
  }

  #draw(session: HvmSession, sample: Sample): void {
    const mode = String(session.debugSession.configuration.mode ?? 'guest');
    const { text, tooltip } = statusText(mode, session.isStopped, sample, this.#previous);
    this.#previous = sample;
    this.#item.text = text;
    this.#item.tooltip = tooltip;
    this.#item.show();
  }
}
