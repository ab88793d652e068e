/**
 * The VMX capability MSRs of the CPU model, computed from the control and field rows.
 *
 * Intel SDM Vol. 3D, Appendix A, "VMX Capability Reporting Facility".
 */
import type { BitFieldRow } from '../base/bitFields.ts';
import type { Reference } from '../base/reference.ts';
import { allowedSettings, type ControlWordKey, namedSettings, SUPPORTED_CONTROLS } from './controls.ts';
import { CAPABILITIES } from './manual.ts';
import { CR0, CR4 } from './registerBits.ts';
import { highestFieldIndex, VMCS_REGION_SIZE } from './vmcsLayout.ts';

/** Changes whenever the layout of the VMCS region does. */
export const VMCS_REVISION_IDENTIFIER = 0x0048_564d;

/** Memory type in IA32_VMX_BASIC for the VMCS and the structures it points to. */
const WRITE_BACK = 6n;

interface CapabilityBitRow extends BitFieldRow {
  readonly supported: boolean;
}

const YES = true;
const NOT_YET = false;

/** @see SDM A.10, "VPID and EPT Capabilities" */
// biome-ignore format: rows are read as a table
export const EPT_VPID_BITS = [
  { bit: 0, key: 'executeOnly', name: 'Execute-only translations', supported: YES },
  { bit: 6, key: 'walkLength4', name: 'Page-walk length of 4', supported: YES },
  { bit: 7, key: 'walkLength5', name: 'Page-walk length of 5', supported: YES },
  { bit: 8, key: 'memoryTypeUncacheable', name: 'EPT structures may be UC', supported: YES },
  { bit: 14, key: 'memoryTypeWriteBack', name: 'EPT structures may be WB', supported: YES },
  { bit: 16, key: 'page2M', name: 'EPT PDE may map a 2-MByte page', supported: YES },
  { bit: 17, key: 'page1G', name: 'EPT PDPTE may map a 1-GByte page', supported: YES },
  { bit: 20, key: 'invept', name: 'INVEPT', supported: YES },
  { bit: 21, key: 'accessedDirty', name: 'Accessed and dirty flags for EPT', supported: YES },
  { bit: 22, key: 'advancedEptViolationInformation', name: 'Advanced VM-exit information for EPT violations', supported: YES },
  { bit: 23, key: 'supervisorShadowStack', name: 'Supervisor shadow-stack control', supported: NOT_YET },
  { bit: 25, key: 'inveptSingleContext', name: 'Single-context INVEPT', supported: YES },
  { bit: 26, key: 'inveptAllContext', name: 'All-context INVEPT', supported: YES },
  { bit: 32, key: 'invvpid', name: 'INVVPID', supported: YES },
  { bit: 40, key: 'invvpidIndividualAddress', name: 'Individual-address INVVPID', supported: YES },
  { bit: 41, key: 'invvpidSingleContext', name: 'Single-context INVVPID', supported: YES },
  { bit: 42, key: 'invvpidAllContext', name: 'All-context INVVPID', supported: YES },
  { bit: 43, key: 'invvpidRetainingGlobals', name: 'Single-context-retaining-globals INVVPID', supported: YES },
] as const satisfies readonly CapabilityBitRow[];

/** What differs between CPU models, and what other tables must agree with. */
export interface VmxModel {
  /** The CR4 bits the CPU implements. */
  readonly cr4Supported: bigint;
  /** The VMX-preemption timer counts down each time this bit of the TSC changes. */
  readonly preemptionTimerRate: number;
  /** Bit mask of IA32_VMX_MISC[8:6]: HLT, shutdown, wait-for-SIPI. */
  readonly activityStates: number;
  readonly cr3TargetCount: number;
  /** IA32_VMX_MISC[29]: VMWRITE to VM-exit information fields. */
  readonly vmwriteToAnyField: boolean;
  /** IA32_VMX_MISC[30]: event injection with an instruction length of 0. */
  readonly zeroLengthInjection: boolean;
  /** IA32_VMX_BASIC[56]: a hardware exception may be injected with or without an error code, whatever its vector. */
  readonly anyErrorCode: boolean;
  /** Keys of controls and EPT capabilities that the processor is made without. */
  readonly withdrawn: ReadonlySet<string>;
}

// biome-ignore format: one mask
const DEFAULT_CR4 =
  CR4.VME | CR4.PVI | CR4.TSD | CR4.DE | CR4.PSE | CR4.PAE | CR4.MCE | CR4.PGE | CR4.PCE | CR4.OSFXSR |
  CR4.OSXMMEXCPT | CR4.UMIP | CR4.VMXE | CR4.FSGSBASE | CR4.PCIDE | CR4.OSXSAVE | CR4.SMEP | CR4.SMAP;

export const DEFAULT_VMX_MODEL: VmxModel = Object.freeze({
  cr4Supported: DEFAULT_CR4,
  preemptionTimerRate: 5,
  activityStates: 0b111,
  cr3TargetCount: 4,
  vmwriteToAnyField: true,
  zeroLengthInjection: true,
  anyErrorCode: true,
  withdrawn: new Set<string>(),
});

/** The capabilities in the form in which checks and instructions use them. */
export interface VmxCapabilities extends VmxModel {
  readonly revisionIdentifier: number;
  /** Keys of the controls that may be 1. */
  readonly offered: ReadonlySet<string>;
  /** With the TRUE MSRs taken into account: what VM entry enforces. */
  readonly allowed: Readonly<Record<ControlWordKey, { readonly mustBe1: bigint; readonly mayBe1: bigint }>>;
  readonly cr0Fixed0: bigint;
  readonly cr0Fixed1: bigint;
  readonly cr4Fixed0: bigint;
  readonly cr4Fixed1: bigint;
  readonly eptVpid: Readonly<Record<(typeof EPT_VPID_BITS)[number]['key'], boolean>>;
  /** The VM functions that may be enabled. */
  readonly vmFunctions: bigint;
}

const WORD_KEYS: readonly ControlWordKey[] = [
  'pinBased',
  'primaryProcessorBased',
  'secondaryProcessorBased',
  'tertiaryProcessorBased',
  'primaryVmExit',
  'secondaryVmExit',
  'vmEntry',
];

const EPTP_SWITCHING = 1n;
/** What "enable VM functions" offers. */
const VM_FUNCTIONS = EPTP_SWITCHING;

export function vmxCapabilities(model: VmxModel = DEFAULT_VMX_MODEL): VmxCapabilities {
  const { withdrawn } = model;
  const offered = new Set([...SUPPORTED_CONTROLS].filter((key) => !withdrawn.has(key)));
  const allowed = Object.fromEntries(WORD_KEYS.map((word) => [word, allowedSettings(word, false, offered)]));
  const eptVpid = Object.fromEntries(
    EPT_VPID_BITS.map((row) => [
      row.key,
      row.supported && !withdrawn.has(row.key) && offered.has(row.bit < 32 ? 'enableEpt' : 'enableVpid'),
    ]),
  );
  return Object.freeze({
    ...model,
    revisionIdentifier: VMCS_REVISION_IDENTIFIER,
    offered,
    allowed: allowed as VmxCapabilities['allowed'],
    cr0Fixed0: CR0.PE | CR0.NE | CR0.PG,
    cr0Fixed1: 0xffff_ffffn,
    cr4Fixed0: CR4.VMXE,
    cr4Fixed1: model.cr4Supported,
    eptVpid: eptVpid as VmxCapabilities['eptVpid'],
    vmFunctions: VM_FUNCTIONS,
  });
}

/**
 * The capabilities of a processor that offers every control the manual names: for a VMCS of a processor that is not
 * known.
 */
export function architecturalCapabilities(cr4Supported: bigint): VmxCapabilities {
  const caps = vmxCapabilities({ ...DEFAULT_VMX_MODEL, cr4Supported });
  return Object.freeze({
    ...caps,
    allowed: Object.fromEntries(
      WORD_KEYS.map((word) => [word, namedSettings(word)]),
    ) as VmxCapabilities['allowed'],
    eptVpid: Object.fromEntries(EPT_VPID_BITS.map(({ key }) => [key, true])) as VmxCapabilities['eptVpid'],
    vmFunctions: EPTP_SWITCHING,
  });
}

/** Layout of a capability MSR of 32-bit controls: bits that must be 1 below, bits that may be 1 above. */
function pair({ offered }: VmxCapabilities, word: ControlWordKey, honorDefault1: boolean): bigint {
  const { mustBe1, mayBe1 } = allowedSettings(word, honorDefault1, offered);
  return (mayBe1 << 32n) | mustBe1;
}

/*
 * IA32_VMX_BASIC
 *  56: any error code | 55: TRUE MSRs | 54: INS/OUTS information | 53:50 memory type | 49: dual-monitor treatment
 *  48: 32-bit addresses only | 44:32 size of the VMCS region | 31: 0 | 30:0 VMCS revision identifier
 */
function basic(caps: VmxCapabilities): bigint {
  return (
    BigInt(caps.revisionIdentifier) |
    (BigInt(VMCS_REGION_SIZE) << 32n) |
    (WRITE_BACK << 50n) |
    (1n << 54n) |
    (1n << 55n) |
    (BigInt(caps.anyErrorCode) << 56n)
  );
}

/** IA32_VMX_MISC[27:25]. */
const MSR_LIST_LIMIT_CODE = 0;
/** How many entries an MSR area should have at most. @see SDM A.6, "Miscellaneous Data" */
export const MSR_LIST_LIMIT = 512 * (MSR_LIST_LIMIT_CODE + 1);

/*
 * IA32_VMX_MISC
 *  30: zero-length injection | 29: VMWRITE to any field | 27:25 MSR-list limit | 24:16 CR3-target values
 *  8:6 activity states | 5: VM exits store IA32_EFER.LMA in "IA-32e mode guest" | 4:0 preemption-timer rate
 */
function misc(caps: VmxCapabilities): bigint {
  return (
    BigInt(caps.preemptionTimerRate) |
    (BigInt(caps.offered.has('unrestrictedGuest')) << 5n) |
    (BigInt(caps.activityStates) << 6n) |
    (BigInt(caps.cr3TargetCount) << 16n) |
    (BigInt(MSR_LIST_LIMIT_CODE) << 25n) |
    (BigInt(caps.vmwriteToAnyField) << 29n) |
    (BigInt(caps.zeroLengthInjection) << 30n)
  );
}

/** IA32_VMX_EPT_VPID_CAP[53:48]. */
const MAXIMUM_HLAT_PREFIX_SIZE = 1n;

function eptVpid(caps: VmxCapabilities): bigint {
  return EPT_VPID_BITS.reduce(
    (bits, row) => (caps.eptVpid[row.key] ? bits | (1n << BigInt(row.bit)) : bits),
    caps.offered.has('enableHlat') ? MAXIMUM_HLAT_PREFIX_SIZE << 48n : 0n,
  );
}

export interface CapabilityMsrRow {
  readonly address: number;
  readonly name: string;
  /** The MSR exists only on processors that support the 1-setting of one of these controls. */
  readonly exists?: readonly string[];
  readonly value: (caps: VmxCapabilities) => bigint;
  readonly ref: Reference;
}

const PIN = CAPABILITIES('Pin-Based VM-Execution Controls', '3.1');
const PRIMARY = CAPABILITIES('Primary Processor-Based VM-Execution Controls', '3.2');
const VM_EXIT = CAPABILITIES('VM-Exit Controls', '4');
const VM_ENTRY = CAPABILITIES('VM-Entry Controls', '5');
const FIXED_CR0 = CAPABILITIES('VMX-Fixed Bits in CR0', '7');
const FIXED_CR4 = CAPABILITIES('VMX-Fixed Bits in CR4', '8');

// biome-ignore format: rows are read as a table
export const VMX_CAPABILITY_MSRS = [
  { address: 0x480, name: 'IA32_VMX_BASIC', value: basic, ref: CAPABILITIES('Basic VMX Information', '1') },
  { address: 0x481, name: 'IA32_VMX_PINBASED_CTLS', value: (caps) => pair(caps, 'pinBased', true), ref: PIN },
  { address: 0x482, name: 'IA32_VMX_PROCBASED_CTLS', value: (caps) => pair(caps, 'primaryProcessorBased', true), ref: PRIMARY },
  { address: 0x483, name: 'IA32_VMX_EXIT_CTLS', value: (caps) => pair(caps, 'primaryVmExit', true), ref: VM_EXIT },
  { address: 0x484, name: 'IA32_VMX_ENTRY_CTLS', value: (caps) => pair(caps, 'vmEntry', true), ref: VM_ENTRY },
  { address: 0x485, name: 'IA32_VMX_MISC', value: misc, ref: CAPABILITIES('Miscellaneous Data', '6') },
  { address: 0x486, name: 'IA32_VMX_CR0_FIXED0', value: (caps) => caps.cr0Fixed0, ref: FIXED_CR0 },
  { address: 0x487, name: 'IA32_VMX_CR0_FIXED1', value: (caps) => caps.cr0Fixed1, ref: FIXED_CR0 },
  { address: 0x488, name: 'IA32_VMX_CR4_FIXED0', value: (caps) => caps.cr4Fixed0, ref: FIXED_CR4 },
  { address: 0x489, name: 'IA32_VMX_CR4_FIXED1', value: (caps) => caps.cr4Fixed1, ref: FIXED_CR4 },
  { address: 0x48a, name: 'IA32_VMX_VMCS_ENUM', value: (caps) => BigInt(highestFieldIndex(caps.offered) << 1), ref: CAPABILITIES('VMCS Enumeration', '9') },
  { address: 0x48b, name: 'IA32_VMX_PROCBASED_CTLS2', exists: ['activateSecondaryControls'], value: (caps) => pair(caps, 'secondaryProcessorBased', false), ref: CAPABILITIES('Secondary Processor-Based VM-Execution Controls', '3.3') },
  { address: 0x48c, name: 'IA32_VMX_EPT_VPID_CAP', exists: ['enableEpt', 'enableVpid'], value: eptVpid, ref: CAPABILITIES('VPID and EPT Capabilities', '10') },
  { address: 0x48d, name: 'IA32_VMX_TRUE_PINBASED_CTLS', value: (caps) => pair(caps, 'pinBased', false), ref: PIN },
  { address: 0x48e, name: 'IA32_VMX_TRUE_PROCBASED_CTLS', value: (caps) => pair(caps, 'primaryProcessorBased', false), ref: PRIMARY },
  { address: 0x48f, name: 'IA32_VMX_TRUE_EXIT_CTLS', value: (caps) => pair(caps, 'primaryVmExit', false), ref: VM_EXIT },
  { address: 0x490, name: 'IA32_VMX_TRUE_ENTRY_CTLS', value: (caps) => pair(caps, 'vmEntry', false), ref: VM_ENTRY },
  { address: 0x491, name: 'IA32_VMX_VMFUNC', exists: ['enableVmFunctions'], value: (caps) => caps.vmFunctions, ref: CAPABILITIES('VM Functions', '11') },
  { address: 0x492, name: 'IA32_VMX_PROCBASED_CTLS3', exists: ['activateTertiaryControls'], value: (caps) => allowedSettings('tertiaryProcessorBased', false, caps.offered).mayBe1, ref: CAPABILITIES('Tertiary Processor-Based VM-Execution Controls', '3.4') },
  { address: 0x493, name: 'IA32_VMX_EXIT_CTLS2', exists: ['activateSecondaryVmExitControls'], value: (caps) => allowedSettings('secondaryVmExit', false, caps.offered).mayBe1, ref: VM_EXIT },
] as const satisfies readonly CapabilityMsrRow[];

/** Whether the CPU model has the MSR; RDMSR of one it has not gives #GP(0). */
export function capabilityMsrExists({ exists }: CapabilityMsrRow, { offered }: VmxCapabilities): boolean {
  return exists === undefined || exists.some((key) => offered.has(key));
}
