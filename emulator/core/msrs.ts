/**
 * Model-specific registers: one row each. RDMSR, WRMSR, their #GP rules, reset and the register view follow.
 *
 * A row has either a `field` of the CPU state that keeps it, or functions. Columns: `reset` the value after power-on
 * (as firmware leaves it where that is said), `allowed` the bits that may be set (setting another is #GP(0)), `check`
 * further rules for a value, `written` what follows from a write; `read` and `write` (false is #GP(0)) when there is
 * no field, without `write` for read-only ones. `feature` names the CPUID feature without which the MSR is not there.
 *
 * Intel SDM Vol. 4, "Architectural MSRs", 2.1.
 */
import { type Reference, SDM } from '../base/reference.ts';
import { OFFSET } from '../state/layout.ts';
import { FS, GS } from '../state/registers.ts';
import { writeApicBase } from './apicBase.ts';
import { BRANCH_RECORD_MSRS, resetBranchRecords } from './branchRecordMsrs.ts';
import { debugctlBits, writableDebugctl } from './branchRecords.ts';
import { writeEfer } from './controlRegisters.ts';
import type { Cpu } from './cpu.ts';
import type { FeatureKey } from './features.ts';
import { MACHINE_CHECK_MSRS, resetMachineCheck } from './machineCheck.ts';
import { isCanonicalForRegister } from './memory.ts';
import { isMemoryType, MTRR_FIXED_ADDRESSES, MTRR_VARIABLE_COUNT } from './mtrr.ts';
import { PERFORMANCE_MSRS, resetPerformanceMonitoring } from './performanceMsrs.ts';
import { writePkrs } from './protectionKeys.ts';
import { timeStampCounter, writeTimeStampCounter, writeTscAdjust } from './timeStampCounter.ts';

/** State fields of one 64-bit element that keep an MSR. */
type MsrField =
  | 'IA32_STAR'
  | 'IA32_LSTAR'
  | 'IA32_CSTAR'
  | 'IA32_FMASK'
  | 'IA32_KERNEL_GS_BASE'
  | 'IA32_SYSENTER_CS'
  | 'IA32_SYSENTER_ESP'
  | 'IA32_SYSENTER_EIP'
  | 'IA32_PAT'
  | 'IA32_TSC_AUX'
  | 'IA32_FEATURE_CONTROL'
  | 'IA32_BIOS_SIGN_ID'
  | 'IA32_SPEC_CTRL'
  | 'IA32_MTRR_DEF_TYPE'
  | 'IA32_XSS'
  | 'IA32_UMWAIT_CONTROL';

interface MsrRowBase {
  readonly address: number;
  /** The manual's name. */
  readonly name: string;
  readonly feature?: FeatureKey;
  /** Not every processor with the feature has it. */
  readonly exists?: (cpu: Cpu) => boolean;
}

interface FieldMsrRow extends MsrRowBase {
  readonly field: MsrField;
  readonly reset: bigint;
  readonly allowed: bigint;
  readonly check?: (cpu: Cpu, value: bigint) => boolean;
}

interface FunctionMsrRow extends MsrRowBase {
  /** Absent for write-only MSRs: reading is #GP(0). */
  readonly read?: (cpu: Cpu) => bigint;
  readonly write?: (cpu: Cpu, value: bigint) => boolean;
}

export type MsrRow = FieldMsrRow | FunctionMsrRow;

const ARCHITECTURAL_MSRS: Reference = SDM('Architectural MSRs', '2.1');

const ALL = 0xffff_ffff_ffff_ffffn;
const LOW32 = 0xffff_ffffn;

const canonical = isCanonicalForRegister;

/** Every byte of the value, from the lowest. */
function everyByte(value: bigint, test: (byte: number) => boolean): boolean {
  for (let shift = 0n; shift < 64n; shift += 8n) if (!test(Number((value >> shift) & 0xffn))) return false;
  return true;
}

/** @see SDM "Page Attribute Table (PAT)", 13.12: the memory types, and UC- */
const isPatType = (type: number): boolean => isMemoryType(type) || type === 7;

const FEATURE_CONTROL_LOCK = 1n << 0n;
const VMX_OUTSIDE_SMX = 1n << 2n;

/** A processor that needs none of the mitigations of its predecessors. @see SDM "Speculative execution", Vol. 4 10AH */
const ARCH_CAPABILITIES =
  (1n << 0n) | // RDCL_NO
  (1n << 1n) | // IBRS_ALL
  (1n << 3n) | // SKIP_L1DFL_VMENTRY
  (1n << 5n) | // MDS_NO
  (1n << 6n) | // IF_PSCHANGE_MC_NO
  (1n << 8n) | // TAA_NO
  (1n << 13n) | // SBDR_SSDP_NO
  (1n << 14n) | // FBSDP_NO
  (1n << 15n) | // PSDP_NO
  (1n << 26n) | // GDS_NO
  (1n << 27n); // RFDS_NO

/** Fast strings; branch-trace store and PEBS unavailable (read-only). @see SDM "IA32_MISC_ENABLE", Vol. 4 1A0H */
const MISC_ENABLE = 0x1801n;
const MISC_ENABLE_READ_ONLY = 0x1800n;
const PERFMON_AVAILABLE = 1n << 7n;

const perfmonAvailable = (cpu: Cpu): bigint => (cpu.has('PERFMON') ? PERFMON_AVAILABLE : 0n);

/** "Performance monitoring available" is read-only, whatever is written. */
function writeMiscEnable(cpu: Cpu, value: bigint): boolean {
  const written = value & ~PERFMON_AVAILABLE;
  if (written & ~MISC_ENABLE || (written & MISC_ENABLE_READ_ONLY) !== MISC_ENABLE_READ_ONLY) return false;
  cpu.state.IA32_MISC_ENABLE = written;
  return true;
}

function writeDebugctl(cpu: Cpu, value: bigint): boolean {
  if (value & ~debugctlBits(cpu)) return false;
  cpu.state.IA32_DEBUGCTL = value & writableDebugctl(cpu);
  return true;
}

/** The nominal frequency in units of 100 MHz: the TSC's 1 GHz. */
const FREQUENCY_RATIO = 10n;
const TEMPERATURE_LIMIT = 100n;
const DEGREES_BELOW_LIMIT = 60n;
const READING_VALID = 1n << 31n;

// biome-ignore format: rows are read as a table
const SINGLE_MSRS: readonly MsrRow[] = [
  { address: 0x10, name: 'IA32_TIME_STAMP_COUNTER', feature: 'TSC', read: (cpu) => cpu.virtualization.guestTsc(timeStampCounter(cpu)), write: writeTimeStampCounter },
  { address: 0x17, name: 'IA32_PLATFORM_ID', read: () => 0n },
  { address: 0x1b, name: 'IA32_APIC_BASE', feature: 'APIC', read: (cpu) => cpu.state.IA32_APIC_BASE, write: writeApicBase },
  { address: 0x35, name: 'MSR_CORE_THREAD_COUNT', read: (cpu) => BigInt(cpu.model.processors) * 0x1_0001n },
  // Locked with VMX on, as firmware leaves it.
  { address: 0x3a, name: 'IA32_FEATURE_CONTROL', feature: 'VMX', field: 'IA32_FEATURE_CONTROL', reset: FEATURE_CONTROL_LOCK | VMX_OUTSIDE_SMX,
    allowed: FEATURE_CONTROL_LOCK | VMX_OUTSIDE_SMX, check: (cpu) => (cpu.state.IA32_FEATURE_CONTROL & FEATURE_CONTROL_LOCK) === 0n },
  { address: 0x3b, name: 'IA32_TSC_ADJUST', feature: 'TSC_ADJUST', read: (cpu) => cpu.state.IA32_TSC_ADJUST, write: writeTscAdjust },
  { address: 0x48, name: 'IA32_SPEC_CTRL', feature: 'SPEC_CTRL', field: 'IA32_SPEC_CTRL', reset: 0n, allowed: 7n },
  // Nothing is predicted and nothing is cached: the commands have nothing to do.
  { address: 0x49, name: 'IA32_PRED_CMD', feature: 'SPEC_CTRL', write: (_cpu, value) => value <= 1n },
  { address: 0x8b, name: 'IA32_BIOS_SIGN_ID', field: 'IA32_BIOS_SIGN_ID', reset: 0n, allowed: ALL },
  { address: 0xce, name: 'MSR_PLATFORM_INFO', read: () => (FREQUENCY_RATIO << 8n) | (FREQUENCY_RATIO << 40n) },
  { address: 0xfe, name: 'IA32_MTRRCAP', feature: 'MTRR', read: () => MTRRCAP },
  { address: 0x10a, name: 'IA32_ARCH_CAPABILITIES', feature: 'ARCH_CAPABILITIES', read: () => ARCH_CAPABILITIES },
  { address: 0x10b, name: 'IA32_FLUSH_CMD', feature: 'L1D_FLUSH', write: (_cpu, value) => value <= 1n },
  { address: 0x174, name: 'IA32_SYSENTER_CS', feature: 'SEP', field: 'IA32_SYSENTER_CS', reset: 0n, allowed: LOW32 },
  { address: 0x175, name: 'IA32_SYSENTER_ESP', feature: 'SEP', field: 'IA32_SYSENTER_ESP', reset: 0n, allowed: ALL, check: canonical },
  { address: 0x176, name: 'IA32_SYSENTER_EIP', feature: 'SEP', field: 'IA32_SYSENTER_EIP', reset: 0n, allowed: ALL, check: canonical },
  { address: 0x198, name: 'IA32_PERF_STATUS', read: () => FREQUENCY_RATIO << 8n },
  // Writes clear log flags, none of which is ever set.
  { address: 0x19c, name: 'IA32_THERM_STATUS', feature: 'DTS', read: () => READING_VALID | (DEGREES_BELOW_LIMIT << 16n), write: () => true },
  { address: 0x1a0, name: 'IA32_MISC_ENABLE', read: (cpu) => cpu.state.IA32_MISC_ENABLE | perfmonAvailable(cpu), write: writeMiscEnable },
  { address: 0x1a2, name: 'MSR_TEMPERATURE_TARGET', read: () => TEMPERATURE_LIMIT << 16n },
  { address: 0x1d9, name: 'IA32_DEBUGCTL', read: (cpu) => cpu.state.IA32_DEBUGCTL, write: writeDebugctl },
  { address: 0x277, name: 'IA32_PAT', feature: 'PAT', field: 'IA32_PAT', reset: 0x0007_0406_0007_0406n, allowed: ALL, check: (_cpu, value) => everyByte(value, isPatType) },
  { address: 0x2ff, name: 'IA32_MTRR_DEF_TYPE', feature: 'MTRR', field: 'IA32_MTRR_DEF_TYPE', reset: 0n, allowed: 0xcffn, check: (_cpu, value) => isMemoryType(Number(value & 0xffn)) },
  { address: 0x6e0, name: 'IA32_TSC_DEADLINE', feature: 'TSC_DEADLINE', read: (cpu) => apicRead(cpu, 0x6e0), write: (cpu, value) => cpu.apic.writeMsr(0x6e0, value) },
  { address: 0x6e1, name: 'IA32_PKRS', feature: 'PKS', read: (cpu) => cpu.state.IA32_PKRS, write: writePkrs },
  // No component is for the supervisor alone.
  { address: 0xda0, name: 'IA32_XSS', feature: 'XSAVES', field: 'IA32_XSS', reset: 0n, allowed: 0n },
  { address: 0xe1, name: 'IA32_UMWAIT_CONTROL', feature: 'WAITPKG', field: 'IA32_UMWAIT_CONTROL', reset: 0n, allowed: 0xffff_fffdn },
  { address: 0xc000_0080, name: 'IA32_EFER', feature: 'LM', read: (cpu) => cpu.state.IA32_EFER, write: writeEfer },
  { address: 0xc000_0081, name: 'IA32_STAR', feature: 'SYSCALL', field: 'IA32_STAR', reset: 0n, allowed: ALL },
  { address: 0xc000_0082, name: 'IA32_LSTAR', feature: 'SYSCALL', field: 'IA32_LSTAR', reset: 0n, allowed: ALL, check: canonical },
  { address: 0xc000_0083, name: 'IA32_CSTAR', feature: 'SYSCALL', field: 'IA32_CSTAR', reset: 0n, allowed: ALL, check: canonical },
  { address: 0xc000_0084, name: 'IA32_FMASK', feature: 'SYSCALL', field: 'IA32_FMASK', reset: 0n, allowed: LOW32 },
  { address: 0xc000_0100, name: 'IA32_FS_BASE', feature: 'LM', read: (cpu) => cpu.state.segmentBase(FS), write: (cpu, value) => writeSegmentBase(cpu, FS, value) },
  { address: 0xc000_0101, name: 'IA32_GS_BASE', feature: 'LM', read: (cpu) => cpu.state.segmentBase(GS), write: (cpu, value) => writeSegmentBase(cpu, GS, value) },
  { address: 0xc000_0102, name: 'IA32_KERNEL_GS_BASE', feature: 'LM', field: 'IA32_KERNEL_GS_BASE', reset: 0n, allowed: ALL, check: canonical },
  { address: 0xc000_0103, name: 'IA32_TSC_AUX', feature: 'RDTSCP', field: 'IA32_TSC_AUX', reset: 0n, allowed: LOW32 },
];

/** Fixed-range MTRRs and write-combining are there. @see SDM "IA32_MTRRCAP", 13.11.1 */
const MTRRCAP = BigInt(MTRR_VARIABLE_COUNT) | (1n << 8n) | (1n << 10n);

function apicRead(cpu: Cpu, msr: number): bigint {
  return cpu.apic.readMsr(msr) ?? 0n;
}

function writeSegmentBase(cpu: Cpu, segment: number, base: bigint): boolean {
  if (!isCanonicalForRegister(cpu, base)) return false;
  cpu.state.setSegmentBase(segment, base);
  return true;
}

/** An MSR kept in one element of a state field with several. */
function elementMsr(
  address: number,
  name: string,
  element: number,
  valid: (cpu: Cpu, value: bigint) => boolean,
): FunctionMsrRow {
  return {
    address,
    name,
    feature: 'MTRR',
    read: (cpu) => cpu.state.u64[element] as bigint,
    write: (cpu, value) => {
      if (!valid(cpu, value)) return false;
      cpu.state.u64[element] = value;
      return true;
    },
  };
}

const physicalMask = (cpu: Cpu): bigint => (1n << BigInt(cpu.model.physicalAddressBits)) - 1n;

/** @see SDM "Variable Range MTRRs", 13.11.2.3 */
function isPhysBase(cpu: Cpu, value: bigint): boolean {
  return (value & ~(physicalMask(cpu) & ~0xf00n)) === 0n && isMemoryType(Number(value & 0xffn));
}

function isPhysMask(cpu: Cpu, value: bigint): boolean {
  return (value & ~(physicalMask(cpu) & ~0x7ffn)) === 0n;
}

const VARIABLE_MTRRS = Array.from({ length: MTRR_VARIABLE_COUNT }, (_, n) => [
  elementMsr(0x200 + 2 * n, `IA32_MTRR_PHYSBASE${n}`, OFFSET.IA32_MTRR_PHYS / 8 + 2 * n, isPhysBase),
  elementMsr(0x201 + 2 * n, `IA32_MTRR_PHYSMASK${n}`, OFFSET.IA32_MTRR_PHYS / 8 + 2 * n + 1, isPhysMask),
]).flat();

const FIXED_MTRRS = MTRR_FIXED_ADDRESSES.map(({ address, name }, n) =>
  elementMsr(address, name, OFFSET.IA32_MTRR_FIX / 8 + n, (_cpu, value) => everyByte(value, isMemoryType)),
);

/** The VMX capability MSRs, whose values come with the CPU model. @see SDM "VMX Capability Reporting Facility", A */
// biome-ignore format: names in order of address
const VMX_CAPABILITY_NAMES = [
  'IA32_VMX_BASIC', 'IA32_VMX_PINBASED_CTLS', 'IA32_VMX_PROCBASED_CTLS', 'IA32_VMX_EXIT_CTLS', 'IA32_VMX_ENTRY_CTLS',
  'IA32_VMX_MISC', 'IA32_VMX_CR0_FIXED0', 'IA32_VMX_CR0_FIXED1', 'IA32_VMX_CR4_FIXED0', 'IA32_VMX_CR4_FIXED1',
  'IA32_VMX_VMCS_ENUM', 'IA32_VMX_PROCBASED_CTLS2', 'IA32_VMX_EPT_VPID_CAP', 'IA32_VMX_TRUE_PINBASED_CTLS',
  'IA32_VMX_TRUE_PROCBASED_CTLS', 'IA32_VMX_TRUE_EXIT_CTLS', 'IA32_VMX_TRUE_ENTRY_CTLS', 'IA32_VMX_VMFUNC',
  'IA32_VMX_PROCBASED_CTLS3', 'IA32_VMX_EXIT_CTLS2',
] as const;
const FIRST_VMX_CAPABILITY = 0x480;

/** All MSRs except the VMX capabilities and the x2APIC range, which their owners give. */
export const MSRS: readonly (MsrRow & { readonly ref: Reference })[] = [
  ...SINGLE_MSRS,
  ...VARIABLE_MTRRS,
  ...FIXED_MTRRS,
  ...PERFORMANCE_MSRS,
  ...BRANCH_RECORD_MSRS,
  ...MACHINE_CHECK_MSRS,
].map((row) => ({ ...row, ref: ARCHITECTURAL_MSRS }));

/** Some addresses have another MSR in another processor. */
const byAddress = new Map<number, MsrRow[]>();
for (const row of MSRS) byAddress.set(row.address, [...(byAddress.get(row.address) ?? []), row]);

const X2APIC_FIRST = 0x800;
const X2APIC_LAST = 0x8ff;
const APIC_BASE_EXTD = 1n << 10n;

function isX2apic(cpu: Cpu, msr: number): boolean {
  return msr >= X2APIC_FIRST && msr <= X2APIC_LAST && (cpu.state.IA32_APIC_BASE & APIC_BASE_EXTD) !== 0n;
}

function offeredRow(cpu: Cpu, msr: number): MsrRow | undefined {
  return byAddress
    .get(msr)
    ?.find(
      ({ feature, exists }) =>
        (feature === undefined || cpu.has(feature)) && (exists === undefined || exists(cpu)),
    );
}

/** What RDMSR gives; undefined is #GP(0). Privilege and intercepts are the caller's. */
export function readMsr(cpu: Cpu, msr: number): bigint | undefined {
  if (isX2apic(cpu, msr)) return cpu.apic.readMsr(msr);
  const row = offeredRow(cpu, msr);
  if (!row) return cpu.model.vmxCapability(msr);
  return 'field' in row ? cpu.state[row.field] : row.read?.(cpu);
}

/** What WRMSR does; false is #GP(0). Privilege and intercepts are the caller's. */
export function writeMsr(cpu: Cpu, msr: number, value: bigint): boolean {
  if (isX2apic(cpu, msr)) return cpu.apic.writeMsr(msr, value);
  const row = offeredRow(cpu, msr);
  if (!row) return false;
  if (!('field' in row)) return row.write?.(cpu, value) ?? false;
  if (value & ~row.allowed || row.check?.(cpu, value) === false) return false;
  cpu.state[row.field] = value;
  return true;
}

/** Whether WRMSR would take the value, as far as that can be told without writing it. */
export function acceptsMsr(cpu: Cpu, msr: number, value: bigint): boolean {
  const row = isX2apic(cpu, msr) ? undefined : offeredRow(cpu, msr);
  if (!row) return isX2apic(cpu, msr);
  if (!('field' in row)) return row.write !== undefined;
  return (value & ~row.allowed) === 0n && row.check?.(cpu, value) !== false;
}

/** The manual's name of an MSR, or undefined when the processor does not have it. */
export function msrName(cpu: Cpu, msr: number): string | undefined {
  if (isX2apic(cpu, msr)) return `x2APIC MSR ${msr.toString(16).toUpperCase()}H`;
  const row = offeredRow(cpu, msr);
  if (row) return row.name;
  return cpu.model.vmxCapability(msr) === undefined
    ? undefined
    : VMX_CAPABILITY_NAMES[msr - FIRST_VMX_CAPABILITY];
}

/** Sets the MSRs that have a field in the state to their values after power-on. */
export function resetMsrs(cpu: Cpu): void {
  for (const row of MSRS) if ('field' in row) cpu.state[row.field] = row.reset;
  cpu.state.IA32_EFER = 0n;
  cpu.state.IA32_MISC_ENABLE = MISC_ENABLE;
  cpu.state.IA32_TSC_ADJUST = 0n;
  cpu.state.IA32_PKRS = 0n;
  cpu.state.u64.fill(0n, OFFSET.IA32_MTRR_FIX / 8, OFFSET.IA32_MTRR_FIX / 8 + MTRR_FIXED_ADDRESSES.length);
  cpu.state.u64.fill(0n, OFFSET.IA32_MTRR_PHYS / 8, OFFSET.IA32_MTRR_PHYS / 8 + 2 * MTRR_VARIABLE_COUNT);
  cpu.state.IA32_DEBUGCTL = 0n;
  resetBranchRecords(cpu.state);
  resetPerformanceMonitoring(cpu);
  resetMachineCheck(cpu);
}
