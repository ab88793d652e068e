/**
 * RAM as the host-physical address space shows it, and the one gate through which every write passes that is not an
 * inline TLB hit: stores on the slow path, accessed and dirty flags of the page walk, DMA, the boot loader, the
 * debugger.
 *
 * Only this class turns a host-physical address into an offset of the machine's memory.
 *
 * RAM is one block from address 0; firmware's ROM ends at 4 GiB. The legacy video range and ROM are marked per page: the
 * first is no memory at all, the second drops writes.
 */
import { EmulatorBug } from '../base/errors.ts';
import type { CpuState } from '../state/cpuState.ts';
import { MAX_RAM, MAX_ROM, RAM_OFFSET } from '../state/layout.ts';

/**
 * Marks of a 4-KByte page that make each write to it visible. A marked page never has a write entry in the TLB.
 *
 * - CODE: instructions of the page are decoded or translated.
 * - WATCHED: a data breakpoint lies in the page.
 * - SNAPSHOT: the page's contents belong to a snapshot and are not copied yet.
 * - VMCS: the page holds a VMCS (or VMCB) whose checked state is remembered; or, for the sanitizer, paging structures.
 */
export const PAGE_FLAG = { CODE: 1, WATCHED: 2, SNAPSHOT: 4, VMCS: 8 } as const;
export type PageFlag = (typeof PAGE_FLAG)[keyof typeof PAGE_FLAG];

/** Bits of the same byte that are not for listeners. */
const LISTENED = 0x0f;
/** A write entry of the TLB may exist: in one known slot, unless WRITE_ALIASED says in several. */
const WRITE_ALIASED = 0x10;
const WRITE_CACHED = 0x20;
const WRITTEN = WRITE_ALIASED | WRITE_CACHED;
export const PAGE_ROM = 0x40;
/** No memory answers here. */
export const PAGE_ABSENT = 0x80;
/** Any of these keeps stores to the page on the slow path. */
export const PAGE_SLOW_WRITE = LISTENED | PAGE_ROM | PAGE_ABSENT;

/** Called before the bytes change; the range never leaves one page. */
export type WriteListener = (hpa: number, length: number) => void;

/** The legacy video memory, which answers as memory-mapped registers. */
const VGA_HOLE = { start: 0xa_0000, end: 0xc_0000 };

const FOUR_GIB = 2 ** 32;

export interface PhysicalMemoryOptions {
  /** Leaves 0xA0000–0xBFFFF to the bus. */
  readonly legacyVgaHole?: boolean;
  /** Firmware, whose last byte is at 4 GiB - 1; whole pages. */
  readonly rom?: Uint8Array;
}

export class PhysicalMemory {
  readonly ramBytes: number;
  /** No memory answers from here on. */
  readonly limit: number;
  /** One byte for each page below {@link limit}: see {@link PAGE_FLAG} and the constants beside it. */
  readonly pageFlags: Uint8Array;
  /** Set by the MMU: drops the TLB's write entries of a page, in one slot or in all of them (-1). */
  retireWriteEntries: (page: number, slot: number) => void = () => undefined;
  /** Set by the MMU: drops all write entries. */
  retireAllWriteEntries: () => void = () => undefined;

  /** By page: the slot of its write entry. */
  readonly #writeSlots: Uint16Array;
  readonly #u8: Uint8Array;
  readonly #view: DataView;
  readonly #listeners: WriteListener[][] = [];

  constructor(state: CpuState, ramBytes: number, options: PhysicalMemoryOptions = {}) {
    if (ramBytes % 4096 !== 0 || ramBytes <= 0 || ramBytes > MAX_RAM) {
      throw new EmulatorBug(`RAM of ${ramBytes} bytes: whole pages and at most ${MAX_RAM} bytes can be had`);
    }
    if (state.u8.length < RAM_OFFSET + ramBytes) {
      throw new EmulatorBug(
        `the machine's memory of ${state.u8.length} bytes cannot hold ${ramBytes} bytes of RAM`,
      );
    }
    const { legacyVgaHole, rom } = options;
    if (rom && (rom.length % 4096 !== 0 || rom.length > MAX_ROM))
      throw new EmulatorBug(
        `a ROM of ${rom.length} bytes: whole pages and at most ${MAX_ROM} bytes can be had`,
      );
    this.ramBytes = ramBytes;
    this.limit = rom ? FOUR_GIB : ramBytes;
    this.pageFlags = new Uint8Array(this.limit / 4096);
    this.#writeSlots = new Uint16Array(this.pageFlags.length);
    this.#u8 = state.u8;
    this.#view = new DataView(state.u8.buffer);
    if (legacyVgaHole) this.#mark(VGA_HOLE.start, VGA_HOLE.end - VGA_HOLE.start, PAGE_ABSENT);
    if (rom) {
      const start = FOUR_GIB - rom.length;
      this.pageFlags.fill(PAGE_ABSENT, ramBytes / 4096, start / 4096);
      this.load(start, rom);
      this.setReadOnly(start, rom.length, true);
    }
  }

  /** Whether memory (RAM or ROM) answers all of `size` bytes. */
  isRam(hpa: number, size: number): boolean {
    const end = hpa + size;
    if (hpa < 0 || end > this.limit) return false;
    // One page: the hot case.
    if ((hpa & 0xfff) + size <= 4096) return (this.pageFlags[hpa >>> 12] & PAGE_ABSENT) === 0;
    for (let page = Math.floor(hpa / 4096); page * 4096 < end; page++) {
      if (this.pageFlags[page] & PAGE_ABSENT) return false;
    }
    return true;
  }

  /** Offset in the machine's memory of an address for which {@link isRam} holds. */
  offset(hpa: number): number {
    return (RAM_OFFSET + hpa) >>> 0;
  }

  // Reads. Outside of memory every bit is 1.

  read8(hpa: number): number {
    return this.isRam(hpa, 1) ? this.#u8[this.offset(hpa)] : 0xff;
  }

  read16(hpa: number): number {
    return this.isRam(hpa, 2) ? this.#view.getUint16(this.offset(hpa), true) : 0xffff;
  }

  read32(hpa: number): number {
    return this.isRam(hpa, 4) ? this.#view.getUint32(this.offset(hpa), true) : 0xffff_ffff;
  }

  /** 8 bytes; for system code, the page walk reads halves. */
  read64(hpa: number): bigint {
    return (BigInt(this.read32(hpa + 4)) << 32n) | BigInt(this.read32(hpa));
  }

  /** Fills `into` from `hpa` on; bytes where no memory answers are 0xff. */
  copyOut(hpa: number, into: Uint8Array): void {
    this.#chunks(hpa, into.length, (at, done, length) => {
      if (!this.isRam(at, length)) into.fill(0xff, done, done + length);
      else into.set(this.#u8.subarray(this.offset(at), this.offset(at) + length), done);
    });
  }

  // Writes. Outside of RAM they are dropped.

  /** Writes 1, 2, 4 or 8 bytes, given as two 32-bit halves. */
  write(hpa: number, size: number, lo: number, hi: number): void {
    if (!this.isRam(hpa, size)) return;
    this.notifyWrite(hpa, size);
    if (this.pageFlags[hpa >>> 12] & PAGE_ROM) return;
    const offset = this.offset(hpa);
    if (size === 8) {
      this.#view.setUint32(offset, lo, true);
      this.#view.setUint32(offset + 4, hi, true);
    } else if (size === 4) this.#view.setUint32(offset, lo, true);
    else if (size === 2) this.#view.setUint16(offset, lo, true);
    else this.#u8[offset] = lo;
  }

  write64(hpa: number, value: bigint): void {
    this.write(hpa, 8, Number(value & 0xffff_ffffn), Number((value >> 32n) & 0xffff_ffffn));
  }

  copyIn(hpa: number, bytes: Uint8Array): void {
    this.#copyIn(hpa, bytes, PAGE_ROM);
  }

  /** Like {@link copyIn}, and changes what cannot be written as well: a ROM is exchanged, a snapshot restored. */
  load(hpa: number, bytes: Uint8Array): void {
    this.#copyIn(hpa, bytes, 0);
  }

  /** Lets whole pages drop writes, or take them again. */
  setReadOnly(hpa: number, length: number, readOnly: boolean): void {
    if (hpa % 4096 !== 0 || length % 4096 !== 0 || hpa + length > this.limit)
      throw new EmulatorBug(`${length} bytes at ${hpa} are not whole pages of memory`);
    if (readOnly) this.#mark(hpa, length, PAGE_ROM);
    else for (let page = hpa / 4096; page * 4096 < hpa + length; page++) this.pageFlags[page] &= ~PAGE_ROM;
  }

  // The write gate

  /** Announces that `length` bytes of memory from `hpa` on are about to change. */
  notifyWrite(hpa: number, length: number): void {
    const last = (hpa + length - 1) >>> 12;
    for (let page = hpa >>> 12; page <= last; page++) {
      if ((this.pageFlags[page] & LISTENED) === 0) continue;
      const start = Math.max(hpa, page * 4096);
      this.#announce(page, start, Math.min(hpa + length, (page + 1) * 4096) - start);
    }
  }

  /** Calls `listener` for each write to a page that has `flag`. Gives the function that ends this. */
  onWrite(flag: PageFlag, listener: WriteListener): () => void {
    this.#listeners[flag] = [...(this.#listeners[flag] ?? []), listener];
    return () => {
      this.#listeners[flag] = this.#listeners[flag].filter((other) => other !== listener);
    };
  }

  hasPageFlag(page: number, flag: PageFlag): boolean {
    return (this.pageFlags[page] & flag) !== 0;
  }

  setPageFlag(page: number, flag: PageFlag): void {
    if (page < 0 || page >= this.pageFlags.length) throw new EmulatorBug(`page ${page} is not RAM`);
    this.#mark(page * 4096, 4096, flag);
  }

  clearPageFlag(page: number, flag: PageFlag): void {
    this.pageFlags[page] &= ~flag;
  }

  /** Marks every page, as taking a snapshot does. */
  setFlagEverywhere(flag: PageFlag): void {
    const { pageFlags } = this;
    for (let page = 0; page < pageFlags.length; page++) pageFlags[page] = (pageFlags[page] | flag) & ~WRITTEN;
    this.retireAllWriteEntries();
  }

  /** The TLB now has a write entry for an unmarked page. */
  noteWriteEntry(page: number, slot: number): void {
    const flags = this.pageFlags[page];
    if ((flags & WRITE_CACHED) === 0) {
      this.pageFlags[page] = flags | WRITE_CACHED;
      this.#writeSlots[page] = slot;
    } else if (this.#writeSlots[page] !== slot) this.pageFlags[page] = flags | WRITE_ALIASED;
  }

  #copyIn(hpa: number, bytes: Uint8Array, refused: number): void {
    this.#chunks(hpa, bytes.length, (at, done, length) => {
      if (!this.isRam(at, length) || this.pageFlags[at >>> 12] & refused) return;
      this.notifyWrite(at, length);
      this.#u8.set(bytes.subarray(done, done + length), this.offset(at));
    });
  }

  #mark(hpa: number, length: number, flag: number): void {
    for (let page = hpa / 4096; page * 4096 < hpa + length && page < this.pageFlags.length; page++) {
      const before = this.pageFlags[page];
      this.pageFlags[page] = (before | flag) & ~WRITTEN;
      if ((before & WRITE_CACHED) === 0) continue;
      this.retireWriteEntries(page, before & WRITE_ALIASED ? -1 : this.#writeSlots[page]);
    }
  }

  #announce(page: number, hpa: number, length: number): void {
    for (let flag = 1; flag <= LISTENED; flag <<= 1) {
      // Looked at for each flag: a listener may clear marks.
      if ((this.pageFlags[page] & flag) === 0) continue;
      for (const listener of this.#listeners[flag] ?? []) listener(hpa, length);
    }
  }

  #chunks(hpa: number, length: number, visit: (at: number, done: number, length: number) => void): void {
    for (let done = 0; done < length; ) {
      const at = hpa + done;
      const chunk = Math.min(4096 - (at % 4096), length - done);
      visit(at, done, chunk);
      done += chunk;
    }
  }
}
