/**
 * The processor state that the loaders hand over, and the tables in memory that it needs: a flat GDT and, for 64-bit
 * code, page tables that map the first 4 GiB to themselves.
 *
 * @see SDM "Segment Descriptors", 3.4.5; "4-Level Paging and 5-Level Paging", 4.5
 */
import type { BootEntry, BootRegister } from './bootPlan.ts';
import { StructureWriter } from './bytes.ts';
import type { MemoryPlan } from './memoryPlan.ts';

type Registers = Readonly<Partial<Record<BootRegister, bigint>>>;

/** Linux's boot protocol wants these two selectors; GRUB has the same. */
const CODE_SELECTOR = 0x10;
const DATA_SELECTOR = 0x18;
/** Present, ring 0, execute/read, 4 KiB granularity, limit 4 GiB; D or L. */
const CODE_32_DESCRIPTOR = 0x00cf_9b00_0000_ffffn;
const CODE_64_DESCRIPTOR = 0x00af_9b00_0000_ffffn;
const DATA_DESCRIPTOR = 0x00cf_9300_0000_ffffn;

const CR0_PE = 0x1;
const CR0_ET = 0x10;
const CR0_PG = 0x8000_0000;
const CR4_PAE = 0x20;
const EFER_LME = 0x100;
const EFER_LMA = 0x400;

const PTE_PRESENT_WRITABLE = 0x3;
const PDE_2_MIB = 0x83;
const TABLE_SIZE = 0x1000;
const ENTRIES = 512;
const LARGE_PAGE = 0x20_0000;
/** 4 GiB. */
const IDENTITY_DIRECTORIES = 4;

/** 32-bit code, flat segments, paging off. */
export function protected32Entry(plan: MemoryPlan, eip: number, gpr: Registers): BootEntry {
  return {
    mode: 'protected32',
    rip: BigInt(eip),
    gpr,
    cr0: CR0_PE | CR0_ET,
    cr3: 0,
    cr4: 0,
    efer: 0,
    ...descriptorTable(plan, CODE_32_DESCRIPTOR),
  };
}

/** 64-bit code with the first 4 GiB mapped to themselves. */
export function long64Entry(plan: MemoryPlan, rip: bigint, gpr: Registers): BootEntry {
  return {
    mode: 'long64',
    rip,
    gpr,
    cr0: (CR0_PE | CR0_ET | CR0_PG) >>> 0,
    cr3: identityPageTables(plan),
    cr4: CR4_PAE,
    efer: EFER_LME | EFER_LMA,
    ...descriptorTable(plan, CODE_64_DESCRIPTOR),
  };
}

function descriptorTable(
  plan: MemoryPlan,
  code: bigint,
): Pick<BootEntry, 'gdt' | 'codeSelector' | 'dataSelector'> {
  const table = new StructureWriter(DATA_SELECTOR + 8)
    .u64(CODE_SELECTOR, code)
    .u64(DATA_SELECTOR, DATA_DESCRIPTOR);
  const base = plan.place('GDT', table.bytes);
  return {
    gdt: { base, limit: table.bytes.length - 1 },
    codeSelector: CODE_SELECTOR,
    dataSelector: DATA_SELECTOR,
  };
}

/** One PML4, one page-directory-pointer table, four page directories of 2 MiB pages. */
function identityPageTables(plan: MemoryPlan): number {
  const length = (2 + IDENTITY_DIRECTORIES) * TABLE_SIZE;
  const pml4 = plan.reserve('page tables', length, { align: TABLE_SIZE });
  const pdpt = pml4 + TABLE_SIZE;
  const tables = new StructureWriter(length).u64(0, pdpt | PTE_PRESENT_WRITABLE);
  for (let directory = 0; directory < IDENTITY_DIRECTORIES; directory += 1) {
    const offset = (2 + directory) * TABLE_SIZE;
    tables.u64(TABLE_SIZE + directory * 8, (pml4 + offset) | PTE_PRESENT_WRITABLE);
    for (let entry = 0; entry < ENTRIES; entry += 1) {
      // All are below 4 GiB: the upper half stays 0.
      tables.u32(offset + entry * 8, (directory * ENTRIES + entry) * LARGE_PAGE + PDE_2_MIB);
    }
  }
  plan.fill(pml4, tables.bytes);
  return pml4;
}
