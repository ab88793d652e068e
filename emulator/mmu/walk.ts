/**
 * The page walk: from a linear address to a host-physical one, through the guest's paging structures and, when EPT is
 * on, through the second level for each of their entries and for the result. Addresses are pairs of 32-bit halves and
 * nothing is allocated: this is hot code.
 *
 * Intel SDM Vol. 3A, "Paging", chapter 4; Vol. 3C, "The Extended Page Table Mechanism (EPT)", 29.3.
 */
import type { CpuState } from '../state/cpuState.ts';
import { OFFSET } from '../state/layout.ts';
import { CR0, CR4, EFER } from '../state/registers.ts';
import type { SecondLevelWalker } from './ept.ts';
import { EPT_ACCESS, EPT_LINEAR_VALID, EPT_TRANSLATED, type MemoryFault, PAGE_FAULT } from './fault.ts';
import type { HostEntries } from './hostEntries.ts';
import { PAGING, type PagingControls, type PagingMode, pagingMode } from './pagingMode.ts';

/** The kind of an access. */
export const ACCESS = { READ: 0, WRITE: 1, EXECUTE: 2 } as const;
export type Access = (typeof ACCESS)[keyof typeof ACCESS];

/** What a translation gives instead of an address. */
export const UNTRANSLATED = {
  PAGE_FAULT: -1,
  SECOND_LEVEL_FAULT: -2,
  NON_CANONICAL: -3,
  /** The guest-physical address lies in the VMM's window; it is in `guestPhysical`. */
  WINDOW: -4,
} as const;

/** Guest-physical addresses that are answered by the VMM where EPT has no translation. */
export interface GuestPhysicalRange {
  readonly start: number;
  readonly end: number;
}

// Bits of a paging-structure entry that all modes share.
const P = 1 << 0;
const RW = 1 << 1;
const US = 1 << 2;
const A = 1 << 5;
const D = 1 << 6;
const PS = 1 << 7;

const TWO_32 = 0x1_0000_0000;
/** Access bits of an EPT violation by {@link ACCESS}. */
const FINAL_ACCESS = [EPT_ACCESS.READ, EPT_ACCESS.WRITE, EPT_ACCESS.FETCH];
/** Reserved bits 29:13 and 20:13 of an entry that maps a page, by level. */
const RESERVED_PAGE = [0, 0, 0x001f_e000, 0x3fff_e000, PS, PS];

export class PageWalker {
  mode: PagingMode = PAGING.NONE;
  /** Window of {@link UNTRANSLATED.WINDOW}. */
  window: GuestPhysicalRange | undefined;

  // Results of a walk that gave an address.
  /** The page may be written now by an access of the same privilege: permitted, and no dirty flag needs an update. */
  writeNow = false;
  /** Size of the page as a power of two; 12 without paging. */
  pageShift = 12;
  /** The guest-physical address. */
  guestPhysical = 0;

  // The path of the last walk, by level (5 down to 1), for flag updates and the debugger's view.
  readonly entryGuestLo = new Int32Array(6);
  readonly entryGuestHi = new Int32Array(6);
  readonly entryHostLo = new Int32Array(6);
  readonly entryHostHi = new Int32Array(6);
  readonly entryLo = new Int32Array(6);
  readonly entryHi = new Int32Array(6);
  top = 0;
  /** The last level that the walk reached. */
  level = 0;

  readonly #fault: MemoryFault;
  readonly #entries: HostEntries;
  readonly #second: SecondLevelWalker;
  readonly #pdptes: Int32Array;
  readonly #pdpteIndex: number;
  readonly #passive: boolean;
  readonly #physicalAddressBits: number;
  readonly #reserved4M: number;
  #baseLo = 0;
  #baseHi = 0;
  #reservedHi = 0;
  #pse = false;
  #writeProtect = false;
  #smep = false;
  #fetchFlag = 0;

  /**
   * A passive walker serves the debugger: it sets no accessed or dirty flags. `pdptes` replaces the PDPTE registers of
   * the processor.
   */
  constructor(
    state: CpuState,
    parts: {
      readonly fault: MemoryFault;
      readonly entries: HostEntries;
      readonly second: SecondLevelWalker;
      readonly physicalAddressBits: number;
      readonly passive?: boolean;
      readonly pdptes?: Int32Array;
    },
  ) {
    this.#fault = parts.fault;
    this.#entries = parts.entries;
    this.#second = parts.second;
    this.#passive = parts.passive ?? false;
    this.#pdptes = parts.pdptes ?? state.i32;
    this.#pdpteIndex = parts.pdptes ? 0 : OFFSET.PDPTE >> 2;
    this.#physicalAddressBits = parts.physicalAddressBits;
    // PSE-36: bits 20:13 of a 4-MByte PDE are address bits 39:32, as far as the processor has them.
    const addressBits = Math.min(40, parts.physicalAddressBits) - 32;
    this.#reserved4M = 0x3f_e000 & ~(((1 << addressBits) - 1) << 13);
  }

  configure(controls: PagingControls, cr3Lo: number, cr3Hi: number): void {
    const { cr0, cr4, efer } = controls;
    const mode = pagingMode(controls);
    const nxe = mode >= PAGING.PAE && (efer & EFER.NXE) !== 0;
    const beyond = ~((1 << (this.#physicalAddressBits - 32)) - 1);
    const reservedAddress = (mode === PAGING.PAE ? 0x7fff_ffff : 0xf_ffff) & beyond;
    this.mode = mode;
    this.#baseLo = cr3Lo & ~0xfff;
    this.#baseHi = mode >= PAGING.LEVEL_4 ? cr3Hi & 0xf_ffff : 0;
    this.#reservedHi = nxe ? reservedAddress : reservedAddress | 0x8000_0000;
    this.#pse = (cr4 & CR4.PSE) !== 0;
    this.#writeProtect = (cr0 & CR0.WP) !== 0;
    this.#smep = (cr4 & CR4.SMEP) !== 0;
    this.#fetchFlag = nxe || this.#smep ? PAGE_FAULT.FETCH : 0;
  }

  /**
   * Translates for an access. Gives the host-physical address, or a code of {@link UNTRANSLATED} with the reason in
   * the fault.
   *
   * @param smap whether this supervisor access may not touch user pages (CR4.SMAP, unless RFLAGS.AC lifts it).
   */
  walk(lo: number, hi: number, access: Access, user: boolean, smap: boolean): number {
    switch (this.mode) {
      case PAGING.NONE:
        this.pageShift = 12;
        this.top = 0;
        this.level = 0;
        this.writeNow = true;
        return this.#finish(lo, 0, lo, 0, access);
      case PAGING.BITS_32:
        return this.#walk32(lo, access, user, smap);
      case PAGING.PAE: {
        const at = this.#pdpteIndex + ((lo >>> 30) << 1);
        const pdpteLo = this.#pdptes[at];
        this.top = 2;
        this.level = 3;
        if ((pdpteLo & P) === 0) return this.#pageFault(lo, 0, access, user, 0);
        return this.#walkLevels(lo, 0, pdpteLo & ~0xfff, this.#pdptes[at + 1], 2, access, user, smap);
      }
      case PAGING.LEVEL_4: {
        const sign = hi >> 15;
        if (sign !== 0 && sign !== -1) return this.#nonCanonical(lo, hi);
        return this.#walkLevels(lo, hi, this.#baseLo, this.#baseHi, 4, access, user, smap);
      }
      default: {
        const sign = hi >> 24;
        if (sign !== 0 && sign !== -1) return this.#nonCanonical(lo, hi);
        return this.#walkLevels(lo, hi, this.#baseLo, this.#baseHi, 5, access, user, smap);
      }
    }
  }

  /**
   * PAE, 4-level and 5-level paging.
   *
   * @see SDM "4-Level Paging and 5-Level Paging", 4.5; "PAE Paging", 4.4
   */
  #walkLevels(
    lo: number,
    hi: number,
    baseLo: number,
    baseHi: number,
    top: number,
    access: Access,
    user: boolean,
    smap: boolean,
  ): number {
    const second = this.#second;
    const twoDimensional = second.enabled;
    let tableLo = baseLo;
    let tableHi = baseHi;
    let all = RW | US | A;
    let anyHi = 0;
    this.top = top;
    for (let level = top; ; level--) {
      this.level = level;
      const index =
        level === 1
          ? lo >>> 12
          : level === 2
            ? lo >>> 21
            : level === 3
              ? (lo >>> 30) | (hi << 2)
              : level === 4
                ? hi >>> 7
                : hi >>> 16;
      const guestLo = tableLo | ((index & 511) << 3);
      let hostLo = guestLo;
      let hostHi = tableHi;
      if (twoDimensional) {
        if (!second.translate(guestLo, tableHi, second.entryAccess)) {
          return this.#secondLevelFault(lo, hi, guestLo, tableHi, EPT_LINEAR_VALID);
        }
        hostLo = second.hostLo | (guestLo & 0xfff);
        hostHi = second.hostHi;
      }
      const entryLo = this.#entries.read(hostLo, hostHi);
      const entryHi = this.#entries.high;
      this.entryGuestLo[level] = guestLo;
      this.entryGuestHi[level] = tableHi;
      this.entryHostLo[level] = hostLo;
      this.entryHostHi[level] = hostHi;
      this.entryLo[level] = entryLo;
      this.entryHi[level] = entryHi;
      if ((entryLo & P) === 0) return this.#pageFault(lo, hi, access, user, 0);
      if ((entryHi & this.#reservedHi) !== 0) return this.#reservedBitFault(lo, hi, access, user);
      const large = level !== 1 && (entryLo & PS) !== 0;
      if (large && (entryLo & RESERVED_PAGE[level]) !== 0)
        return this.#reservedBitFault(lo, hi, access, user);
      all &= entryLo;
      anyHi |= entryHi;
      tableLo = entryLo & ~0xfff;
      tableHi = entryHi & 0xf_ffff;
      if (level === 1 || large) {
        const shift = level === 1 ? 12 : level === 2 ? 21 : 30;
        const low = (1 << shift) - 1;
        this.pageShift = shift;
        return this.#useLeaf(
          lo,
          hi,
          (tableLo & ~low) | (lo & low),
          tableHi,
          all,
          anyHi < 0,
          access,
          user,
          smap,
          8,
        );
      }
    }
  }

  /** @see SDM "32-Bit Paging", 4.3 */
  #walk32(lo: number, access: Access, user: boolean, smap: boolean): number {
    const second = this.#second;
    let table = this.#baseLo;
    let all = RW | US | A;
    this.top = 2;
    for (let level = 2; ; level--) {
      this.level = level;
      const guestLo = table | ((level === 2 ? lo >>> 22 : (lo >>> 12) & 1023) << 2);
      let hostLo = guestLo;
      let hostHi = 0;
      if (second.enabled) {
        if (!second.translate(guestLo, 0, second.entryAccess)) {
          return this.#secondLevelFault(lo, 0, guestLo, 0, EPT_LINEAR_VALID);
        }
        hostLo = second.hostLo | (guestLo & 0xfff);
        hostHi = second.hostHi;
      }
      const entry = this.#entries.read32(hostLo, hostHi);
      this.entryGuestLo[level] = guestLo;
      this.entryGuestHi[level] = 0;
      this.entryHostLo[level] = hostLo;
      this.entryHostHi[level] = hostHi;
      this.entryLo[level] = entry;
      this.entryHi[level] = 0;
      if ((entry & P) === 0) return this.#pageFault(lo, 0, access, user, 0);
      all &= entry;
      table = entry & ~0xfff;
      if (level === 1) {
        this.pageShift = 12;
        return this.#useLeaf(lo, 0, table | (lo & 0xfff), 0, all, false, access, user, smap, 4);
      }
      if (this.#pse && (entry & PS) !== 0) {
        if ((entry & this.#reserved4M) !== 0) return this.#reservedBitFault(lo, 0, access, user);
        const addressLo = (entry & 0xffc0_0000) | (lo & 0x3f_ffff);
        this.pageShift = 22;
        return this.#useLeaf(lo, 0, addressLo, (entry >>> 13) & 0xff, all, false, access, user, smap, 4);
      }
    }
  }

  /**
   * The structures give a translation: checks the rights, then sets accessed and dirty flags.
   *
   * @see SDM "Access Rights", 4.6; "Accessed and Dirty Flags", 4.8
   */
  #useLeaf(
    lo: number,
    hi: number,
    guestLo: number,
    guestHi: number,
    all: number,
    executeDisable: boolean,
    access: Access,
    user: boolean,
    smap: boolean,
    entrySize: 4 | 8,
  ): number {
    const userPage = (all & US) !== 0;
    let writable = (all & RW) !== 0;
    let allowed: boolean;
    if (user) {
      allowed = userPage;
    } else {
      writable ||= !this.#writeProtect;
      allowed = !userPage || !(access === ACCESS.EXECUTE ? this.#smep : smap);
    }
    if (access === ACCESS.WRITE) allowed &&= writable;
    else if (access === ACCESS.EXECUTE) allowed &&= !executeDisable;
    if (!allowed) return this.#pageFault(lo, hi, access, user, PAGE_FAULT.PRESENT);

    const leaf = this.level;
    const setDirty = access === ACCESS.WRITE && (this.entryLo[leaf] & D) === 0;
    if (((all & A) === 0 || setDirty) && !this.#passive) {
      if (!this.#mayUpdate(lo, hi, leaf, setDirty)) return UNTRANSLATED.SECOND_LEVEL_FAULT;
      const host = this.#finish(lo, hi, guestLo, guestHi, access);
      if (host >= 0 || host === UNTRANSLATED.WINDOW) this.#update(leaf, setDirty, entrySize);
      this.writeNow &&= writable && (this.entryLo[leaf] & D) !== 0;
      return host;
    }
    const host = this.#finish(lo, hi, guestLo, guestHi, access);
    this.writeNow &&= writable && (this.entryLo[leaf] & D) !== 0;
    return host;
  }

  /** Whether the second level lets the flags of the path be written. */
  #mayUpdate(lo: number, hi: number, leaf: number, setDirty: boolean): boolean {
    const second = this.#second;
    if (!second.enabled) return true;
    for (let level = this.top; level >= leaf; level--) {
      const bits = A | (setDirty && level === leaf ? D : 0);
      if ((this.entryLo[level] & bits) === bits) continue;
      const guestLo = this.entryGuestLo[level];
      const guestHi = this.entryGuestHi[level];
      if (!second.translate(guestLo, guestHi, EPT_ACCESS.READ | EPT_ACCESS.WRITE)) {
        this.#secondLevelFault(lo, hi, guestLo, guestHi, EPT_LINEAR_VALID);
        return false;
      }
    }
    return true;
  }

  #update(leaf: number, setDirty: boolean, entrySize: 4 | 8): void {
    for (let level = this.top; level >= leaf; level--) {
      const bits = A | (setDirty && level === leaf ? D : 0);
      if ((this.entryLo[level] & bits) === bits) continue;
      this.entryLo[level] |= bits;
      this.#entries.set(this.entryHostLo[level], this.entryHostHi[level], bits, entrySize);
    }
  }

  /** Translates the guest-physical address. */
  #finish(lo: number, hi: number, guestLo: number, guestHi: number, access: Access): number {
    const second = this.#second;
    this.guestPhysical = guestHi * TWO_32 + (guestLo >>> 0);
    if (!second.enabled) {
      this.writeNow = true;
      return guestHi * TWO_32 + ((guestLo & this.#entries.addressMask) >>> 0);
    }
    if (!second.translate(guestLo, guestHi, FINAL_ACCESS[access])) {
      const { window } = this;
      if (
        window &&
        !second.misconfiguration &&
        this.guestPhysical >= window.start &&
        this.guestPhysical < window.end
      ) {
        this.writeNow = false;
        return UNTRANSLATED.WINDOW;
      }
      return this.#secondLevelFault(lo, hi, guestLo, guestHi, EPT_LINEAR_VALID | EPT_TRANSLATED);
    }
    this.writeNow = second.writeNow;
    return second.hostHi * TWO_32 + (((second.hostLo | (guestLo & 0xfff)) & this.#entries.addressMask) >>> 0);
  }

  /** Turns {@link UNTRANSLATED.WINDOW} of the last walk into the EPT violation that it stands for. */
  refuseWindow(lo: number, hi: number): number {
    const guestHi = Math.floor(this.guestPhysical / TWO_32);
    return this.#secondLevelFault(lo, hi, this.guestPhysical | 0, guestHi, EPT_LINEAR_VALID | EPT_TRANSLATED);
  }

  // Failures

  /** @see SDM "Page-Fault Exceptions", 4.7 */
  #pageFault(lo: number, hi: number, access: Access, user: boolean, code: number): number {
    const fault = this.#fault;
    fault.kind = 'page';
    fault.linearLo = lo;
    fault.linearHi = hi;
    fault.errorCode =
      code |
      (access === ACCESS.WRITE ? PAGE_FAULT.WRITE : 0) |
      (user ? PAGE_FAULT.USER : 0) |
      (access === ACCESS.EXECUTE ? this.#fetchFlag : 0);
    return UNTRANSLATED.PAGE_FAULT;
  }

  #reservedBitFault(lo: number, hi: number, access: Access, user: boolean): number {
    return this.#pageFault(lo, hi, access, user, PAGE_FAULT.PRESENT | PAGE_FAULT.RESERVED);
  }

  #nonCanonical(lo: number, hi: number): number {
    const fault = this.#fault;
    fault.kind = 'non-canonical';
    fault.linearLo = lo;
    fault.linearHi = hi;
    return UNTRANSLATED.NON_CANONICAL;
  }

  /** @see SDM "EPT-Induced VM Exits", 29.3.3 */
  #secondLevelFault(lo: number, hi: number, guestLo: number, guestHi: number, bits: number): number {
    const fault = this.#fault;
    fault.kind = 'second-level';
    fault.linearLo = lo;
    fault.linearHi = hi;
    fault.guestPhysical = guestHi * TWO_32 + (guestLo >>> 0);
    fault.misconfiguration = this.#second.misconfiguration;
    fault.qualification = this.#second.qualification | bits;
    return UNTRANSLATED.SECOND_LEVEL_FAULT;
  }
}
