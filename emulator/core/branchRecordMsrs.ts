/**
 * The MSRs of last-branch records: the stack of Skylake servers, the architectural records, AMD's single record.
 *
 * Intel SDM Vol. 4, "Architectural MSRs", 2.1, and "MSRs in Intel Processors Based on Skylake Microarchitecture", 2.17; APM
 * vol. 2, "Control-Transfer Breakpoint Features", 13.1.6.
 */
import type { CpuState } from '../state/cpuState.ts';
import { OFFSET } from '../state/layout.ts';
import {
  architecturalSlot,
  branchRecordFacility,
  LBR_CTL_BITS,
  LBR_ENTRIES,
  LBR_SELECT_BITS,
} from './branchRecords.ts';
import type { Cpu } from './cpu.ts';
import { isCanonicalForRegister } from './memory.ts';
import type { MsrRow } from './msrs.ts';

/** Which part of a record, and where the entries' are and those of the last branch and of the last before an event. */
const PARTS = [
  { name: 'FROM_IP', entries: OFFSET.LBR_FROM / 8, element: 0 },
  { name: 'TO_IP', entries: OFFSET.LBR_TO / 8, element: 1 },
  { name: 'INFO', entries: OFFSET.LBR_INFO / 8, element: 2 },
] as const;
type Part = (typeof PARTS)[number];

const LAST_BRANCH = OFFSET.LAST_BRANCH / 8;
const LAST_EVENT = OFFSET.LAST_EVENT / 8;

/**
 * MISPRED, IN_TSX, TSX_ABORT and the cycle count; the architectural records have CYC_CNT_VALID and
 * BR_TYPE besides, and forget what is written elsewhere.
 */
const STACK_INFO = 0xe000_0000_0000_ffffn;
const ARCHITECTURAL_INFO = 0xff00_0000_0000_ffffn;

/** Depths that software may choose: 8, 16 and 32. */
const DEPTHS: ReadonlySet<bigint> = new Set([8n, 16n, 32n]);

/** Formats of IA32_PERF_CAPABILITIES. @see SDM "LBR Stack and IA-32 Processors", 19.4.8.1 */
const FORMAT = { INFO: 5n, ARCHITECTURAL: 0x3fn } as const;

/** IA32_PERF_CAPABILITIES[5:0]. */
export function lbrFormat(cpu: Cpu): bigint {
  const facility = branchRecordFacility(cpu);
  if (facility === 'architectural') return FORMAT.ARCHITECTURAL;
  return facility === 'stack' ? FORMAT.INFO : 0n;
}

const isStack = (cpu: Cpu): boolean => branchRecordFacility(cpu) === 'stack';
const isSingle = (cpu: Cpu): boolean => branchRecordFacility(cpu) === 'single';

/** The value that an MSR of a record keeps, or undefined when it may not be written. */
function accepted(cpu: Cpu, part: Part, value: bigint): bigint | undefined {
  if (part.name !== 'INFO') return isCanonicalForRegister(cpu, value) ? value : undefined;
  if (cpu.has('ARCH_LBR')) return value & ARCHITECTURAL_INFO;
  return value & ~STACK_INFO ? undefined : value;
}

function writePart(cpu: Cpu, part: Part, at: number, value: bigint): boolean {
  const kept = accepted(cpu, part, value);
  if (kept === undefined) return false;
  cpu.state.u64[at] = kept;
  return true;
}

function stackRow(first: number, part: Part, n: number): MsrRow {
  const at = part.entries + n;
  return {
    address: first + n,
    name: part.name === 'INFO' ? `MSR_LBR_INFO_${n}` : `MSR_LASTBRANCH_${n}_${part.name}`,
    exists: isStack,
    read: (cpu) => cpu.state.u64[at] as bigint,
    write: (cpu, value) => writePart(cpu, part, at, value),
  };
}

function architecturalRow(first: number, part: Part, n: number): MsrRow {
  return {
    address: first + n,
    name: `IA32_LBR_${n}_${part.name}`,
    feature: 'ARCH_LBR',
    exists: ({ state }) => n < Number(state.IA32_LBR_DEPTH),
    read: ({ state }) => state.u64[part.entries + architecturalSlot(state, n)] as bigint,
    write: (cpu, value) => writePart(cpu, part, part.entries + architecturalSlot(cpu.state, n), value),
  };
}

function lastEventRow(address: number, part: Part): MsrRow {
  return {
    address,
    name: `IA32_LER_${part.name}`,
    feature: 'ARCH_LBR',
    read: ({ state }) => state.u64[LAST_EVENT + part.element] as bigint,
    write: (cpu, value) => writePart(cpu, part, LAST_EVENT + part.element, value),
  };
}

function readOnlyRow(address: number, name: string, exists: (cpu: Cpu) => boolean, at: number): MsrRow {
  return { address, name, exists, read: ({ state }) => state.u64[at] as bigint };
}

function clearEntries({ u64 }: CpuState): void {
  for (const { entries } of PARTS) u64.fill(0n, entries, entries + LBR_ENTRIES);
}

/** @see SDM "LBR Stack Depth", in "Last Branch Records", 20.1: whatever is written, all entries are cleared */
function writeDepth({ state }: Cpu, value: bigint): boolean {
  if (!DEPTHS.has(value)) return false;
  state.IA32_LBR_DEPTH = value;
  state.LBR_TOS = 0;
  clearEntries(state);
  return true;
}

function writeControl({ state }: Cpu, value: bigint): boolean {
  if (value & ~LBR_CTL_BITS) return false;
  state.IA32_LBR_CTL = value;
  return true;
}

function writeSelect({ state }: Cpu, value: bigint): boolean {
  if (value & ~LBR_SELECT_BITS) return false;
  state.MSR_LBR_SELECT = value;
  return true;
}

function writeTop({ state }: Cpu, value: bigint): boolean {
  if (value >= BigInt(LBR_ENTRIES)) return false;
  state.LBR_TOS = Number(value);
  return true;
}

const each = (row: (n: number) => MsrRow): MsrRow[] => Array.from({ length: LBR_ENTRIES }, (_, n) => row(n));
const [FROM, TO, INFO] = PARTS;

// biome-ignore format: rows are read as a table
const ROWS: readonly MsrRow[] = [
  { address: 0x1c8, name: 'MSR_LBR_SELECT', exists: isStack, read: ({ state }) => state.MSR_LBR_SELECT, write: writeSelect },
  { address: 0x1c9, name: 'MSR_LASTBRANCH_TOS', exists: isStack, read: ({ state }) => BigInt(state.LBR_TOS), write: writeTop },
  readOnlyRow(0x1dd, 'MSR_LER_FROM_LIP', isStack, LAST_EVENT),
  readOnlyRow(0x1de, 'MSR_LER_TO_LIP', isStack, LAST_EVENT + 1),
  ...each((n) => stackRow(0x680, FROM, n)),
  ...each((n) => stackRow(0x6c0, TO, n)),
  ...each((n) => stackRow(0xdc0, INFO, n)),

  { address: 0x14ce, name: 'IA32_LBR_CTL', feature: 'ARCH_LBR', read: ({ state }) => state.IA32_LBR_CTL, write: writeControl },
  { address: 0x14cf, name: 'IA32_LBR_DEPTH', feature: 'ARCH_LBR', read: ({ state }) => state.IA32_LBR_DEPTH, write: writeDepth },
  lastEventRow(0x1dd, FROM),
  lastEventRow(0x1de, TO),
  lastEventRow(0x1e0, INFO),
  ...each((n) => architecturalRow(0x1500, FROM, n)),
  ...each((n) => architecturalRow(0x1600, TO, n)),
  ...each((n) => architecturalRow(0x1200, INFO, n)),

  readOnlyRow(0x1db, 'LastBranchFromIP', isSingle, LAST_BRANCH),
  readOnlyRow(0x1dc, 'LastBranchToIP', isSingle, LAST_BRANCH + 1),
  readOnlyRow(0x1dd, 'LastIntFromIP', isSingle, LAST_EVENT),
  readOnlyRow(0x1de, 'LastIntToIP', isSingle, LAST_EVENT + 1),
];

export const BRANCH_RECORD_MSRS: readonly MsrRow[] = ROWS;

export function resetBranchRecords(state: CpuState): void {
  clearEntries(state);
  state.u64.fill(0n, LAST_BRANCH, LAST_BRANCH + 3);
  state.u64.fill(0n, LAST_EVENT, LAST_EVENT + 3);
  state.u64[OFFSET.LBR_TICK / 8] = 0n;
  state.LBR_TOS = 0;
  state.MSR_LBR_SELECT = 0n;
  state.IA32_LBR_CTL = 0n;
  state.IA32_LBR_DEPTH = BigInt(LBR_ENTRIES);
}
