/** Finds a text in a stream of bytes, however it is cut (Knuth, Morris and Pratt). */
export class TextMatcher {
  readonly #text: Uint8Array;
  /** For each length of a match so far, the longest shorter one that also holds. */
  readonly #shorter: number[];
  #length = 0;

  constructor(text: string) {
    this.#text = new TextEncoder().encode(text);
    this.#shorter = [0];
    for (let i = 1, length = 0; i < this.#text.length; i++) {
      while (length > 0 && this.#text[i] !== this.#text[length]) length = this.#shorter[length - 1];
      if (this.#text[i] === this.#text[length]) length++;
      this.#shorter.push(length);
    }
  }

  /** Takes one byte; true when the text ends with it. */
  add(byte: number): boolean {
    while (this.#length > 0 && byte !== this.#text[this.#length])
      this.#length = this.#shorter[this.#length - 1];
    if (byte === this.#text[this.#length]) this.#length++;
    if (this.#length < this.#text.length) return false;
    this.#length = this.#shorter[this.#length - 1];
    return true;
  }
}
