/**
 * VM-instruction error numbers and VMX-abort indicators.
 *
 * Intel SDM Vol. 3C, "VMX Instruction Reference", "VM Instruction Error Numbers", and "VM Exits", "VMX Aborts".
 */
import type { Reference } from '../base/reference.ts';
import { EXITS, INSTRUCTIONS } from './manual.ts';

const ERRORS = INSTRUCTIONS('VM Instruction Error Numbers', '4');
const NO_DUAL_MONITOR = 'there is no dual-monitor treatment of SMIs and SMM';
const ABORTS = EXITS('VMX Aborts', '7');

export interface VmInstructionErrorRow {
  readonly number: number;
  readonly key: string;
  readonly text: string;
  /** Why no instruction of this processor ends with it. */
  readonly absent?: string;
  readonly ref: Reference;
}

/** Numbers that are missing here (14, 21, 27) are not used by the manual. */
// biome-ignore format: rows are read as a table
export const VM_INSTRUCTION_ERRORS = [
  { number: 1, key: 'vmcallInVmxRootOperation', text: 'VMCALL executed in VMX root operation', ref: ERRORS },
  { number: 2, key: 'vmclearInvalidAddress', text: 'VMCLEAR with an invalid physical address', ref: ERRORS },
  { number: 3, key: 'vmclearVmxonPointer', text: 'VMCLEAR with the VMXON pointer', ref: ERRORS },
  { number: 4, key: 'vmlaunchNonClearVmcs', text: 'VMLAUNCH with a VMCS whose launch state is not clear', ref: ERRORS },
  { number: 5, key: 'vmresumeNonLaunchedVmcs', text: 'VMRESUME with a VMCS whose launch state is not launched', ref: ERRORS },
  { number: 6, key: 'vmresumeAfterVmxoff', text: 'VMRESUME after VMXOFF, with VMXON since', absent: 'VMXON leaves no VMCS active, so that VMRESUME finds its launch state instead', ref: ERRORS },
  { number: 7, key: 'entryInvalidControlFields', text: 'VM entry with invalid control fields', ref: ERRORS },
  { number: 8, key: 'entryInvalidHostState', text: 'VM entry with invalid host-state fields', ref: ERRORS },
  { number: 9, key: 'vmptrldInvalidAddress', text: 'VMPTRLD with an invalid physical address', ref: ERRORS },
  { number: 10, key: 'vmptrldVmxonPointer', text: 'VMPTRLD with the VMXON pointer', ref: ERRORS },
  { number: 11, key: 'vmptrldIncorrectRevision', text: 'VMPTRLD of a region with an incorrect VMCS revision identifier', ref: ERRORS },
  { number: 12, key: 'unsupportedVmcsComponent', text: 'VMREAD or VMWRITE of an unsupported VMCS component', ref: ERRORS },
  { number: 13, key: 'vmwriteReadOnlyComponent', text: 'VMWRITE to a read-only VMCS component', absent: 'IA32_VMX_MISC[29] is 1: VMWRITE may write every field', ref: ERRORS },
  { number: 15, key: 'vmxonInVmxRootOperation', text: 'VMXON executed in VMX root operation', ref: ERRORS },
  { number: 16, key: 'entryInvalidExecutiveVmcsPointer', text: 'VM entry with an invalid executive-VMCS pointer', absent: NO_DUAL_MONITOR, ref: ERRORS },
  { number: 17, key: 'entryNonLaunchedExecutiveVmcs', text: 'VM entry with an executive VMCS that is not launched', absent: NO_DUAL_MONITOR, ref: ERRORS },
  { number: 18, key: 'entryExecutiveVmcsNotVmxonPointer', text: 'VM entry that deactivates dual-monitor treatment with an executive-VMCS pointer that is not the VMXON pointer', absent: NO_DUAL_MONITOR, ref: ERRORS },
  { number: 19, key: 'vmcallNonClearVmcs', text: 'VMCALL that activates dual-monitor treatment with a VMCS that is not clear', absent: NO_DUAL_MONITOR, ref: ERRORS },
  { number: 20, key: 'vmcallInvalidVmExitControls', text: 'VMCALL with invalid VM-exit control fields', absent: NO_DUAL_MONITOR, ref: ERRORS },
  { number: 22, key: 'vmcallIncorrectMsegRevision', text: 'VMCALL with an incorrect MSEG revision identifier', absent: NO_DUAL_MONITOR, ref: ERRORS },
  { number: 23, key: 'vmxoffUnderDualMonitor', text: 'VMXOFF under dual-monitor treatment of SMIs and SMM', absent: NO_DUAL_MONITOR, ref: ERRORS },
  { number: 24, key: 'vmcallInvalidSmmMonitorFeatures', text: 'VMCALL with invalid SMM-monitor features', absent: NO_DUAL_MONITOR, ref: ERRORS },
  { number: 25, key: 'entryInvalidExecutiveVmcsControls', text: 'VM entry with invalid VM-execution control fields in the executive VMCS', absent: NO_DUAL_MONITOR, ref: ERRORS },
  { number: 26, key: 'entryEventsBlockedByMovSs', text: 'VM entry while events are blocked by MOV SS', ref: ERRORS },
  { number: 28, key: 'invalidOperandToInveptInvvpid', text: 'Invalid operand to INVEPT or INVVPID', ref: ERRORS },
] as const satisfies readonly VmInstructionErrorRow[];

export type VmInstructionErrorKey = (typeof VM_INSTRUCTION_ERRORS)[number]['key'];

/** Numbers by key: `VM_INSTRUCTION_ERROR.vmlaunchNonClearVmcs`. */
export const VM_INSTRUCTION_ERROR = Object.freeze(
  Object.fromEntries(VM_INSTRUCTION_ERRORS.map((row) => [row.key, row.number])),
) as Readonly<Record<VmInstructionErrorKey, number>>;

export function describeVmInstructionError(number: number): string {
  const row = VM_INSTRUCTION_ERRORS.find((candidate) => candidate.number === number);
  return row === undefined ? `VM-instruction error ${number}` : row.text;
}

export interface VmxAbortRow {
  /** The value written to the VMX-abort indicator of the VMCS region. */
  readonly indicator: number;
  readonly key: string;
  readonly text: string;
  /** Why it does not happen here. */
  readonly absent?: string;
  readonly ref: Reference;
}

// biome-ignore format: rows are read as a table
export const VMX_ABORTS = [
  { indicator: 1, key: 'savingGuestMsrs', text: 'Failure while saving guest MSRs', ref: ABORTS },
  { indicator: 2, key: 'hostPdptes', text: 'Failed check of the host page-directory-pointer-table entries', ref: ABORTS },
  { indicator: 3, key: 'vmcsCorrupted', text: 'The current VMCS was corrupted, so that the VM exit could not complete', absent: 'stores to an active VMCS are fields of it', ref: ABORTS },
  { indicator: 4, key: 'loadingHostMsrs', text: 'Failure while loading host MSRs', ref: ABORTS },
  { indicator: 5, key: 'machineCheckDuringVmExit', text: 'Machine-check event during a VM exit', ref: ABORTS },
  { indicator: 6, key: 'ia32eModeTo32BitHost', text: 'The processor was in IA-32e mode and "host address-space size" was 0', ref: ABORTS },
] as const satisfies readonly VmxAbortRow[];

export type VmxAbortKey = (typeof VMX_ABORTS)[number]['key'];

/** Indicators by key. */
export const VMX_ABORT = Object.freeze(
  Object.fromEntries(VMX_ABORTS.map((row) => [row.key, row.indicator])),
) as Readonly<Record<VmxAbortKey, number>>;

export function describeVmxAbort(key: VmxAbortKey): string {
  const row = VMX_ABORTS.find((candidate) => candidate.key === key);
  return `VMX abort ${row?.indicator} (${row?.text})`;
}
