/**
 * The current VMCS field by field: what is stored, what the processor holds instead while the guest runs, and which
 * control a field that does not exist would need.
 *
 * Intel SDM Vol. 3C, "Virtual Machine Control Structures", chapter 26.
 */

import type { BitFieldRow } from '../base/bitFields.ts';
import { formatReference } from '../base/reference.ts';
import { CONTROL_WORDS, CONTROLS, controlsOf } from '../vmx/controls.ts';
import { ALWAYS, VMCS_FIELD_GROUPS } from '../vmx/fields.ts';
import { fieldExists, VMCS_FIELD_LIST, type VmcsField } from '../vmx/vmcsLayout.ts';
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

/** All fields in the order of the manual's groups; none without a current VMCS. */
export function vmcsFields(vmx: Vmx | undefined): VmcsFieldValue[] {
  if (vmx === undefined || !vmx.processor.vmcs.isValid) return [];
  return VMCS_FIELD_GROUPS.flatMap(({ key }) =>
    VMCS_FIELD_LIST.filter(({ group }) => group === key).map((field) => describe(field, vmx)),
  );
}

function describe(field: VmcsField, vmx: Vmx): VmcsFieldValue {
  const { processor } = vmx;
  const exists = fieldExists(field);
  const stored = exists ? processor.vmcs.read(field.ordinal) : undefined;
  const live = exists ? (liveValue(field, vmx) ?? stored) : undefined;
  const bits = field.bits ?? controlBits.get(field.key);
  return {
    key: field.key,
    title: field.title,
    group: groupTitles.get(field.group) ?? field.group,
    encoding: field.encoding,
    stored,
    live,
    missing:
      exists || field.exists === ALWAYS
        ? undefined
        : field.exists.map((key) => controlNames.get(key) ?? key).join(' or '),
    bits: field.width === 'natural' ? 64 : field.width,
    fields: live === undefined ? [] : decodedFields(live, bits),
    reference: formatReference(field.ref),
  };
}

/** What the processor holds for a guest-state field while its guest runs. */
function liveValue({ key, area, mask }: VmcsField, { processor }: Vmx): bigint | undefined {
  if (area !== 'guest' || !processor.inGuest) return undefined;
  const place = placeOfField(key);
  return place && readPlace(processor.state, place) & mask;
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
