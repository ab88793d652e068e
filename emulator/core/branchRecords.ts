/**
 * Last-branch records: where the last branches, interrupts and exceptions came from and went to. As long as they are
 * recorded the engine executes instruction by instruction and says of each whether it was a branch that was taken; the
 * delivery of events says the rest. Processors differ in how records are kept and selected: Intel's stack of a model,
 * Intel's architectural one, and AMD's single record.
 *
 * DEVIATION(branch-record-details): nothing is mispredicted, and VM entries and VM exits are no branches.
 *
 * Intel SDM Vol. 3B, "Last Branch, Interrupt, and Exception Recording Overview", 19.4, and "Last Branch Records", chapter 20;
 * APM vol. 2, "Control-Transfer Breakpoint Features", 13.1.6.
 */
import type { CpuState } from '../state/cpuState.ts';
import { OFFSET } from '../state/layout.ts';
import { VECTOR } from '../state/registers.ts';
import type { Cpu } from './cpu.ts';
import { DEBUGCTL, LBR_CTL } from './debugRegisters.ts';
import { LBR_FRZ } from './performanceMonitoring.ts';
import type { GuestEvent } from './virtualization.ts';

/** What the selection of records tells apart. The last: far transfers, interrupts and exceptions. */
export type BranchKind = 'JCC' | 'REL_JMP' | 'IND_JMP' | 'REL_CALL' | 'IND_CALL' | 'RET' | 'OTHER';

/** Records of Intel's stacks. */
export const LBR_ENTRIES = 32;

/**
 * Bits that select: of MSR_LBR_SELECT, where a set bit leaves the kind out, and of IA32_LBR_CTL, where it asks for it; and
 * what IA32_LBR_x_INFO calls the kind.
 *
 * @see SDM "Filtering of Last Branch Records", 19.9.2, table 19-16; "Branch and Event Filtering", 20.1.2
 */
// biome-ignore format: rows are read as a table
const KINDS: Readonly<Record<BranchKind, { readonly leftOut: number; readonly enabled: number; readonly type: bigint }>> = {
  JCC: { leftOut: 1 << 2, enabled: 1 << 16, type: 0n },
  REL_JMP: { leftOut: 1 << 7, enabled: 1 << 17, type: 2n },
  IND_JMP: { leftOut: 1 << 6, enabled: 1 << 18, type: 1n },
  REL_CALL: { leftOut: 1 << 3, enabled: 1 << 19, type: 4n },
  IND_CALL: { leftOut: 1 << 4, enabled: 1 << 20, type: 3n },
  RET: { leftOut: 1 << 5, enabled: 1 << 21, type: 5n },
  OTHER: { leftOut: 1 << 8, enabled: 1 << 22, type: 8n },
};

/** MSR_LBR_SELECT besides the kinds. */
const LBR_SELECT = { CPL_EQ_0: 1 << 0, CPL_NEQ_0: 1 << 1, EN_CALLSTACK: 1 << 9 } as const;
export const LBR_SELECT_BITS = 0x3ffn;

export const LBR_CTL_BITS = 0x7f_000fn;

const CYCLES_MAX = 0xffff;
const CYCLES_VALID = 1n << 60n;
const TYPE_SHIFT = 56n;
/** Where a branch came from at a privilege level that is not recorded. */
const HIDDEN = 0xffff_ffff_ffff_ffffn;

const DEBUGCTL_LOW = OFFSET.IA32_DEBUGCTL >> 2;
const LBR_CTL_LOW = OFFSET.IA32_LBR_CTL >> 2;
const FROM = OFFSET.LBR_FROM >> 3;
const TO = OFFSET.LBR_TO >> 3;
const INFO = OFFSET.LBR_INFO >> 3;
/** From, to and information of the last branch, and of the last before an event. */
const BRANCH = OFFSET.LAST_BRANCH >> 3;
const EVENT = OFFSET.LAST_EVENT >> 3;
const TICK = OFFSET.LBR_TICK >> 3;

/** Whether branches are recorded: the bits for it are the lowest of both registers. */
export function recordsBranches({ i32 }: CpuState): boolean {
  return ((i32[DEBUGCTL_LOW] | i32[LBR_CTL_LOW]) & 1) !== 0;
}

/** How the processor keeps its records. */
export function branchRecordFacility(cpu: Cpu): 'architectural' | 'stack' | 'single' | 'none' {
  if (cpu.has('ARCH_LBR')) return 'architectural';
  const { branchRecords } = cpu.model;
  return branchRecords === 'stack' && !cpu.has('PDCM') ? 'none' : branchRecords;
}

/** Whether some records stop at a performance-monitoring interrupt when IA32_DEBUGCTL asks for it. */
export function freezesRecords(cpu: Cpu): boolean {
  const facility = branchRecordFacility(cpu);
  return cpu.has('PDCM') && (facility === 'architectural' || facility === 'stack');
}

/**
 * Bits of IA32_DEBUGCTL that are not reserved.
 *
 * @see SDM "IA32_DEBUGCTL MSR", 19.4.1
 */
export function debugctlBits(cpu: Cpu): bigint {
  const bits = DEBUGCTL.LBR | DEBUGCTL.BTF;
  if (!cpu.has('PDCM')) return bits;
  return bits | DEBUGCTL.FREEZE_PERFMON_ON_PMI | (freezesRecords(cpu) ? DEBUGCTL.FREEZE_LBRS_ON_PMI : 0n);
}

/** Architectural records do not know IA32_DEBUGCTL.LBR: whatever is written, the bit is 0. */
export function writableDebugctl(cpu: Cpu): bigint {
  const facility = branchRecordFacility(cpu);
  return facility === 'stack' || facility === 'single' ? -1n : ~DEBUGCTL.LBR;
}

/** The slot of IA32_LBR_x_…: number 0 is the youngest. */
export function architecturalSlot({ LBR_TOS, IA32_LBR_DEPTH }: CpuState, n: number): number {
  return (LBR_TOS - n) & (Number(IA32_LBR_DEPTH) - 1);
}

/** A branch has been taken from `from` at the privilege level `cpl` to where the processor now is. */
export function recordBranch(cpu: Cpu, kind: BranchKind, from: bigint, cpl: number): void {
  const { state } = cpu;
  if (!recordsBranches(state) || (state.IA32_PERF_GLOBAL_STATUS & LBR_FRZ) !== 0n) return;
  if (cpu.has('ARCH_LBR')) recordArchitectural(cpu, kind, from, cpl);
  else if (cpu.model.branchRecords === 'single') setTriple(state, BRANCH, from, state.RIP, 0n);
  else recordOnStack(cpu, kind, from);
}

/**
 * An event has been delivered. The last branch before it is kept besides; debug exceptions are recorded in no way.
 *
 * @see SDM "Last Exception Records", 19.14.3; "Last Event Record", 20.1
 */
export function recordEvent(cpu: Cpu, event: GuestEvent, from: bigint, cpl: number): void {
  const { state } = cpu;
  if (!recordsBranches(state)) return;
  if (event.vector === VECTOR.DB && event.kind !== 'software-interrupt') return;
  if ((state.IA32_PERF_GLOBAL_STATUS & LBR_FRZ) === 0n) state.u64.copyWithin(EVENT, BRANCH, BRANCH + 3);
  recordBranch(cpu, 'OTHER', from, cpl);
}

function setTriple({ u64 }: CpuState, at: number, from: bigint, to: bigint, info: bigint): void {
  u64[at] = from;
  u64[at + 1] = to;
  u64[at + 2] = info;
}

/** Ticks since the last record, as far as 16 bits hold them. */
function cyclesSinceLast({ state, clock }: Cpu): bigint {
  const now = clock.now();
  const cycles = Math.min(now - state.f64[TICK], CYCLES_MAX);
  state.f64[TICK] = now;
  return BigInt(cycles);
}

/** @see SDM "Last Branch, Call Stack, Interrupt, and Exception Recording for Processors based on Skylake Microarchitecture", 19.12 */
function recordOnStack(cpu: Cpu, kind: BranchKind, from: bigint): void {
  const { state } = cpu;
  const select = Number(state.MSR_LBR_SELECT);
  const leftOutHere = state.CPL === 0 ? LBR_SELECT.CPL_EQ_0 : LBR_SELECT.CPL_NEQ_0;
  if (select & (leftOutHere | KINDS[kind].leftOut)) return;
  record(cpu, kind, from, LBR_ENTRIES, (select & LBR_SELECT.EN_CALLSTACK) !== 0, 0n);
}

/** @see SDM "Branch and Event Filtering", 20.1.2: the level where the branch ends decides */
function recordArchitectural(cpu: Cpu, kind: BranchKind, from: bigint, cpl: number): void {
  const { state } = cpu;
  const control = Number(state.IA32_LBR_CTL);
  const enabledAt = (level: number): boolean => (control & (level === 0 ? LBR_CTL.OS : LBR_CTL.USR)) !== 0;
  const { enabled, type } = KINDS[kind];
  if (!enabledAt(state.CPL) || (control & enabled) === 0) return;
  const stacked = (control & LBR_CTL.CALL_STACK) !== 0;
  const info = CYCLES_VALID | (type << TYPE_SHIFT);
  record(cpu, kind, enabledAt(cpl) ? from : HIDDEN, Number(state.IA32_LBR_DEPTH), stacked, info);
}

/** Puts a record on the stack of `depth`; as a stack of calls, a return takes one away. */
function record(
  cpu: Cpu,
  kind: BranchKind,
  from: bigint,
  depth: number,
  stacked: boolean,
  information: bigint,
): void {
  const { state } = cpu;
  const info = information | cyclesSinceLast(cpu);
  const to = state.RIP;
  setTriple(state, BRANCH, from, to, info);
  if (stacked && kind === 'RET') {
    setEntry(state, state.LBR_TOS, 0n, 0n, 0n);
    state.LBR_TOS = (state.LBR_TOS - 1) & (depth - 1);
    return;
  }
  state.LBR_TOS = (state.LBR_TOS + 1) & (depth - 1);
  setEntry(state, state.LBR_TOS, from, to, info);
}

function setEntry({ u64 }: CpuState, slot: number, from: bigint, to: bigint, info: bigint): void {
  u64[FROM + slot] = from;
  u64[TO + slot] = to;
  u64[INFO + slot] = info;
}
