/**
 * The paging-structure cache: for a region of 2 MBytes, the page table that translates it and the rights that the
 * upper levels leave. A walk that finds its region here reads one entry, instead of four or five that each may need
 * the second level.
 *
 * Only paths in RAM whose accessed flags are all set are kept. A tag ties an entry to the translations of one space; a
 * new tag forgets them.
 *
 * Intel SDM Vol. 3A, "Paging-Structure Caches", 5.10.3.
 */

/** Direct-mapped, words: bits 31:21 of the linear address, its high half, tag, table | rights. */
const ENTRIES = 512;
const WORDS = 4;

/** What the upper levels permit, in the bits below the table's address. */
export const CACHED_RIGHTS = 0xfff;
/** One of these bits: accessed and dirty flags in the table may be set, as far as the second level has a say. */
export const CACHED_UPDATABLE = 1 << 3;

export class StructureCache {
  /** The translations that {@link find} and {@link remember} are about; never 0. */
  tag = 1;
  readonly #words = new Int32Array(ENTRIES * WORDS);

  /** Host-physical address of the page table | rights (R/W and U/S at their bits, XD at bit 0, {@link CACHED_UPDATABLE}), or 0. */
  find(lo: number, hi: number): number {
    const words = this.#words;
    const at = slot(lo, hi);
    const hit = words[at] === lo >>> 21 && words[at + 1] === hi && words[at + 2] === this.tag;
    return hit ? words[at + 3] : 0;
  }

  remember(lo: number, hi: number, tableAndRights: number): void {
    const words = this.#words;
    const at = slot(lo, hi);
    words[at] = lo >>> 21;
    words[at + 1] = hi;
    words[at + 2] = this.tag;
    words[at + 3] = tableAndRights;
  }

  clear(): void {
    this.#words.fill(0);
  }

  /** Forgets the region of an address, as a page fault does. */
  forget(lo: number, hi: number): void {
    this.#words[slot(lo, hi) + 3] = 0;
  }
}

function slot(lo: number, hi: number): number {
  return (((lo >>> 21) ^ hi) & (ENTRIES - 1)) * WORDS;
}
