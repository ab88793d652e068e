/**
 * The second level of address translation: guest-physical to host-physical through the EPT paging structures, with a
 * cache of guest-physical mappings. Addresses are pairs of 32-bit halves; nothing is allocated.
 *
 * Intel SDM Vol. 3C, "The Extended Page Table Mechanism (EPT)", 30.3.
 */
import { EPT_ACCESS } from './fault.ts';
import type { HostEntries } from './hostEntries.ts';
import { SUB_PAGE_PERMISSION, subPagePermission } from './subPages.ts';

const { READ, WRITE, FETCH } = EPT_ACCESS;
const PERMISSIONS = READ | WRITE | FETCH;
/** With mode-based execute control: bit 10 of an entry permits fetches from user-mode linear addresses, bit 2 others. */
export const FETCH_USER = 1 << 10;
/** Part of an access: the processor reads or updates a guest paging-structure entry. */
const OF_PAGING = 1 << 11;
const USER_EXECUTABLE = 1 << 6;
const ACCESSED = 1 << 8;
const DIRTY = 1 << 9;
const PAGE = 1 << 7;
const MAPS_PAGE_LEVEL = 1;

/** A cached mapping may be written without setting a dirty flag first: the highest bit of its permissions. */
const WRITE_NOW = 8;
/** What a write needs of a cached mapping. */
export const NEED_WRITE = WRITE | WRITE_NOW;

/**
 * Reserved bits 11:0 by level, for entries that reference a structure and for those that map a page.
 *
 * @see SDM "EPT Translation Mechanism", 30.3.2, tables 30-1 to 30-7
 */
const RESERVED_REFERENCE = [0, 0, 0x78, 0x78, 0xf8, 0xf8];
const RESERVED_PAGE = [0, 0, 0x1f_f000, 0x3fff_f000, 0, 0];
const LEVELS = 6;

/** Bits 63:32 of an entry that maps a page. */
const VERIFY_GUEST_PAGING = 1 << (57 - 32);
const PAGING_WRITE_ACCESS = 1 << (58 - 32);
const SUB_PAGE = 1 << (61 - 32);
/** Of an EPT violation's qualification. */
const DUE_TO_VERIFICATION = 1 << 15;

/** What changes the meaning of EPT entries: VM-execution controls, and capabilities that the processor is made without. */
export const EPT_FEATURE = {
  /** Bits 10 and 2 of an entry tell user-mode and supervisor-mode linear addresses apart when code is fetched. */
  MODE_BASED_EXECUTE: 1,
  PAGING_WRITE: 2,
  VERIFY_GUEST_PAGING: 4,
  SUB_PAGE_WRITE: 8,
  /** Not of EPT itself: some linear addresses are translated from the HLAT pointer instead of CR3. */
  HLAT: 16,
  /** An entry that permits fetches and no reads is a misconfiguration. */
  NO_EXECUTE_ONLY: 32,
  /** Bit 7 of an entry of these levels is reserved. */
  NO_PAGE_2M: 64,
  NO_PAGE_1G: 128,
} as const;

/** With these an access by guest paging differs from others. */
const TELLS_PAGING = EPT_FEATURE.PAGING_WRITE | EPT_FEATURE.SUB_PAGE_WRITE | EPT_FEATURE.VERIFY_GUEST_PAGING;
const LESS_CAPABLE = EPT_FEATURE.NO_EXECUTE_ONLY | EPT_FEATURE.NO_PAGE_2M | EPT_FEATURE.NO_PAGE_1G;

/** Entries say more than cached mappings keep. */
const UNCACHED = EPT_FEATURE.PAGING_WRITE | EPT_FEATURE.VERIFY_GUEST_PAGING;

/** The cache: direct-mapped, words guest page, generation, host page, permissions | {@link WRITE_NOW}. */
const CACHE_ENTRIES = 4096;
const CACHE_WORDS = 4;

/** Memory types 2, 3 and 7 are reserved. @see SDM "EPT Misconfigurations", 30.3.3.1 */
const RESERVED_TYPES = (1 << 2) | (1 << 3) | (1 << 7);

/** Qualification of an SPP-related event: a miss; without, a misconfiguration. */
const SUB_PAGE_MISS = 1 << 11;

/** Who wants to know of pages whose dirty flag is set. */
export interface DirtyPageLog {
  /** No flag may be set: the access fails. */
  readonly isFull: boolean;
  add(guestLo: number, guestHi: number): void;
}

export class SecondLevelWalker {
  enabled = false;
  log: DirtyPageLog | undefined;
  /** Result of {@link translate}: the host-physical address of the page. */
  hostLo = 0;
  hostHi = 0;
  /** The qualification bits of an access to a guest paging-structure entry while translating a linear address. */
  entryAccess: number = READ;
  /** The same for {@link lookUp}. */
  entryNeed: number = READ;
  /** The mapping can be written now: permitted, and its dirty flag needs no update. */
  writeNow = false;
  /** Bits 5:3 of the leaf: kept for views; memory types have no effect. */
  memoryType = 0;
  /** After a failure. */
  misconfiguration = false;
  /** The sub-page-permission table says nothing of the page: reason and qualification are those of an SPP-related event. */
  subPageEvent = false;
  /** A flag would have to be set, and the log is full. */
  logFull = false;
  /** Bit 63 of the entry that refused the access. */
  suppressVe = false;
  qualification = 0;

  // The path of the last walk, by level (5 down to 1), for the debugger's view.
  readonly entryHostLo = new Int32Array(LEVELS);
  readonly entryHostHi = new Int32Array(LEVELS);
  readonly entryLo = new Int32Array(LEVELS);
  readonly entryHi = new Int32Array(LEVELS);
  /** The last level that the walk reached. */
  level = 0;

  readonly #entries: HostEntries;
  readonly #passive: boolean;
  readonly #reservedHi: number;
  readonly #cache = new Int32Array(CACHE_ENTRIES * CACHE_WORDS);
  #rootLo = 0;
  #rootHi = 0;
  #flags = false;
  #permissions: number = PERMISSIONS;
  /** The level that the walk begins with: the page-walk length. */
  top = 4;
  /** Fetches from user-mode linear addresses need {@link FETCH_USER} instead of the fetch bit. */
  modeBasedExecute = false;
  /** Whether guest paging structures may have to lie in pages with paging-write access. */
  verifiesGuestPaging = false;
  /** All guest paging structures of the path so far do. */
  pathIsVerified = true;
  /** After a failure: the page wants such a path. */
  unverified = false;
  /** The last translation was of a page that guest paging may write. */
  pagingWriteAccess = false;
  /** The bytes that the next translation is about, for sub-page write permissions. */
  accessBytes = 1;
  #features = 0;
  #subPageTableLo = 0;
  #subPageTableHi = 0;
  #generation = 0;

  /** A passive walker serves the debugger: it sets no flags and looks past the cache. */
  constructor(entries: HostEntries, physicalAddressBits: number, passive = false) {
    this.#entries = entries;
    this.#passive = passive;
    this.#reservedHi = 0xf_ffff & ~((1 << (physicalAddressBits - 32)) - 1);
  }

  /**
   * @param generation tag of cached mappings; a new one forgets them.
   * @see SDM "Extended-Page-Table Pointer (EPTP)", 26.6.11
   */
  configure(enabled: boolean, eptpLo: number, eptpHi: number, generation: number, features = 0): void {
    this.enabled = enabled;
    this.#features = features;
    this.modeBasedExecute = (features & EPT_FEATURE.MODE_BASED_EXECUTE) !== 0;
    this.verifiesGuestPaging = enabled && (features & EPT_FEATURE.VERIFY_GUEST_PAGING) !== 0;
    this.#permissions = this.modeBasedExecute ? PERMISSIONS | FETCH_USER : PERMISSIONS;
    this.top = ((eptpLo >> 3) & 7) + 1;
    this.#rootLo = eptpLo & ~0xfff;
    this.#rootHi = eptpHi & 0xf_ffff;
    this.#flags = (eptpLo & (1 << 6)) !== 0;
    this.#generation = generation;
    this.entryAccess = this.#flags ? READ | WRITE : READ;
    this.entryNeed = this.#flags ? READ | NEED_WRITE : READ;
    if ((features & TELLS_PAGING) !== 0) this.entryAccess |= OF_PAGING;
  }

  /** @see SDM "Sub-Page-Permission-Table Pointer (SPPTP)", 26.6.20 */
  setSubPageTable(lo: number, hi: number): void {
    this.#subPageTableLo = lo & ~0xfff;
    this.#subPageTableHi = hi;
  }

  /** The qualification bits of an update of a guest paging-structure entry. */
  get updateAccess(): number {
    return (this.entryAccess & OF_PAGING) | READ | WRITE;
  }

  /**
   * The cached host-physical page of a guest-physical address, or -1: then {@link translate} finds it. `need` is an
   * access as in the exit qualification, with {@link NEED_WRITE} for writes.
   */
  lookUp(lo: number, hi: number, need: number): number {
    const page = (lo >>> 12) | (hi << 20);
    const at = (page & (CACHE_ENTRIES - 1)) * CACHE_WORDS;
    const cache = this.#cache;
    if (cache[at] !== page || cache[at + 1] !== this.#generation || hi >>> 12 !== 0) return -1;
    if ((this.#features & UNCACHED) !== 0) return -1;
    const permissions = cache[at + 3];
    if ((permissions & need) !== need) return -1;
    this.writeNow = permissions >= WRITE_NOW;
    return cache[at + 2];
  }

  /**
   * Translates the page of a guest-physical address for an access (bits as in the exit qualification), through the
   * structures. False is an EPT violation or misconfiguration.
   */
  translate(lo: number, hi: number, access: number): boolean {
    const entries = this.#entries;
    let tableLo = this.#rootLo;
    let tableHi = this.#rootHi;
    let permissions = this.#permissions;
    let allAccessed = ACCESSED;
    this.misconfiguration = false;
    this.subPageEvent = false;
    this.unverified = false;
    this.logFull = false;
    for (let level = this.top; ; level--) {
      this.level = level;
      const index =
        level === 5
          ? hi >>> 16
          : level === 4
            ? hi >>> 7
            : level === 3
              ? (lo >>> 30) | (hi << 2)
              : lo >>> (level === 2 ? 21 : 12);
      const entryLo = tableLo | ((index & 511) << 3);
      const eLo = entries.read(entryLo, tableHi);
      const eHi = entries.high;
      this.entryHostLo[level] = entryLo;
      this.entryHostHi[level] = tableHi;
      this.entryLo[level] = eLo;
      this.entryHi[level] = eHi;
      if ((eLo & this.#permissions) === 0) return this.#violation(lo, hi, access, 0);
      const mapsPage = level === MAPS_PAGE_LEVEL || (level < 4 && (eLo & PAGE) !== 0);
      if (this.#isMisconfigured(eLo, eHi, level, mapsPage)) {
        this.misconfiguration = true;
        this.qualification = 0;
        this.forget(lo, hi);
        return false;
      }
      permissions &= eLo;
      allAccessed &= eLo;
      tableLo = eLo & ~0xfff;
      tableHi = eHi & 0xf_ffff;
      if (mapsPage) {
        this.pagingWriteAccess = (eHi & PAGING_WRITE_ACCESS) !== 0;
        const need = access & ~OF_PAGING;
        if ((permissions & need) !== need && !this.#passive) {
          const others = this.#permissionsOfReferences(level);
          if (!this.#mayWriteAnyway(access, permissions | (others & WRITE), lo, hi, eHi, level)) return false;
        }
        if ((access & OF_PAGING) === 0 && (eHi & VERIFY_GUEST_PAGING) !== 0 && this.#refusesPath())
          return this.#unverifiedPath(lo, hi, access, permissions);
        const shift = level === 3 ? 30 : level === 2 ? 21 : 12;
        // The bits of a large page's address below its size come from the guest-physical address.
        const low = (1 << shift) - 1;
        this.hostLo = (tableLo & ~low) | (lo & low & ~0xfff);
        this.hostHi = tableHi;
        this.memoryType = (eLo >>> 3) & 7;
        if (!this.#useFlags(lo, hi, level, access, allAccessed)) {
          this.logFull = true;
          this.qualification = 0;
          this.forget(lo, hi);
          return false;
        }
        this.writeNow = (permissions & WRITE) !== 0 && (!this.#flags || (this.entryLo[level] & DIRTY) !== 0);
        if (!this.#passive && hi >>> 12 === 0 && tableHi >>> 11 === 0) this.#remember(lo, hi, permissions);
        return true;
      }
    }
  }

  /** What the entries above the one of `level` permit. */
  #permissionsOfReferences(level: number): number {
    let permissions = this.#permissions;
    for (let above = this.top; above > level; above--) permissions &= this.entryLo[above];
    return permissions;
  }

  /**
   * The entry that maps the page, of `level`, does not permit the access. Whether it may take place all the same: a write by
   * guest paging, or to a sub-page that may be written. `permissions` are those of all entries, but for writes those of
   * the entries above.
   *
   * @see SDM "EPT Violations", 30.3.3.2; "Sub-Page Write Permissions", 30.3.4
   */
  #mayWriteAnyway(
    access: number,
    permissions: number,
    lo: number,
    hi: number,
    eHi: number,
    level: number,
  ): boolean {
    const ofPaging = (access & OF_PAGING) !== 0;
    const need = access & ~OF_PAGING;
    const allowed = (permissions & need) === need && (need & WRITE) !== 0;
    const byPaging =
      ofPaging && (this.#features & EPT_FEATURE.PAGING_WRITE) !== 0 && (eHi & PAGING_WRITE_ACCESS) !== 0;
    const bySubPage =
      !ofPaging &&
      level === MAPS_PAGE_LEVEL &&
      (this.#features & EPT_FEATURE.SUB_PAGE_WRITE) !== 0 &&
      (eHi & SUB_PAGE) !== 0;
    if (allowed && byPaging) return true;
    if (allowed && bySubPage) {
      const writable = this.#isSubPageWritable(lo, hi);
      if (writable || this.subPageEvent) return writable;
    }
    return this.#violation(lo, hi, need, permissions & (this.entryLo[level] | ~WRITE));
  }

  /** @see SDM "Sub-Page Write Permissions", 30.3.4 */
  #isSubPageWritable(lo: number, hi: number): boolean {
    const permission = subPagePermission(
      this.#entries,
      this.#subPageTableLo,
      this.#subPageTableHi,
      lo,
      hi,
      this.accessBytes,
      this.#reservedHi,
    );
    if (permission === SUB_PAGE_PERMISSION.WRITABLE) return true;
    if (permission === SUB_PAGE_PERMISSION.FORBIDDEN) return false;
    this.subPageEvent = true;
    this.qualification = permission === SUB_PAGE_PERMISSION.MISS ? SUB_PAGE_MISS : 0;
    this.forget(lo, hi);
    return false;
  }

  /** Of a page that wants guest paging structures with paging-write access. */
  #refusesPath(): boolean {
    return this.verifiesGuestPaging && !this.pathIsVerified && !this.#passive;
  }

  /** @see SDM "EPT Violations", 30.3.3.2 */
  #unverifiedPath(lo: number, hi: number, access: number, permissions: number): boolean {
    this.#violation(lo, hi, access, permissions);
    this.qualification |= DUE_TO_VERIFICATION;
    this.unverified = true;
    return false;
  }

  /** Forgets the cached mapping of one page, as an EPT violation does. */
  forget(lo: number, hi: number): void {
    const page = (lo >>> 12) | (hi << 20);
    this.#cache[(page & (CACHE_ENTRIES - 1)) * CACHE_WORDS + 1] = 0;
  }

  /** @see SDM "EPT Misconfigurations", 30.3.3.1 */
  #isMisconfigured(eLo: number, eHi: number, level: number, mapsPage: boolean): boolean {
    // Write without read.
    if ((eLo & (READ | WRITE)) === WRITE) return true;
    if ((this.#features & LESS_CAPABLE) !== 0 && this.#isBeyondCapabilities(eLo, level, mapsPage))
      return true;
    // Paging-write access without read.
    if (
      mapsPage &&
      (eLo & READ) === 0 &&
      (eHi & PAGING_WRITE_ACCESS) !== 0 &&
      (this.#features & EPT_FEATURE.PAGING_WRITE) !== 0
    )
      return true;
    if ((eHi & this.#reservedHi) !== 0) return true;
    if (!mapsPage) return (eLo & RESERVED_REFERENCE[level]) !== 0;
    return (eLo & RESERVED_PAGE[level]) !== 0 || ((RESERVED_TYPES >>> ((eLo >>> 3) & 7)) & 1) !== 0;
  }

  /** @see SDM "EPT Misconfigurations", 30.3.3.1; "EPT Translation Mechanism", 30.3.2: IA32_VMX_EPT_VPID_CAP */
  #isBeyondCapabilities(eLo: number, level: number, mapsPage: boolean): boolean {
    const features = this.#features;
    // An entry that permits anything, and no reads and writes, permits fetches.
    if ((features & EPT_FEATURE.NO_EXECUTE_ONLY) !== 0 && (eLo & READ) === 0) return true;
    if (level === 2) return mapsPage && (features & EPT_FEATURE.NO_PAGE_2M) !== 0;
    return level === 3 && mapsPage && (features & EPT_FEATURE.NO_PAGE_1G) !== 0;
  }

  /** @see SDM "EPT Violations", 30.3.3.2 */
  #violation(lo: number, hi: number, access: number, permissions: number): boolean {
    const asked = (access & FETCH_USER) === 0 ? access & PERMISSIONS : FETCH;
    const userExecutable = (permissions & FETCH_USER) === 0 ? 0 : USER_EXECUTABLE;
    this.qualification = asked | ((permissions & PERMISSIONS) << 3) | userExecutable;
    this.suppressVe = this.entryHi[this.level] < 0;
    this.forget(lo, hi);
    return false;
  }

  /** @see SDM "Accessed and Dirty Flags for EPT", 30.3.5 */
  #useFlags(lo: number, hi: number, leaf: number, access: number, allAccessed: number): boolean {
    if (!this.#flags || this.#passive) return true;
    const dirty = (access & WRITE) !== 0 && (this.entryLo[leaf] & DIRTY) === 0;
    if (allAccessed !== 0 && !dirty) return true;
    if (this.log?.isFull) return false;
    for (let level = this.top; level >= leaf; level--) {
      const bits = ACCESSED | (dirty && level === leaf ? DIRTY : 0);
      if ((this.entryLo[level] & bits) === bits) continue;
      this.entryLo[level] |= bits;
      this.#entries.set(this.entryHostLo[level], this.entryHostHi[level], bits, 8);
    }
    if (dirty) this.log?.add(lo, hi);
    return true;
  }

  #remember(lo: number, hi: number, permissions: number): void {
    const page = (lo >>> 12) | (hi << 20);
    const at = (page & (CACHE_ENTRIES - 1)) * CACHE_WORDS;
    const cache = this.#cache;
    cache[at] = page;
    cache[at + 1] = this.#generation;
    cache[at + 2] = (this.hostLo >>> 12) | (this.hostHi << 20);
    cache[at + 3] = permissions | (this.writeNow ? WRITE_NOW : 0);
  }
}
