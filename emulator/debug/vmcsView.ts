/**
 * The current VMCS field by field: what is stored, what the processor holds instead while the guest runs, and which
 * control a field that does not exist would need.
 *
 * Intel SDM Vol. 3C, "Virtual Machine Control Structures", chapter 26.
 */

import type { BitFieldRow } from '../base/bitFields.ts';
import { formatReference } from '../base/reference.ts';
import { usesPaePaging } from '../core/pdptes.ts';
import {
  CONTROL_WORDS,
  CONTROLS,
  type Controls,
  controlsOf,
  controlsView,
  loadControlWords,
} from '../vmx/controls.ts';
import { describeExit } from '../vmx/describeExit.ts';
import { isValid } from '../vmx/eventInformation.ts';
import { INSTRUCTION_INFORMATION, QUALIFICATION } from '../vmx/exitLayouts.ts';
import { exitReasonRow } from '../vmx/exitReasons.ts';
import { ALWAYS, VMCS_FIELD_GROUPS, type VmcsFieldKey } from '../vmx/fields.ts';
import { SLOT } from '../vmx/vmcs.ts';
import { fieldExists, VMCS_FIELD, VMCS_FIELD_LIST, type VmcsField } from '../vmx/vmcsLayout.ts';
import { describeVmInstructionError } from '../vmx/vmInstructionErrors.ts';
import type { Vmx } from '../vmx/vmx.ts';
import { placeOfField, readPlace } from './guestState.ts';
import { decodedFields } from './processorView.ts';
import type { VmcsFieldValue } from './target.ts';

const groupTitles: ReadonlyMap<string, string> = new Map(
  VMCS_FIELD_GROUPS.map(({ key, title }) => [key, title]),
);
const controlNames: ReadonlyMap<string, string> = new Map(CONTROLS.map(({ key, name }) => [key, name]));
const controlBits: ReadonlyMap<string, readonly BitFieldRow[]> = new Map(
  CONTROL_WORDS.map(({ key, field }) => [field, controlsOf(key)]),
);

/** What the fields of one VMCS held, by ordinal; for telling later what has changed. */
export interface VmcsSnapshot {
  readonly address: number;
  readonly stored: readonly bigint[];
  readonly live: readonly bigint[];
}

export function takeVmcsSnapshot(vmx: Vmx | undefined): VmcsSnapshot | undefined {
  if (vmx === undefined || !vmx.processor.vmcs.isValid) return undefined;
  const { vmcs } = vmx.processor;
  const stored = VMCS_FIELD_LIST.map(({ ordinal }) => vmcs.read(ordinal));
  return {
    address: vmcs.address,
    stored,
    live: VMCS_FIELD_LIST.map((field) => liveValue(field, vmx) ?? stored[field.ordinal]),
  };
}

/** All fields in the order of the manual's groups; none without a current VMCS. */
export function vmcsFields(vmx: Vmx | undefined, before?: VmcsSnapshot): VmcsFieldValue[] {
  if (vmx === undefined || !vmx.processor.vmcs.isValid) return [];
  const { vmcs } = vmx.processor;
  const controls = controlsView(loadControlWords((key) => vmcs.read(VMCS_FIELD[key].ordinal)));
  // Another VMCS has not changed, it is another.
  const comparable = before?.address === vmcs.address ? before : undefined;
  return VMCS_FIELD_GROUPS.flatMap(({ key }) =>
    VMCS_FIELD_LIST.filter(({ group }) => group === key).map((field) =>
      describe(field, vmx, controls, comparable),
    ),
  );
}

function describe(
  field: VmcsField,
  vmx: Vmx,
  controls: Controls,
  before: VmcsSnapshot | undefined,
): VmcsFieldValue {
  const { processor } = vmx;
  const exists = fieldExists(field);
  const stored = exists ? processor.vmcs.read(field.ordinal) : undefined;
  const live = exists ? (liveValue(field, vmx) ?? stored) : undefined;
  const previous = before && { stored: before.stored[field.ordinal], live: before.live[field.ordinal] };
  const isSame = previous?.stored === stored && previous?.live === live;
  const needed = field.exists === ALWAYS ? [] : field.exists;
  const needs = missingControl(field);
  return {
    key: field.key,
    title: field.title,
    group: groupTitles.get(field.group) ?? field.group,
    encoding: field.encoding,
    stored,
    live,
    missing: exists ? undefined : needs,
    unused: exists && needed.length > 0 && !needed.some((key) => controls[key]) ? needs : undefined,
    previous: exists && !isSame ? previous : undefined,
    meaning: live === undefined ? undefined : meaningOf(field.key, live, vmx),
    bits: field.width === 'natural' ? 64 : field.width,
    fields: live === undefined ? [] : decodedFields(live, bitsOf(field, vmx.processor.vmcs)),
    reference: formatReference(field.ref),
  };
}

/** The control that a processor without a field would need; empty for what all have. */
export function missingControl({ exists }: VmcsField): string {
  return exists === ALWAYS ? '' : exists.map((key) => controlNames.get(key) ?? key).join(' or ');
}

/** Where bits 31:0 of the fields of an exit are read: the current VMCS, or what was recorded. */
export interface ExitFields {
  low(slot: number): number;
}

/** The rows of a field's bits; those of the exit qualification and instruction information depend on the exit. */
export function bitsOf({ key, bits }: VmcsField, exit: ExitFields): readonly BitFieldRow[] | undefined {
  if (key !== 'EXIT_QUALIFICATION' && key !== 'VM_EXIT_INSTRUCTION_INFORMATION')
    return bits ?? controlBits.get(key);
  const reason = exitReasonRow(exit.low(SLOT.VM_EXIT_REASON) & BASIC_REASON);
  if (reason === undefined) return undefined;
  if (key === 'VM_EXIT_INSTRUCTION_INFORMATION') {
    const isDefined = reason.key !== 'ioInstruction' || isStringIo(exit.low(SLOT.EXIT_QUALIFICATION));
    return isDefined && reason.information ? INSTRUCTION_INFORMATION[reason.information].bits : undefined;
  }
  if (reason.qualification) return QUALIFICATION[reason.qualification].bits;
  const event = BigInt(exit.low(SLOT.VM_EXIT_INTERRUPTION_INFORMATION) & 0xff);
  if (reason.key !== 'exceptionOrNmi') return undefined;
  return EXCEPTIONS_WITH_QUALIFICATION.find(({ vector }) => vector === event)?.layout.bits;
}

/** Of I/O instructions only INS and OUTS give instruction information. */
const isStringIo = (qualification: number): boolean => (qualification & (1 << 4)) !== 0;

export function describeLastExit(vmx: Vmx): string {
  return describeExit(vmx.processor.vmcs.low(SLOT.VM_EXIT_REASON) & BASIC_REASON, {
    qualification: vmx.vmread('EXIT_QUALIFICATION'),
    instructionInformation: vmx.vmread('VM_EXIT_INSTRUCTION_INFORMATION'),
    interruptionInformation: vmx.vmread('VM_EXIT_INTERRUPTION_INFORMATION'),
    interruptionErrorCode: vmx.vmread('VM_EXIT_INTERRUPTION_ERROR_CODE'),
    guestLinearAddress: vmx.vmread('GUEST_LINEAR_ADDRESS'),
    guestPhysicalAddress: vmx.vmread('GUEST_PHYSICAL_ADDRESS'),
  });
}

const BASIC_REASON = 0xffff;
const EXCEPTIONS_WITH_QUALIFICATION = [
  { vector: 1n, layout: QUALIFICATION.debugException },
  { vector: 14n, layout: QUALIFICATION.pageFault },
] as const;

function meaningOf(key: VmcsFieldKey, value: bigint, vmx: Vmx): string | undefined {
  switch (key) {
    case 'VM_EXIT_REASON':
      return exitReasonRow(Number(value) & BASIC_REASON)?.name;
    case 'EXIT_QUALIFICATION':
      return bitsOf(VMCS_FIELD.EXIT_QUALIFICATION, vmx.processor.vmcs) && describeLastExit(vmx);
    case 'VM_INSTRUCTION_ERROR':
      return value === 0n ? undefined : describeVmInstructionError(Number(value));
    case 'VM_ENTRY_INTERRUPTION_INFORMATION':
    case 'VM_EXIT_INTERRUPTION_INFORMATION':
    case 'IDT_VECTORING_INFORMATION':
      return isValid(Number(BigInt.asIntN(32, value))) ? undefined : 'not valid';
    default:
      return undefined;
  }
}

/** What the processor holds for a guest-state field while its guest runs. */
function liveValue({ key, area, mask }: VmcsField, { processor }: Vmx): bigint | undefined {
  if (area !== 'guest' || !processor.inGuest) return undefined;
  const place = placeOfField(key);
  if (place === undefined) return undefined;
  const { cr0, cr4, efer } = processor.state;
  // Without PAE paging the processor holds no PDPTEs.
  if (place.state === 'PDPTE' && !usesPaePaging(cr0, cr4, efer)) return undefined;
  return readPlace(processor.state, place) & mask;
}

/** Writes a field; guest state of a guest that runs is written to the processor. False when there is no such field. */
export function setVmcsField(
  vmx: Vmx | undefined,
  key: string,
  value: bigint,
  setLive: (field: VmcsField, value: bigint) => boolean,
): boolean {
  const field = VMCS_FIELD_LIST.find((candidate) => candidate.key === key);
  if (vmx === undefined || field === undefined || !fieldExists(field) || !vmx.processor.vmcs.isValid)
    return false;
  if (field.area === 'guest' && vmx.processor.inGuest && placeOfField(field.key))
    return setLive(field, value & field.mask);
  vmx.vmwrite(field.key, value & field.mask);
  return true;
}
