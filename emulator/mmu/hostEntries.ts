/**
 * Paging-structure entries by host-physical address, as pairs of 32-bit halves. They are in RAM unless the guest is
 * out of its mind; then the bus answers.
 */
import type { CpuState } from '../state/cpuState.ts';
import { RAM_OFFSET } from '../state/layout.ts';
import type { MmioBus } from './bus.ts';
import { PAGE_ABSENT, PAGE_ROM, type PhysicalMemory } from './physicalMemory.ts';

const RAM_WORD = RAM_OFFSET >>> 2;
/** Word offsets wrap around like byte offsets, which finds the ROM below RAM. */
const WORD_BITS = 0x3fff_ffff;
const A20 = 1 << 20;

export class HostEntries {
  /** Bits 63:32 of the entry that {@link read} gave. */
  high = 0;
  /** Whether that entry is in memory. */
  inRam = false;

  /** While an accessed or dirty flag is announced. */
  setsFlags = false;
  /** Hears of the page of each entry that is read. */
  onRead: ((page: number) => void) | undefined;

  readonly #words: Int32Array;
  readonly #physical: PhysicalMemory;
  readonly #bus: MmioBus;
  readonly #flags: Uint8Array;
  readonly #limit: number;
  readonly #passive: boolean;
  #addressMask = -1;

  /** Passive: reads of memory-mapped registers have no side effects. */
  constructor(state: CpuState, physical: PhysicalMemory, bus: MmioBus, passive: boolean) {
    this.#words = state.i32;
    this.#physical = physical;
    this.#bus = bus;
    this.#flags = physical.pageFlags;
    this.#limit = physical.limit;
    this.#passive = passive;
  }

  /** With the A20 line low, bit 20 of each physical address is 0. */
  set a20(high: boolean) {
    this.#addressMask = high ? -1 : ~A20;
  }

  get addressMask(): number {
    return this.#addressMask;
  }

  /** An 8-byte entry: gives bits 31:0, leaves the rest in {@link high}. */
  read(lo: number, hi: number): number {
    const address = (lo & this.#addressMask) >>> 0;
    if (hi === 0 && address < this.#limit && (this.#flags[address >>> 12] & PAGE_ABSENT) === 0) {
      const word = (RAM_WORD + (address >>> 2)) & WORD_BITS;
      this.inRam = true;
      this.onRead?.(address >>> 12);
      this.high = this.#words[word + 1];
      return this.#words[word];
    }
    this.inRam = false;
    this.high = this.#readBus(address + 4, hi);
    return this.#readBus(address, hi);
  }

  /** A 4-byte entry. */
  read32(lo: number, hi: number): number {
    const address = (lo & this.#addressMask) >>> 0;
    if (hi === 0 && address < this.#limit && (this.#flags[address >>> 12] & PAGE_ABSENT) === 0) {
      this.onRead?.(address >>> 12);
      return this.#words[(RAM_WORD + (address >>> 2)) & WORD_BITS];
    }
    return this.#readBus(address, hi);
  }

  /** Sets bits among 31:0 of an entry of `size` bytes, through the write gate. */
  set(lo: number, hi: number, bits: number, size: 4 | 8): void {
    const address = (lo & this.#addressMask) >>> 0;
    if (hi === 0 && address < this.#limit && (this.#flags[address >>> 12] & PAGE_ABSENT) === 0) {
      const page = address >>> 12;
      this.setsFlags = true;
      this.#physical.notifyWrite(address, size);
      this.setsFlags = false;
      if ((this.#flags[page] & PAGE_ROM) === 0) this.#words[(RAM_WORD + (address >>> 2)) & WORD_BITS] |= bits;
      return;
    }
    const at = hi * 0x1_0000_0000 + address;
    this.#bus.write(at, 4, (this.#bus.read(at, 4) | bits) >>> 0);
  }

  #readBus(address: number, hi: number): number {
    const at = hi * 0x1_0000_0000 + address;
    return (this.#passive ? this.#bus.peek(at, 4) : this.#bus.read(at, 4)) | 0;
  }
}
