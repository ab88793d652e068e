import type { Address } from './address.ts';

/**
 * Ranges of addresses, each with a number that says what it belongs to, in typed arrays. Ranges may nest
 * and overlap, as those of functions, symbols and units do in real programs: the one asked for is the one
 * that starts last. Empty ranges and those with NOWHERE in them are left out.
 */
export class RangeIndex {
  readonly starts: Float64Array;
  readonly ends: Float64Array;
  readonly values: Uint32Array;
  /** The nearest earlier range that reaches beyond the end of this one, or -1. */
  private readonly outer: Int32Array;

  constructor(starts: Float64Array, ends: Float64Array, values: Uint32Array) {
    this.starts = starts;
    this.ends = ends;
    this.values = values;
    this.outer = new Int32Array(starts.length);
    for (let i = 0; i < starts.length; i++) {
      let candidate = i - 1;
      while (candidate >= 0 && ends[candidate] <= ends[i]) candidate = this.outer[candidate];
      this.outer[i] = candidate;
    }
  }

  get length(): number {
    return this.starts.length;
  }

  /** The value of the last-starting range that holds the address, or -1. */
  find(address: Address): number {
    const position = this.positionOf(address);
    return position < 0 ? -1 : this.values[position];
  }

  /** The position, in order of start, of the last-starting range that holds the address, or -1. */
  positionOf(address: Address): number {
    let position = this.before(address);
    while (position >= 0 && address >= this.ends[position]) position = this.outer[position];
    return position;
  }

  /** The position of the last range that starts at or below the address, or -1. */
  before(address: Address): number {
    let low = 0;
    let high = this.starts.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.starts[middle] <= address) low = middle + 1;
      else high = middle;
    }
    // Nothing is at or below an address that is NOWHERE.
    return Number.isNaN(address) ? -1 : low - 1;
  }
}

/** Collects ranges for an index. */
export class RangeList {
  private starts = new Float64Array(16);
  private ends = new Float64Array(16);
  private values = new Uint32Array(16);
  length = 0;

  add(start: Address, end: Address, value: number): void {
    if (!(start < end)) return;
    if (this.length === this.starts.length) {
      this.starts = grown(this.starts, new Float64Array(this.length * 2));
      this.ends = grown(this.ends, new Float64Array(this.length * 2));
      this.values = grown(this.values, new Uint32Array(this.length * 2));
    }
    this.starts[this.length] = start;
    this.ends[this.length] = end;
    this.values[this.length++] = value;
  }

  /** The index of what was added; of equal ranges the one added last comes last, and so is found. */
  index(): RangeIndex {
    const { starts, ends, values, length } = this;
    let sorted = true;
    for (let i = 1; i < length && sorted; i++)
      sorted = starts[i - 1] < starts[i] || (starts[i - 1] === starts[i] && ends[i - 1] >= ends[i]);
    if (sorted)
      return new RangeIndex(starts.slice(0, length), ends.slice(0, length), values.slice(0, length));
    const order = new Uint32Array(length);
    for (let i = 0; i < length; i++) order[i] = i;
    order.sort((a, b) => starts[a] - starts[b] || ends[b] - ends[a] || a - b);
    const index = (from: Float64Array): Float64Array => Float64Array.from(order, (i) => from[i]);
    return new RangeIndex(
      index(starts),
      index(ends),
      Uint32Array.from(order, (i) => values[i]),
    );
  }
}

function grown<T extends Float64Array | Uint32Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
