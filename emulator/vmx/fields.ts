/**
 * The fields of the VMCS, one row for each. Encodings, the layout of the VMCS region, VMREAD and VMWRITE,
 * IA32_VMX_VMCS_ENUM, snapshots and the panel are derived from the rows (vmcsLayout.ts).
 *
 * Intel SDM Vol. 3C, "Virtual Machine Control Structures"; Vol. 3D, Appendix B, "Field Encoding in VMCS".
 */
import type { BitFieldRow } from '../base/bitFields.ts';
import { FRED, ISE, type Reference } from '../base/reference.ts';
import { type ControlKey, controlsOf } from './controls.ts';
import { ENCODINGS, VMCS } from './manual.ts';
import {
  ACCESS_RIGHTS_BITS,
  ACTIVITY_STATE_BITS,
  CR0_BITS,
  CR3_BITS,
  CR4_BITS,
  DEBUGCTL_BITS,
  DR7_BITS,
  EFER_BITS,
  ENTRY_INTERRUPTION_BITS,
  EPTP_BITS,
  EXCEPTION_BITMAP_BITS,
  EXIT_INTERRUPTION_BITS,
  EXIT_REASON_BITS,
  IDT_VECTORING_BITS,
  INTERRUPT_STATUS_BITS,
  INTERRUPTIBILITY_BITS,
  LBR_CTL_BITS,
  PAT_BITS,
  PENDING_DEBUG_BITS,
  RFLAGS_BITS,
  SELECTOR_BITS,
  VM_FUNCTION_BITS,
} from './registerBits.ts';

/** Appendix B, "Structure of VMCS Component Encoding": the values of the width and type fields come in this order. */
export type VmcsFieldWidth = 16 | 64 | 32 | 'natural';
export type VmcsFieldArea = 'control' | 'readOnly' | 'guest' | 'host';

export type VmcsFieldGroup =
  | 'guestRegisterState'
  | 'guestNonRegisterState'
  | 'hostState'
  | 'vmExecutionControls'
  | 'vmExitControls'
  | 'vmEntryControls'
  | 'vmExitInformation';

/** The manual's own grouping, in its order; the panel's sections. */
export const VMCS_FIELD_GROUPS = [
  { key: 'guestRegisterState', title: 'Guest register state', ref: VMCS('Guest Register State', '4.1') },
  {
    key: 'guestNonRegisterState',
    title: 'Guest non-register state',
    ref: VMCS('Guest Non-Register State', '4.2'),
  },
  { key: 'hostState', title: 'Host state', ref: VMCS('Host-State Area', '5') },
  {
    key: 'vmExecutionControls',
    title: 'VM-execution controls',
    ref: VMCS('VM-Execution Control Fields', '6'),
  },
  { key: 'vmExitControls', title: 'VM-exit controls', ref: VMCS('VM-Exit Control Fields', '7') },
  { key: 'vmEntryControls', title: 'VM-entry controls', ref: VMCS('VM-Entry Control Fields', '8') },
  { key: 'vmExitInformation', title: 'VM-exit information', ref: VMCS('VM-Exit Information Fields', '9') },
] as const satisfies readonly { key: VmcsFieldGroup; title: string; ref: Reference }[];

/** A field that every processor with VMX has. */
export const ALWAYS = 'always';

export interface VmcsFieldRow {
  readonly key: string;
  /** The manual's name. */
  readonly title: string;
  readonly width: VmcsFieldWidth;
  readonly area: VmcsFieldArea;
  /** Bits 9:1 of the encoding. */
  readonly index: number;
  readonly group: VmcsFieldGroup;
  /** The field exists on processors that support the 1-setting of one of these controls. */
  readonly exists: typeof ALWAYS | readonly ControlKey[];
  /** What the bits of the value mean. */
  readonly bits?: readonly BitFieldRow[];
  readonly ref: Reference;
}

const CONTROL_16 = ENCODINGS('16-Bit Control Fields', '1.1');
const GUEST_16 = ENCODINGS('16-Bit Guest-State Fields', '1.2');
const HOST_16 = ENCODINGS('16-Bit Host-State Fields', '1.3');
const CONTROL_64 = ENCODINGS('64-Bit Control Fields', '2.1');
const READ_ONLY_64 = ENCODINGS('64-Bit Read-Only Data Field', '2.2');
const GUEST_64 = ENCODINGS('64-Bit Guest-State Fields', '2.3');
const HOST_64 = ENCODINGS('64-Bit Host-State Fields', '2.4');
const CONTROL_32 = ENCODINGS('32-Bit Control Fields', '3.1');
const READ_ONLY_32 = ENCODINGS('32-Bit Read-Only Data Fields', '3.2');
const GUEST_32 = ENCODINGS('32-Bit Guest-State Fields', '3.3');
const HOST_32 = ENCODINGS('32-Bit Host-State Field', '3.4');
const CONTROL_NATURAL = ENCODINGS('Natural-Width Control Fields', '4.1');
const READ_ONLY_NATURAL = ENCODINGS('Natural-Width Read-Only Data Fields', '4.2');
const GUEST_NATURAL = ENCODINGS('Natural-Width Guest-State Fields', '4.3');
const HOST_NATURAL = ENCODINGS('Natural-Width Host-State Fields', '4.4');
const FRED_FIELDS = FRED('VMX Interactions with FRED Transitions');
const SPEC_CTRL_LOAD = ISE('Loading and Saving IA32_SPEC_CTRL on VMX Transitions');
const APIC_TIMER = ISE('APIC-Timer Virtualization');

/** Sorted by encoding. */
// biome-ignore format: rows are read as a table
export const VMCS_FIELDS = [
  // B.1.1: 16-Bit Control Fields
  { key: 'VIRTUAL_PROCESSOR_IDENTIFIER', title: 'Virtual-processor identifier (VPID)', width: 16, area: 'control', index: 0, group: 'vmExecutionControls', exists: ['enableVpid'], ref: CONTROL_16 },
  { key: 'POSTED_INTERRUPT_NOTIFICATION_VECTOR', title: 'Posted-interrupt notification vector', width: 16, area: 'control', index: 1, group: 'vmExecutionControls', exists: ['processPostedInterrupts'], ref: CONTROL_16 },
  { key: 'EPTP_INDEX', title: 'EPTP index', width: 16, area: 'control', index: 2, group: 'vmExecutionControls', exists: ['eptViolationVe'], ref: CONTROL_16 },
  { key: 'HLAT_PREFIX_SIZE', title: 'HLAT prefix size', width: 16, area: 'control', index: 3, group: 'vmExecutionControls', exists: ['enableHlat'], ref: CONTROL_16 },
  { key: 'LAST_PID_POINTER_INDEX', title: 'Last PID-pointer index', width: 16, area: 'control', index: 4, group: 'vmExecutionControls', exists: ['ipiVirtualization'], ref: CONTROL_16 },
  { key: 'VIRTUAL_TIMER_VECTOR', title: 'Virtual timer vector', width: 16, area: 'control', index: 5, group: 'vmExecutionControls', exists: ['apicTimerVirtualization'], ref: APIC_TIMER },
  // B.1.2: 16-Bit Guest-State Fields
  { key: 'GUEST_ES_SELECTOR', title: 'Guest ES selector', width: 16, area: 'guest', index: 0, group: 'guestRegisterState', exists: ALWAYS, bits: SELECTOR_BITS, ref: GUEST_16 },
  { key: 'GUEST_CS_SELECTOR', title: 'Guest CS selector', width: 16, area: 'guest', index: 1, group: 'guestRegisterState', exists: ALWAYS, bits: SELECTOR_BITS, ref: GUEST_16 },
  { key: 'GUEST_SS_SELECTOR', title: 'Guest SS selector', width: 16, area: 'guest', index: 2, group: 'guestRegisterState', exists: ALWAYS, bits: SELECTOR_BITS, ref: GUEST_16 },
  { key: 'GUEST_DS_SELECTOR', title: 'Guest DS selector', width: 16, area: 'guest', index: 3, group: 'guestRegisterState', exists: ALWAYS, bits: SELECTOR_BITS, ref: GUEST_16 },
  { key: 'GUEST_FS_SELECTOR', title: 'Guest FS selector', width: 16, area: 'guest', index: 4, group: 'guestRegisterState', exists: ALWAYS, bits: SELECTOR_BITS, ref: GUEST_16 },
  { key: 'GUEST_GS_SELECTOR', title: 'Guest GS selector', width: 16, area: 'guest', index: 5, group: 'guestRegisterState', exists: ALWAYS, bits: SELECTOR_BITS, ref: GUEST_16 },
  { key: 'GUEST_LDTR_SELECTOR', title: 'Guest LDTR selector', width: 16, area: 'guest', index: 6, group: 'guestRegisterState', exists: ALWAYS, bits: SELECTOR_BITS, ref: GUEST_16 },
  { key: 'GUEST_TR_SELECTOR', title: 'Guest TR selector', width: 16, area: 'guest', index: 7, group: 'guestRegisterState', exists: ALWAYS, bits: SELECTOR_BITS, ref: GUEST_16 },
  { key: 'GUEST_INTERRUPT_STATUS', title: 'Guest interrupt status', width: 16, area: 'guest', index: 8, group: 'guestNonRegisterState', exists: ['virtualInterruptDelivery'], bits: INTERRUPT_STATUS_BITS, ref: GUEST_16 },
  { key: 'PML_INDEX', title: 'PML index', width: 16, area: 'guest', index: 9, group: 'guestNonRegisterState', exists: ['enablePml'], ref: GUEST_16 },
  { key: 'GUEST_UINV', title: 'Guest UINV', width: 16, area: 'guest', index: 10, group: 'guestRegisterState', exists: ['clearUinvOnExit', 'loadUinvOnEntry'], ref: GUEST_16 },
  // B.1.3: 16-Bit Host-State Fields
  { key: 'HOST_ES_SELECTOR', title: 'Host ES selector', width: 16, area: 'host', index: 0, group: 'hostState', exists: ALWAYS, bits: SELECTOR_BITS, ref: HOST_16 },
  { key: 'HOST_CS_SELECTOR', title: 'Host CS selector', width: 16, area: 'host', index: 1, group: 'hostState', exists: ALWAYS, bits: SELECTOR_BITS, ref: HOST_16 },
  { key: 'HOST_SS_SELECTOR', title: 'Host SS selector', width: 16, area: 'host', index: 2, group: 'hostState', exists: ALWAYS, bits: SELECTOR_BITS, ref: HOST_16 },
  { key: 'HOST_DS_SELECTOR', title: 'Host DS selector', width: 16, area: 'host', index: 3, group: 'hostState', exists: ALWAYS, bits: SELECTOR_BITS, ref: HOST_16 },
  { key: 'HOST_FS_SELECTOR', title: 'Host FS selector', width: 16, area: 'host', index: 4, group: 'hostState', exists: ALWAYS, bits: SELECTOR_BITS, ref: HOST_16 },
  { key: 'HOST_GS_SELECTOR', title: 'Host GS selector', width: 16, area: 'host', index: 5, group: 'hostState', exists: ALWAYS, bits: SELECTOR_BITS, ref: HOST_16 },
  { key: 'HOST_TR_SELECTOR', title: 'Host TR selector', width: 16, area: 'host', index: 6, group: 'hostState', exists: ALWAYS, bits: SELECTOR_BITS, ref: HOST_16 },
  // B.2.1: 64-Bit Control Fields
  { key: 'IO_BITMAP_A', title: 'Address of I/O bitmap A', width: 64, area: 'control', index: 0, group: 'vmExecutionControls', exists: ALWAYS, ref: CONTROL_64 },
  { key: 'IO_BITMAP_B', title: 'Address of I/O bitmap B', width: 64, area: 'control', index: 1, group: 'vmExecutionControls', exists: ALWAYS, ref: CONTROL_64 },
  { key: 'MSR_BITMAPS', title: 'Address of MSR bitmaps', width: 64, area: 'control', index: 2, group: 'vmExecutionControls', exists: ['useMsrBitmaps'], ref: CONTROL_64 },
  { key: 'VM_EXIT_MSR_STORE_ADDRESS', title: 'VM-exit MSR-store address', width: 64, area: 'control', index: 3, group: 'vmExitControls', exists: ALWAYS, ref: CONTROL_64 },
  { key: 'VM_EXIT_MSR_LOAD_ADDRESS', title: 'VM-exit MSR-load address', width: 64, area: 'control', index: 4, group: 'vmExitControls', exists: ALWAYS, ref: CONTROL_64 },
  { key: 'VM_ENTRY_MSR_LOAD_ADDRESS', title: 'VM-entry MSR-load address', width: 64, area: 'control', index: 5, group: 'vmEntryControls', exists: ALWAYS, ref: CONTROL_64 },
  { key: 'EXECUTIVE_VMCS_POINTER', title: 'Executive-VMCS pointer', width: 64, area: 'control', index: 6, group: 'vmExecutionControls', exists: ALWAYS, ref: CONTROL_64 },
  { key: 'PML_ADDRESS', title: 'PML address', width: 64, area: 'control', index: 7, group: 'vmExecutionControls', exists: ['enablePml'], ref: CONTROL_64 },
  { key: 'TSC_OFFSET', title: 'TSC offset', width: 64, area: 'control', index: 8, group: 'vmExecutionControls', exists: ALWAYS, ref: CONTROL_64 },
  { key: 'VIRTUAL_APIC_ADDRESS', title: 'Virtual-APIC address', width: 64, area: 'control', index: 9, group: 'vmExecutionControls', exists: ['useTprShadow'], ref: CONTROL_64 },
  { key: 'APIC_ACCESS_ADDRESS', title: 'APIC-access address', width: 64, area: 'control', index: 10, group: 'vmExecutionControls', exists: ['virtualizeApicAccesses'], ref: CONTROL_64 },
  { key: 'POSTED_INTERRUPT_DESCRIPTOR_ADDRESS', title: 'Posted-interrupt descriptor address', width: 64, area: 'control', index: 11, group: 'vmExecutionControls', exists: ['processPostedInterrupts'], ref: CONTROL_64 },
  { key: 'VM_FUNCTION_CONTROLS', title: 'VM-function controls', width: 64, area: 'control', index: 12, group: 'vmExecutionControls', exists: ['enableVmFunctions'], bits: VM_FUNCTION_BITS, ref: CONTROL_64 },
  { key: 'EPT_POINTER', title: 'EPT pointer (EPTP)', width: 64, area: 'control', index: 13, group: 'vmExecutionControls', exists: ['enableEpt'], bits: EPTP_BITS, ref: CONTROL_64 },
  { key: 'EOI_EXIT_BITMAP_0', title: 'EOI-exit bitmap 0', width: 64, area: 'control', index: 14, group: 'vmExecutionControls', exists: ['virtualInterruptDelivery'], ref: CONTROL_64 },
  { key: 'EOI_EXIT_BITMAP_1', title: 'EOI-exit bitmap 1', width: 64, area: 'control', index: 15, group: 'vmExecutionControls', exists: ['virtualInterruptDelivery'], ref: CONTROL_64 },
  { key: 'EOI_EXIT_BITMAP_2', title: 'EOI-exit bitmap 2', width: 64, area: 'control', index: 16, group: 'vmExecutionControls', exists: ['virtualInterruptDelivery'], ref: CONTROL_64 },
  { key: 'EOI_EXIT_BITMAP_3', title: 'EOI-exit bitmap 3', width: 64, area: 'control', index: 17, group: 'vmExecutionControls', exists: ['virtualInterruptDelivery'], ref: CONTROL_64 },
  { key: 'EPTP_LIST_ADDRESS', title: 'EPTP-list address', width: 64, area: 'control', index: 18, group: 'vmExecutionControls', exists: ['enableVmFunctions'], ref: CONTROL_64 },
  { key: 'VMREAD_BITMAP_ADDRESS', title: 'VMREAD-bitmap address', width: 64, area: 'control', index: 19, group: 'vmExecutionControls', exists: ['vmcsShadowing'], ref: CONTROL_64 },
  { key: 'VMWRITE_BITMAP_ADDRESS', title: 'VMWRITE-bitmap address', width: 64, area: 'control', index: 20, group: 'vmExecutionControls', exists: ['vmcsShadowing'], ref: CONTROL_64 },
  { key: 'VIRTUALIZATION_EXCEPTION_INFORMATION_ADDRESS', title: 'Virtualization-exception information address', width: 64, area: 'control', index: 21, group: 'vmExecutionControls', exists: ['eptViolationVe'], ref: CONTROL_64 },
  { key: 'XSS_EXITING_BITMAP', title: 'XSS-exiting bitmap', width: 64, area: 'control', index: 22, group: 'vmExecutionControls', exists: ['enableXsavesXrstors'], ref: CONTROL_64 },
  { key: 'ENCLS_EXITING_BITMAP', title: 'ENCLS-exiting bitmap', width: 64, area: 'control', index: 23, group: 'vmExecutionControls', exists: ['enableEnclsExiting'], ref: CONTROL_64 },
  { key: 'SUB_PAGE_PERMISSION_TABLE_POINTER', title: 'Sub-page-permission-table pointer', width: 64, area: 'control', index: 24, group: 'vmExecutionControls', exists: ['subPageWritePermissions'], ref: CONTROL_64 },
  { key: 'TSC_MULTIPLIER', title: 'TSC multiplier', width: 64, area: 'control', index: 25, group: 'vmExecutionControls', exists: ['useTscScaling'], ref: CONTROL_64 },
  { key: 'TERTIARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS', title: 'Tertiary processor-based VM-execution controls', width: 64, area: 'control', index: 26, group: 'vmExecutionControls', exists: ['activateTertiaryControls'], bits: controlsOf('tertiaryProcessorBased'), ref: CONTROL_64 },
  { key: 'ENCLV_EXITING_BITMAP', title: 'ENCLV-exiting bitmap', width: 64, area: 'control', index: 27, group: 'vmExecutionControls', exists: ['enableEnclvExiting'], ref: CONTROL_64 },
  { key: 'LOW_PASID_DIRECTORY_ADDRESS', title: 'Low PASID directory address', width: 64, area: 'control', index: 28, group: 'vmExecutionControls', exists: ['pasidTranslation'], ref: CONTROL_64 },
  { key: 'HIGH_PASID_DIRECTORY_ADDRESS', title: 'High PASID directory address', width: 64, area: 'control', index: 29, group: 'vmExecutionControls', exists: ['pasidTranslation'], ref: CONTROL_64 },
  { key: 'SHARED_EPT_POINTER', title: 'Shared EPT pointer', width: 64, area: 'control', index: 30, group: 'vmExecutionControls', exists: ['seamGuestPhysicalAddressWidth'], bits: EPTP_BITS, ref: CONTROL_64 },
  { key: 'PCONFIG_EXITING_BITMAP', title: 'PCONFIG-exiting bitmap', width: 64, area: 'control', index: 31, group: 'vmExecutionControls', exists: ['enablePconfig'], ref: CONTROL_64 },
  { key: 'HLAT_POINTER', title: 'Hypervisor-managed linear-address translation pointer (HLATP)', width: 64, area: 'control', index: 32, group: 'vmExecutionControls', exists: ['enableHlat'], ref: CONTROL_64 },
  { key: 'PID_POINTER_TABLE_ADDRESS', title: 'PID-pointer table address', width: 64, area: 'control', index: 33, group: 'vmExecutionControls', exists: ['ipiVirtualization'], ref: CONTROL_64 },
  { key: 'SECONDARY_VM_EXIT_CONTROLS', title: 'Secondary VM-exit controls', width: 64, area: 'control', index: 34, group: 'vmExitControls', exists: ['activateSecondaryVmExitControls'], bits: controlsOf('secondaryVmExit'), ref: CONTROL_64 },
  { key: 'SPEC_CTRL_MASK', title: 'IA32_SPEC_CTRL mask', width: 64, area: 'control', index: 37, group: 'vmExecutionControls', exists: ['virtualizeSpecCtrl'], ref: CONTROL_64 },
  { key: 'SPEC_CTRL_SHADOW', title: 'IA32_SPEC_CTRL shadow', width: 64, area: 'control', index: 38, group: 'vmExecutionControls', exists: ['virtualizeSpecCtrl'], ref: CONTROL_64 },
  { key: 'GUEST_DEADLINE_SHADOW', title: 'Guest deadline shadow', width: 64, area: 'control', index: 39, group: 'vmExecutionControls', exists: ['apicTimerVirtualization'], ref: APIC_TIMER },
  { key: 'INJECTED_EVENT_DATA', title: 'Injected-event data', width: 64, area: 'control', index: 41, group: 'vmEntryControls', exists: ['loadFredOnEntry'], ref: FRED_FIELDS },
  // B.2.2: 64-Bit Read-Only Data Field
  { key: 'GUEST_PHYSICAL_ADDRESS', title: 'Guest-physical address', width: 64, area: 'readOnly', index: 0, group: 'vmExitInformation', exists: ['enableEpt'], ref: READ_ONLY_64 },
  { key: 'ORIGINAL_EVENT_DATA', title: 'Original-event data', width: 64, area: 'readOnly', index: 2, group: 'vmExitInformation', exists: ['loadFredOnEntry'], ref: FRED_FIELDS },
  // B.2.3: 64-Bit Guest-State Fields
  { key: 'VMCS_LINK_POINTER', title: 'VMCS link pointer', width: 64, area: 'guest', index: 0, group: 'guestNonRegisterState', exists: ALWAYS, ref: GUEST_64 },
  { key: 'GUEST_IA32_DEBUGCTL', title: 'Guest IA32_DEBUGCTL', width: 64, area: 'guest', index: 1, group: 'guestRegisterState', exists: ALWAYS, bits: DEBUGCTL_BITS, ref: GUEST_64 },
  { key: 'GUEST_IA32_PAT', title: 'Guest IA32_PAT', width: 64, area: 'guest', index: 2, group: 'guestRegisterState', exists: ['loadPatOnEntry', 'savePatOnExit'], bits: PAT_BITS, ref: GUEST_64 },
  { key: 'GUEST_IA32_EFER', title: 'Guest IA32_EFER', width: 64, area: 'guest', index: 3, group: 'guestRegisterState', exists: ['loadEferOnEntry', 'saveEferOnExit'], bits: EFER_BITS, ref: GUEST_64 },
  { key: 'GUEST_IA32_PERF_GLOBAL_CTRL', title: 'Guest IA32_PERF_GLOBAL_CTRL', width: 64, area: 'guest', index: 4, group: 'guestRegisterState', exists: ['loadPerfGlobalCtrlOnEntry', 'savePerfGlobalCtrlOnExit'], ref: GUEST_64 },
  { key: 'GUEST_PDPTE0', title: 'Guest PDPTE0', width: 64, area: 'guest', index: 5, group: 'guestNonRegisterState', exists: ['enableEpt'], ref: GUEST_64 },
  { key: 'GUEST_PDPTE1', title: 'Guest PDPTE1', width: 64, area: 'guest', index: 6, group: 'guestNonRegisterState', exists: ['enableEpt'], ref: GUEST_64 },
  { key: 'GUEST_PDPTE2', title: 'Guest PDPTE2', width: 64, area: 'guest', index: 7, group: 'guestNonRegisterState', exists: ['enableEpt'], ref: GUEST_64 },
  { key: 'GUEST_PDPTE3', title: 'Guest PDPTE3', width: 64, area: 'guest', index: 8, group: 'guestNonRegisterState', exists: ['enableEpt'], ref: GUEST_64 },
  { key: 'GUEST_IA32_BNDCFGS', title: 'Guest IA32_BNDCFGS', width: 64, area: 'guest', index: 9, group: 'guestRegisterState', exists: ['loadBndcfgsOnEntry', 'clearBndcfgsOnExit'], ref: GUEST_64 },
  { key: 'GUEST_IA32_RTIT_CTL', title: 'Guest IA32_RTIT_CTL', width: 64, area: 'guest', index: 10, group: 'guestRegisterState', exists: ['loadRtitCtlOnEntry', 'clearRtitCtlOnExit'], ref: GUEST_64 },
  { key: 'GUEST_IA32_LBR_CTL', title: 'Guest IA32_LBR_CTL', width: 64, area: 'guest', index: 11, group: 'guestRegisterState', exists: ['loadLbrCtlOnEntry', 'clearLbrCtlOnExit'], bits: LBR_CTL_BITS, ref: GUEST_64 },
  { key: 'GUEST_IA32_PKRS', title: 'Guest IA32_PKRS', width: 64, area: 'guest', index: 12, group: 'guestRegisterState', exists: ['loadPkrsOnEntry'], ref: GUEST_64 },
  { key: 'GUEST_IA32_FRED_CONFIG', title: 'Guest IA32_FRED_CONFIG', width: 64, area: 'guest', index: 13, group: 'guestRegisterState', exists: ['loadFredOnEntry', 'saveFredOnExit'], ref: FRED_FIELDS },
  { key: 'GUEST_IA32_FRED_RSP1', title: 'Guest IA32_FRED_RSP1', width: 64, area: 'guest', index: 14, group: 'guestRegisterState', exists: ['loadFredOnEntry', 'saveFredOnExit'], ref: FRED_FIELDS },
  { key: 'GUEST_IA32_FRED_RSP2', title: 'Guest IA32_FRED_RSP2', width: 64, area: 'guest', index: 15, group: 'guestRegisterState', exists: ['loadFredOnEntry', 'saveFredOnExit'], ref: FRED_FIELDS },
  { key: 'GUEST_IA32_FRED_RSP3', title: 'Guest IA32_FRED_RSP3', width: 64, area: 'guest', index: 16, group: 'guestRegisterState', exists: ['loadFredOnEntry', 'saveFredOnExit'], ref: FRED_FIELDS },
  { key: 'GUEST_IA32_FRED_STKLVLS', title: 'Guest IA32_FRED_STKLVLS', width: 64, area: 'guest', index: 17, group: 'guestRegisterState', exists: ['loadFredOnEntry', 'saveFredOnExit'], ref: FRED_FIELDS },
  { key: 'GUEST_IA32_FRED_SSP1', title: 'Guest IA32_FRED_SSP1', width: 64, area: 'guest', index: 18, group: 'guestRegisterState', exists: ['loadFredOnEntry', 'saveFredOnExit'], ref: FRED_FIELDS },
  { key: 'GUEST_IA32_FRED_SSP2', title: 'Guest IA32_FRED_SSP2', width: 64, area: 'guest', index: 19, group: 'guestRegisterState', exists: ['loadFredOnEntry', 'saveFredOnExit'], ref: FRED_FIELDS },
  { key: 'GUEST_IA32_FRED_SSP3', title: 'Guest IA32_FRED_SSP3', width: 64, area: 'guest', index: 20, group: 'guestRegisterState', exists: ['loadFredOnEntry', 'saveFredOnExit'], ref: FRED_FIELDS },
  { key: 'GUEST_IA32_SPEC_CTRL', title: 'Guest IA32_SPEC_CTRL', width: 64, area: 'guest', index: 23, group: 'guestRegisterState', exists: ['loadSpecCtrlOnEntry'], ref: SPEC_CTRL_LOAD },
  { key: 'GUEST_DEADLINE', title: 'Guest deadline', width: 64, area: 'guest', index: 24, group: 'guestRegisterState', exists: ['apicTimerVirtualization'], ref: APIC_TIMER },
  // B.2.4: 64-Bit Host-State Fields
  { key: 'HOST_IA32_PAT', title: 'Host IA32_PAT', width: 64, area: 'host', index: 0, group: 'hostState', exists: ['loadPatOnExit'], bits: PAT_BITS, ref: HOST_64 },
  { key: 'HOST_IA32_EFER', title: 'Host IA32_EFER', width: 64, area: 'host', index: 1, group: 'hostState', exists: ['loadEferOnExit'], bits: EFER_BITS, ref: HOST_64 },
  { key: 'HOST_IA32_PERF_GLOBAL_CTRL', title: 'Host IA32_PERF_GLOBAL_CTRL', width: 64, area: 'host', index: 2, group: 'hostState', exists: ['loadPerfGlobalCtrlOnExit'], ref: HOST_64 },
  { key: 'HOST_IA32_PKRS', title: 'Host IA32_PKRS', width: 64, area: 'host', index: 3, group: 'hostState', exists: ['loadPkrsOnExit'], ref: HOST_64 },
  { key: 'HOST_IA32_FRED_CONFIG', title: 'Host IA32_FRED_CONFIG', width: 64, area: 'host', index: 4, group: 'hostState', exists: ['loadFredOnExit'], ref: FRED_FIELDS },
  { key: 'HOST_IA32_FRED_RSP1', title: 'Host IA32_FRED_RSP1', width: 64, area: 'host', index: 5, group: 'hostState', exists: ['loadFredOnExit'], ref: FRED_FIELDS },
  { key: 'HOST_IA32_FRED_RSP2', title: 'Host IA32_FRED_RSP2', width: 64, area: 'host', index: 6, group: 'hostState', exists: ['loadFredOnExit'], ref: FRED_FIELDS },
  { key: 'HOST_IA32_FRED_RSP3', title: 'Host IA32_FRED_RSP3', width: 64, area: 'host', index: 7, group: 'hostState', exists: ['loadFredOnExit'], ref: FRED_FIELDS },
  { key: 'HOST_IA32_FRED_STKLVLS', title: 'Host IA32_FRED_STKLVLS', width: 64, area: 'host', index: 8, group: 'hostState', exists: ['loadFredOnExit'], ref: FRED_FIELDS },
  { key: 'HOST_IA32_FRED_SSP1', title: 'Host IA32_FRED_SSP1', width: 64, area: 'host', index: 9, group: 'hostState', exists: ['loadFredOnExit'], ref: FRED_FIELDS },
  { key: 'HOST_IA32_FRED_SSP2', title: 'Host IA32_FRED_SSP2', width: 64, area: 'host', index: 10, group: 'hostState', exists: ['loadFredOnExit'], ref: FRED_FIELDS },
  { key: 'HOST_IA32_FRED_SSP3', title: 'Host IA32_FRED_SSP3', width: 64, area: 'host', index: 11, group: 'hostState', exists: ['loadFredOnExit'], ref: FRED_FIELDS },
  { key: 'HOST_IA32_SPEC_CTRL', title: 'Host IA32_SPEC_CTRL', width: 64, area: 'host', index: 13, group: 'hostState', exists: ['loadSpecCtrlOnExit'], ref: SPEC_CTRL_LOAD },
  // B.3.1: 32-Bit Control Fields
  { key: 'PIN_BASED_VM_EXECUTION_CONTROLS', title: 'Pin-based VM-execution controls', width: 32, area: 'control', index: 0, group: 'vmExecutionControls', exists: ALWAYS, bits: controlsOf('pinBased'), ref: CONTROL_32 },
  { key: 'PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS', title: 'Primary processor-based VM-execution controls', width: 32, area: 'control', index: 1, group: 'vmExecutionControls', exists: ALWAYS, bits: controlsOf('primaryProcessorBased'), ref: CONTROL_32 },
  { key: 'EXCEPTION_BITMAP', title: 'Exception bitmap', width: 32, area: 'control', index: 2, group: 'vmExecutionControls', exists: ALWAYS, bits: EXCEPTION_BITMAP_BITS, ref: CONTROL_32 },
  { key: 'PAGE_FAULT_ERROR_CODE_MASK', title: 'Page-fault error-code mask', width: 32, area: 'control', index: 3, group: 'vmExecutionControls', exists: ALWAYS, ref: CONTROL_32 },
  { key: 'PAGE_FAULT_ERROR_CODE_MATCH', title: 'Page-fault error-code match', width: 32, area: 'control', index: 4, group: 'vmExecutionControls', exists: ALWAYS, ref: CONTROL_32 },
  { key: 'CR3_TARGET_COUNT', title: 'CR3-target count', width: 32, area: 'control', index: 5, group: 'vmExecutionControls', exists: ALWAYS, ref: CONTROL_32 },
  { key: 'PRIMARY_VM_EXIT_CONTROLS', title: 'Primary VM-exit controls', width: 32, area: 'control', index: 6, group: 'vmExitControls', exists: ALWAYS, bits: controlsOf('primaryVmExit'), ref: CONTROL_32 },
  { key: 'VM_EXIT_MSR_STORE_COUNT', title: 'VM-exit MSR-store count', width: 32, area: 'control', index: 7, group: 'vmExitControls', exists: ALWAYS, ref: CONTROL_32 },
  { key: 'VM_EXIT_MSR_LOAD_COUNT', title: 'VM-exit MSR-load count', width: 32, area: 'control', index: 8, group: 'vmExitControls', exists: ALWAYS, ref: CONTROL_32 },
  { key: 'VM_ENTRY_CONTROLS', title: 'VM-entry controls', width: 32, area: 'control', index: 9, group: 'vmEntryControls', exists: ALWAYS, bits: controlsOf('vmEntry'), ref: CONTROL_32 },
  { key: 'VM_ENTRY_MSR_LOAD_COUNT', title: 'VM-entry MSR-load count', width: 32, area: 'control', index: 10, group: 'vmEntryControls', exists: ALWAYS, ref: CONTROL_32 },
  { key: 'VM_ENTRY_INTERRUPTION_INFORMATION', title: 'VM-entry interruption-information field', width: 32, area: 'control', index: 11, group: 'vmEntryControls', exists: ALWAYS, bits: ENTRY_INTERRUPTION_BITS, ref: CONTROL_32 },
  { key: 'VM_ENTRY_EXCEPTION_ERROR_CODE', title: 'VM-entry exception error code', width: 32, area: 'control', index: 12, group: 'vmEntryControls', exists: ALWAYS, ref: CONTROL_32 },
  { key: 'VM_ENTRY_INSTRUCTION_LENGTH', title: 'VM-entry instruction length', width: 32, area: 'control', index: 13, group: 'vmEntryControls', exists: ALWAYS, ref: CONTROL_32 },
  { key: 'TPR_THRESHOLD', title: 'TPR threshold', width: 32, area: 'control', index: 14, group: 'vmExecutionControls', exists: ['useTprShadow'], ref: CONTROL_32 },
  { key: 'SECONDARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS', title: 'Secondary processor-based VM-execution controls', width: 32, area: 'control', index: 15, group: 'vmExecutionControls', exists: ['activateSecondaryControls'], bits: controlsOf('secondaryProcessorBased'), ref: CONTROL_32 },
  { key: 'PLE_GAP', title: 'PLE_Gap', width: 32, area: 'control', index: 16, group: 'vmExecutionControls', exists: ['pauseLoopExiting'], ref: CONTROL_32 },
  { key: 'PLE_WINDOW', title: 'PLE_Window', width: 32, area: 'control', index: 17, group: 'vmExecutionControls', exists: ['pauseLoopExiting'], ref: CONTROL_32 },
  { key: 'INSTRUCTION_TIMEOUT_CONTROL', title: 'Instruction-timeout control', width: 32, area: 'control', index: 18, group: 'vmExecutionControls', exists: ['instructionTimeout'], ref: CONTROL_32 },
  // B.3.2: 32-Bit Read-Only Data Fields
  { key: 'VM_INSTRUCTION_ERROR', title: 'VM-instruction error', width: 32, area: 'readOnly', index: 0, group: 'vmExitInformation', exists: ALWAYS, ref: READ_ONLY_32 },
  { key: 'VM_EXIT_REASON', title: 'Exit reason', width: 32, area: 'readOnly', index: 1, group: 'vmExitInformation', exists: ALWAYS, bits: EXIT_REASON_BITS, ref: READ_ONLY_32 },
  { key: 'VM_EXIT_INTERRUPTION_INFORMATION', title: 'VM-exit interruption information', width: 32, area: 'readOnly', index: 2, group: 'vmExitInformation', exists: ALWAYS, bits: EXIT_INTERRUPTION_BITS, ref: READ_ONLY_32 },
  { key: 'VM_EXIT_INTERRUPTION_ERROR_CODE', title: 'VM-exit interruption error code', width: 32, area: 'readOnly', index: 3, group: 'vmExitInformation', exists: ALWAYS, ref: READ_ONLY_32 },
  { key: 'IDT_VECTORING_INFORMATION', title: 'IDT-vectoring information field', width: 32, area: 'readOnly', index: 4, group: 'vmExitInformation', exists: ALWAYS, bits: IDT_VECTORING_BITS, ref: READ_ONLY_32 },
  { key: 'IDT_VECTORING_ERROR_CODE', title: 'IDT-vectoring error code', width: 32, area: 'readOnly', index: 5, group: 'vmExitInformation', exists: ALWAYS, ref: READ_ONLY_32 },
  { key: 'VM_EXIT_INSTRUCTION_LENGTH', title: 'VM-exit instruction length', width: 32, area: 'readOnly', index: 6, group: 'vmExitInformation', exists: ALWAYS, ref: READ_ONLY_32 },
  { key: 'VM_EXIT_INSTRUCTION_INFORMATION', title: 'VM-exit instruction information', width: 32, area: 'readOnly', index: 7, group: 'vmExitInformation', exists: ALWAYS, ref: READ_ONLY_32 },
  // B.3.3: 32-Bit Guest-State Fields
  { key: 'GUEST_ES_LIMIT', title: 'Guest ES limit', width: 32, area: 'guest', index: 0, group: 'guestRegisterState', exists: ALWAYS, ref: GUEST_32 },
  { key: 'GUEST_CS_LIMIT', title: 'Guest CS limit', width: 32, area: 'guest', index: 1, group: 'guestRegisterState', exists: ALWAYS, ref: GUEST_32 },
  { key: 'GUEST_SS_LIMIT', title: 'Guest SS limit', width: 32, area: 'guest', index: 2, group: 'guestRegisterState', exists: ALWAYS, ref: GUEST_32 },
  { key: 'GUEST_DS_LIMIT', title: 'Guest DS limit', width: 32, area: 'guest', index: 3, group: 'guestRegisterState', exists: ALWAYS, ref: GUEST_32 },
  { key: 'GUEST_FS_LIMIT', title: 'Guest FS limit', width: 32, area: 'guest', index: 4, group: 'guestRegisterState', exists: ALWAYS, ref: GUEST_32 },
  { key: 'GUEST_GS_LIMIT', title: 'Guest GS limit', width: 32, area: 'guest', index: 5, group: 'guestRegisterState', exists: ALWAYS, ref: GUEST_32 },
  { key: 'GUEST_LDTR_LIMIT', title: 'Guest LDTR limit', width: 32, area: 'guest', index: 6, group: 'guestRegisterState', exists: ALWAYS, ref: GUEST_32 },
  { key: 'GUEST_TR_LIMIT', title: 'Guest TR limit', width: 32, area: 'guest', index: 7, group: 'guestRegisterState', exists: ALWAYS, ref: GUEST_32 },
  { key: 'GUEST_GDTR_LIMIT', title: 'Guest GDTR limit', width: 32, area: 'guest', index: 8, group: 'guestRegisterState', exists: ALWAYS, ref: GUEST_32 },
  { key: 'GUEST_IDTR_LIMIT', title: 'Guest IDTR limit', width: 32, area: 'guest', index: 9, group: 'guestRegisterState', exists: ALWAYS, ref: GUEST_32 },
  { key: 'GUEST_ES_ACCESS_RIGHTS', title: 'Guest ES access rights', width: 32, area: 'guest', index: 10, group: 'guestRegisterState', exists: ALWAYS, bits: ACCESS_RIGHTS_BITS, ref: GUEST_32 },
  { key: 'GUEST_CS_ACCESS_RIGHTS', title: 'Guest CS access rights', width: 32, area: 'guest', index: 11, group: 'guestRegisterState', exists: ALWAYS, bits: ACCESS_RIGHTS_BITS, ref: GUEST_32 },
  { key: 'GUEST_SS_ACCESS_RIGHTS', title: 'Guest SS access rights', width: 32, area: 'guest', index: 12, group: 'guestRegisterState', exists: ALWAYS, bits: ACCESS_RIGHTS_BITS, ref: GUEST_32 },
  { key: 'GUEST_DS_ACCESS_RIGHTS', title: 'Guest DS access rights', width: 32, area: 'guest', index: 13, group: 'guestRegisterState', exists: ALWAYS, bits: ACCESS_RIGHTS_BITS, ref: GUEST_32 },
  { key: 'GUEST_FS_ACCESS_RIGHTS', title: 'Guest FS access rights', width: 32, area: 'guest', index: 14, group: 'guestRegisterState', exists: ALWAYS, bits: ACCESS_RIGHTS_BITS, ref: GUEST_32 },
  { key: 'GUEST_GS_ACCESS_RIGHTS', title: 'Guest GS access rights', width: 32, area: 'guest', index: 15, group: 'guestRegisterState', exists: ALWAYS, bits: ACCESS_RIGHTS_BITS, ref: GUEST_32 },
  { key: 'GUEST_LDTR_ACCESS_RIGHTS', title: 'Guest LDTR access rights', width: 32, area: 'guest', index: 16, group: 'guestRegisterState', exists: ALWAYS, bits: ACCESS_RIGHTS_BITS, ref: GUEST_32 },
  { key: 'GUEST_TR_ACCESS_RIGHTS', title: 'Guest TR access rights', width: 32, area: 'guest', index: 17, group: 'guestRegisterState', exists: ALWAYS, bits: ACCESS_RIGHTS_BITS, ref: GUEST_32 },
  { key: 'GUEST_INTERRUPTIBILITY_STATE', title: 'Guest interruptibility state', width: 32, area: 'guest', index: 18, group: 'guestNonRegisterState', exists: ALWAYS, bits: INTERRUPTIBILITY_BITS, ref: GUEST_32 },
  { key: 'GUEST_ACTIVITY_STATE', title: 'Guest activity state', width: 32, area: 'guest', index: 19, group: 'guestNonRegisterState', exists: ALWAYS, bits: ACTIVITY_STATE_BITS, ref: GUEST_32 },
  { key: 'GUEST_SMBASE', title: 'Guest SMBASE', width: 32, area: 'guest', index: 20, group: 'guestRegisterState', exists: ALWAYS, ref: GUEST_32 },
  { key: 'GUEST_IA32_SYSENTER_CS', title: 'Guest IA32_SYSENTER_CS', width: 32, area: 'guest', index: 21, group: 'guestRegisterState', exists: ALWAYS, ref: GUEST_32 },
  { key: 'VMX_PREEMPTION_TIMER_VALUE', title: 'VMX-preemption timer value', width: 32, area: 'guest', index: 23, group: 'guestNonRegisterState', exists: ['activateVmxPreemptionTimer'], ref: GUEST_32 },
  // B.3.4: 32-Bit Host-State Field
  { key: 'HOST_IA32_SYSENTER_CS', title: 'Host IA32_SYSENTER_CS', width: 32, area: 'host', index: 0, group: 'hostState', exists: ALWAYS, ref: HOST_32 },
  // B.4.1: Natural-Width Control Fields
  { key: 'CR0_GUEST_HOST_MASK', title: 'CR0 guest/host mask', width: 'natural', area: 'control', index: 0, group: 'vmExecutionControls', exists: ALWAYS, bits: CR0_BITS, ref: CONTROL_NATURAL },
  { key: 'CR4_GUEST_HOST_MASK', title: 'CR4 guest/host mask', width: 'natural', area: 'control', index: 1, group: 'vmExecutionControls', exists: ALWAYS, bits: CR4_BITS, ref: CONTROL_NATURAL },
  { key: 'CR0_READ_SHADOW', title: 'CR0 read shadow', width: 'natural', area: 'control', index: 2, group: 'vmExecutionControls', exists: ALWAYS, bits: CR0_BITS, ref: CONTROL_NATURAL },
  { key: 'CR4_READ_SHADOW', title: 'CR4 read shadow', width: 'natural', area: 'control', index: 3, group: 'vmExecutionControls', exists: ALWAYS, bits: CR4_BITS, ref: CONTROL_NATURAL },
  { key: 'CR3_TARGET_VALUE_0', title: 'CR3-target value 0', width: 'natural', area: 'control', index: 4, group: 'vmExecutionControls', exists: ALWAYS, ref: CONTROL_NATURAL },
  { key: 'CR3_TARGET_VALUE_1', title: 'CR3-target value 1', width: 'natural', area: 'control', index: 5, group: 'vmExecutionControls', exists: ALWAYS, ref: CONTROL_NATURAL },
  { key: 'CR3_TARGET_VALUE_2', title: 'CR3-target value 2', width: 'natural', area: 'control', index: 6, group: 'vmExecutionControls', exists: ALWAYS, ref: CONTROL_NATURAL },
  { key: 'CR3_TARGET_VALUE_3', title: 'CR3-target value 3', width: 'natural', area: 'control', index: 7, group: 'vmExecutionControls', exists: ALWAYS, ref: CONTROL_NATURAL },
  // B.4.2: Natural-Width Read-Only Data Fields
  { key: 'EXIT_QUALIFICATION', title: 'Exit qualification', width: 'natural', area: 'readOnly', index: 0, group: 'vmExitInformation', exists: ALWAYS, ref: READ_ONLY_NATURAL },
  { key: 'IO_RCX', title: 'I/O RCX', width: 'natural', area: 'readOnly', index: 1, group: 'vmExitInformation', exists: ALWAYS, ref: READ_ONLY_NATURAL },
  { key: 'IO_RSI', title: 'I/O RSI', width: 'natural', area: 'readOnly', index: 2, group: 'vmExitInformation', exists: ALWAYS, ref: READ_ONLY_NATURAL },
  { key: 'IO_RDI', title: 'I/O RDI', width: 'natural', area: 'readOnly', index: 3, group: 'vmExitInformation', exists: ALWAYS, ref: READ_ONLY_NATURAL },
  { key: 'IO_RIP', title: 'I/O RIP', width: 'natural', area: 'readOnly', index: 4, group: 'vmExitInformation', exists: ALWAYS, ref: READ_ONLY_NATURAL },
  { key: 'GUEST_LINEAR_ADDRESS', title: 'Guest-linear address', width: 'natural', area: 'readOnly', index: 5, group: 'vmExitInformation', exists: ALWAYS, ref: READ_ONLY_NATURAL },
  // B.4.3: Natural-Width Guest-State Fields
  { key: 'GUEST_CR0', title: 'Guest CR0', width: 'natural', area: 'guest', index: 0, group: 'guestRegisterState', exists: ALWAYS, bits: CR0_BITS, ref: GUEST_NATURAL },
  { key: 'GUEST_CR3', title: 'Guest CR3', width: 'natural', area: 'guest', index: 1, group: 'guestRegisterState', exists: ALWAYS, bits: CR3_BITS, ref: GUEST_NATURAL },
  { key: 'GUEST_CR4', title: 'Guest CR4', width: 'natural', area: 'guest', index: 2, group: 'guestRegisterState', exists: ALWAYS, bits: CR4_BITS, ref: GUEST_NATURAL },
  { key: 'GUEST_ES_BASE', title: 'Guest ES base', width: 'natural', area: 'guest', index: 3, group: 'guestRegisterState', exists: ALWAYS, ref: GUEST_NATURAL },
  { key: 'GUEST_CS_BASE', title: 'Guest CS base', width: 'natural', area: 'guest', index: 4, group: 'guestRegisterState', exists: ALWAYS, ref: GUEST_NATURAL },
  { key: 'GUEST_SS_BASE', title: 'Guest SS base', width: 'natural', area: 'guest', index: 5, group: 'guestRegisterState', exists: ALWAYS, ref: GUEST_NATURAL },
  { key: 'GUEST_DS_BASE', title: 'Guest DS base', width: 'natural', area: 'guest', index: 6, group: 'guestRegisterState', exists: ALWAYS, ref: GUEST_NATURAL },
  { key: 'GUEST_FS_BASE', title: 'Guest FS base', width: 'natural', area: 'guest', index: 7, group: 'guestRegisterState', exists: ALWAYS, ref: GUEST_NATURAL },
  { key: 'GUEST_GS_BASE', title: 'Guest GS base', width: 'natural', area: 'guest', index: 8, group: 'guestRegisterState', exists: ALWAYS, ref: GUEST_NATURAL },
  { key: 'GUEST_LDTR_BASE', title: 'Guest LDTR base', width: 'natural', area: 'guest', index: 9, group: 'guestRegisterState', exists: ALWAYS, ref: GUEST_NATURAL },
  { key: 'GUEST_TR_BASE', title: 'Guest TR base', width: 'natural', area: 'guest', index: 10, group: 'guestRegisterState', exists: ALWAYS, ref: GUEST_NATURAL },
  { key: 'GUEST_GDTR_BASE', title: 'Guest GDTR base', width: 'natural', area: 'guest', index: 11, group: 'guestRegisterState', exists: ALWAYS, ref: GUEST_NATURAL },
  { key: 'GUEST_IDTR_BASE', title: 'Guest IDTR base', width: 'natural', area: 'guest', index: 12, group: 'guestRegisterState', exists: ALWAYS, ref: GUEST_NATURAL },
  { key: 'GUEST_DR7', title: 'Guest DR7', width: 'natural', area: 'guest', index: 13, group: 'guestRegisterState', exists: ALWAYS, bits: DR7_BITS, ref: GUEST_NATURAL },
  { key: 'GUEST_RSP', title: 'Guest RSP', width: 'natural', area: 'guest', index: 14, group: 'guestRegisterState', exists: ALWAYS, ref: GUEST_NATURAL },
  { key: 'GUEST_RIP', title: 'Guest RIP', width: 'natural', area: 'guest', index: 15, group: 'guestRegisterState', exists: ALWAYS, ref: GUEST_NATURAL },
  { key: 'GUEST_RFLAGS', title: 'Guest RFLAGS', width: 'natural', area: 'guest', index: 16, group: 'guestRegisterState', exists: ALWAYS, bits: RFLAGS_BITS, ref: GUEST_NATURAL },
  { key: 'GUEST_PENDING_DEBUG_EXCEPTIONS', title: 'Guest pending debug exceptions', width: 'natural', area: 'guest', index: 17, group: 'guestNonRegisterState', exists: ALWAYS, bits: PENDING_DEBUG_BITS, ref: GUEST_NATURAL },
  { key: 'GUEST_IA32_SYSENTER_ESP', title: 'Guest IA32_SYSENTER_ESP', width: 'natural', area: 'guest', index: 18, group: 'guestRegisterState', exists: ALWAYS, ref: GUEST_NATURAL },
  { key: 'GUEST_IA32_SYSENTER_EIP', title: 'Guest IA32_SYSENTER_EIP', width: 'natural', area: 'guest', index: 19, group: 'guestRegisterState', exists: ALWAYS, ref: GUEST_NATURAL },
  { key: 'GUEST_IA32_S_CET', title: 'Guest IA32_S_CET', width: 'natural', area: 'guest', index: 20, group: 'guestRegisterState', exists: ['loadCetStateOnEntry'], ref: GUEST_NATURAL },
  { key: 'GUEST_SSP', title: 'Guest SSP', width: 'natural', area: 'guest', index: 21, group: 'guestRegisterState', exists: ['loadCetStateOnEntry'], ref: GUEST_NATURAL },
  { key: 'GUEST_IA32_INTERRUPT_SSP_TABLE_ADDR', title: 'Guest IA32_INTERRUPT_SSP_TABLE_ADDR', width: 'natural', area: 'guest', index: 22, group: 'guestRegisterState', exists: ['loadCetStateOnEntry'], ref: GUEST_NATURAL },
  // B.4.4: Natural-Width Host-State Fields
  { key: 'HOST_CR0', title: 'Host CR0', width: 'natural', area: 'host', index: 0, group: 'hostState', exists: ALWAYS, bits: CR0_BITS, ref: HOST_NATURAL },
  { key: 'HOST_CR3', title: 'Host CR3', width: 'natural', area: 'host', index: 1, group: 'hostState', exists: ALWAYS, bits: CR3_BITS, ref: HOST_NATURAL },
  { key: 'HOST_CR4', title: 'Host CR4', width: 'natural', area: 'host', index: 2, group: 'hostState', exists: ALWAYS, bits: CR4_BITS, ref: HOST_NATURAL },
  { key: 'HOST_FS_BASE', title: 'Host FS base', width: 'natural', area: 'host', index: 3, group: 'hostState', exists: ALWAYS, ref: HOST_NATURAL },
  { key: 'HOST_GS_BASE', title: 'Host GS base', width: 'natural', area: 'host', index: 4, group: 'hostState', exists: ALWAYS, ref: HOST_NATURAL },
  { key: 'HOST_TR_BASE', title: 'Host TR base', width: 'natural', area: 'host', index: 5, group: 'hostState', exists: ALWAYS, ref: HOST_NATURAL },
  { key: 'HOST_GDTR_BASE', title: 'Host GDTR base', width: 'natural', area: 'host', index: 6, group: 'hostState', exists: ALWAYS, ref: HOST_NATURAL },
  { key: 'HOST_IDTR_BASE', title: 'Host IDTR base', width: 'natural', area: 'host', index: 7, group: 'hostState', exists: ALWAYS, ref: HOST_NATURAL },
  { key: 'HOST_IA32_SYSENTER_ESP', title: 'Host IA32_SYSENTER_ESP', width: 'natural', area: 'host', index: 8, group: 'hostState', exists: ALWAYS, ref: HOST_NATURAL },
  { key: 'HOST_IA32_SYSENTER_EIP', title: 'Host IA32_SYSENTER_EIP', width: 'natural', area: 'host', index: 9, group: 'hostState', exists: ALWAYS, ref: HOST_NATURAL },
  { key: 'HOST_RSP', title: 'Host RSP', width: 'natural', area: 'host', index: 10, group: 'hostState', exists: ALWAYS, ref: HOST_NATURAL },
  { key: 'HOST_RIP', title: 'Host RIP', width: 'natural', area: 'host', index: 11, group: 'hostState', exists: ALWAYS, ref: HOST_NATURAL },
  { key: 'HOST_IA32_S_CET', title: 'Host IA32_S_CET', width: 'natural', area: 'host', index: 12, group: 'hostState', exists: ['loadCetStateOnExit'], ref: HOST_NATURAL },
  { key: 'HOST_SSP', title: 'Host SSP', width: 'natural', area: 'host', index: 13, group: 'hostState', exists: ['loadCetStateOnExit'], ref: HOST_NATURAL },
  { key: 'HOST_IA32_INTERRUPT_SSP_TABLE_ADDR', title: 'Host IA32_INTERRUPT_SSP_TABLE_ADDR', width: 'natural', area: 'host', index: 14, group: 'hostState', exists: ['loadCetStateOnExit'], ref: HOST_NATURAL },
] as const satisfies readonly VmcsFieldRow[];

export type VmcsFieldKey = (typeof VMCS_FIELDS)[number]['key'];
