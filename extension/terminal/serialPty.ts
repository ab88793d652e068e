/** The screen and keyboard on the guest's first serial port. */
import * as vscode from 'vscode';
import { OutputQueue } from './outputQueue.ts';

/** A terminal is written to at most this often, and so much at a time. */
const INTERVAL_MS = 50;
const MOST_AT_ONCE = 1 << 16;

/** Full reset: screen, scrollback, colours, modes. */
const RESET = '\x1bc';
/** Colours and the cursor as they are by default. */
const NORMAL = '\x1b[0m\x1b[?25h';
/** The whole screen scrolls again; to its last line. */
const BOTTOM = '\x1b[r\x1b[999H';
// biome-ignore lint/suspicious/noControlCharactersInRegex: it is what is to be found
const MOVES_CURSOR = /\x1b\[\d*(;\d*)?[Hf]/;

export class SerialPty implements vscode.Pseudoterminal {
  readonly #written = new vscode.EventEmitter<string>();
  readonly #closed = new vscode.EventEmitter<void>();
  readonly #queue = new OutputQueue();
  readonly #type: (text: string) => void;
  readonly #left: () => void;
  #isOpen = false;
  #hasEnded = false;
  #drawsScreens = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  readonly onDidWrite = this.#written.event;
  readonly onDidClose = this.#closed.event;

  /** `type` takes what is typed while the machine lives; `left` is told when the user has closed the terminal. */
  constructor(type: (text: string) => void, left: () => void) {
    this.#type = type;
    this.#left = left;
  }

  /** A machine is switched on: its screen is empty. */
  begin(): void {
    this.#hasEnded = false;
    this.#drawsScreens = false;
    this.#queue.clear();
    this.write(RESET);
  }

  write(text: string): void {
    this.#drawsScreens ||= MOVES_CURSOR.test(text);
    this.#queue.add(text);
    this.#flush();
  }

  /** The machine is gone; its last screen stays to be read. */
  end(message: string): void {
    this.#hasEnded = true;
    this.write(
      `${NORMAL}${this.#drawsScreens ? BOTTOM : ''}\r\n[${message} Press any key to close this terminal.]`,
    );
  }

  open(): void {
    this.#isOpen = true;
    this.#flush();
  }

  close(): void {
    this.#isOpen = false;
    clearTimeout(this.#timer);
    this.#left();
  }

  handleInput(text: string): void {
    if (this.#hasEnded) this.#closed.fire();
    else this.#type(text);
  }

  /** What comes first is shown at once, what follows in pieces. */
  #flush(): void {
    if (!this.#isOpen || this.#timer !== undefined || this.#queue.isEmpty) return;
    this.#written.fire(this.#queue.take(MOST_AT_ONCE));
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#flush();
    }, INTERVAL_MS);
  }
}
