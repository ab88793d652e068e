/**
 * Context ids: the low 12 bits of every TLB tag. An id stands for a space of translations and for a class of what an
 * access in it may do. Changing the context flushes nothing; a flush retires ids, and entries that carry a retired id
 * never match again. When the ids run out, both TLBs are cleared and counting starts over.
 *
 * A space is what the manual tags cached translations with: logical processor, VPID, EPT root, PCID. Without PCIDs
 * there is one space and MOV to CR3 retires its ids.
 *
 * Global pages are treated like others: a MOV to CR3 forgets them too. The manual allows this (a processor may
 * invalidate more than it must) and INVLPG looks at every context, so that it reaches the copies of a global page.
 *
 * Intel SDM Vol. 3A, "Caching Translation Information", 5.10; Vol. 3C, "Caching Translation Information", 30.4.
 */

/** Ids 1 to 4094: 0 is the empty TLB entry. */
const LAST_ID = 0xffe;

/** Classes of one space: 16 paging modes of 16 access classes. */
const CLASSES = 256;

export interface SpaceKey {
  readonly processor: number;
  readonly vpid: number;
  /** 0 without EPT, else an {@link EptRoot} index. */
  readonly ept: number;
  readonly pcid: number;
}

/** The translations of one space; `ids[class]` is 0 where none is given out. */
export interface Space extends SpaceKey {
  readonly ids: Uint16Array;
  /** Tag of cached paging structures, and the epoch in which it was given; tag 0 where none is. */
  structureTag: number;
  structureEpoch: number;
}

/** An EPTP in use. `generation` tags cached guest-physical translations; INVEPT gives a new one. */
export interface EptRoot {
  readonly index: number;
  readonly eptpLo: number;
  readonly eptpHi: number;
  /** Translations under different features of EPT are kept apart. */
  readonly features: number;
  generation: number;
}

/** EP4TA: bits 51:12 of an EPTP. */
const ROOT_MASK = 0xf_ffff_ffff_f000n;
/** Above every EPTP: bits 63:52 of one are 0. */
const FEATURES_SHIFT = 57n;

export class Contexts {
  readonly #spaces = new Map<number, Space>();
  readonly #roots = new Map<bigint, EptRoot>();
  /** The one that was asked for last. */
  #root: EptRoot | undefined = undefined;
  /** The spaces that were asked for last: without and with EPT. */
  readonly #recent: (Space | undefined)[] = [undefined, undefined];
  readonly #exhausted: () => void;
  #nextId = 1;
  #nextRoot = 1;
  #nextGeneration = 1;

  /** `exhausted` clears the TLBs, and whatever else remembers ids, before ids are used again. */
  constructor(exhausted: () => void) {
    this.#exhausted = exhausted;
  }

  space(processor: number, vpid: number, ept: number, pcid: number): Space {
    // A VM exit and the VM entry after it go to and fro between two.
    const place = ept === 0 ? 0 : 1;
    const recent = this.#recent[place];
    if (
      recent !== undefined &&
      recent.vpid === vpid &&
      recent.ept === ept &&
      recent.pcid === pcid &&
      recent.processor === processor
    )
      return recent;
    // 8, 12, 16 and 12 bits: exact in a double.
    const key = ((processor * 0x1000 + ept) * 0x1_0000 + vpid) * 0x1000 + pcid;
    let space = this.#spaces.get(key);
    if (space === undefined) {
      space = {
        processor,
        vpid,
        ept,
        pcid,
        ids: new Uint16Array(CLASSES),
        structureTag: 0,
        structureEpoch: 0,
      };
      this.#spaces.set(key, space);
    }
    this.#recent[place] = space;
    return space;
  }

  /** The id of a class that has none yet. */
  allocate(space: Space, accessClass: number): number {
    if (this.#nextId > LAST_ID) {
      this.#exhausted();
      for (const other of this.#spaces.values()) retireSpace(other);
      this.#nextId = 1;
    }
    const id = this.#nextId++;
    space.ids[accessClass] = id;
    return id;
  }

  eptRoot(eptpLo: number, eptpHi: number, features: number): EptRoot {
    const last = this.#root;
    if (last?.eptpLo === eptpLo && last.eptpHi === eptpHi && last.features === features) return last;
    const key = pointer(eptpLo, eptpHi) | (BigInt(features) << FEATURES_SHIFT);
    let root = this.#roots.get(key);
    if (root === undefined) {
      if (this.#nextRoot === 0x1000) this.#forgetRoots();
      root = {
        index: this.#nextRoot++,
        eptpLo,
        eptpHi,
        features,
        generation: this.#nextGeneration++,
      };
      this.#roots.set(key, root);
    }
    this.#root = root;
    return root;
  }

  /** Retires the ids of all spaces that `chosen` says. */
  retire(chosen: (space: Space) => boolean): void {
    for (const space of this.#spaces.values()) {
      if (chosen(space)) retireSpace(space);
    }
  }

  /**
   * Single-context INVEPT, or all-context without `eptp`: guest-physical and combined mappings go.
   *
   * @see SDM "INVEPT—Invalidate Translations Derived from EPT"
   */
  invalidateEpt(eptp?: bigint): ReadonlySet<number> {
    const indexes = new Set<number>();
    for (const root of this.#roots.values()) {
      if (eptp !== undefined && (pointer(root.eptpLo, root.eptpHi) & ROOT_MASK) !== (eptp & ROOT_MASK))
        continue;
      root.generation = this.#nextGeneration++;
      indexes.add(root.index);
    }
    this.retire((space) => indexes.has(space.ept));
    return indexes;
  }

  /** Starts the numbers of EPT roots over: nothing tagged with one survives. */
  #forgetRoots(): void {
    this.#roots.clear();
    this.#root = undefined;
    this.#nextRoot = 1;
    this.retire((space) => space.ept !== 0);
  }
}

function pointer(lo: number, hi: number): bigint {
  return (BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0);
}

/** Whatever is cached for the space is invalid. */
export function retireSpace(space: Space): void {
  space.ids.fill(0);
  space.structureTag = 0;
}
