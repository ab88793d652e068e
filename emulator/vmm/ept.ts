/**
 * The extended page tables of a virtual machine: guest memory in large pages where it can be, everything else not
 * present, so that accesses to devices cause EPT violations.
 *
 * Intel SDM Vol. 3C, "The Extended Page Table Mechanism (EPT)", 30.3.
 */
import type { PhysicalMemory } from '../mmu/physicalMemory.ts';

const PAGE = 0x1000;
const LARGE_PAGE = 0x20_0000;
const ENTRY_SIZE = 8;
const TWO_32 = 0x1_0000_0000;

/** Permissions of a mapping. */
export const EPT_PERMISSION = { READ: 1, WRITE: 2, EXECUTE: 4, ALL: 7 } as const;

const MAPS_PAGE = 1 << 7;
const WRITE_BACK = 6 << 3;
/** Page-walk length of 4; accessed and dirty flags off. */
const EPTP_WALK_LENGTH_4 = 3 << 3;
const EPTP_WRITE_BACK = 6;

const PRESENT = EPT_PERMISSION.ALL;

export interface EptParts {
  readonly physical: PhysicalMemory;
  /** Gives a page for a table. */
  readonly allocate: () => number;
}

export class Ept {
  readonly root: number;
  readonly #parts: EptParts;

  constructor(parts: EptParts) {
    this.#parts = parts;
    this.root = this.#newTable();
  }

  /** The EPT pointer for the VMCS. */
  get pointer(): bigint {
    return BigInt(this.root) | BigInt(EPTP_WALK_LENGTH_4 | EPTP_WRITE_BACK);
  }

  /**
   * Maps `length` bytes of guest-physical memory. All three numbers are whole pages; large pages are used where both
   * addresses allow it.
   */
  map(guestPhysical: number, hostPhysical: number, length: number, permissions: number): void {
    const end = guestPhysical + length;
    for (let at = guestPhysical; at < end; ) {
      const host = hostPhysical + (at - guestPhysical);
      const large = at % LARGE_PAGE === 0 && host % LARGE_PAGE === 0 && end - at >= LARGE_PAGE;
      this.#setLeaf(at, host, permissions, large);
      at += large ? LARGE_PAGE : PAGE;
    }
  }

  #setLeaf(guestPhysical: number, hostPhysical: number, permissions: number, large: boolean): void {
    const pdpt = this.#tableBelow(this.root, indexAt(guestPhysical, 4));
    const directory = this.#tableBelow(pdpt, indexAt(guestPhysical, 3));
    if (large) {
      this.#write(directory, indexAt(guestPhysical, 2), hostPhysical, permissions | WRITE_BACK | MAPS_PAGE);
      return;
    }
    const table = this.#tableBelow(directory, indexAt(guestPhysical, 2));
    this.#write(table, indexAt(guestPhysical, 1), hostPhysical, permissions | WRITE_BACK);
  }

  /** The table that an entry references, made when there is none. */
  #tableBelow(table: number, index: number): number {
    const { physical } = this.#parts;
    const entry = physical.read64(table + index * ENTRY_SIZE);
    if (entry !== 0n) return Number(entry & 0xf_ffff_ffff_f000n);
    const below = this.#newTable();
    this.#write(table, index, below, PRESENT);
    return below;
  }

  #newTable(): number {
    const table = this.#parts.allocate();
    this.#parts.physical.copyIn(table, new Uint8Array(PAGE));
    return table;
  }

  #write(table: number, index: number, address: number, bits: number): void {
    const low = (address % TWO_32) | bits;
    this.#parts.physical.write(table + index * ENTRY_SIZE, 8, low, Math.floor(address / TWO_32));
  }
}

/** Index into a table of a level (4 down to 1). */
function indexAt(guestPhysical: number, level: number): number {
  return Math.floor(guestPhysical / 2 ** (12 + 9 * (level - 1))) % 512;
}
