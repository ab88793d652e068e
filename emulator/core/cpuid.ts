/**
 * CPUID: one row for each leaf. Feature flags come from features.ts; the rest is computed from the CPU model.
 *
 * Intel SDM Vol. 2A, "CPUID—CPU Identification", table 3-8.
 */
import { CR4 } from '../state/registers.ts';
import { APIC_BASE } from './apicBase.ts';
import type { Cpu } from './cpu.ts';
import { FEATURES, type FeatureRow } from './features.ts';
import { isAmd as isAmdModel } from './model.ts';
import { COUNTER_BITS, FIXED_COUNTERS } from './performanceMonitoring.ts';
import { CORE_CRYSTAL_HERTZ } from './timeStampCounter.ts';

/** EAX, EBX, ECX, EDX. */
export type CpuidResult = readonly [eax: number, ebx: number, ecx: number, edx: number];

interface LeafRow {
  readonly leaf: number;
  /** The manual's words. */
  readonly title: string;
  readonly values: (cpu: Cpu, subleaf: number) => CpuidResult;
}

const NOTHING: CpuidResult = [0, 0, 0, 0];
const CACHE_LINE = 64;

/** The feature flags of a leaf that the processor offers. */
function flags(cpu: Cpu, leaf: number, register: FeatureRow['register']): number {
  let value = 0;
  for (const row of FEATURES) {
    if (row.leaf === leaf && row.register === register && cpu.has(row.key)) value |= 1 << row.bit;
  }
  return value;
}

/** Four characters as a register holds them. */
function packText(text: string, offset: number): number {
  let value = 0;
  for (let i = 0; i < 4; i++) value |= (text.charCodeAt(offset + i) || 0) << (8 * i);
  return value;
}

/** Address-space identifiers, of which 0 is the host's. */
const SVM_ASIDS = 64;

const isAmd = (cpu: Cpu): boolean => isAmdModel(cpu.model);

function vendorLeaf(cpu: Cpu): CpuidResult {
  const { vendor } = cpu.model;
  return [lastBasicLeaf(cpu), packText(vendor, 0), packText(vendor, 8), packText(vendor, 4)];
}

const OSXSAVE = 1 << 27;
const HYPERVISOR_PRESENT = 1 << 31;
const APIC_FLAG = 1 << 9;

function versionLeaf(cpu: Cpu): CpuidResult {
  const { state, model } = cpu;
  const ebx = (cpu.apic.id << 24) | (model.processors << 16) | ((CACHE_LINE / 8) << 8);
  let ecx = flags(cpu, 1, 'ECX');
  if ((state.cr4 & CR4.OSXSAVE) !== 0) ecx |= OSXSAVE;
  if (model.hypervisor) ecx |= HYPERVISOR_PRESENT;
  let edx = flags(cpu, 1, 'EDX');
  if ((state.IA32_APIC_BASE & APIC_BASE.EN) === 0n) edx &= ~APIC_FLAG;
  // Executing this leaf shows the microcode revision. @see SDM "Determining the Signature", 10.11.7.1
  state.IA32_BIOS_SIGN_ID = BigInt(model.microcodeRevision) << 32n;
  return [model.signature, ebx, ecx, edx];
}

/** @see SDM "INPUT EAX = 04H: Returns Deterministic Cache Parameters for Each Level" */
// biome-ignore format: rows are read as a table
const CACHES = [
  { type: 1, level: 1, ways: 12, sets: 64, shared: false },
  { type: 2, level: 1, ways: 8, sets: 64, shared: false },
  { type: 3, level: 2, ways: 16, sets: 2048, shared: false },
  { type: 3, level: 3, ways: 15, sets: 32768, shared: true },
] as const;

function cacheLeaf(cpu: Cpu, subleaf: number): CpuidResult {
  return isAmd(cpu) ? NOTHING : cacheParameters(cpu, subleaf);
}

function cacheParameters(cpu: Cpu, subleaf: number): CpuidResult {
  const cache = CACHES[subleaf];
  if (!cache) return NOTHING;
  const { processors } = cpu.model;
  const selfInitializing = 1 << 8;
  const sharing = cache.shared ? (1 << topologyShift(processors)) - 1 : 0;
  const cores = (1 << topologyShift(processors)) - 1;
  const eax = cache.type | (cache.level << 5) | selfInitializing | (sharing << 14) | (cores << 26);
  return [eax, ((cache.ways - 1) << 22) | (CACHE_LINE - 1), cache.sets - 1, 0];
}

/** Bits of an APIC ID that number the processors of a package. */
function topologyShift(processors: number): number {
  return Math.ceil(Math.log2(processors));
}

/** @see SDM "Detecting Hardware Multi-Threading Support and Topology", 10.9; one thread a core */
function topologyLeaf(cpu: Cpu, subleaf: number): CpuidResult {
  const { processors } = cpu.model;
  const { id } = cpu.apic;
  const [SMT, CORE] = [1, 2];
  if (subleaf === 0) return [0, 1, SMT << 8, id];
  if (subleaf === 1) return [topologyShift(processors), processors, (CORE << 8) | 1, id];
  return [0, 0, subleaf & 0xff, id];
}

const XCR0_SUPPORTED = [
  { bits: 1, feature: 'FPU' },
  { bits: 2, feature: 'SSE' },
  { bits: 4, feature: 'AVX' },
  { bits: 1 << 9, feature: 'PKU' },
] as const;
/** The legacy region and the header, and after them bits 255:128 of the YMM registers. */
const XSAVE_HEADER_END = 576;
const AVX_STATE = { bits: 4, size: 256, offset: XSAVE_HEADER_END } as const;
/** Behind the components of AVX-512, which are not there. */
const PKRU_STATE = { bits: 1 << 9, size: 8, offset: 2688 } as const;

/** @see SDM "Enumeration of CPU Support for XSAVE Instructions and XSAVE-Supported Features", 13.2 of volume 1 */
function extendedStateLeaf(cpu: Cpu, subleaf: number): CpuidResult {
  if (!cpu.has('XSAVE')) return NOTHING;
  const supported = XCR0_SUPPORTED.reduce(
    (all, { bits, feature }) => (cpu.has(feature) ? all | bits : all),
    0,
  );
  const sizeOf = (components: number) =>
    [PKRU_STATE, AVX_STATE].reduce(
      (end, { bits, size, offset }) => (components & bits ? Math.max(end, offset + size) : end),
      XSAVE_HEADER_END,
    );
  const enabled = sizeOf(Number(cpu.state.XCR0));
  const compacted = [PKRU_STATE, AVX_STATE].reduce(
    (end, { bits, size }) => (Number(cpu.state.XCR0) & bits ? end + size : end),
    XSAVE_HEADER_END,
  );
  if (subleaf === 0) return [supported, enabled, sizeOf(supported), 0];
  if (subleaf === 1) return [flags(cpu, 0xd, 'EAX'), cpu.has('XSAVEC') ? compacted : 0, 0, 0];
  const component = [PKRU_STATE, AVX_STATE].find(({ bits }) => bits === 1 << subleaf && supported & bits);
  return component ? [component.size, component.offset, 0, 0] : NOTHING;
}

const MEGAHERTZ = 1_000_000;

function brandLeaf(part: number): (cpu: Cpu) => CpuidResult {
  return (cpu) => {
    const at = (word: number): number => packText(cpu.model.brand, part * 16 + word * 4);
    return [at(0), at(1), at(2), at(3)];
  };
}

const SYSCALL_FLAG = 1 << 11;

const REPEATED_FLAGS = 0x0183_f3ff;

function extendedFlagsLeaf(cpu: Cpu): CpuidResult {
  let edx = flags(cpu, 0x8000_0001, 'EDX');
  // Intel processors show SYSCALL in 64-bit mode only.
  const amd = isAmd(cpu);
  if (!amd && !cpu.state.in64BitMode) edx &= ~SYSCALL_FLAG;
  // AMD repeats the first leaf's flags up to bit 17, and FXSR and MMX.
  if (amd) edx |= flags(cpu, 1, 'EDX') & REPEATED_FLAGS;
  return [amd ? cpu.model.signature : 0, 0, flags(cpu, 0x8000_0001, 'ECX'), edx];
}

const linearAddressBits = (cpu: Cpu): number => (cpu.has('LA57') ? 57 : 48);

const OSPKE = 1 << 4;

function structuredFeaturesLeaf(cpu: Cpu, subleaf: number): CpuidResult {
  if (subleaf !== 0) return NOTHING;
  const enabled = cpu.state.cr4 & CR4.PKE ? OSPKE : 0;
  return [0, flags(cpu, 7, 'EBX'), flags(cpu, 7, 'ECX') | enabled, flags(cpu, 7, 'EDX')];
}

/** LLC references and misses, branches, mispredicted branches, and top-down slots. */
const UNAVAILABLE_EVENTS = 0b1111_1000;
const ARCHITECTURAL_EVENTS = { 4: 7, 5: 8 } as const;
const ANY_THREAD_DEPRECATED = 1 << 15;

/** @see SDM "Architectural Performance Monitoring", 21.2 */
function performanceMonitoringLeaf(cpu: Cpu): CpuidResult {
  if (!cpu.has('PERFMON')) return NOTHING;
  const { version, counters } = cpu.model.performanceMonitoring;
  const events = ARCHITECTURAL_EVENTS[version as keyof typeof ARCHITECTURAL_EVENTS];
  const eax = version | (counters << 8) | (COUNTER_BITS << 16) | (events << 24);
  const fixed = FIXED_COUNTERS | (COUNTER_BITS << 5);
  if (version < 5) return [eax, UNAVAILABLE_EVENTS & ((1 << events) - 1), 0, fixed];
  return [eax, UNAVAILABLE_EVENTS, (1 << FIXED_COUNTERS) - 1, fixed | ANY_THREAD_DEPRECATED];
}

/** Depths of 8, 16 and 32; all filters and the stack of calls; mispredictions, cycle counts and kinds. */
const LBR_DEPTHS = 0b1011;
const LBR_ALL = 0b111;

// biome-ignore format: rows are read as a table
export const CPUID_LEAVES = [
  { leaf: 0x0, title: 'Basic CPUID Information', values: vendorLeaf },
  { leaf: 0x1, title: 'Version Information and Feature Flags', values: versionLeaf },
  // Descriptors FFH and FEH: leaf 4 has the caches, leaf 18H would have the TLBs; F0H: 64-byte prefetching.
  { leaf: 0x2, title: 'Cache and TLB Information', values: (cpu) => (isAmd(cpu) ? NOTHING : [0x00fe_ff01, 0xf0, 0, 0]) },
  { leaf: 0x3, title: 'Processor Serial Number', values: () => NOTHING },
  { leaf: 0x4, title: 'Deterministic Cache Parameters', values: cacheLeaf },
  // Lines of 64 bytes; an interrupt can break the wait; one substate of C1.
  { leaf: 0x5, title: 'MONITOR/MWAIT', values: (cpu) => (cpu.has('MONITOR') ? [CACHE_LINE, CACHE_LINE, 3, 0x10] : NOTHING) },
  { leaf: 0x6, title: 'Thermal and Power Management', values: (cpu) => [flags(cpu, 6, 'EAX'), 0, 0, 0] },
  { leaf: 0x7, title: 'Structured Extended Feature Flags', values: structuredFeaturesLeaf },
  { leaf: 0x9, title: 'Direct Cache Access Information', values: () => NOTHING },
  { leaf: 0xa, title: 'Architectural Performance Monitoring', values: performanceMonitoringLeaf },
  { leaf: 0xb, title: 'Extended Topology Enumeration', values: topologyLeaf },
  { leaf: 0xd, title: 'Processor Extended State Enumeration', values: extendedStateLeaf },
  { leaf: 0xf, title: 'Resource Director Technology Monitoring', values: () => NOTHING },
  { leaf: 0x10, title: 'Resource Director Technology Allocation', values: () => NOTHING },
  { leaf: 0x12, title: 'Intel SGX', values: () => NOTHING },
  { leaf: 0x14, title: 'Intel Processor Trace', values: () => NOTHING },
  { leaf: 0x15, title: 'Time Stamp Counter and Core Crystal Clock', values: (cpu) => (isAmd(cpu) ? NOTHING : [1, 1, CORE_CRYSTAL_HERTZ, 0]) },
  { leaf: 0x16, title: 'Processor Frequency', values: () => [CORE_CRYSTAL_HERTZ / MEGAHERTZ, CORE_CRYSTAL_HERTZ / MEGAHERTZ, 100, 0] },
  { leaf: 0x1c, title: 'Last Branch Records Information', values: (cpu) => (cpu.has('ARCH_LBR') ? [LBR_DEPTHS, LBR_ALL, LBR_ALL, 0] : NOTHING) },
  { leaf: 0x8000_0000, title: 'Extended Function', values: extendedFunctionLeaf },
  { leaf: 0x8000_0001, title: 'Extended Processor Signature and Feature Bits', values: extendedFlagsLeaf },
  { leaf: 0x8000_0002, title: 'Processor Brand String', values: brandLeaf(0) },
  { leaf: 0x8000_0003, title: 'Processor Brand String Continued', values: brandLeaf(1) },
  { leaf: 0x8000_0004, title: 'Processor Brand String Continued', values: brandLeaf(2) },
  { leaf: 0x8000_0005, title: 'Reserved', values: () => NOTHING },
  // 2048 KBytes, 16-way, 64-byte lines.
  { leaf: 0x8000_0006, title: 'L2 cache', values: () => [0, 0, (2048 << 16) | (8 << 12) | CACHE_LINE, 0] },
  { leaf: 0x8000_0007, title: 'Invariant TSC', values: (cpu) => [0, 0, 0, flags(cpu, 0x8000_0007, 'EDX')] },
  { leaf: 0x8000_0008, title: 'Linear/Physical Address Size', values: (cpu) => [(linearAddressBits(cpu) << 8) | cpu.model.physicalAddressBits, 0, 0, 0] },
  { leaf: 0x8000_000a, title: 'SVM Revision and Feature Identification', values: (cpu) => (cpu.has('SVM') ? [1, SVM_ASIDS, 0, 0] : NOTHING) },
  // AMD alone: topology extensions.
  { leaf: 0x8000_001d, title: 'Cache Topology Information', values: cacheParameters },
  { leaf: 0x8000_001e, title: 'Extended APIC ID, Core and Node Identifiers', values: (cpu) => [cpu.apic.id, cpu.apic.id, 0, 0] },
] as const satisfies readonly LeafRow[];

/** The last leaves of Intel's processor, and of AMD's. */
function lastBasicLeaf(cpu: Cpu): number {
  if (isAmd(cpu)) return 0xd;
  return cpu.has('ARCH_LBR') ? 0x1c : 0x16;
}
const lastExtendedLeaf = (cpu: Cpu): number => (isAmd(cpu) ? 0x8000_001e : 0x8000_0008);

function extendedFunctionLeaf(cpu: Cpu): CpuidResult {
  if (!isAmd(cpu)) return [lastExtendedLeaf(cpu), 0, 0, 0];
  const { vendor } = cpu.model;
  return [lastExtendedLeaf(cpu), packText(vendor, 0), packText(vendor, 8), packText(vendor, 4)];
}

const FIRST_HYPERVISOR_LEAF = 0x4000_0000;

const byLeaf: ReadonlyMap<number, LeafRow> = new Map(CPUID_LEAVES.map((row) => [row.leaf, row]));

/** What CPUID gives for EAX and ECX. The numbers are 32 bits, signed or not. */
export function cpuid(cpu: Cpu, leaf: number, subleaf: number): CpuidResult {
  const hypervisor = hypervisorLeaf(cpu, leaf);
  if (hypervisor) return hypervisor;
  const last = lastBasicLeaf(cpu);
  const inRange = leaf <= last || (leaf >= 0x8000_0000 && leaf <= lastExtendedLeaf(cpu));
  // A leaf that does not exist gives what Intel's highest basic leaf gives, and nothing on AMD's.
  if (!inRange && isAmd(cpu)) return NOTHING;
  const row = byLeaf.get(inRange ? leaf : last);
  return row ? row.values(cpu, subleaf) : NOTHING;
}

function hypervisorLeaf(cpu: Cpu, leaf: number): CpuidResult | undefined {
  const { hypervisor } = cpu.model;
  if (!hypervisor || leaf < FIRST_HYPERVISOR_LEAF) return undefined;
  const index = leaf - FIRST_HYPERVISOR_LEAF;
  if (index > hypervisor.leaves.length) return undefined;
  if (index > 0) return hypervisor.leaves[index - 1];
  const { signature, leaves } = hypervisor;
  return [
    FIRST_HYPERVISOR_LEAF + leaves.length,
    packText(signature, 0),
    packText(signature, 4),
    packText(signature, 8),
  ];
}
