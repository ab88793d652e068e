/** A debug session as our views see it: typed requests, whether the machine rests, and what the adapter tells. */
import type { DebugProtocol as P } from '@vscode/debugprotocol';
import * as vscode from 'vscode';
import type { CustomEvents, CustomRequests } from '../../debug-adapter/protocol/custom.ts';

type EventListener<K extends keyof CustomEvents> = (body: CustomEvents[K]) => void;

export class HvmSession {
  readonly debugSession: vscode.DebugSession;
  readonly #changed = new vscode.EventEmitter<void>();
  readonly #initialized = new vscode.EventEmitter<void>();
  readonly #listeners = new Map<keyof CustomEvents, Set<EventListener<never>>>();
  readonly #restarted = new vscode.EventEmitter<void>();
  #isStopped = false;
  #hasEnded = false;
  #exitCode: number | undefined;

  /** The machine has stopped, goes on, was changed by the user, or is gone. */
  readonly onDidChange = this.#changed.event;
  /** The adapter takes breakpoints; the machine does not run yet. */
  readonly onDidInitialize = this.#initialized.event;
  /** The machine was switched on again, with the program read anew. */
  readonly onDidRestart = this.#restarted.event;

  constructor(debugSession: vscode.DebugSession) {
    this.debugSession = debugSession;
  }

  /** Whether the machine rests at a stop that can be looked at. */
  get isStopped(): boolean {
    return this.#isStopped;
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** The status the program ended with, where it did. */
  get exitCode(): number | undefined {
    return this.#exitCode;
  }

  /** Throws an Error with the adapter's message when the request fails. */
  async request<K extends keyof CustomRequests>(
    command: K,
    args: CustomRequests[K][0],
  ): Promise<CustomRequests[K][1]> {
    return (await this.debugSession.customRequest(command, args)) as CustomRequests[K][1];
  }

  on<K extends keyof CustomEvents>(event: K, listener: EventListener<K>): vscode.Disposable {
    const listeners = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, listeners);
    listeners.add(listener);
    return new vscode.Disposable(() => listeners.delete(listener));
  }

  /** Takes an event of the adapter, one of the protocol or one of ours. */
  receive(event: string, body: unknown): void {
    for (const listener of this.#listeners.get(event as keyof CustomEvents) ?? []) listener(body as never);
    if (event === 'initialized') this.#initialized.fire();
    else if (event === 'stopped') this.#set(true);
    else if (event === 'continued') this.#set(false);
    else if (event === 'invalidated') this.#changed.fire();
    else if (event === 'exited') this.#exitCode = (body as P.ExitedEvent['body']).exitCode;
  }

  /** The client has made the machine go on. */
  resumed(): void {
    this.#set(false);
  }

  restarted(): void {
    this.#exitCode = undefined;
    this.#restarted.fire();
  }

  ended(): void {
    this.#hasEnded = true;
    this.#set(false);
    this.#changed.dispose();
    this.#initialized.dispose();
    this.#restarted.dispose();
    this.#listeners.clear();
  }

  #set(isStopped: boolean): void {
    this.#isStopped = isStopped;
    this.#changed.fire();
  }
}
