/** A small seeded generator of pseudo-random numbers (xorshift128), so that every random test can be repeated. */
export class Random {
  readonly #state = new Uint32Array(4);

  constructor(seed: number) {
    let value = seed >>> 0;
    for (let i = 0; i < 4; i++) {
      value = (Math.imul(value ^ (value >>> 16), 0x45d9f3b) + 0x9e3779b9) >>> 0;
      this.#state[i] = value | 1;
    }
    for (let i = 0; i < 16; i++) this.u32();
  }

  u32(): number {
    const [a, , , d] = this.#state;
    let next = a ^ (a << 11);
    next ^= next >>> 8;
    next ^= d ^ (d >>> 19);
    this.#state.copyWithin(0, 1);
    this.#state[3] = next;
    return next >>> 0;
  }

  u64(): bigint {
    return (BigInt(this.u32()) << 32n) | BigInt(this.u32());
  }

  /** A number from 0 to `limit` - 1; `limit` is at most 2^32. */
  below(limit: number): number {
    return Math.floor((this.u32() / 2 ** 32) * limit);
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)] as T;
  }
}
