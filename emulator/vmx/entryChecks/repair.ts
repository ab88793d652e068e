/**
 * For a rule that a VMCS breaks, a value of the field with which the rule holds: found by trying, near to what stands
 * there, and checked against every other rule.
 */
import { bitFieldMask } from '../../base/bitFields.ts';
import { CONTROL_WORDS } from '../controls.ts';
import type { VmcsFieldKey } from '../fields.ts';
import { VMCS_FIELD } from '../vmcsLayout.ts';
import {
  type EntryCheckRow,
  type EntryContext,
  type ReadVmcsField,
  type Violation,
  vmcsView,
} from './check.ts';

interface Source {
  readonly read: ReadVmcsField;
  readonly context: EntryContext;
}

const NO_LINK = 0xffff_ffff_ffff_ffffn;
/** Values of a part of a field that are worth trying. */
const MOST_PART_VALUES = 16n;

/** Values that pass for many fields of this kind, the better ones first. */
const USUAL: Readonly<Partial<Record<VmcsFieldKey, readonly bigint[]>>> = {
  VMCS_LINK_POINTER: [NO_LINK],
  VIRTUAL_PROCESSOR_IDENTIFIER: [1n],
  TSC_MULTIPLIER: [1n << 48n],
  HOST_CS_SELECTOR: [8n],
  HOST_SS_SELECTOR: [0x10n],
  HOST_TR_SELECTOR: [0x18n],
  CR3_TARGET_COUNT: [0n],
  VM_ENTRY_INSTRUCTION_LENGTH: [1n],
};

/**
 * @param known ids of the rules that are broken anyway, of those in `rows`
 * @returns undefined when no single value of the field does it
 */
export function passingValue(
  row: EntryCheckRow,
  violation: Violation,
  source: Source,
  known: ReadonlySet<string>,
  rows: readonly EntryCheckRow[],
): bigint | undefined {
  const { ordinal, mask, key } = VMCS_FIELD[violation.field];
  const tried = new Set<bigint>();
  const value = source.read(ordinal);
  let candidate = value;
  const view = vmcsView((at) => (at === ordinal ? candidate : source.read(at)), source.context);
  const isControlWord = CONTROL_FIELDS.has(key);
  // A rule is about the fields that it names, and about the controls.
  const concerned = rows.filter(
    (other) => !known.has(other.id) && (isControlWord || other.needs.includes(key)),
  );
  for (const proposed of candidates(key, value, violation, source.context)) {
    candidate = proposed & mask;
    if (candidate === value || tried.has(candidate)) continue;
    tried.add(candidate);
    if (isControlWord) view.reload();
    // Another field of the same sentence may still break it.
    if (row.check(view)?.field === key) continue;
    if (concerned.every((other) => other.check(view) === undefined)) return candidate;
  }
  return undefined;
}

const CONTROL_FIELDS: ReadonlySet<string> = new Set(CONTROL_WORDS.map(({ field }) => field));

function* candidates(
  key: VmcsFieldKey,
  value: bigint,
  { offendingBits }: Violation,
  { linearAddressWidth, physicalAddressWidth }: EntryContext,
): Generator<bigint> {
  if (offendingBits !== undefined) {
    yield value ^ offendingBits;
    yield value & ~offendingBits;
    yield value | offendingBits;
  }
  yield* USUAL[key] ?? [];
  const field = VMCS_FIELD[key];
  for (const part of field.bits ?? []) {
    if ((part.width ?? 1) === 1) continue;
    const cleared = value & ~bitFieldMask(part);
    for (let n = 0n; n < MOST_PART_VALUES; n++)
      yield cleared | ((n << BigInt(part.bit)) & bitFieldMask(part));
  }
  const bits = field.width === 'natural' ? 64 : field.width;
  for (let bit = 0n; bit < bits; bit++) yield value ^ (1n << bit);
  yield BigInt.asUintN(64, BigInt.asIntN(linearAddressWidth, value));
  yield value & ((1n << BigInt(physicalAddressWidth)) - 1n) & ~0xfffn;
  // Limits: the granularity wants all ones, or few.
  yield value | 0xfffn;
  yield value & 0xf_ffffn;
  yield 0n;
}
