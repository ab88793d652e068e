/**
 * The page walk: from a linear address to a host-physical one, through the guest's paging structures and, when EPT is
 * on, through the second level for each of their entries and for the result. Addresses are pairs of 32-bit halves and
 * nothing is allocated: this is hot code.
 *
 * Intel SDM Vol. 3A, "Paging", chapter 5; Vol. 3C, "The Extended Page Table Mechanism (EPT)", 30.3.
 */
import type { CpuState } from '../state/cpuState.ts';
import { OFFSET } from '../state/layout.ts';
import { CR0, CR4, EFER } from '../state/registers.ts';
import { FETCH_USER, NEED_WRITE, type SecondLevelWalker } from './ept.ts';
import {
  APIC_ACCESS,
  EPT_ACCESS,
  EPT_LINEAR_VALID,
  EPT_TRANSLATED,
  type MemoryFault,
  PAGE_FAULT,
} from './fault.ts';
import type { HostEntries } from './hostEntries.ts';
import { PAGING, type PagingControls, type PagingMode, pagingMode } from './pagingMode.ts';
import { ACCESS, PERMITTED, REQUEST_USER, rightsIndex } from './rights.ts';
import { CACHED_RIGHTS, CACHED_UPDATABLE, StructureCache } from './structureCache.ts';

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

/** The same for cached mappings. */
const FINAL_NEED = [EPT_ACCESS.READ, NEED_WRITE, EPT_ACCESS.FETCH];
/** What the update of a paging-structure entry needs of a cached mapping. */
const NEED_UPDATE = EPT_ACCESS.READ | NEED_WRITE;
/** The bits of a request that {@link PERMITTED} knows. */
const REQUEST = 0xf;
/** Error code of an entry with a reserved bit set. */
const RESERVED_BIT = PAGE_FAULT.PRESENT | PAGE_FAULT.RESERVED;
const PKRU = OFFSET.PKRU >> 2;
const PKRS = OFFSET.IA32_PKRS >> 2;
const TWO_32 = 0x1_0000_0000;
/** Access bits of an EPT violation by {@link ACCESS}. */
const FINAL_ACCESS = [EPT_ACCESS.READ, EPT_ACCESS.WRITE, EPT_ACCESS.FETCH];
/** Parts of a request inside this file: note the path in the arrays; the walk began at the HLAT pointer. */
const RECORD = 1 << 4;
const BY_HLAT = 1 << 5;
/** Of an HLAT paging-structure entry: the translation is restarted with ordinary paging. */
const RESTART = 1 << 11;
/** Exit qualification of EPT violations: what guest paging permits. */
const USER_MODE_ADDRESS = 1 << 9;
const WRITABLE_PAGE = 1 << 10;
const EXECUTE_DISABLE_PAGE = 1 << 11;
/** Reserved bits 29:13 and 20:13 of an entry that maps a page, by level. */
const RESERVED_PAGE = [0, 0, 0x001f_e000, 0x3fff_e000, PS, PS];

export class PageWalker {
  mode: PagingMode = PAGING.NONE;
  /** False: {@link configureFirst} is owed before the next walk. */
  isConfigured = true;
  configureFirst: () => void = () => undefined;
  /** Window of {@link UNTRANSLATED.WINDOW}. */
  window: GuestPhysicalRange | undefined;

  /** Number of the host-physical page whose accesses VT-x virtualizes; -1: none. */
  apicPage = -1;

  readonly structures = new StructureCache();

  // Results of a walk that gave an address.
  /** The page may be written now by an access of the same privilege: permitted, and no dirty flag needs an update. */
  writeNow = false;
  /** Size of the page as a power of two; 12 without paging. */
  pageShift = 12;
  /** The guest-physical address. */
  guestLo = 0;
  guestHi = 0;

  // The path of the last walk that was recorded, by level (5 down to 1), for flag updates and the debugger's view.
  readonly entryGuestLo = new Int32Array(6);
  readonly entryGuestHi = new Int32Array(6);
  readonly entryHostLo = new Int32Array(6);
  readonly entryHostHi = new Int32Array(6);
  readonly entryLo = new Int32Array(6);
  readonly entryHi = new Int32Array(6);
  top = 0;
  /** The last level that the walk reached. */
  level = 0;

  /** Why the last walk failed. */
  readonly fault: MemoryFault;
  readonly #entries: HostEntries;
  readonly #second: SecondLevelWalker;
  readonly #words: Int32Array;
  readonly #pdptes: Int32Array;
  readonly #pdpteIndex: number;
  readonly #passive: boolean;
  readonly #physicalAddressBits: number;
  readonly #reserved4M: number;
  #baseLo = 0;
  #baseHi = 0;
  #reservedHi = 0;
  #pse = false;
  /** CR4.PKE and CR4.PKS, where paging has four or five levels; and CR0.WP. */
  #keys = 0;
  #writeProtect = false;
  #rights = 0;
  #fetchFlag = 0;
  /** The linear address of the walk is a user-mode address: U/S is 1 in all entries, or paging is off. */
  #userAddress = false;
  /** The linear address's rights as the exit qualification has them. */
  #linearRights = USER_MODE_ADDRESS | WRITABLE_PAGE;
  /** HLAT paging for addresses whose bit 63 is 1, or for all. */
  #hlat: 'none' | 'high' | 'all' = 'none';
  #hlatLo = 0;
  #hlatHi = 0;
  /** Whether the structure cache may be used. */
  #caches = true;

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
    this.fault = parts.fault;
    this.#entries = parts.entries;
    this.#second = parts.second;
    this.#passive = parts.passive ?? false;
    this.#words = state.i32;
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
    this.isConfigured = true;
    const nxe = mode >= PAGING.PAE && (efer & EFER.NXE) !== 0;
    const beyond = ~((1 << (this.#physicalAddressBits - 32)) - 1);
    const reservedAddress = (mode === PAGING.PAE ? 0x7fff_ffff : 0xf_ffff) & beyond;
    this.mode = mode;
    this.#baseLo = cr3Lo & ~0xfff;
    this.#baseHi = mode >= PAGING.LEVEL_4 ? cr3Hi & 0xf_ffff : 0;
    this.#reservedHi = nxe ? reservedAddress : reservedAddress | 0x8000_0000;
    this.#pse = (cr4 & CR4.PSE) !== 0;
    const smep = (cr4 & CR4.SMEP) !== 0;
    this.#writeProtect = (cr0 & CR0.WP) !== 0;
    this.#keys = mode >= PAGING.LEVEL_4 ? cr4 & (CR4.PKE | CR4.PKS) : 0;
    this.#rights = rightsIndex(this.#writeProtect, smep);
    this.#fetchFlag = nxe || smep ? PAGE_FAULT.FETCH : 0;
  }

  /**
   * HLAT paging, for addresses whose `prefix` highest bits are 1; it is used in 4-level and 5-level paging.
   *
   * @see SDM "Ordinary Paging and HLAT Paging", 5.5.1
   */
  configureHlat(enabled: boolean, pointerLo: number, pointerHi: number, prefix: number): void {
    this.#hlat = enabled ? (prefix === 0 ? 'all' : 'high') : 'none';
    this.#hlatLo = pointerLo & ~0xfff;
    this.#hlatHi = pointerHi;
    this.#caches = !enabled && !this.#second.verifiesGuestPaging;
  }

  /** Whether an address is canonical; otherwise the fault says so. */
  requireCanonical(lo: number, hi: number): boolean {
    if (!this.isConfigured) this.configureFirst();
    const sign = this.mode === PAGING.LEVEL_4 ? hi >> 15 : this.mode === PAGING.LEVEL_5 ? hi >> 24 : 0;
    if (sign === 0 || sign === -1) return true;
    this.#nonCanonical(lo, hi);
    return false;
  }

  /**
   * Translates for a request: a kind of access with REQUEST_USER or REQUEST_SMAP (see rights.ts). Gives the
   * host-physical address, or a code of {@link UNTRANSLATED} with the reason in the fault.
   */
  walk(lo: number, hi: number, access: number): number {
    if (!this.isConfigured) this.configureFirst();
    const request = this.#passive ? access | RECORD : access;
    switch (this.mode) {
      case PAGING.LEVEL_4:
        if (hi >> 15 !== 0 && hi >> 15 !== -1) return this.#nonCanonical(lo, hi);
        return this.#walkLong(lo, hi, 4, request);
      case PAGING.LEVEL_5:
        if (hi >> 24 !== 0 && hi >> 24 !== -1) return this.#nonCanonical(lo, hi);
        return this.#walkLong(lo, hi, 5, request);
      case PAGING.PAE: {
        const at = this.#pdpteIndex + ((lo >>> 30) << 1);
        const pdpteLo = this.#pdptes[at];
        this.top = 2;
        this.level = 3;
        if ((pdpteLo & P) === 0) return this.#pageFault(lo, 0, request, 0);
        return this.#walkLevels(lo, 0, pdpteLo & ~0xfff, this.#pdptes[at + 1], 2, request);
      }
      case PAGING.BITS_32:
        return this.#walk32(lo, this.#baseLo, request);
      default:
        this.pageShift = 12;
        this.top = 0;
        this.level = 0;
        this.writeNow = true;
        this.#userAddress = true;
        this.#linearRights = USER_MODE_ADDRESS | WRITABLE_PAGE;
        this.#second.pathIsVerified = true;
        return this.#finish(lo, 0, lo, 0, request);
    }
  }

  #walkLong(lo: number, hi: number, top: number, request: number): number {
    if (this.#hlat === 'none' || (this.#hlat === 'high' && hi >= 0))
      return this.#walkLevels(lo, hi, this.#baseLo, this.#baseHi, top, request);
    return this.#walkLevels(lo, hi, this.#hlatLo, this.#hlatHi, top, request | BY_HLAT);
  }

  /** Reads at a guest-physical address for no linear address: bit 7 of an EPT violation's qualification stays 0. */
  walkGuestPhysical(lo: number, hi: number): number {
    if (!this.isConfigured) this.configureFirst();
    const second = this.#second;
    if (!second.enabled) return address(lo & this.#entries.addressMask, hi);
    second.pathIsVerified = true;
    if (!second.translate(lo, hi, EPT_ACCESS.READ)) return this.#secondLevelFault(0, 0, lo, hi, 0);
    if (this.#isApicPage(second.hostLo, second.hostHi)) return this.#apicAccess(0, 0);
    return address((second.hostLo | (lo & 0xfff)) & this.#entries.addressMask, second.hostHi);
  }

  /**
   * PAE, 4-level and 5-level paging.
   *
   * @see SDM "4-Level Paging and 5-Level Paging", 5.5; "PAE Paging", 5.4
   */
  #walkLevels(lo: number, hi: number, baseLo: number, baseHi: number, top: number, request: number): number {
    const second = this.#second;
    const entries = this.#entries;
    const twoDimensional = second.enabled;
    const entryAccess = second.entryAccess;
    const entryNeed = second.entryNeed;
    const reservedHi = this.#reservedHi;
    let tableLo = baseLo;
    let tableHi = baseHi;
    let all = -1;
    let anyHi = 0;
    let level = top;
    second.pathIsVerified = true;
    const cached = (request & RECORD) === 0 && this.#caches ? this.structures.find(lo, hi) : 0;
    if (cached !== 0) {
      // A page table by host-physical address, with the rights of the levels above.
      level = 1;
      tableLo = cached & ~CACHED_RIGHTS;
      tableHi = 0;
      all = cached | A;
      anyHi = cached << 31;
    }
    for (let shift = 9 * level + 3; ; level--, shift -= 9) {
      // Bits 31:0 of the linear address shifted right; from bit 32 on it is the high half that counts.
      const index = shift >= 32 ? hi >>> (shift - 32) : shift === 30 ? (lo >>> 30) | (hi << 2) : lo >>> shift;
      const guestLo = tableLo | ((index & 511) << 3);
      let hostLo = guestLo;
      let hostHi = tableHi;
      if (twoDimensional && cached === 0) {
        const page = second.lookUp(guestLo, tableHi, entryNeed);
        if (page >= 0) {
          hostLo = (page << 12) | (guestLo & 0xfff);
          hostHi = page >>> 20;
        } else {
          if (!second.translate(guestLo, tableHi, entryAccess)) {
            return this.#entryFault(lo, hi, guestLo, tableHi, top, level);
          }
          if (!second.pagingWriteAccess) second.pathIsVerified = false;
          hostLo = second.hostLo | (guestLo & 0xfff);
          hostHi = second.hostHi;
        }
        if (this.#isApicPage(hostLo, hostHi)) return this.#apicAccess(top, level);
      }
      const entryLo = entries.read(hostLo, hostHi);
      const entryHi = entries.high;
      if ((request & RECORD) !== 0)
        this.#record(top, level, guestLo, tableHi, hostLo, hostHi, entryLo, entryHi);
      if ((entryLo & P) === 0) return this.#refuse(lo, hi, baseLo, baseHi, top, request, 0, cached);
      if ((request & BY_HLAT) !== 0 && (entryLo & RESTART) !== 0)
        return this.#walkLevels(lo, hi, this.#baseLo, this.#baseHi, top, request & ~BY_HLAT);
      if ((entryHi & reservedHi) !== 0)
        return this.#refuse(lo, hi, baseLo, baseHi, top, request, RESERVED_BIT, cached);
      if (level === 1 && cached === 0 && (all & A) !== 0 && entries.inRam && this.#caches) {
        const updatable = !twoDimensional || second.lookUp(guestLo, tableHi, NEED_UPDATE) >= 0;
        const rights = (all & (RW | US)) | (anyHi >>> 31) | (updatable ? CACHED_UPDATABLE : 0);
        this.structures.remember(lo, hi, (hostLo & ~CACHED_RIGHTS) | rights);
      }
      const above = all;
      const entryGuestHi = tableHi;
      all &= entryLo;
      anyHi |= entryHi;
      tableLo = entryLo & ~0xfff;
      tableHi = entryHi & 0xf_ffff;
      if (level !== 1) {
        if ((entryLo & PS) === 0) continue;
        if ((entryLo & RESERVED_PAGE[level]) !== 0)
          return this.#refuse(lo, hi, baseLo, baseHi, top, request, RESERVED_BIT, cached);
        const low = (1 << shift) - 1;
        tableLo = (tableLo & ~low) | (lo & low & ~0xfff);
      }
      const rights = ((all >> 1) & 3) | ((anyHi >>> 31) << 2);
      this.#userAddress = (rights & 2) !== 0;
      this.#linearRights = linearRights(rights);
      const permitted = this.#rights + (request & REQUEST);
      const denied = this.#keys === 0 ? 0 : this.#deniedByKey(rights, entryHi, request);
      const keyFault = (denied >> (request & 3)) & 1 ? PAGE_FAULT.PROTECTION_KEY : 0;
      if (((PERMITTED[permitted] >> rights) & 1) === 0 || keyFault !== 0)
        return this.#refuse(lo, hi, baseLo, baseHi, top, request, P | keyFault, cached);
      this.pageShift = shift;
      const dirty = (request & 3) === ACCESS.WRITE ? D : 0;
      if ((all & A) === 0 || (entryLo & dirty) !== dirty) {
        if ((request & RECORD) === 0) {
          // Flags of the last entry alone, which the second level is known to let be written, are set at once.
          const updatable =
            cached !== 0
              ? (cached & CACHED_UPDATABLE) !== 0
              : !twoDimensional || second.lookUp(guestLo, entryGuestHi, NEED_UPDATE) >= 0;
          if ((above & A) === 0 || !updatable)
            return this.#walkLevels(lo, hi, baseLo, baseHi, top, request | RECORD);
          const host = this.#finish(lo, hi, tableLo | (lo & 0xfff), tableHi, request);
          if (host < 0 && host !== UNTRANSLATED.WINDOW) return host;
          entries.set(hostLo, hostHi, A | dirty, 8);
          // A load leaves it to the first store to find out.
          this.writeNow &&= dirty !== 0;
          return host;
        }
        if (!this.#passive) return this.#finishWithFlags(lo, hi, tableLo | (lo & 0xfff), tableHi, request, 8);
      }
      const host = this.#finish(lo, hi, tableLo | (lo & 0xfff), tableHi, request);
      this.writeNow &&=
        (entryLo & D) !== 0 &&
        (denied & (1 << ACCESS.WRITE)) === 0 &&
        ((PERMITTED[(permitted & ~3) | ACCESS.WRITE] >> rights) & 1) !== 0;
      return host;
    }
  }

  /**
   * The kinds of access, as bits, that the protection key of a page forbids. Keys say nothing about fetches.
   *
   * @see SDM "Protection Keys", 5.6.2
   */
  #deniedByKey(rights: number, entryHi: number, request: number): number {
    const user = (rights & 2) !== 0;
    if ((this.#keys & (user ? CR4.PKE : CR4.PKS)) === 0) return 0;
    const twice = 2 * ((entryHi >>> 27) & 0xf);
    const access = (this.#words[user ? PKRU : PKRS] as number) >>> twice;
    if ((access & 1) !== 0) return (1 << ACCESS.READ) | (1 << ACCESS.WRITE);
    const heeded = this.#writeProtect || (request & REQUEST_USER) !== 0;
    return (access & 2) !== 0 && heeded ? 1 << ACCESS.WRITE : 0;
  }

  /** A page fault, unless it is one that only the cached upper levels explain: then the walk starts over without. */
  #refuse(
    lo: number,
    hi: number,
    baseLo: number,
    baseHi: number,
    top: number,
    request: number,
    code: number,
    cached: number,
  ): number {
    if (cached === 0) return this.#pageFault(lo, hi, request, code);
    this.structures.forget(lo, hi);
    return this.#walkLevels(lo, hi, baseLo, baseHi, top, request);
  }

  /** @see SDM "32-Bit Paging", 5.3 */
  #walk32(lo: number, base: number, request: number): number {
    const second = this.#second;
    let table = base;
    let all = -1;
    second.pathIsVerified = true;
    for (let level = 2; ; level--) {
      const guestLo = table | ((level === 2 ? lo >>> 22 : (lo >>> 12) & 1023) << 2);
      let hostLo = guestLo;
      let hostHi = 0;
      if (second.enabled) {
        if (!second.translate(guestLo, 0, second.entryAccess))
          return this.#entryFault(lo, 0, guestLo, 0, 2, level);
        if (!second.pagingWriteAccess) second.pathIsVerified = false;
        hostLo = second.hostLo | (guestLo & 0xfff);
        hostHi = second.hostHi;
        if (this.#isApicPage(hostLo, hostHi)) return this.#apicAccess(2, level);
      }
      const entry = this.#entries.read32(hostLo, hostHi);
      if ((request & RECORD) !== 0) this.#record(2, level, guestLo, 0, hostLo, hostHi, entry, 0);
      if ((entry & P) === 0) return this.#pageFault(lo, 0, request, 0);
      all &= entry;
      table = entry & ~0xfff;
      let pageHi = 0;
      this.pageShift = 12;
      if (level === 2) {
        if (!this.#pse || (entry & PS) === 0) continue;
        if ((entry & this.#reserved4M) !== 0) return this.#pageFault(lo, 0, request, RESERVED_BIT);
        table = (entry & 0xffc0_0000) | (lo & 0x3f_f000);
        pageHi = (entry >>> 13) & 0xff;
        this.pageShift = 22;
      }
      const rights = (all >> 1) & 3;
      this.#userAddress = (rights & 2) !== 0;
      this.#linearRights = linearRights(rights);
      const permitted = this.#rights + (request & REQUEST);
      if (((PERMITTED[permitted] >> rights) & 1) === 0) return this.#pageFault(lo, 0, request, P);
      const dirty = (request & 3) === ACCESS.WRITE ? D : 0;
      if ((all & A) === 0 || (entry & dirty) !== dirty) {
        if ((request & RECORD) === 0) return this.#walk32(lo, base, request | RECORD);
        if (!this.#passive) return this.#finishWithFlags(lo, 0, table | (lo & 0xfff), pageHi, request, 4);
      }
      const host = this.#finish(lo, 0, table | (lo & 0xfff), pageHi, request);
      this.writeNow &&=
        (entry & D) !== 0 && ((PERMITTED[(permitted & ~3) | ACCESS.WRITE] >> rights) & 1) !== 0;
      return host;
    }
  }

  #record(
    top: number,
    level: number,
    guestLo: number,
    guestHi: number,
    hostLo: number,
    hostHi: number,
    entryLo: number,
    entryHi: number,
  ): void {
    this.top = top;
    this.level = level;
    this.entryGuestLo[level] = guestLo;
    this.entryGuestHi[level] = guestHi;
    this.entryHostLo[level] = hostLo;
    this.entryHostHi[level] = hostHi;
    this.entryLo[level] = entryLo;
    this.entryHi[level] = entryHi;
  }

  /**
   * The end of a recorded walk that has accessed or dirty flags to set. They are set once nothing can fail any more.
   *
   * @see SDM "Accessed and Dirty Flags", 5.8
   */
  #finishWithFlags(
    lo: number,
    hi: number,
    guestLo: number,
    guestHi: number,
    request: number,
    entrySize: 4 | 8,
  ): number {
    const leaf = this.level;
    const write = (request & 3) === ACCESS.WRITE;
    if (!this.#mayUpdate(lo, hi, leaf, write)) return UNTRANSLATED.SECOND_LEVEL_FAULT;
    const host = this.#finish(lo, hi, guestLo, guestHi, request);
    if (host < 0 && host !== UNTRANSLATED.WINDOW) return host;
    for (let level = this.top; level >= leaf; level--) {
      const bits = flagsOf(level, leaf, write);
      if ((this.entryLo[level] & bits) === bits) continue;
      this.#entries.set(this.entryHostLo[level], this.entryHostHi[level], bits, entrySize);
    }
    // A load leaves it to the first store to find out.
    this.writeNow &&= write;
    return host;
  }

  /** Whether the second level lets the flags of the path be written. */
  #mayUpdate(lo: number, hi: number, leaf: number, write: boolean): boolean {
    const second = this.#second;
    if (!second.enabled) return true;
    for (let level = this.top; level >= leaf; level--) {
      const bits = flagsOf(level, leaf, write);
      if ((this.entryLo[level] & bits) === bits) continue;
      const guestLo = this.entryGuestLo[level];
      const guestHi = this.entryGuestHi[level];
      if (second.lookUp(guestLo, guestHi, NEED_UPDATE) >= 0) continue;
      if (!second.translate(guestLo, guestHi, second.updateAccess)) {
        this.#secondLevelFault(lo, hi, guestLo, guestHi, EPT_LINEAR_VALID);
        return false;
      }
    }
    return true;
  }

  /** Translates the guest-physical address. */
  #finish(lo: number, hi: number, guestLo: number, guestHi: number, request: number): number {
    const second = this.#second;
    const userFetch = second.modeBasedExecute && (request & 3) === ACCESS.EXECUTE && this.#userAddress;
    const mask = this.#entries.addressMask;
    this.guestLo = guestLo;
    this.guestHi = guestHi;
    if (!second.enabled) {
      this.writeNow = true;
      return address(guestLo & mask, guestHi);
    }
    const page = second.lookUp(guestLo, guestHi, userFetch ? FETCH_USER : FINAL_NEED[request & 3]);
    if (page >= 0) {
      this.writeNow = second.writeNow;
      return address(((page << 12) | (guestLo & 0xfff)) & mask, page >>> 20);
    }
    const access = userFetch ? FETCH_USER : FINAL_ACCESS[request & 3];
    if (!second.translate(guestLo, guestHi, access)) {
      this.writeNow = false;
      if (this.#isInWindow()) return UNTRANSLATED.WINDOW;
      return this.#secondLevelFault(lo, hi, guestLo, guestHi, this.#translatedBits());
    }
    this.writeNow = second.writeNow;
    return address((second.hostLo | (guestLo & 0xfff)) & mask, second.hostHi);
  }

  /** Bits of a violation's qualification for an access to the translation of a linear address. */
  #translatedBits(): number {
    if (this.#second.subPageEvent) return 0;
    return EPT_LINEAR_VALID | EPT_TRANSLATED | this.#linearRights;
  }

  #isInWindow(): boolean {
    const { window, guestPhysical } = this;
    const { misconfiguration, logFull, subPageEvent, unverified } = this.#second;
    if (!window || misconfiguration || logFull || subPageEvent || unverified) return false;
    return guestPhysical >= window.start && guestPhysical < window.end;
  }

  /** Turns {@link UNTRANSLATED.WINDOW} of the last walk into the EPT violation that it stands for. */
  refuseWindow(lo: number, hi: number): number {
    return this.#secondLevelFault(lo, hi, this.guestLo, this.guestHi, this.#translatedBits());
  }

  /** The bytes of the access that the next walk is for, as far as sub-page write permissions want to know. */
  set accessBytes(bytes: number) {
    this.#second.accessBytes = bytes;
  }

  /** The guest-physical address of the last walk that reached one. */
  get guestPhysical(): number {
    return address(this.guestLo, this.guestHi);
  }

  // Failures

  /** @see SDM "Page-Fault Exceptions", 5.7 */
  #pageFault(lo: number, hi: number, request: number, code: number): number {
    const fault = this.fault;
    const access = request & 3;
    fault.kind = 'page';
    fault.linearLo = lo;
    fault.linearHi = hi;
    const byHlat = (request & BY_HLAT) !== 0 && (code === 0 || (code & PAGE_FAULT.RESERVED) !== 0);
    fault.errorCode =
      code |
      (byHlat ? PAGE_FAULT.HLAT : 0) |
      (access === ACCESS.WRITE ? PAGE_FAULT.WRITE : 0) |
      ((request & REQUEST_USER) !== 0 ? PAGE_FAULT.USER : 0) |
      (access === ACCESS.EXECUTE ? this.#fetchFlag : 0);
    return UNTRANSLATED.PAGE_FAULT;
  }

  /** The second level has no translation for an entry, which is not read. */
  #entryFault(lo: number, hi: number, guestLo: number, guestHi: number, top: number, level: number): number {
    this.top = top;
    this.level = level + 1;
    return this.#secondLevelFault(lo, hi, guestLo, guestHi, EPT_LINEAR_VALID);
  }

  #isApicPage(hostLo: number, hostHi: number): boolean {
    return ((hostLo >>> 12) | (hostHi << 20)) === this.apicPage;
  }

  /**
   * A paging-structure entry that lies on the APIC-access page is not read.
   *
   * @see SDM "APIC Accesses Not Directly Resulting From Linear Addresses", 31.4.6
   */
  #apicAccess(top: number, level: number): number {
    this.top = top;
    this.level = level + 1;
    return this.fault.apicAccess(0, APIC_ACCESS.GUEST_PHYSICAL);
  }

  #nonCanonical(lo: number, hi: number): number {
    const fault = this.fault;
    fault.kind = 'non-canonical';
    fault.linearLo = lo;
    fault.linearHi = hi;
    return UNTRANSLATED.NON_CANONICAL;
  }

  /** @see SDM "EPT-Induced VM Exits", 30.3.3 */
  #secondLevelFault(lo: number, hi: number, guestLo: number, guestHi: number, bits: number): number {
    const fault = this.fault;
    fault.kind = 'second-level';
    fault.linearLo = lo;
    fault.linearHi = hi;
    fault.guestPhysical = address(guestLo, guestHi);
    fault.misconfiguration = this.#second.misconfiguration;
    fault.logFull = this.#second.logFull;
    fault.subPageEvent = this.#second.subPageEvent;
    fault.isApicAccess = false;
    fault.suppressVe = this.#second.suppressVe;
    fault.qualification = this.#second.qualification | bits;
    return UNTRANSLATED.SECOND_LEVEL_FAULT;
  }
}

/** The flags that the entry of `level` needs on a path that ends at `leaf`. */
function flagsOf(level: number, leaf: number, write: boolean): number {
  return level === leaf && write ? A | D : A;
}

/** From the combination of {@link PERMITTED}: 1 writable, 2 user, 4 execute-disable. */
function linearRights(rights: number): number {
  return (
    ((rights & 1) !== 0 ? WRITABLE_PAGE : 0) |
    ((rights & 2) !== 0 ? USER_MODE_ADDRESS : 0) |
    ((rights & 4) !== 0 ? EXECUTE_DISABLE_PAGE : 0)
  );
}

/** A physical address as a number; the common case stays a small integer. */
function address(lo: number, hi: number): number {
  return hi === 0 ? lo >>> 0 : hi * TWO_32 + (lo >>> 0);
}
