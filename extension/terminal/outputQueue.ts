/**
 * Text on its way to a terminal. A guest can write faster than a terminal draws, and nobody reads that fast: what
 * waits is bounded, and what was dropped is said in its place.
 */

/** Characters that may wait. */
const CAPACITY = 1 << 20;

export class OutputQueue {
  readonly #capacity: number;
  #chunks: string[] = [];
  #length = 0;
  #dropped = 0;

  constructor(capacity = CAPACITY) {
    this.#capacity = capacity;
  }

  get isEmpty(): boolean {
    return this.#length === 0 && this.#dropped === 0;
  }

  add(text: string): void {
    this.#chunks.push(text);
    this.#length += text.length;
    while (this.#length > this.#capacity) this.#dropOldest(this.#length - this.#capacity);
  }

  /** At least one and at most about `count` characters; empty when nothing waits. */
  take(count: number): string {
    const notice = this.#dropped === 0 ? '' : `\r\n\x1b[0m[${this.#dropped} characters were skipped]\r\n`;
    this.#dropped = 0;
    const parts: string[] = [];
    let length = 0;
    while (this.#chunks.length > 0 && length < count) {
      const [first] = this.#chunks;
      const piece = first.slice(0, cut(first, count - length));
      parts.push(piece);
      length += piece.length;
      if (piece.length === first.length) this.#chunks.shift();
      else this.#chunks[0] = first.slice(piece.length);
    }
    this.#length -= length;
    return notice + parts.join('');
  }

  clear(): void {
    this.#chunks = [];
    this.#length = 0;
    this.#dropped = 0;
  }

  #dropOldest(count: number): void {
    const [first] = this.#chunks;
    const drop = cut(first, count);
    if (drop >= first.length) this.#chunks.shift();
    else this.#chunks[0] = first.slice(drop);
    const dropped = Math.min(drop, first.length);
    this.#length -= dropped;
    this.#dropped += dropped;
  }
}

/** `count`, or one more where that would cut a character of two halves. */
function cut(text: string, count: number): number {
  const after = text.charCodeAt(count);
  return after >= 0xdc00 && after <= 0xdfff ? count + 1 : count;
}
