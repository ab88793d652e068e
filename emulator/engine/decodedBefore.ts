/**
 * Instructions of pages that the program writes to while it executes them: where the same bytes are decoded again, at the
 * same place, the record is copied. Only pages whose code was dropped by a write have such a memory.
 */
import { RECORD_SIZE } from '../state/layout.ts';

const MOST_PAGES = 64;
const WORDS = RECORD_SIZE / 4;

/** What a record was made of, and how decoding went on behind it. */
export interface Decoded {
  readonly bytes: Uint8Array;
  /** The record before its branch was aimed. */
  readonly words: Int32Array;
  readonly ends: boolean;
  readonly branch: number | undefined;
  readonly flags: number;
}

export class DecodedBefore {
  readonly #i32: Int32Array;
  readonly #pages = new Map<number, Map<number, Decoded>>();

  constructor(memory: WebAssembly.Memory) {
    this.#i32 = new Int32Array(memory.buffer);
  }

  /** From now on remembers what is decoded in the page. */
  watch(page: number): void {
    if (this.#pages.has(page)) return;
    if (this.#pages.size === MOST_PAGES) this.#pages.clear();
    this.#pages.set(page, new Map());
  }

  /** What was made of the bytes that begin at `at` in `bytes`, at this offset of the page. */
  find(page: number, offset: number, bytes: Uint8Array, at: number): Decoded | undefined {
    const decoded = this.#pages.get(page)?.get(offset);
    if (decoded === undefined) return undefined;
    for (let i = 0; i < decoded.bytes.length; i++) if (bytes[at + i] !== decoded.bytes[i]) return undefined;
    return decoded;
  }

  remember(
    page: number,
    offset: number,
    bytes: Uint8Array,
    record: number,
    result: Pick<Decoded, 'ends' | 'branch' | 'flags'>,
  ): void {
    const words = this.#i32.slice(record >> 2, (record >> 2) + WORDS);
    this.#pages.get(page)?.set(offset, { ...result, bytes: bytes.slice(), words });
  }

  isWatched(page: number): boolean {
    return this.#pages.has(page);
  }

  copy({ words }: Decoded, record: number): void {
    this.#i32.set(words, record >> 2);
  }

  forget(): void {
    this.#pages.clear();
  }
}
