/** 256 bits, one for each vector: the form of the local APIC's IRR, ISR and TMR. */
const WORDS = 8;

export class VectorSet {
  readonly #words = new Uint32Array(WORDS);

  has(vector: number): boolean {
    return (this.#words[vector >> 5] & (1 << (vector & 31))) !== 0;
  }

  add(vector: number): void {
    this.#words[vector >> 5] |= 1 << (vector & 31);
  }

  delete(vector: number): void {
    this.#words[vector >> 5] &= ~(1 << (vector & 31));
  }

  clear(): void {
    this.#words.fill(0);
  }

  /** The highest vector in the set, -1 when it is empty. */
  highest(): number {
    for (let word = WORDS - 1; word >= 0; word -= 1) {
      const bits = this.#words[word];
      if (bits !== 0) return word * 32 + 31 - Math.clz32(bits);
    }
    return -1;
  }

  /** Vectors 32 × `index` to 32 × `index` + 31, as a register shows them. */
  word(index: number): number {
    return this.#words[index];
  }

  save(): number[] {
    return [...this.#words];
  }

  restore(words: readonly number[]): void {
    this.#words.set(words);
  }
}
