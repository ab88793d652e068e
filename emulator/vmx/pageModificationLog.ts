/**
 * The page-modification log: guest-physical addresses of pages whose dirty flag for EPT becomes 1.
 *
 * Intel SDM Vol. 3C, "Page-Modification Logging", 30.3.6.
 */
import type { DirtyPageLog } from '../mmu/ept.ts';
import type { PhysicalMemory } from '../mmu/physicalMemory.ts';
import { type CurrentVmcs, SLOT } from './vmcs.ts';

const ENTRIES = 512;
const INDEX_MASK = 0xffff;

export class PageModificationLog implements DirtyPageLog {
  readonly #vmcs: CurrentVmcs;
  readonly #physical: PhysicalMemory;
  readonly #announceVmcsWrite: () => void;

  constructor(vmcs: CurrentVmcs, physical: PhysicalMemory, announceVmcsWrite: () => void) {
    this.#vmcs = vmcs;
    this.#physical = physical;
    this.#announceVmcsWrite = announceVmcsWrite;
  }

  get isFull(): boolean {
    return (this.#vmcs.low(SLOT.PML_INDEX) & INDEX_MASK) >= ENTRIES;
  }

  add(guestLo: number, guestHi: number): void {
    const vmcs = this.#vmcs;
    const index = vmcs.low(SLOT.PML_INDEX) & INDEX_MASK;
    const entry = vmcs.physicalAddress(SLOT.PML_ADDRESS) + 8 * index;
    this.#physical.write(entry, 8, guestLo & ~0xfff, guestHi);
    this.#announceVmcsWrite();
    vmcs.setLow(SLOT.PML_INDEX, (index - 1) & INDEX_MASK);
  }
}
