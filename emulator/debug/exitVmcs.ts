/**
 * The VMCS as a VM exit left it, as far as that was recorded: exit information and the key guest state. Of the other
 * fields nothing is known any more; the list has them without a value.
 *
 * Intel SDM Vol. 3C, "Recording VM-Exit Information and Updating VM-Entry Control Fields", 29.2; "Saving Guest State",
 * 29.3.
 */
import { formatReference } from '../base/reference.ts';
import { isValid } from '../vmx/eventInformation.ts';
import type { ExitLog } from '../vmx/exitLog.ts';
import { VMCS_FIELD_GROUPS, type VmcsFieldKey } from '../vmx/fields.ts';
import { SLOT } from '../vmx/vmcs.ts';
import { fieldExists, VMCS_FIELD_LIST, type VmcsField } from '../vmx/vmcsLayout.ts';
import { decodedFields } from './processorView.ts';
import type { VmcsFieldValue } from './target.ts';
import { bitsOf, missingControl } from './vmcsView.ts';

const keyOfSlot: ReadonlyMap<number, VmcsFieldKey> = new Map(
  VMCS_FIELD_LIST.map(({ key }) => [SLOT[key], key]),
);

/** Undefined when the exit has not happened, or is no longer kept. */
export function exitVmcsFields(log: ExitLog | undefined, number: number): VmcsFieldValue[] | undefined {
  if (log === undefined || !Number.isInteger(number) || number < log.first || number >= log.total)
    return undefined;
  return VMCS_FIELD_GROUPS.flatMap(({ key, title }) =>
    VMCS_FIELD_LIST.filter(({ group }) => group === key).map((field) => describe(field, title, log, number)),
  );
}

function describe(field: VmcsField, group: string, log: ExitLog, number: number): VmcsFieldValue {
  const { key, title, encoding, width, ref } = field;
  const exists = fieldExists(field);
  const stored = exists ? log.fieldOf(number, key) : undefined;
  const low = (slot: number): number => {
    const wanted = keyOfSlot.get(slot);
    return Number(BigInt.asIntN(32, (wanted && log.fieldOf(number, wanted)) ?? 0n));
  };
  return {
    key,
    title,
    group,
    encoding,
    stored,
    live: stored,
    missing: exists ? undefined : missingControl(field),
    unused: undefined,
    previous: undefined,
    meaning: stored === undefined ? undefined : meaningOf(key, stored, log, number),
    bits: width === 'natural' ? 64 : width,
    fields: stored === undefined ? [] : decodedFields(stored, bitsOf(field, { low })),
    reference: formatReference(ref),
  };
}

function meaningOf(key: VmcsFieldKey, value: bigint, log: ExitLog, number: number): string | undefined {
  switch (key) {
    case 'VM_EXIT_REASON':
      return log.record(number).reasonName;
    case 'EXIT_QUALIFICATION':
      return log.record(number).text;
    case 'VM_EXIT_INTERRUPTION_INFORMATION':
    case 'IDT_VECTORING_INFORMATION':
      return isValid(Number(BigInt.asIntN(32, value))) ? undefined : 'not valid';
    default:
      return undefined;
  }
}
