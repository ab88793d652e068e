/** The fields whose change stops the machine: kept for the workspace, given to every session. */
import * as vscode from 'vscode';
import type { HvmSession } from '../session/hvmSession.ts';
import type { Sessions } from '../session/sessions.ts';

const STATE = 'vmcs.breakpoints';

export interface FieldBreakpoint {
  readonly title: string;
  /** An expression that has to be true as well. */
  readonly condition?: string;
}

export class FieldBreakpoints implements vscode.Disposable {
  readonly #state: vscode.Memento;
  readonly #sessions: Sessions;
  readonly #subscriptions: vscode.Disposable[];
  readonly #changed = new vscode.EventEmitter<void>();
  /** By key, in the order in which they were set. */
  readonly #fields: Map<string, FieldBreakpoint>;

  readonly onDidChange = this.#changed.event;

  constructor(state: vscode.Memento, sessions: Sessions) {
    this.#state = state;
    this.#sessions = sessions;
    this.#fields = new Map(state.get<[string, FieldBreakpoint][]>(STATE, []));
    this.#subscriptions = [
      sessions.onDidStart((session) => {
        // Before the client says that its breakpoints are set, so that nothing is run past.
        session.onDidInitialize(() => {
          if (this.#fields.size > 0) void this.#send(session);
        });
      }),
    ];
  }

  get fields(): ReadonlyMap<string, FieldBreakpoint> {
    return this.#fields;
  }

  async add(key: string, breakpoint: FieldBreakpoint): Promise<void> {
    this.#fields.set(key, breakpoint);
    await this.#apply();
  }

  async remove(key: string): Promise<void> {
    if (this.#fields.delete(key)) await this.#apply();
  }

  async clear(): Promise<void> {
    this.#fields.clear();
    await this.#apply();
  }

  dispose(): void {
    for (const subscription of this.#subscriptions) subscription.dispose();
    this.#changed.dispose();
  }

  async #apply(): Promise<void> {
    await Promise.all([
      this.#state.update(STATE, [...this.#fields]),
      ...this.#sessions.all.map((session) => this.#send(session)),
    ]);
    this.#changed.fire();
  }

  async #send(session: HvmSession): Promise<void> {
    try {
      const fields = [...this.#fields].map(([key, { condition }]) => ({ key, condition }));
      const { breakpoints } = await session.request('hvm/setVmcsFieldBreakpoints', { fields });
      const problems = breakpoints.flatMap(({ verified, message }) =>
        verified || message === undefined ? [] : [message],
      );
      if (problems.length > 0) void vscode.window.showWarningMessage(problems.join(' '));
    } catch (error) {
      // A session that ends takes its breakpoints with it.
      if (!session.hasEnded) void vscode.window.showErrorMessage(messageOf(error));
    }
  }
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
