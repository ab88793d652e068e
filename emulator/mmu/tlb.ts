/**
 * The two translation look-aside buffers that generated code reads: one for loads, one for stores, direct-mapped by
 * linear page number. An entry is four 32-bit words:
 *
 *   0, 1  tag: linear page | context id (see contexts.ts); 0 is empty, because id 0 is never given out
 *   2     what to add to the low half of the linear address to get the offset in the machine's memory
 *   3     host-physical page number, by which the write entries of a page are found
 *
 * Every entry stands for 4 KBytes, whatever the size of the page that it comes from.
 *
 * Intel SDM Vol. 3A, "Caching Translation Information", 5.10.
 */
import type { CpuState } from '../state/cpuState.ts';
import { RAM_OFFSET, TLB_ENTRIES, TLB_READ, TLB_WRITE } from '../state/layout.ts';

const WORDS = 4;
const READ = TLB_READ >> 2;
const WRITE = TLB_WRITE >> 2;
const SLOT_MASK = TLB_ENTRIES - 1;
const REGIONS = 8192;

export class Tlb {
  readonly #words: Int32Array;
  /** Regions of 2 MBytes, and of 1 GByte, with entries that come from larger pages. See {@link region}. */
  readonly #large = new Uint8Array(REGIONS);
  readonly #huge = new Uint8Array(REGIONS);

  constructor(state: CpuState) {
    this.#words = state.i32;
  }

  fillRead(lo: number, hi: number, context: number, hostPage: number): void {
    this.#fill(READ, lo, hi, context, hostPage);
  }

  /** Gives the slot, by which {@link dropWriteEntriesOfPage} finds the entry again. */
  fillWrite(lo: number, hi: number, context: number, hostPage: number): number {
    this.#fill(WRITE, lo, hi, context, hostPage);
    return (lo >>> 12) & SLOT_MASK;
  }

  /** An entry for this address comes from a page of `1 << shift` bytes: invalidating it reaches further. */
  noteLargePage(lo: number, hi: number, shift: number): void {
    if (shift > 22) {
      this.#huge[region(lo >>> 30, hi)] = 1;
      return;
    }
    const at = region(lo >>> 21, hi);
    this.#large[at] = 1;
    // The other half of a page of 4 MBytes.
    if (shift === 22) this.#large[at ^ 1] = 1;
  }

  /**
   * Drops what is cached for a linear address, whatever the context: a global page's translation is in the TLB once
   * for each context that used it. All fragments of a large page go. Gives the size of what went, as a power of two.
   *
   * @see SDM "Operations that Invalidate TLBs and Paging-Structure Caches", 5.10.4.1
   */
  dropPage(lo: number, hi: number): number {
    if (this.#huge[region(lo >>> 30, hi)] !== 0) {
      this.#dropRange(lo, hi, 30, 0, TLB_ENTRIES);
      return 30;
    }
    if (this.#large[region(lo >>> 21, hi)] !== 0) {
      // 4 MBytes are 1,024 consecutive slots.
      const first = (lo >>> 12) & SLOT_MASK & ~1023;
      this.#dropRange(lo, hi, 22, first, first + 1024);
      return 22;
    }
    const slot = (lo >>> 12) & SLOT_MASK;
    this.#dropRange(lo, hi, 12, slot, slot + 1);
    return 12;
  }

  /** Drops the write entries of a host-physical page, from one slot or from all (-1): stores to it become slow. */
  dropWriteEntriesOfPage(hostPage: number, slot = -1): void {
    const words = this.#words;
    const [first, end] = slot < 0 ? [0, TLB_ENTRIES] : [slot, slot + 1];
    for (let at = WRITE + first * WORDS; at < WRITE + end * WORDS; at += WORDS) {
      if (words[at + 3] === hostPage) this.#empty(at);
    }
  }

  dropWriteEntries(): void {
    this.#words.fill(0, WRITE, WRITE + TLB_ENTRIES * WORDS);
  }

  flushAll(): void {
    this.#words.fill(0, READ, READ + TLB_ENTRIES * WORDS);
    this.#words.fill(0, WRITE, WRITE + TLB_ENTRIES * WORDS);
    this.#large.fill(0);
    this.#huge.fill(0);
  }

  /** Offset in the machine's memory for a load, or -1. What generated code does inline; for tests and tools. */
  lookUpRead(lo: number, hi: number, context: number): number {
    return this.#lookUp(READ, lo, hi, context);
  }

  lookUpWrite(lo: number, hi: number, context: number): number {
    return this.#lookUp(WRITE, lo, hi, context);
  }

  #fill(table: number, lo: number, hi: number, context: number, hostPage: number): void {
    const at = table + ((lo >>> 12) & SLOT_MASK) * WORDS;
    const words = this.#words;
    words[at] = (lo & ~0xfff) | context;
    words[at + 1] = hi;
    words[at + 2] = RAM_OFFSET + (hostPage << 12) - (lo & ~0xfff);
    words[at + 3] = hostPage;
  }

  #lookUp(table: number, lo: number, hi: number, context: number): number {
    const words = this.#words;
    const at = table + ((lo >>> 12) & SLOT_MASK) * WORDS;
    if (words[at] !== ((lo & ~0xfff) | context) || words[at + 1] !== (hi | 0)) return -1;
    return (lo + words[at + 2]) >>> 0;
  }

  /** Empties the entries of slots `first` to `end` whose address equals (lo, hi) above bit `shift`. */
  #dropRange(lo: number, hi: number, shift: number, first: number, end: number): void {
    const words = this.#words;
    for (let slot = first; slot < end; slot++) {
      const read = READ + slot * WORDS;
      const write = WRITE + slot * WORDS;
      if (words[read + 1] === (hi | 0) && (words[read] ^ lo) >>> shift === 0) this.#empty(read);
      if (words[write + 1] === (hi | 0) && (words[write] ^ lo) >>> shift === 0) this.#empty(write);
    }
  }

  #empty(at: number): void {
    const words = this.#words;
    words[at] = 0;
    words[at + 1] = 0;
    words[at + 3] = 0;
  }
}

/** A small number for a region of linear addresses. Two regions may share one: then more goes than has to. */
function region(bits: number, hi: number): number {
  return (bits ^ (Math.imul(hi, 0x9e37_79b2) >>> 16)) & (REGIONS - 1);
}
