/**
 * Linear pages whose every access takes the slow way, because somebody wants to hear of it: those with a data
 * breakpoint of the processor. They have no TLB entries, so that watching costs other pages nothing.
 *
 * Intel SDM Vol. 3B, "Data Memory and I/O Breakpoint Exception Conditions", 19.3.1.2.
 */
import type { Tlb } from './tlb.ts';

export class WatchedPages {
  /** Hears of every access that was made to a watched page; implicit supervisor accesses are none. */
  onAccess: (address: bigint, size: number, write: boolean) => void = () => undefined;
  /** How many pages are watched; nothing else has to be asked when it is 0. */
  count = 0;

  readonly #tlb: Tlb;
  readonly #lo = new Int32Array(4);
  readonly #hi = new Int32Array(4);

  constructor(tlb: Tlb) {
    this.#tlb = tlb;
  }

  /** Watches the pages of these linear addresses (at most four) and no others. */
  set(addresses: readonly bigint[]): void {
    this.count = addresses.length;
    for (const [i, address] of addresses.entries()) {
      this.#lo[i] = Number(BigInt.asIntN(32, address)) & ~0xfff;
      this.#hi[i] = Number(BigInt.asIntN(32, address >> 32n));
      this.#tlb.dropPage(this.#lo[i], this.#hi[i]);
    }
  }

  has(lo: number, hi: number): boolean {
    for (let i = 0; i < this.count; i++) {
      if (this.#lo[i] === (lo & ~0xfff) && this.#hi[i] === (hi | 0)) return true;
    }
    return false;
  }

  /** An access of `size` bytes at (lo, hi), the first of which lies in this page or in the one before, was made. */
  note(lo: number, hi: number, size: number, write: boolean): void {
    if (!this.has(lo, hi) && ((lo & 0xfff) + size <= 4096 || !this.has((lo + size - 1) | 0, hi))) return;
    this.onAccess((BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0), size, write);
  }
}
