/** Where the guest's serial output goes, by the launch attribute `serial`. */
import type { OutputFile } from '../host/adapterHost.ts';
import { SequenceStripper } from './stripSequences.ts';
import { Utf8Stream } from './utf8.ts';

export interface SerialSinks {
  /** The serial terminal that the extension shows. */
  terminal(text: string): void;
  /** The debug console. */
  console(text: string): void;
}

/**
 * Text for a person is told this often: a guest writes in many small pieces, and each would be a message. While it writes
 * without pause it is told half as often each time, to the longest interval: every message costs VS Code's extension host
 * more than what is in it.
 */
const SHORTEST_MS = 100;
const LONGEST_MS = 300;

export type SerialRoute = 'terminal' | 'debugConsole' | 'none' | OutputFile;

export class SerialOutput {
  readonly #route: SerialRoute;
  readonly #sinks: SerialSinks;
  readonly #stripper = new SequenceStripper();
  readonly #text = new Utf8Stream();
  readonly #after: (milliseconds: number, callback: () => void) => () => void;
  #waiting = '';
  #interval = SHORTEST_MS;
  #cancel: (() => void) | undefined;

  constructor(
    route: SerialRoute,
    sinks: SerialSinks,
    after: (milliseconds: number, callback: () => void) => () => void,
  ) {
    this.#route = route;
    this.#sinks = sinks;
    this.#after = after;
  }

  write(bytes: Uint8Array): void {
    if (this.#route === 'none') return;
    if (typeof this.#route === 'object') {
      this.#route.write(bytes);
      return;
    }
    this.#waiting += this.#text.decode(this.#stripper.strip(bytes));
    // An echo is shown at once; what follows it soon is collected.
    if (this.#cancel === undefined) this.flush();
  }

  /** Tells what has been collected: what comes after in time is told after it. */
  flush(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    if (this.#waiting === '') return;
    const text = this.#waiting;
    this.#waiting = '';
    this.#cancel = this.#after(this.#interval, () => {
      this.#cancel = undefined;
      this.#interval = this.#waiting === '' ? SHORTEST_MS : Math.min(2 * this.#interval, LONGEST_MS);
      this.flush();
    });
    if (this.#route === 'terminal') this.#sinks.terminal(text);
    else this.#sinks.console(text);
  }

  async close(): Promise<void> {
    this.flush();
    this.#cancel?.();
    if (typeof this.#route === 'object') await this.#route.close();
  }
}
