/** A terminal for the serial port of each session that wants one. */
import * as vscode from 'vscode';
import type { HvmSession } from '../session/hvmSession.ts';
import type { Sessions } from '../session/sessions.ts';
import { SerialPty } from './serialPty.ts';

export class SerialTerminals implements vscode.Disposable {
  readonly #sessions: Sessions;
  readonly #bySession = new Map<HvmSession, SerialTerminal>();
  /** Terminals of sessions that have ended, by their names: the next session of that name takes over. */
  readonly #idle = new Map<string, SerialTerminal>();
  readonly #subscriptions: vscode.Disposable[];

  constructor(sessions: Sessions) {
    this.#sessions = sessions;
    this.#subscriptions = [
      sessions.onDidStart((session) => this.#begin(session)),
      sessions.onDidEnd((session) => this.#end(session)),
    ];
  }

  dispose(): void {
    for (const subscription of this.#subscriptions) subscription.dispose();
    for (const terminal of [...this.#bySession.values(), ...this.#idle.values()]) terminal.dispose();
  }

  /** Shows the terminal of the active session, also when the user had closed it. */
  show(): void {
    const { active } = this.#sessions;
    const terminal = active ? this.#bySession.get(active) : [...this.#idle.values()].at(-1);
    if (terminal) terminal.show();
    else
      void vscode.window.showInformationMessage(
        active
          ? 'The serial port of this session goes elsewhere: "serial" in launch.json says where.'
          : 'No machine is running.',
      );
  }

  #begin(session: HvmSession): void {
    if ((session.debugSession.configuration.serial ?? 'terminal') !== 'terminal') return;
    const { name } = session.debugSession;
    const terminal = this.#idle.get(name) ?? new SerialTerminal(`Serial: ${name}`);
    this.#idle.delete(name);
    this.#bySession.set(session, terminal);
    terminal.begin(session);
    session.on('hvm/serialOutput', ({ text }) => terminal.write(text));
    session.onDidRestart(() => terminal.begin(session));
  }

  #end(session: HvmSession): void {
    const terminal = this.#bySession.get(session);
    if (terminal === undefined) return;
    this.#bySession.delete(session);
    terminal.end(session.exitCode);
    if (!terminal.isShown) return;
    const { name } = session.debugSession;
    this.#idle.get(name)?.dispose();
    this.#idle.set(name, terminal);
    terminal.onDidLeave = () => {
      if (this.#idle.get(name) === terminal) this.#idle.delete(name);
    };
  }
}

class SerialTerminal {
  readonly #name: string;
  #pty: SerialPty;
  #terminal: vscode.Terminal | undefined;
  #wasShown = false;
  #session: HvmSession | undefined;
  /** Typed text is sent in its order. */
  #sent: Promise<unknown> = Promise.resolve();
  onDidLeave: () => void = () => undefined;

  constructor(name: string) {
    this.#name = name;
    this.#pty = this.#makePty();
  }

  get isShown(): boolean {
    return this.#terminal !== undefined;
  }

  begin(session: HvmSession): void {
    this.#session = session;
    this.onDidLeave = () => undefined;
    this.#pty.begin();
  }

  write(text: string): void {
    this.#pty.write(text);
    // Whoever closes the terminal does not want it back with the next character.
    if (!this.#wasShown) this.show();
  }

  end(exitCode: number | undefined): void {
    this.#session = undefined;
    this.#wasShown = this.isShown;
    const status = exitCode === undefined ? '' : ` with status ${exitCode}`;
    this.#pty.end(`The machine has ended${status}.`);
  }

  show(): void {
    this.#wasShown = true;
    this.#terminal ??= vscode.window.createTerminal({
      name: this.#name,
      pty: this.#pty,
      iconPath: new vscode.ThemeIcon('circuit-board'),
      isTransient: true,
    });
    this.#terminal.show(true);
  }

  dispose(): void {
    this.#terminal?.dispose();
  }

  #makePty(): SerialPty {
    return new SerialPty(
      (text) => this.#type(text),
      () => this.#left(),
    );
  }

  #type(text: string): void {
    const session = this.#session;
    if (session === undefined) return;
    this.#sent = this.#sent.then(() =>
      // A machine that has just ended takes no input; the terminal says that it has.
      session.request('hvm/serialInput', { text }).catch(() => undefined),
    );
  }

  /** The user has closed the terminal: from now on output waits for another one. */
  #left(): void {
    this.#terminal = undefined;
    this.#pty = this.#makePty();
    this.onDidLeave();
  }
}
