/**
 * Stale translations: what a processor may have cached and may go on using, although the paging structures in memory say
 * something else by now, because nobody has invalidated it.
 *
 * The emulated TLBs forget everything whenever a paging structure in use is written, so that the next access walks again.
 * What was cached before is remembered here until an instruction invalidates it; a walk with another result is a use of a
 * translation that a processor could have taken from its cache.
 *
 * Intel SDM Vol. 3A, "Invalidation of TLBs and Paging-Structure Caches", 5.10.4; Vol. 3C, "Invalidating Cached
 * Translation Information", 30.4.3.
 */
import { PAGE_FLAG, type PhysicalMemory } from './physicalMemory.ts';
import { ACCESS } from './rights.ts';

/** The use of a translation that should have been invalidated. */
export interface StaleUse {
  /** `linear`: a guest paging structure has changed; `guest-physical`: an EPT paging structure has. */
  readonly kind: 'linear' | 'guest-physical';
  readonly linear: bigint;
  /** `guest-physical`: the address whose mapping is stale. */
  readonly guestPhysical: number;
  /** Where the processor may still go, and where the structures lead now: nowhere when undefined. */
  readonly cached: number;
  readonly current: number | undefined;
  /** VPID of the translation. */
  readonly vpid: number;
  /** The structures were written in root operation. */
  readonly writtenByHost: boolean;
}

/** Identifies what translations are tagged with; see contexts.ts. */
interface Tag {
  readonly vpid: number;
  readonly ept: number;
}

interface LinearRecord {
  guestPage: number;
  /** Size of the page as a power of two. */
  shift: number;
  /** Bit n: an access of request n has succeeded. */
  allowed: number;
}

interface PhysicalRecord {
  hostPage: number;
  /** Bit n: an access of kind n has succeeded. */
  allowed: number;
}

/** What a walk was for, and where it led. Pages are addresses divided by 4096. */
export interface AuditedWalk<T extends Tag> {
  readonly tag: T;
  readonly linearPage: number;
  /** The kind of access and on whose behalf, with CR0.WP: below 32. */
  readonly request: number;
  readonly guestPage: number;
  readonly hostPage: number;
  readonly shift: number;
}

const PAGE = 4096;

export class TranslationAudit<T extends Tag> {
  readonly #physical: PhysicalMemory;
  readonly #found: (use: StaleUse) => void;
  readonly #linear = new Map<T, Map<number, LinearRecord>>();
  /** By EPT root. */
  readonly #guestPhysical = new Map<number, Map<number, PhysicalRecord>>();
  /** Pages of paging structures that cached translations came from. */
  readonly #tables = new Set<number>();
  #writtenByHost = false;

  /**
   * @param changed called when a paging structure is about to be written, to forget what is cached
   * @param setsFlags whether it is the page walk that writes, and nothing but accessed and dirty flags
   * @param inRoot whether it is the host that runs
   */
  constructor(
    physical: PhysicalMemory,
    parts: {
      readonly changed: () => void;
      readonly setsFlags: () => boolean;
      readonly inRoot: () => boolean;
      readonly found: (use: StaleUse) => void;
    },
  ) {
    this.#physical = physical;
    this.#found = parts.found;
    physical.onWrite(PAGE_FLAG.VMCS, (address) => {
      if (parts.setsFlags() || !this.#tables.delete(address >>> 12)) return;
      this.#writtenByHost = parts.inRoot();
      parts.changed();
    });
  }

  /** An entry of a paging structure was read. */
  tableRead(page: number): void {
    if (this.#tables.has(page)) return;
    this.#tables.add(page);
    this.#physical.setPageFlag(page, PAGE_FLAG.VMCS);
  }

  translated({ tag, linearPage, request, guestPage, hostPage, shift }: AuditedWalk<T>): void {
    const linear = this.#linearOf(tag);
    const record = linear.get(linearPage);
    if (record !== undefined && record.guestPage !== guestPage)
      this.#stale('linear', tag, linearPage, guestPage, record.guestPage, guestPage);
    if (record?.guestPage === guestPage) {
      record.allowed |= 1 << request;
      record.shift = shift;
    } else linear.set(linearPage, { guestPage, shift, allowed: 1 << request });
    if (tag.ept === 0) return;
    const kind = request & 3;
    const mappings = this.#mappingsOf(tag.ept);
    const mapping = mappings.get(guestPage);
    if (mapping !== undefined && mapping.hostPage !== hostPage)
      this.#stale('guest-physical', tag, linearPage, guestPage, mapping.hostPage, hostPage);
    if (mapping?.hostPage === hostPage) mapping.allowed |= 1 << kind;
    else mappings.set(guestPage, { hostPage, allowed: 1 << kind });
  }

  /** A page fault, which invalidates what is cached for the address. */
  pageFault(tag: T, linearPage: number, request: number): void {
    const linear = this.#linearOf(tag);
    const record = linear.get(linearPage);
    if (record === undefined) return;
    if ((record.allowed & (1 << request)) !== 0)
      this.#stale('linear', tag, linearPage, record.guestPage, record.guestPage, undefined);
    linear.delete(linearPage);
  }

  /** An EPT violation or misconfiguration, which invalidates what is cached for the guest-physical address. */
  eptFault(tag: T, linearPage: number, guestPage: number, access: number): void {
    const mappings = this.#mappingsOf(tag.ept);
    const mapping = mappings.get(guestPage);
    if (mapping === undefined) return;
    const wanted =
      ((access & 1) !== 0 ? 1 << ACCESS.READ : 0) |
      ((access & 2) !== 0 ? 1 << ACCESS.WRITE : 0) |
      ((access & 4) !== 0 ? 1 << ACCESS.EXECUTE : 0);
    if ((mapping.allowed & wanted) === wanted)
      this.#stale('guest-physical', tag, linearPage, guestPage, mapping.hostPage, undefined);
    mappings.delete(guestPage);
  }

  // Invalidation

  forgetSpaces(chosen: (tag: T) => boolean): void {
    for (const [tag, records] of this.#linear) if (chosen(tag)) records.clear();
  }

  /** One linear address, with the whole page it lies in. */
  forgetAddress(chosen: (tag: T) => boolean, linearPage: number): void {
    for (const [tag, records] of this.#linear) {
      if (!chosen(tag)) continue;
      for (const [page, { shift }] of records) {
        const size = 2 ** (shift - 12);
        if (Math.floor(page / size) === Math.floor(linearPage / size)) records.delete(page);
      }
    }
  }

  /** INVEPT: guest-physical and combined mappings of some EPT roots. */
  forgetRoots(chosen: (ept: number) => boolean): void {
    for (const [ept, mappings] of this.#guestPhysical) if (chosen(ept)) mappings.clear();
    this.forgetSpaces(({ ept }) => ept !== 0 && chosen(ept));
  }

  #linearOf(tag: T): Map<number, LinearRecord> {
    let records = this.#linear.get(tag);
    if (records === undefined) {
      records = new Map();
      this.#linear.set(tag, records);
    }
    return records;
  }

  #mappingsOf(ept: number): Map<number, PhysicalRecord> {
    let mappings = this.#guestPhysical.get(ept);
    if (mappings === undefined) {
      mappings = new Map();
      this.#guestPhysical.set(ept, mappings);
    }
    return mappings;
  }

  #stale(
    kind: StaleUse['kind'],
    tag: T,
    linearPage: number,
    guestPage: number,
    cached: number,
    current: number | undefined,
  ): void {
    this.#found({
      kind,
      linear: BigInt(linearPage) << 12n,
      guestPhysical: guestPage * PAGE,
      cached: cached * PAGE,
      current: current === undefined ? undefined : current * PAGE,
      vpid: tag.vpid,
      writtenByHost: this.#writtenByHost,
    });
  }
}
