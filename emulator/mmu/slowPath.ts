/**
 * The slow paths of generated code: an access that missed the TLB, with its operands in ACCESS_ADDRESS and
 * ACCESS_VALUE. Plain accesses (one page of RAM that nobody watches) are short and fill the TLB; everything else goes
 * the long way.
 */
import type { CpuState } from '../state/cpuState.ts';
import { OFFSET, RAM_OFFSET } from '../state/layout.ts';
import { AR, CS } from '../state/registers.ts';
import type { AddressSpaces } from './addressSpaces.ts';
import type { ApicAccess } from './apicAccess.ts';
import type { MemoryFault } from './fault.ts';
import { type LinearAccess, nextHigh } from './linearAccess.ts';
import { PAGE_ABSENT, PAGE_SLOW_WRITE, type PhysicalMemory } from './physicalMemory.ts';
import { ACCESS, type Access } from './rights.ts';
import type { Tlb } from './tlb.ts';
import { PRIVILEGE } from './translator.ts';
import type { PageWalker } from './walk.ts';
import type { WatchedPages } from './watchedPages.ts';

/** How a slow path ended. */
export const SLOW = {
  OK: 0,
  /** The access failed; the reason is in the MMU's fault. Nothing was written. */
  FAULT: 1,
  /** Done, but generated code has to be left after this instruction. */
  OK_CUT: 2,
} as const;
export type Slow = (typeof SLOW)[keyof typeof SLOW];

const ADDRESS = OFFSET.ACCESS_ADDRESS >> 2;
const VALUE = OFFSET.ACCESS_VALUE >> 2;
const CONTEXT = OFFSET.CONTEXT >> 2;
const CS_ACCESS_RIGHTS = (OFFSET.SEG_ACCESS_RIGHTS >> 2) + CS;

export class SlowPath {
  /** A listener of the write gate wants to be heard before the next instruction. */
  cut = false;

  readonly #words: Int32Array;
  readonly #view: DataView;
  readonly #u8: Uint8Array;
  readonly #physical: PhysicalMemory;
  readonly #fault: MemoryFault;
  readonly #spaces: AddressSpaces;
  readonly #walker: PageWalker;
  readonly #tlb: Tlb;
  readonly #watched: WatchedPages;
  readonly #linear: LinearAccess;
  readonly #apic: ApicAccess;

  constructor(
    state: CpuState,
    parts: {
      readonly physical: PhysicalMemory;
      readonly fault: MemoryFault;
      readonly spaces: AddressSpaces;
      readonly walker: PageWalker;
      readonly tlb: Tlb;
      readonly watched: WatchedPages;
      readonly linear: LinearAccess;
      readonly apic: ApicAccess;
    },
  ) {
    this.#words = state.i32;
    this.#u8 = state.u8;
    this.#view = new DataView(state.u8.buffer);
    this.#physical = parts.physical;
    this.#fault = parts.fault;
    this.#spaces = parts.spaces;
    this.#walker = parts.walker;
    this.#tlb = parts.tlb;
    this.#watched = parts.watched;
    this.#linear = parts.linear;
    this.#apic = parts.apic;
  }

  /** `alignment`: what the address must be a multiple of where alignment is checked. */
  read(size: number, writeIntent: boolean, alignment: number): Slow {
    if (this.#readPlain(size, writeIntent)) return SLOW.OK;
    if (this.#isMisaligned(alignment)) return SLOW.FAULT;
    const words = this.#words;
    const linear = this.#linear;
    const access = writeIntent ? ACCESS.WRITE : ACCESS.READ;
    if (
      !linear.read(words[ADDRESS], words[ADDRESS + 1], size, access, PRIVILEGE.CURRENT, this.#in64BitMode())
    ) {
      return SLOW.FAULT;
    }
    words[VALUE] = linear.memory.lo;
    words[VALUE + 1] = linear.memory.hi;
    return this.#done();
  }

  write(size: number, alignment: number): Slow {
    if (this.#writePlain(size)) return SLOW.OK;
    if (this.#isMisaligned(alignment)) return SLOW.FAULT;
    const words = this.#words;
    const wide = this.#in64BitMode();
    const done = this.#linear.write(
      words[ADDRESS],
      words[ADDRESS + 1],
      size,
      words[VALUE],
      words[VALUE + 1],
      PRIVILEGE.CURRENT,
      wide,
    );
    return done ? this.#done() : SLOW.FAULT;
  }

  /** Reads if the access is plain. False: nothing happened, accessed and dirty flags aside. */
  #readPlain(size: number, writeIntent: boolean): boolean {
    const words = this.#words;
    const lo = words[ADDRESS];
    if ((lo & 0xfff) + size > 4096) return false;
    this.#walker.accessBytes = size;
    const offset = this.#plain(lo, words[ADDRESS + 1], writeIntent ? ACCESS.WRITE : ACCESS.READ);
    if (offset < 0) return false;
    let high = 0;
    if (size === 8) {
      words[VALUE] = this.#view.getInt32(offset, true);
      high = this.#view.getInt32(offset + 4, true);
    } else if (size === 4) words[VALUE] = this.#view.getInt32(offset, true);
    else if (size === 2) words[VALUE] = this.#view.getUint16(offset, true);
    else words[VALUE] = this.#u8[offset];
    words[VALUE + 1] = high;
    return true;
  }

  /** Writes if the access is plain. False: nothing happened, accessed and dirty flags aside. */
  #writePlain(size: number): boolean {
    const words = this.#words;
    const lo = words[ADDRESS];
    if ((lo & 0xfff) + size > 4096) return false;
    this.#walker.accessBytes = size;
    const offset = this.#plain(lo, words[ADDRESS + 1], ACCESS.WRITE);
    if (offset < 0) return false;
    if (size === 8) {
      this.#view.setInt32(offset, words[VALUE], true);
      this.#view.setInt32(offset + 4, words[VALUE + 1], true);
    } else if (size === 4) this.#view.setInt32(offset, words[VALUE], true);
    else if (size === 2) this.#view.setInt16(offset, words[VALUE], true);
    else this.#u8[offset] = words[VALUE];
    return true;
  }

  /** Whether `size` bytes (at most a page) at ACCESS_ADDRESS can be accessed. Caches the translations. */
  probe(size: number, write: boolean): Slow {
    const words = this.#words;
    const lo = words[ADDRESS];
    const hi = words[ADDRESS + 1];
    const access = write ? ACCESS.WRITE : ACCESS.READ;
    this.#walker.accessBytes = size;
    if (!this.#probePage(lo, hi, access)) return SLOW.FAULT;
    const before = 4096 - (lo & 0xfff);
    if (before >= size) return SLOW.OK;
    this.#walker.accessBytes = size - before;
    const nextHi = nextHigh(lo, hi, before, this.#in64BitMode());
    return this.#probePage((lo + before) | 0, nextHi, access) ? SLOW.OK : SLOW.FAULT;
  }

  #probePage(lo: number, hi: number, access: Access): boolean {
    return this.#plain(lo, hi, access) >= 0 || this.#linear.probePage(lo, hi, access, PRIVILEGE.CURRENT);
  }

  /**
   * Translates and caches. Gives the offset in the machine's memory, or -1: no translation, no RAM, a watched page,
   * checked alignment, or a store that has to be announced.
   */
  #plain(lo: number, hi: number, access: Access): number {
    const walker = this.#walker;
    const physical = this.#physical;
    if (this.#spaces.alignmentChecked) return -1;
    const request = this.#spaces.request | access;
    const host = walker.walk(lo, hi, request);
    const { audit } = this.#spaces;
    if (audit !== undefined && host >= 0) this.#spaces.auditWalk(audit, lo, hi, request, host);
    if (host < 0 || host >= physical.limit || this.#apic.has(host)) return -1;
    const page = host >>> 12;
    const flags = physical.pageFlags[page];
    if ((flags & PAGE_ABSENT) !== 0) return -1;
    if (this.#watched.count !== 0 && this.#watched.has(lo, hi)) return -1;
    const tlb = this.#tlb;
    const context = this.#words[CONTEXT];
    if (walker.pageShift !== 12) tlb.noteLargePage(lo, hi, walker.pageShift);
    tlb.fillRead(lo, hi, context, page);
    if ((flags & PAGE_SLOW_WRITE) === 0) {
      // A load fills this too when the page may be written and no dirty flag would have to be set.
      // Audited, stores have to be seen as such.
      if (walker.writeNow && (audit === undefined || access === ACCESS.WRITE)) {
        physical.noteWriteEntry(page, tlb.fillWrite(lo, hi, context, page));
      }
    } else if (access === ACCESS.WRITE) return -1;
    // The walk itself wrote to a page that somebody watches.
    return this.cut ? -1 : (RAM_OFFSET + host) >>> 0;
  }

  /** An address that is not canonical is that fault first. @see SDM "Interrupt 17—Alignment Check Exception (#AC)" */
  #isMisaligned(alignment: number): boolean {
    const words = this.#words;
    if (!this.#spaces.alignmentChecked || (words[ADDRESS] & (alignment - 1)) === 0) return false;
    if (this.#walker.requireCanonical(words[ADDRESS], words[ADDRESS + 1])) this.#fault.kind = 'alignment';
    return true;
  }

  #in64BitMode(): boolean {
    return this.#linear.wide && (this.#words[CS_ACCESS_RIGHTS] & AR.L) !== 0;
  }

  /** A device may have changed what is pending, a listener may want to be heard. */
  #done(): Slow {
    const { memory } = this.#linear;
    if (!this.cut && !memory.touchedDevice) return SLOW.OK;
    this.cut = false;
    memory.touchedDevice = false;
    return SLOW.OK_CUT;
  }
}
