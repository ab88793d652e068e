/**
 * The MSRs of the performance-monitoring counters, and RDPMC.
 *
 * Intel SDM Vol. 3B, "Architectural Performance Monitoring", 21.2; Vol. 4, "Architectural MSRs", 2.1.
 */
import { OFFSET } from '../state/layout.ts';
import { lbrFormat } from './branchRecordMsrs.ts';
import { freezesRecords } from './branchRecords.ts';
import type { Cpu } from './cpu.ts';
import type { MsrRow } from './msrs.ts';
import { COUNTER_BITS, CTR_FRZ, FIXED_COUNTERS, LBR_FRZ, MAX_COUNTERS } from './performanceMonitoring.ts';

const COUNTER_MASK = (1n << BigInt(COUNTER_BITS)) - 1n;
/** Event, unit mask, USR, OS, E, PC, INT, EN, INV, CMASK; ANY is there below version 5. */
const SELECT_BITS = 0xffdf_ffffn;
const ANY_THREAD = 1n << 21n;
/** OS, USR and PMI of each fixed counter; AnyThread is there below version 5. */
const FIXED_BITS = 0xbbbn;
const FIXED_ANY_THREAD = 0x444n;
const ANY_THREAD_DEPRECATED = 5;

/** Ovf_Uncore and OvfBuf, and CondChgd: never set here by itself. */
const OTHER_STATUS = (1n << 61n) | (1n << 62n);
const CONDITION_CHANGED = 1n << 63n;
const SELECT_INT = 1n << 20n;
const FIXED_PMI = 0x888n;
const PMI_IN_USE = 1n << 63n;

const FULL_WIDTH_WRITE = 1n << 13n;

const hasAnyThread = (cpu: Cpu): boolean => cpu.model.performanceMonitoring.version < ANY_THREAD_DEPRECATED;

/** An element of 64 bits. */
function element(offset: number, n: number): number {
  return offset / 8 + n;
}

function selectRow(n: number): MsrRow {
  const at = element(OFFSET.IA32_PERFEVTSEL, n);
  return {
    address: 0x186 + n,
    name: `IA32_PERFEVTSEL${n}`,
    feature: 'PERFMON',
    exists: (cpu) => n < cpu.performance.counters,
    read: (cpu) => cpu.state.u64[at] as bigint,
    write: (cpu, value) => {
      if (value & ~(hasAnyThread(cpu) ? SELECT_BITS | ANY_THREAD : SELECT_BITS)) return false;
      cpu.performance.set(() => {
        cpu.state.u64[at] = value;
      });
      return true;
    },
  };
}

function writeElement(cpu: Cpu, at: number, value: bigint): boolean {
  if (value & ~COUNTER_MASK) return false;
  cpu.performance.set(() => {
    cpu.state.u64[at] = value;
  });
  return true;
}

function counterRows(n: number): readonly MsrRow[] {
  const at = element(OFFSET.IA32_PMC, n);
  const exists = (cpu: Cpu): boolean => n < cpu.performance.counters;
  const read = (cpu: Cpu): bigint => BigInt(cpu.performance.counter(n));
  return [
    {
      address: 0xc1 + n,
      name: `IA32_PMC${n}`,
      feature: 'PERFMON',
      exists,
      read,
      // 32 bits, with their sign.
      write: (cpu, value) => writeElement(cpu, at, BigInt.asUintN(COUNTER_BITS, BigInt.asIntN(32, value))),
    },
    {
      address: 0x4c1 + n,
      name: `IA32_A_PMC${n}`,
      feature: 'PDCM',
      exists,
      read,
      write: (cpu, value) => writeElement(cpu, at, value),
    },
  ];
}

function fixedRow(n: number): MsrRow {
  const at = element(OFFSET.IA32_FIXED_CTR, n);
  return {
    address: 0x309 + n,
    name: `IA32_FIXED_CTR${n}`,
    feature: 'PERFMON',
    read: (cpu) => BigInt(cpu.performance.fixedCounter(n)),
    write: (cpu, value) => writeElement(cpu, at, value),
  };
}

function writeFixedControl(cpu: Cpu, value: bigint): boolean {
  if (value & ~(hasAnyThread(cpu) ? FIXED_BITS | FIXED_ANY_THREAD : FIXED_BITS)) return false;
  cpu.performance.set(() => {
    cpu.state.IA32_FIXED_CTR_CTRL = value;
  });
  return true;
}

/** For VM entries and VM exits: reserved bits stay as they are. */
export function loadPerfGlobalCtrl(cpu: Cpu, value: bigint): void {
  cpu.performance.set(() => {
    cpu.state.IA32_PERF_GLOBAL_CTRL = value & cpu.performance.enableBits;
  });
}

function writePerfGlobalCtrl(cpu: Cpu, value: bigint): boolean {
  if (value & ~cpu.performance.enableBits) return false;
  loadPerfGlobalCtrl(cpu, value);
  return true;
}

function statusBits(cpu: Cpu): bigint {
  return cpu.performance.enableBits | CTR_FRZ | OTHER_STATUS | (freezesRecords(cpu) ? LBR_FRZ : 0n);
}

function resetStatus(cpu: Cpu, value: bigint): boolean {
  if (value & ~(statusBits(cpu) | CONDITION_CHANGED)) return false;
  cpu.performance.set(() => {
    cpu.state.IA32_PERF_GLOBAL_STATUS &= ~value;
  });
  return true;
}

function setStatus(cpu: Cpu, value: bigint): boolean {
  if (value & ~statusBits(cpu)) return false;
  cpu.performance.set(() => {
    cpu.state.IA32_PERF_GLOBAL_STATUS |= value;
  });
  return true;
}

/** @see SDM "IA32_PERF_GLOBAL_INUSE MSR", 21.2.4.3 */
function inUse(cpu: Cpu): bigint {
  const { state } = cpu;
  let bits = 0n;
  for (let n = 0; n < cpu.performance.counters; n++) {
    const select = state.u64[element(OFFSET.IA32_PERFEVTSEL, n)] as bigint;
    if (select & 0xffn) bits |= 1n << BigInt(n);
    if (select & SELECT_INT) bits |= PMI_IN_USE;
  }
  for (let n = 0; n < FIXED_COUNTERS; n++)
    if ((state.IA32_FIXED_CTR_CTRL >> BigInt(4 * n)) & 3n) bits |= 1n << BigInt(32 + n);
  if (state.IA32_FIXED_CTR_CTRL & FIXED_PMI) bits |= PMI_IN_USE;
  return bits;
}

const each = <Row>(count: number, rows: (n: number) => readonly Row[]): Row[] =>
  Array.from({ length: count }, (_, n) => rows(n)).flat();

// biome-ignore format: rows are read as a table
export const PERFORMANCE_MSRS: readonly MsrRow[] = [
  ...each(MAX_COUNTERS, counterRows),
  ...each(MAX_COUNTERS, (n) => [selectRow(n)]),
  ...each(FIXED_COUNTERS, (n) => [fixedRow(n)]),
  // No branch-trace store and no PEBS.
  { address: 0x345, name: 'IA32_PERF_CAPABILITIES', feature: 'PDCM', read: (cpu) => FULL_WIDTH_WRITE | lbrFormat(cpu) },
  { address: 0x38d, name: 'IA32_FIXED_CTR_CTRL', feature: 'PERFMON', read: (cpu) => cpu.state.IA32_FIXED_CTR_CTRL, write: writeFixedControl },
  { address: 0x38e, name: 'IA32_PERF_GLOBAL_STATUS', feature: 'PERFMON', read: (cpu) => cpu.state.IA32_PERF_GLOBAL_STATUS },
  { address: 0x38f, name: 'IA32_PERF_GLOBAL_CTRL', feature: 'PERFMON', read: (cpu) => cpu.state.IA32_PERF_GLOBAL_CTRL, write: writePerfGlobalCtrl },
  { address: 0x390, name: 'IA32_PERF_GLOBAL_STATUS_RESET', feature: 'PERFMON', read: () => 0n, write: resetStatus },
  { address: 0x391, name: 'IA32_PERF_GLOBAL_STATUS_SET', feature: 'PERFMON', read: () => 0n, write: setStatus },
  { address: 0x392, name: 'IA32_PERF_GLOBAL_INUSE', feature: 'PERFMON', read: inUse },
];

/** All is 0 after power-on, except that the programmable counters are enabled globally. */
export function resetPerformanceMonitoring(cpu: Cpu): void {
  const { state, performance } = cpu;
  for (const field of ['IA32_PMC', 'IA32_PERFEVTSEL'] as const)
    state.u64.fill(0n, OFFSET[field] / 8, OFFSET[field] / 8 + MAX_COUNTERS);
  state.u64.fill(0n, OFFSET.IA32_FIXED_CTR / 8, OFFSET.IA32_FIXED_CTR / 8 + FIXED_COUNTERS);
  state.IA32_FIXED_CTR_CTRL = 0n;
  state.IA32_PERF_GLOBAL_STATUS = 0n;
  state.IA32_PERF_GLOBAL_CTRL = (1n << BigInt(performance.counters)) - 1n;
  performance.restored();
}

const FIXED_TYPE = 0x4000;

/** The counter that ECX names for RDPMC; undefined is #GP(0). @see SDM "RDPMC—Read Performance-Monitoring Counters" */
export function readPerformanceCounter(cpu: Cpu, ecx: number): bigint | undefined {
  const type = ecx >>> 16;
  const n = ecx & 0xffff;
  const { performance } = cpu;
  if (type === 0 && n < performance.counters) return BigInt(performance.counter(n));
  if (type === FIXED_TYPE && n < FIXED_COUNTERS && cpu.has('PERFMON'))
    return BigInt(performance.fixedCounter(n));
  return undefined;
}
