/** The sessions of this debugger that exist, and the one that the views show. */
import type { DebugProtocol as P } from '@vscode/debugprotocol';
import * as vscode from 'vscode';
import { HvmSession } from './hvmSession.ts';

export const DEBUG_TYPE = 'hvm';

/** Requests after whose success the machine runs. */
const RESUMING: ReadonlySet<string> = new Set([
  'configurationDone',
  'continue',
  'next',
  'stepIn',
  'stepOut',
  'stepBack',
  'reverseContinue',
  'restart',
]);

export class Sessions implements vscode.Disposable {
  readonly #sessions = new Map<string, HvmSession>();
  readonly #started = new vscode.EventEmitter<HvmSession>();
  readonly #ended = new vscode.EventEmitter<HvmSession>();
  readonly #died = new vscode.EventEmitter<HvmSession>();
  readonly #activeChanged = new vscode.EventEmitter<HvmSession | undefined>();
  readonly #subscriptions: vscode.Disposable[];
  #active: HvmSession | undefined;

  readonly onDidStart = this.#started.event;
  readonly onDidEnd = this.#ended.event;
  /** The adapter has gone though nobody had asked it to; the session ends with it. */
  readonly onDidDie = this.#died.event;
  /** Another session is shown, or none; changes inside of it come from the session itself. */
  readonly onDidChangeActive = this.#activeChanged.event;

  constructor() {
    this.#subscriptions = [
      vscode.debug.registerDebugAdapterTrackerFactory(DEBUG_TYPE, {
        createDebugAdapterTracker: (debugSession) => this.#track(debugSession),
      }),
      vscode.debug.onDidChangeActiveDebugSession(() => this.#follow()),
      vscode.debug.onDidChangeActiveStackItem(() => this.#follow()),
    ];
  }

  /** The session of the stack frame or thread that is focused. */
  get active(): HvmSession | undefined {
    return this.#active;
  }

  get all(): readonly HvmSession[] {
    return [...this.#sessions.values()];
  }

  get(debugSession: vscode.DebugSession): HvmSession | undefined {
    return this.#sessions.get(debugSession.id);
  }

  dispose(): void {
    for (const subscription of this.#subscriptions) subscription.dispose();
    this.#started.dispose();
    this.#ended.dispose();
    this.#died.dispose();
    this.#activeChanged.dispose();
  }

  #track(debugSession: vscode.DebugSession): vscode.DebugAdapterTracker {
    const session = new HvmSession(debugSession);
    this.#sessions.set(debugSession.id, session);
    this.#started.fire(session);
    this.#follow();
    let isLeaving = false;
    const hasGone = (): void => {
      if (!isLeaving) this.#died.fire(session);
      isLeaving = true;
      this.#forget(session);
    };
    return {
      onWillReceiveMessage: ({ command }: P.Request) => {
        isLeaving ||= command === 'disconnect' || command === 'terminate';
      },
      onDidSendMessage: (message: P.ProtocolMessage) => {
        isLeaving ||= (message as P.Event).event === 'terminated';
        hear(session, message);
      },
      // The first comes when the session is ended, the others when its process has gone or cannot be started.
      onWillStopSession: () => this.#forget(session),
      onError: hasGone,
      onExit: hasGone,
    };
  }

  #forget(session: HvmSession): void {
    if (!this.#sessions.delete(session.debugSession.id)) return;
    session.ended();
    this.#ended.fire(session);
    this.#follow();
  }

  #follow(): void {
    const focused = vscode.debug.activeStackItem?.session ?? vscode.debug.activeDebugSession;
    const active = focused && this.#sessions.get(focused.id);
    if (active === this.#active) return;
    this.#active = active;
    this.#activeChanged.fire(active);
  }
}

function hear(session: HvmSession, message: P.ProtocolMessage): void {
  if (message.type === 'event') {
    const { event, body } = message as P.Event;
    session.receive(event, body);
    return;
  }
  const response = message as P.Response;
  if (message.type !== 'response' || !response.success) return;
  if (response.command === 'restart') session.restarted();
  if (RESUMING.has(response.command)) session.resumed();
}
