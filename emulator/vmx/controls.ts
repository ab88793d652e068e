/**
 * The VM-execution, VM-exit and VM-entry controls: one row for each bit the manual names. Capability MSRs,
 * reserved-bit checks, predicates and the panel's bit lists are derived from the rows.
 *
 * Intel SDM Vol. 3C, "Virtual Machine Control Structures" (VM-execution, VM-exit and VM-entry control fields), and
 * Appendix A, "VMX Capability Reporting Facility".
 */
import type { BitFieldRow } from '../base/bitFields.ts';
import { FRED, ISE, type Reference } from '../base/reference.ts';
import { VMCS } from './manual.ts';

export type ControlWordKey =
  | 'pinBased'
  | 'primaryProcessorBased'
  | 'secondaryProcessorBased'
  | 'tertiaryProcessorBased'
  | 'primaryVmExit'
  | 'secondaryVmExit'
  | 'vmEntry';

export interface ControlWordRow {
  readonly key: ControlWordKey;
  /** The manual's name. */
  readonly title: string;
  /** The VMCS field that holds the word. */
  readonly field: string;
  readonly bits: 32 | 64;
  /** Reserved bits of the default1 class: they have no name and must be 1. */
  readonly reserved1: readonly number[];
  /** The control that must be 1 for this word to be looked at; otherwise it counts as all 0. */
  readonly activatedBy?: string;
  readonly ref: Reference;
}

const PIN = VMCS('Pin-Based VM-Execution Controls', '6.1');
const PROCESSOR = VMCS('Processor-Based VM-Execution Controls', '6.2');
const VM_EXIT = VMCS('VM-Exit Controls', '7.1');
const VM_ENTRY = VMCS('VM-Entry Controls', '8.1');
const FRED_VMX = FRED('VMX Interactions with FRED Transitions');
const SPEC_CTRL_LOAD = ISE('Loading and Saving IA32_SPEC_CTRL on VMX Transitions');

/** In the order in which VM entry checks them. */
export const CONTROL_WORDS = [
  {
    key: 'pinBased',
    title: 'Pin-based VM-execution controls',
    field: 'PIN_BASED_VM_EXECUTION_CONTROLS',
    bits: 32,
    reserved1: [1, 2, 4],
    ref: PIN,
  },
  {
    key: 'primaryProcessorBased',
    title: 'Primary processor-based VM-execution controls',
    field: 'PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS',
    bits: 32,
    reserved1: [1, 4, 5, 6, 8, 13, 14, 26],
    ref: PROCESSOR,
  },
  {
    key: 'secondaryProcessorBased',
    title: 'Secondary processor-based VM-execution controls',
    field: 'SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS',
    bits: 32,
    reserved1: [],
    activatedBy: 'activateSecondaryControls',
    ref: PROCESSOR,
  },
  {
    key: 'tertiaryProcessorBased',
    title: 'Tertiary processor-based VM-execution controls',
    field: 'TERTIARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS',
    bits: 64,
    reserved1: [],
    activatedBy: 'activateTertiaryControls',
    ref: PROCESSOR,
  },
  {
    key: 'primaryVmExit',
    title: 'Primary VM-exit controls',
    field: 'PRIMARY_VM_EXIT_CONTROLS',
    bits: 32,
    reserved1: [0, 1, 3, 4, 5, 6, 7, 8, 10, 11, 13, 14, 16, 17],
    ref: VM_EXIT,
  },
  {
    key: 'secondaryVmExit',
    title: 'Secondary VM-exit controls',
    field: 'SECONDARY_VM_EXIT_CONTROLS',
    bits: 64,
    reserved1: [],
    activatedBy: 'activateSecondaryVmExitControls',
    ref: VM_EXIT,
  },
  {
    key: 'vmEntry',
    title: 'VM-entry controls',
    field: 'VM_ENTRY_CONTROLS',
    bits: 32,
    reserved1: [0, 1, 3, 4, 5, 6, 7, 8, 12],
    ref: VM_ENTRY,
  },
] as const satisfies readonly ControlWordRow[];

export interface ControlRow {
  readonly word: ControlWordKey;
  readonly bit: number;
  readonly key: string;
  /** The manual's name. */
  readonly name: string;
  /** The first processors with VMX supported only the 1-setting: 1 in the capability MSR without TRUE. */
  readonly default1?: boolean;
  /** Whether the CPU model offers the 1-setting, that is, whether it is implemented. */
  readonly supported: boolean;
  /** Why not. */
  readonly absent?: string;
  readonly ref: Reference;
}

const YES = true;
const NO = false;
const NO_SGX = 'there is no SGX';
const NO_PT = 'there is no Intel Processor Trace';
const NO_PASID = 'there are no ENQCMD and ENQCMDS';
const NO_PCONFIG = 'there is no PCONFIG';
const NO_KEY_LOCKER = 'Sapphire Rapids has no Key Locker';
const NO_TDX = 'there is no TDX';
const NO_MPX = 'Sapphire Rapids has no MPX';
const NO_UINTR = 'there are no user interrupts';
const NO_CET = 'there are no shadow stacks and no indirect-branch tracking';
const NO_SMM = 'there is no SMM';
const NO_SECONDARY = 'none of those controls is there';
const LATER_PROCESSORS = 'processors after Sapphire Rapids have it';
const FUTURE = 'the SDM does not have it, only the ISE, for processors after Sapphire Rapids';

/**
 * Sorted by word and bit. Where the same name stands in two words the key says which one it is (`…OnExit`,
 * `…OnEntry`), so that a key alone names a control.
 */
// biome-ignore format: rows are read as a table
export const CONTROLS = [
  { word: 'pinBased', bit: 0, key: 'externalInterruptExiting', name: 'External-interrupt exiting', supported: YES, ref: PIN },
  { word: 'pinBased', bit: 3, key: 'nmiExiting', name: 'NMI exiting', supported: YES, ref: PIN },
  { word: 'pinBased', bit: 5, key: 'virtualNmis', name: 'Virtual NMIs', supported: YES, ref: PIN },
  { word: 'pinBased', bit: 6, key: 'activateVmxPreemptionTimer', name: 'Activate VMX-preemption timer', supported: YES, ref: PIN },
  { word: 'pinBased', bit: 7, key: 'processPostedInterrupts', name: 'Process posted interrupts', supported: YES, ref: PIN },

  { word: 'primaryProcessorBased', bit: 2, key: 'interruptWindowExiting', name: 'Interrupt-window exiting', supported: YES, ref: PROCESSOR },
  { word: 'primaryProcessorBased', bit: 3, key: 'useTscOffsetting', name: 'Use TSC offsetting', supported: YES, ref: PROCESSOR },
  { word: 'primaryProcessorBased', bit: 7, key: 'hltExiting', name: 'HLT exiting', supported: YES, ref: PROCESSOR },
  { word: 'primaryProcessorBased', bit: 9, key: 'invlpgExiting', name: 'INVLPG exiting', supported: YES, ref: PROCESSOR },
  { word: 'primaryProcessorBased', bit: 10, key: 'mwaitExiting', name: 'MWAIT exiting', supported: YES, ref: PROCESSOR },
  { word: 'primaryProcessorBased', bit: 11, key: 'rdpmcExiting', name: 'RDPMC exiting', supported: YES, ref: PROCESSOR },
  { word: 'primaryProcessorBased', bit: 12, key: 'rdtscExiting', name: 'RDTSC exiting', supported: YES, ref: PROCESSOR },
  { word: 'primaryProcessorBased', bit: 15, key: 'cr3LoadExiting', name: 'CR3-load exiting', default1: true, supported: YES, ref: PROCESSOR },
  { word: 'primaryProcessorBased', bit: 16, key: 'cr3StoreExiting', name: 'CR3-store exiting', default1: true, supported: YES, ref: PROCESSOR },
  { word: 'primaryProcessorBased', bit: 17, key: 'activateTertiaryControls', name: 'Activate tertiary controls', supported: YES, ref: PROCESSOR },
  { word: 'primaryProcessorBased', bit: 19, key: 'cr8LoadExiting', name: 'CR8-load exiting', supported: YES, ref: PROCESSOR },
  { word: 'primaryProcessorBased', bit: 20, key: 'cr8StoreExiting', name: 'CR8-store exiting', supported: YES, ref: PROCESSOR },
  { word: 'primaryProcessorBased', bit: 21, key: 'useTprShadow', name: 'Use TPR shadow', supported: YES, ref: PROCESSOR },
  { word: 'primaryProcessorBased', bit: 22, key: 'nmiWindowExiting', name: 'NMI-window exiting', supported: YES, ref: PROCESSOR },
  { word: 'primaryProcessorBased', bit: 23, key: 'movDrExiting', name: 'MOV-DR exiting', supported: YES, ref: PROCESSOR },
  { word: 'primaryProcessorBased', bit: 24, key: 'unconditionalIoExiting', name: 'Unconditional I/O exiting', supported: YES, ref: PROCESSOR },
  { word: 'primaryProcessorBased', bit: 25, key: 'useIoBitmaps', name: 'Use I/O bitmaps', supported: YES, ref: PROCESSOR },
  { word: 'primaryProcessorBased', bit: 27, key: 'monitorTrapFlag', name: 'Monitor trap flag', supported: YES, ref: PROCESSOR },
  { word: 'primaryProcessorBased', bit: 28, key: 'useMsrBitmaps', name: 'Use MSR bitmaps', supported: YES, ref: PROCESSOR },
  { word: 'primaryProcessorBased', bit: 29, key: 'monitorExiting', name: 'MONITOR exiting', supported: YES, ref: PROCESSOR },
  { word: 'primaryProcessorBased', bit: 30, key: 'pauseExiting', name: 'PAUSE exiting', supported: YES, ref: PROCESSOR },
  { word: 'primaryProcessorBased', bit: 31, key: 'activateSecondaryControls', name: 'Activate secondary controls', supported: YES, ref: PROCESSOR },

  { word: 'secondaryProcessorBased', bit: 0, key: 'virtualizeApicAccesses', name: 'Virtualize APIC accesses', supported: YES, ref: PROCESSOR },
  { word: 'secondaryProcessorBased', bit: 1, key: 'enableEpt', name: 'Enable EPT', supported: YES, ref: PROCESSOR },
  { word: 'secondaryProcessorBased', bit: 2, key: 'descriptorTableExiting', name: 'Descriptor-table exiting', supported: YES, ref: PROCESSOR },
  { word: 'secondaryProcessorBased', bit: 3, key: 'enableRdtscp', name: 'Enable RDTSCP', supported: YES, ref: PROCESSOR },
  { word: 'secondaryProcessorBased', bit: 4, key: 'virtualizeX2apicMode', name: 'Virtualize x2APIC mode', supported: YES, ref: PROCESSOR },
  { word: 'secondaryProcessorBased', bit: 5, key: 'enableVpid', name: 'Enable VPID', supported: YES, ref: PROCESSOR },
  { word: 'secondaryProcessorBased', bit: 6, key: 'wbinvdExiting', name: 'WBINVD exiting', supported: YES, ref: PROCESSOR },
  { word: 'secondaryProcessorBased', bit: 7, key: 'unrestrictedGuest', name: 'Unrestricted guest', supported: YES, ref: PROCESSOR },
  { word: 'secondaryProcessorBased', bit: 8, key: 'apicRegisterVirtualization', name: 'APIC-register virtualization', supported: YES, ref: PROCESSOR },
  { word: 'secondaryProcessorBased', bit: 9, key: 'virtualInterruptDelivery', name: 'Virtual-interrupt delivery', supported: YES, ref: PROCESSOR },
  { word: 'secondaryProcessorBased', bit: 10, key: 'pauseLoopExiting', name: 'PAUSE-loop exiting', supported: YES, ref: PROCESSOR },
  { word: 'secondaryProcessorBased', bit: 11, key: 'rdrandExiting', name: 'RDRAND exiting', supported: YES, ref: PROCESSOR },
  { word: 'secondaryProcessorBased', bit: 12, key: 'enableInvpcid', name: 'Enable INVPCID', supported: YES, ref: PROCESSOR },
  { word: 'secondaryProcessorBased', bit: 13, key: 'enableVmFunctions', name: 'Enable VM functions', supported: YES, ref: PROCESSOR },
  { word: 'secondaryProcessorBased', bit: 14, key: 'vmcsShadowing', name: 'VMCS shadowing', supported: YES, ref: PROCESSOR },
  { word: 'secondaryProcessorBased', bit: 15, key: 'enableEnclsExiting', name: 'Enable ENCLS exiting', supported: NO, absent: NO_SGX, ref: PROCESSOR },
  { word: 'secondaryProcessorBased', bit: 16, key: 'rdseedExiting', name: 'RDSEED exiting', supported: YES, ref: PROCESSOR },
  { word: 'secondaryProcessorBased', bit: 17, key: 'enablePml', name: 'Enable PML', supported: YES, ref: PROCESSOR },
  { word: 'secondaryProcessorBased', bit: 18, key: 'eptViolationVe', name: 'EPT-violation #VE', supported: YES, ref: PROCESSOR },
  { word: 'secondaryProcessorBased', bit: 19, key: 'concealVmxFromPt', name: 'Conceal VMX from PT', supported: NO, absent: NO_PT, ref: PROCESSOR },
  { word: 'secondaryProcessorBased', bit: 20, key: 'enableXsavesXrstors', name: 'Enable XSAVES/XRSTORS', supported: YES, ref: PROCESSOR },
  { word: 'secondaryProcessorBased', bit: 21, key: 'pasidTranslation', name: 'PASID translation', supported: NO, absent: NO_PASID, ref: PROCESSOR },
  { word: 'secondaryProcessorBased', bit: 22, key: 'modeBasedExecuteControl', name: 'Mode-based execute control for EPT', supported: YES, ref: PROCESSOR },
  { word: 'secondaryProcessorBased', bit: 23, key: 'subPageWritePermissions', name: 'Sub-page write permissions for EPT', supported: YES, ref: PROCESSOR },
  { word: 'secondaryProcessorBased', bit: 24, key: 'ptUsesGuestPhysicalAddresses', name: 'Intel PT uses guest physical addresses', supported: NO, absent: NO_PT, ref: PROCESSOR },
  { word: 'secondaryProcessorBased', bit: 25, key: 'useTscScaling', name: 'Use TSC scaling', supported: YES, ref: PROCESSOR },
  { word: 'secondaryProcessorBased', bit: 26, key: 'enableUserWaitAndPause', name: 'Enable user wait and pause', supported: YES, ref: PROCESSOR },
  { word: 'secondaryProcessorBased', bit: 27, key: 'enablePconfig', name: 'Enable PCONFIG', supported: NO, absent: NO_PCONFIG, ref: PROCESSOR },
  { word: 'secondaryProcessorBased', bit: 28, key: 'enableEnclvExiting', name: 'Enable ENCLV exiting', supported: NO, absent: NO_SGX, ref: PROCESSOR },
  { word: 'secondaryProcessorBased', bit: 30, key: 'vmmBusLockDetection', name: 'VMM bus-lock detection', supported: YES, ref: PROCESSOR },
  { word: 'secondaryProcessorBased', bit: 31, key: 'instructionTimeout', name: 'Instruction timeout', supported: YES, ref: PROCESSOR },

  { word: 'tertiaryProcessorBased', bit: 0, key: 'loadiwkeyExiting', name: 'LOADIWKEY exiting', supported: NO, absent: NO_KEY_LOCKER, ref: PROCESSOR },
  { word: 'tertiaryProcessorBased', bit: 1, key: 'enableHlat', name: 'Enable HLAT', supported: YES, ref: PROCESSOR },
  { word: 'tertiaryProcessorBased', bit: 2, key: 'eptPagingWriteControl', name: 'EPT paging-write control', supported: YES, ref: PROCESSOR },
  { word: 'tertiaryProcessorBased', bit: 3, key: 'guestPagingVerification', name: 'Guest-paging verification', supported: YES, ref: PROCESSOR },
  { word: 'tertiaryProcessorBased', bit: 4, key: 'ipiVirtualization', name: 'IPI virtualization', supported: YES, ref: PROCESSOR },
  { word: 'tertiaryProcessorBased', bit: 5, key: 'seamGuestPhysicalAddressWidth', name: 'SEAM guest-physical address width', supported: NO, absent: NO_TDX, ref: PROCESSOR },
  { word: 'tertiaryProcessorBased', bit: 6, key: 'enableMsrListInstructions', name: 'Enable MSR-list instructions', supported: NO, absent: LATER_PROCESSORS, ref: PROCESSOR },
  { word: 'tertiaryProcessorBased', bit: 7, key: 'virtualizeSpecCtrl', name: 'Virtualize IA32_SPEC_CTRL', supported: YES, ref: PROCESSOR },
  { word: 'tertiaryProcessorBased', bit: 8, key: 'apicTimerVirtualization', name: 'APIC-timer virtualization', supported: NO, absent: FUTURE, ref: ISE('APIC-Timer Virtualization') },

  { word: 'primaryVmExit', bit: 2, key: 'saveDebugControls', name: 'Save debug controls', default1: true, supported: YES, ref: VM_EXIT },
  { word: 'primaryVmExit', bit: 9, key: 'hostAddressSpaceSize', name: 'Host address-space size', supported: YES, ref: VM_EXIT },
  { word: 'primaryVmExit', bit: 12, key: 'loadPerfGlobalCtrlOnExit', name: 'Load IA32_PERF_GLOBAL_CTRL', supported: YES, ref: VM_EXIT },
  { word: 'primaryVmExit', bit: 15, key: 'acknowledgeInterruptOnExit', name: 'Acknowledge interrupt on exit', supported: YES, ref: VM_EXIT },
  { word: 'primaryVmExit', bit: 18, key: 'savePatOnExit', name: 'Save IA32_PAT', supported: YES, ref: VM_EXIT },
  { word: 'primaryVmExit', bit: 19, key: 'loadPatOnExit', name: 'Load IA32_PAT', supported: YES, ref: VM_EXIT },
  { word: 'primaryVmExit', bit: 20, key: 'saveEferOnExit', name: 'Save IA32_EFER', supported: YES, ref: VM_EXIT },
  { word: 'primaryVmExit', bit: 21, key: 'loadEferOnExit', name: 'Load IA32_EFER', supported: YES, ref: VM_EXIT },
  { word: 'primaryVmExit', bit: 22, key: 'saveVmxPreemptionTimerValue', name: 'Save VMX-preemption timer value', supported: YES, ref: VM_EXIT },
  { word: 'primaryVmExit', bit: 23, key: 'clearBndcfgsOnExit', name: 'Clear IA32_BNDCFGS', supported: NO, absent: NO_MPX, ref: VM_EXIT },
  { word: 'primaryVmExit', bit: 24, key: 'concealVmxFromPtOnExit', name: 'Conceal VMX from PT', supported: NO, absent: NO_PT, ref: VM_EXIT },
  { word: 'primaryVmExit', bit: 25, key: 'clearRtitCtlOnExit', name: 'Clear IA32_RTIT_CTL', supported: NO, absent: NO_PT, ref: VM_EXIT },
  { word: 'primaryVmExit', bit: 26, key: 'clearLbrCtlOnExit', name: 'Clear IA32_LBR_CTL', supported: YES, ref: VM_EXIT },
  { word: 'primaryVmExit', bit: 27, key: 'clearUinvOnExit', name: 'Clear UINV', supported: NO, absent: NO_UINTR, ref: VM_EXIT },
  { word: 'primaryVmExit', bit: 28, key: 'loadCetStateOnExit', name: 'Load CET state', supported: NO, absent: NO_CET, ref: VM_EXIT },
  { word: 'primaryVmExit', bit: 29, key: 'loadPkrsOnExit', name: 'Load PKRS', supported: YES, ref: VM_EXIT },
  { word: 'primaryVmExit', bit: 30, key: 'savePerfGlobalCtrlOnExit', name: 'Save IA32_PERF_GLOBAL_CTL', supported: YES, ref: VM_EXIT },
  { word: 'primaryVmExit', bit: 31, key: 'activateSecondaryVmExitControls', name: 'Activate secondary controls', supported: NO, absent: NO_SECONDARY, ref: VM_EXIT },

  { word: 'secondaryVmExit', bit: 0, key: 'saveFredOnExit', name: 'Save IA32_FRED', supported: NO, absent: LATER_PROCESSORS, ref: FRED_VMX },
  { word: 'secondaryVmExit', bit: 1, key: 'loadFredOnExit', name: 'Load IA32_FRED', supported: NO, absent: LATER_PROCESSORS, ref: FRED_VMX },
  { word: 'secondaryVmExit', bit: 2, key: 'loadSpecCtrlOnExit', name: 'Load host IA32_SPEC_CTRL', supported: NO, absent: FUTURE, ref: SPEC_CTRL_LOAD },
  { word: 'secondaryVmExit', bit: 3, key: 'prematurelyBusyShadowStack', name: 'Prematurely busy shadow stack', supported: NO, absent: NO_CET, ref: VM_EXIT },

  { word: 'vmEntry', bit: 2, key: 'loadDebugControls', name: 'Load debug controls', default1: true, supported: YES, ref: VM_ENTRY },
  { word: 'vmEntry', bit: 9, key: 'ia32eModeGuest', name: 'IA-32e mode guest', supported: YES, ref: VM_ENTRY },
  { word: 'vmEntry', bit: 10, key: 'entryToSmm', name: 'Entry to SMM', supported: NO, absent: NO_SMM, ref: VM_ENTRY },
  { word: 'vmEntry', bit: 11, key: 'deactivateDualMonitorTreatment', name: 'Deactivate dual-monitor treatment', supported: NO, absent: NO_SMM, ref: VM_ENTRY },
  { word: 'vmEntry', bit: 13, key: 'loadPerfGlobalCtrlOnEntry', name: 'Load IA32_PERF_GLOBAL_CTRL', supported: YES, ref: VM_ENTRY },
  { word: 'vmEntry', bit: 14, key: 'loadPatOnEntry', name: 'Load IA32_PAT', supported: YES, ref: VM_ENTRY },
  { word: 'vmEntry', bit: 15, key: 'loadEferOnEntry', name: 'Load IA32_EFER', supported: YES, ref: VM_ENTRY },
  { word: 'vmEntry', bit: 16, key: 'loadBndcfgsOnEntry', name: 'Load IA32_BNDCFGS', supported: NO, absent: NO_MPX, ref: VM_ENTRY },
  { word: 'vmEntry', bit: 17, key: 'concealVmxFromPtOnEntry', name: 'Conceal VMX from PT', supported: NO, absent: NO_PT, ref: VM_ENTRY },
  { word: 'vmEntry', bit: 18, key: 'loadRtitCtlOnEntry', name: 'Load IA32_RTIT_CTL', supported: NO, absent: NO_PT, ref: VM_ENTRY },
  { word: 'vmEntry', bit: 19, key: 'loadUinvOnEntry', name: 'Load UINV', supported: NO, absent: NO_UINTR, ref: VM_ENTRY },
  { word: 'vmEntry', bit: 20, key: 'loadCetStateOnEntry', name: 'Load CET state', supported: NO, absent: NO_CET, ref: VM_ENTRY },
  { word: 'vmEntry', bit: 21, key: 'loadLbrCtlOnEntry', name: 'Load guest IA32_LBR_CTL', supported: YES, ref: VM_ENTRY },
  { word: 'vmEntry', bit: 22, key: 'loadPkrsOnEntry', name: 'Load PKRS', supported: YES, ref: VM_ENTRY },
  { word: 'vmEntry', bit: 23, key: 'loadFredOnEntry', name: 'Load IA32_FRED', supported: NO, absent: LATER_PROCESSORS, ref: FRED_VMX },
  { word: 'vmEntry', bit: 24, key: 'loadSpecCtrlOnEntry', name: 'Load guest IA32_SPEC_CTRL', supported: NO, absent: FUTURE, ref: SPEC_CTRL_LOAD },
] as const satisfies readonly ControlRow[];

export type ControlKey = (typeof CONTROLS)[number]['key'];
export type ControlField = (typeof CONTROL_WORDS)[number]['field'];

const ROWS: readonly ControlRow[] = CONTROLS;
const WORDS: readonly ControlWordRow[] = CONTROL_WORDS;

/** The controls that are implemented. */
export const SUPPORTED_CONTROLS: ReadonlySet<string> = new Set(
  ROWS.filter((row) => row.supported).map((row) => row.key),
);

/** The rows of one word, which are also its bit-field rows for the panel. */
export function controlsOf(word: ControlWordKey): readonly (ControlRow & BitFieldRow)[] {
  return ROWS.filter((row) => row.word === word);
}

export function controlWord(key: ControlWordKey): ControlWordRow & { readonly field: ControlField } {
  const word = CONTROL_WORDS.find((row) => row.key === key);
  if (word === undefined) throw new RangeError(`no control word ${key}`);
  return word;
}

function maskOf(bits: readonly number[]): bigint {
  return bits.reduce((mask, bit) => mask | (1n << BigInt(bit)), 0n);
}

/** What a capability MSR says of one word. */
export interface AllowedSettings {
  /** Bits that must be 1: the complement of the manual's "allowed 0-settings". */
  readonly mustBe1: bigint;
  /** Bits that may be 1: the "allowed 1-settings". */
  readonly mayBe1: bigint;
}

/**
 * The settings the CPU model allows.
 *
 * @param offered the controls that the processor offers
 * @param honorDefault1 true for the MSRs without TRUE, where every control of the default1 class must be 1.
 * @see SDM A.2, "Reserved Controls and Default Settings"
 */
export function allowedSettings(
  word: ControlWordKey,
  honorDefault1: boolean,
  offered: ReadonlySet<string> = SUPPORTED_CONTROLS,
): AllowedSettings {
  const rows = controlsOf(word);
  const reserved1 = maskOf(controlWord(word).reserved1);
  const default1 = maskOf(rows.filter((row) => row.default1 === true).map((row) => row.bit));
  const supported = maskOf(rows.filter((row) => offered.has(row.key)).map((row) => row.bit));
  return {
    mustBe1: honorDefault1 ? reserved1 | default1 : reserved1,
    mayBe1: reserved1 | default1 | supported,
  };
}

/** The settings of a processor that offers every control with a name. */
export function namedSettings(word: ControlWordKey): AllowedSettings {
  const reserved1 = maskOf(controlWord(word).reserved1);
  return { mustBe1: reserved1, mayBe1: reserved1 | maskOf(controlsOf(word).map((row) => row.bit)) };
}

/** Where the bit of a control is: an index into the 32-bit words of `ControlWords`, and the mask there. */
export interface ControlBit {
  readonly slot: number;
  readonly mask: number;
}

/**
 * All control words as 32-bit slots; the words of 64 bits take two. `isSet(words, CONTROL.hltExiting)` is one load
 * and one test.
 */
export type ControlWords = Int32Array;

interface WordSlots {
  readonly word: ControlWordRow;
  readonly slot: number;
}

const WORD_SLOTS: readonly WordSlots[] = (() => {
  let next = 0;
  return WORDS.map((word) => {
    const slot = next;
    next += word.bits / 32;
    return { word, slot };
  });
})();

/** Length of {@link ControlWords}. */
export const CONTROL_SLOTS = WORDS.reduce((sum, word) => sum + word.bits / 32, 0);

function slotOf(key: ControlWordKey): number {
  const found = WORD_SLOTS.find(({ word }) => word.key === key);
  if (found === undefined) throw new RangeError(`no control word ${key}`);
  return found.slot;
}

function bitOf(row: ControlRow): ControlBit {
  return Object.freeze({ slot: slotOf(row.word) + (row.bit >> 5), mask: 1 << (row.bit & 31) });
}

/** Slot and mask of every control, by key. */
export const CONTROL = Object.freeze(
  Object.fromEntries(ROWS.map((row) => [row.key, bitOf(row)])),
) as Readonly<Record<ControlKey, ControlBit>>;

export function isSet(words: ControlWords, control: ControlBit): boolean {
  return (words[control.slot] & control.mask) !== 0;
}

/**
 * The controls as the processor uses them: a word that is not activated counts as all 0.
 *
 * @param readWord gives the value of the VMCS field that holds a word
 * @see SDM 26.6.2, "Processor-Based VM-Execution Controls"
 */
export function loadControlWords(
  readWord: (field: ControlField) => bigint,
  into: ControlWords = new Int32Array(CONTROL_SLOTS),
): ControlWords {
  for (const { word, slot } of WORD_SLOTS) {
    const value = readWord(word.field as ControlField);
    into[slot] = Number(BigInt.asIntN(32, value));
    if (word.bits === 64) into[slot + 1] = Number(BigInt.asIntN(32, value >> 32n));
  }
  for (const { word, slot } of WORD_SLOTS) {
    if (word.activatedBy !== undefined && !isSet(into, CONTROL[word.activatedBy as ControlKey])) {
      into.fill(0, slot, slot + word.bits / 32);
    }
  }
  return into;
}

/** One predicate for each control, by key: `controls.hltExiting`. */
export type Controls = { readonly [Key in ControlKey]: boolean } & { readonly words: ControlWords };

class ControlsView {
  readonly words: ControlWords;
  constructor(words: ControlWords) {
    this.words = words;
  }
}

for (const { key } of ROWS) {
  const { slot, mask } = CONTROL[key as ControlKey];
  Object.defineProperty(ControlsView.prototype, key, {
    get(this: ControlsView): boolean {
      return (this.words[slot] & mask) !== 0;
    },
  });
}

/** A view that reads `words` each time, so it follows them when they change. */
export function controlsView(words: ControlWords): Controls {
  return new ControlsView(words) as unknown as Controls;
}
