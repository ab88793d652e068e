/**
 * Host-physical memory in guest mode. The VMM's own structures lie in the second mebibyte, so that no address of a
 * guest is by chance the host's; the memory of the guests follows, each on a boundary of a large page.
 */
import { UserError } from '../base/errors.ts';
import { MAX_RAM } from '../state/layout.ts';

const PAGE = 0x1000;
const LARGE_PAGE = 0x20_0000;
const MIB = 0x10_0000;

/** The VMM's area. */
export const VMM_AREA = { base: 0x10_0000, length: 0x10_0000 } as const;

/** Pages with a fixed place in the area; what is behind them is given out by {@link PageAllocator}. */
export const VMM_PAGES = {
  /** Where VM exits arrive: HOST_RIP. The run loop calls the VMM instead of fetching here. */
  entryPoint: VMM_AREA.base,
  vmxon: VMM_AREA.base + PAGE,
  /** Descriptor tables and task-state segment of the host. */
  descriptors: VMM_AREA.base + 2 * PAGE,
  /** Page tables of the host: the first 4 GiB mapped to themselves. */
  pml4: VMM_AREA.base + 3 * PAGE,
  pdpt: VMM_AREA.base + 4 * PAGE,
  /** The stack that HOST_RSP names; it grows down from the end of this page. */
  stack: VMM_AREA.base + 5 * PAGE,
  firstFree: VMM_AREA.base + 6 * PAGE,
} as const;

/** First byte of guest memory. */
const GUESTS_BASE = VMM_AREA.base + VMM_AREA.length;

function alignUp(length: number): number {
  return Math.ceil(length / LARGE_PAGE) * LARGE_PAGE;
}

/** How much memory the machine has to have for guests of these sizes. */
export function hostMemoryBytes(guests: readonly number[]): number {
  const total = guests.reduce((sum, bytes) => sum + alignUp(bytes), GUESTS_BASE);
  if (total > MAX_RAM) {
    const most = (MAX_RAM - GUESTS_BASE) / MIB;
    throw new UserError(`in guest mode the VMM needs 2 MiB beside the guest: use --memory ${most}M or less`);
  }
  return total;
}

/** Gives out pages of the VMM's area and memory for guests. */
export class PageAllocator {
  #nextPage: number = VMM_PAGES.firstFree;
  #nextGuest = GUESTS_BASE;
  readonly #end: number;

  constructor(ramBytes: number) {
    this.#end = ramBytes;
  }

  /** One page of the VMM's area. */
  page(): number {
    const page = this.#nextPage;
    this.#nextPage += PAGE;
    if (this.#nextPage > VMM_AREA.base + VMM_AREA.length) {
      throw new UserError('the VMM has no page left for another virtual machine: use fewer or smaller ones');
    }
    return page;
  }

  /** Memory for a guest. */
  guest(bytes: number): number {
    const base = this.#nextGuest;
    this.#nextGuest += alignUp(bytes);
    if (this.#nextGuest > this.#end)
      throw new UserError('the machine has no memory left for another virtual machine');
    return base;
  }
}
