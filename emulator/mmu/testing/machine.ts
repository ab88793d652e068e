/** A processor with a little RAM for the tests of this folder, and helpers that write paging structures. */
import { CpuState } from '../../state/cpuState.ts';
import { RAM_OFFSET, TLB_ENTRIES, TLB_WRITE } from '../../state/layout.ts';
import { AR, CR0, CR4, CS, EFER } from '../../state/registers.ts';
import type { MmioBus } from '../bus.ts';
import { Mmu } from '../mmu.ts';
import { PhysicalMemory, type PhysicalMemoryOptions } from '../physicalMemory.ts';

export const PTE = { P: 1n, W: 2n, U: 4n, A: 0x20n, D: 0x40n, PS: 0x80n, G: 0x100n, XD: 1n << 63n } as const;
export const PWU = PTE.P | PTE.W | PTE.U;
export const EPT = { R: 1n, W: 2n, X: 4n, WB: 6n << 3n, PS: 0x80n, A: 0x100n, D: 0x200n } as const;
export const RWX = EPT.R | EPT.W | EPT.X;

export interface TestMachine {
  readonly state: CpuState;
  readonly physical: PhysicalMemory;
  readonly mmu: Mmu;
}

const memories = new Map<number, WebAssembly.Memory>();

/** The memory of a finished test is used again: making one takes milliseconds. */
export function testMachine(
  ramBytes: number,
  bus?: MmioBus,
  options?: PhysicalMemoryOptions & { readonly physicalAddressBits?: number },
): TestMachine {
  let memory = memories.get(ramBytes);
  if (memory === undefined) {
    const pages = Math.ceil((RAM_OFFSET + ramBytes) / 65536);
    memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
    memories.set(ramBytes, memory);
  }
  const state = new CpuState(memory);
  state.u8.fill(0, 0, TLB_WRITE + TLB_ENTRIES * 16);
  state.u8.fill(0, RAM_OFFSET, RAM_OFFSET + ramBytes);
  const physical = new PhysicalMemory(state, ramBytes, options);
  const bits = options?.physicalAddressBits;
  const mmu = new Mmu({
    state,
    physical,
    ...(bus ? { bus } : {}),
    ...(bits ? { physicalAddressBits: bits } : {}),
  });
  return { state, physical, mmu };
}

/** 64-bit mode at CPL 0 with write protection, execute-disable and the given root. */
export function enter64BitMode({ state, mmu }: TestMachine, cr3: bigint): void {
  state.CR0 = BigInt((CR0.PE | CR0.PG | CR0.WP) >>> 0);
  state.CR3 = cr3;
  state.CR4 = BigInt(CR4.PAE | CR4.PGE);
  state.IA32_EFER = BigInt(EFER.LME | EFER.LMA | EFER.NXE);
  state.setSegmentAccessRights(CS, AR.L | AR.P | AR.S | 0xb);
  mmu.updateContext();
}

export function setCpl({ state, mmu }: TestMachine, cpl: number): void {
  state.CPL = cpl;
  mmu.updateContext();
}

/** Writes entries of 4-level paging, taking new tables from `nextTable` on. */
export class LongTables {
  readonly root: bigint;
  readonly #physical: PhysicalMemory;
  #next: bigint;
  readonly #link: bigint;
  readonly #base: bigint;

  /**
   * @param link bits of entries that reference a table
   * @param base host-physical address of the guest's address 0
   */
  constructor(physical: PhysicalMemory, nextTable: bigint, link: bigint = PWU, base = 0n) {
    this.#physical = physical;
    this.root = nextTable;
    this.#next = nextTable + 0x1000n;
    this.#link = link;
    this.#base = base;
  }

  /** Address of the entry of `level` (4 to 1) for `linear`, with tables made on the way. */
  entryAddress(linear: bigint, level = 1): bigint {
    let table = this.root;
    for (let at = 4; ; at--) {
      const address = table + ((linear >> BigInt(12 + 9 * (at - 1))) & 511n) * 8n;
      if (at === level) return address;
      let entry = this.#physical.read64(Number(this.#base + address));
      if ((entry & 7n) === 0n) {
        entry = this.#next | this.#link;
        this.#next += 0x1000n;
        this.#physical.write64(Number(this.#base + address), entry);
      }
      table = entry & 0xf_ffff_ffff_f000n;
    }
  }

  set(linear: bigint, entry: bigint, level = 1): void {
    this.#physical.write64(Number(this.#base + this.entryAddress(linear, level)), entry);
  }

  get(linear: bigint, level = 1): bigint {
    return this.#physical.read64(Number(this.#base + this.entryAddress(linear, level)));
  }
}
