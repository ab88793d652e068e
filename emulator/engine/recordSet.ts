/**
 * A set of records of one page, by the offsets of their instructions: pages of code have a thousand of them, and a bit each
 * is less to collect than a JavaScript set.
 */
import type { RecordReader } from './blocks.ts';
import { LINE_SHIFT } from './codeCache.ts';

const PAGE = 4096;
const WORDS_OF_LINE = 2 ** LINE_SHIFT / 32;

export class RecordSet {
  readonly #reader: Pick<RecordReader, 'offset'>;
  readonly #words = new Int32Array(PAGE / 32);

  constructor(reader: Pick<RecordReader, 'offset'>) {
    this.#reader = reader;
  }

  has(record: number): boolean {
    const offset = this.#reader.offset(record);
    return ((this.#words[offset >> 5] as number) & (1 << (offset & 31))) !== 0;
  }

  add(record: number): void {
    const offset = this.#reader.offset(record);
    this.#words[offset >> 5] |= 1 << (offset & 31);
  }

  /** Takes out the records whose instructions begin in these lines of the page. */
  removeLines(lines: number): void {
    for (let rest = lines; rest !== 0; rest &= rest - 1) {
      const line = 31 - Math.clz32(rest & -rest);
      this.#words.fill(0, line * WORDS_OF_LINE, (line + 1) * WORDS_OF_LINE);
    }
  }
}
