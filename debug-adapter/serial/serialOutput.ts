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

export type SerialRoute = 'terminal' | 'debugConsole' | 'none' | OutputFile;

export class SerialOutput {
  readonly #route: SerialRoute;
  readonly #sinks: SerialSinks;
  readonly #stripper = new SequenceStripper();
  readonly #text = new Utf8Stream();

  constructor(route: SerialRoute, sinks: SerialSinks) {
    this.#route = route;
    this.#sinks = sinks;
  }

  write(bytes: Uint8Array): void {
    if (this.#route === 'none') return;
    if (typeof this.#route === 'object') {
      this.#route.write(bytes);
      return;
    }
    const text = this.#text.decode(this.#stripper.strip(bytes));
    if (text === '') return;
    if (this.#route === 'terminal') this.#sinks.terminal(text);
    else this.#sinks.console(text);
  }

  async close(): Promise<void> {
    if (typeof this.#route === 'object') await this.#route.close();
  }
}
