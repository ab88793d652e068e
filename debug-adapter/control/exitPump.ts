/**
 * Takes VM exits out of the machine while it runs: into the trace file, and as a sign to panels that there are more.
 * Panels are told three times a second at most: every time costs VS Code's extension host a page of the list.
 */
import type { ExitRecord } from '../../emulator/index.ts';
import type { OutputFile } from '../host/adapterHost.ts';
import type { Machine } from '../machine/client.ts';
import { exitLine } from '../trace/exitLine.ts';

const INTERVAL = 330;
const CHUNK = 5000;

export interface ExitPumpOptions {
  readonly machine: Machine;
  /** The trace file, when one is written. */
  readonly file: OutputFile | undefined;
  readonly after: (milliseconds: number, callback: () => void) => () => void;
  readonly changed: (total: number) => void;
}

export class ExitPump {
  readonly #options: ExitPumpOptions;
  #cancel: (() => void) | undefined;
  #written = 0;
  #total = 0;

  constructor(options: ExitPumpOptions) {
    this.#options = options;
  }

  /** The machine runs. */
  start(): void {
    this.#cancel ??= this.#options.after(INTERVAL, () => {
      this.#cancel = undefined;
      this.start();
      // A machine that is gone has nothing to tell; who lost it has been told already.
      this.drain().catch(() => this.stop());
    });
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  /** Takes what there is now. */
  async drain(): Promise<void> {
    const { machine, file, changed } = this.#options;
    let { total } = await machine.exits(0, 0);
    if (file) {
      while (this.#written < total) {
        const start = this.#written;
        const part = await machine.exits(start, CHUNK);
        if (part.records.length === 0 || this.#written !== start) break;
        this.#written = writeRecords(file, part.records);
        total = part.total;
      }
    }
    if (total === this.#total) return;
    this.#total = total;
    changed(total);
  }

  async close(): Promise<void> {
    this.stop();
    await this.#options.file?.close();
  }
}

/** Writes records and gives the number of the next one. */
function writeRecords(file: OutputFile, records: readonly ExitRecord[]): number {
  file.write(records.map(exitLine).join(''));
  return records[records.length - 1].number + 1;
}
