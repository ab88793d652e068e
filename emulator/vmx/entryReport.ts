/**
 * Why a VM entry fails or would fail, for people: every rule that does not hold, with the field, its value, the bits
 * at fault, what the processor allows and a value that would pass.
 *
 * Intel SDM Vol. 3C, "VM Entries", chapter 28.
 */
import { type BitFieldRow, bitFieldMask } from '../base/bitFields.ts';
import { formatReference } from '../base/reference.ts';
import { VMX_CAPABILITY_MSRS, type VmxCapabilities } from './capabilities.ts';
import { CONTROL_WORDS, type ControlRow, controlsOf } from './controls.ts';
import {
  type EntryCheckGroup,
  type EntryCheckRow,
  type EntryContext,
  type ReadVmcsField,
  type Violation,
  type VmcsView,
  vmcsView,
} from './entryChecks/check.ts';
import { allFailures, ENTRY_CHECKS, type EntryFailure, entryFailureOf } from './entryChecks/evaluate.ts';
import { passingValue } from './entryChecks/repair.ts';
import { exitReasonRow } from './exitReasons.ts';
import type { VmcsFieldKey } from './fields.ts';
import { VMCS_FIELD, VMCS_FIELD_LIST } from './vmcsLayout.ts';
import { describeVmInstructionError } from './vmInstructionErrors.ts';

/** What is known of a field that breaks a rule. */
export interface RuleField {
  readonly key: string;
  readonly title: string;
  readonly encoding: number;
  readonly bits: number;
  readonly value: bigint;
  /** The bits that are at fault, where some are, and their names. */
  readonly offendingBits: bigint | undefined;
  readonly offending: readonly string[];
  /** What the field may hold, in words. */
  readonly allowed: string | undefined;
  /** What the capability MSRs of the processor say about it. */
  readonly capability: string | undefined;
  /** A value near to the present one with which the rule holds and no other is broken. */
  readonly passing: bigint | undefined;
  /** RIP of the VMWRITE that wrote the field last. */
  readonly writtenAt: bigint | undefined;
}

export interface BrokenRule {
  readonly id: string;
  readonly section: string;
  readonly text: string;
  /** The manual's section. */
  readonly reference: string;
  /** What the processor answers when this is the first rule that it finds broken. */
  readonly outcome: string;
  readonly field: RuleField | undefined;
  /** The other fields that the rule looks at, with their values. */
  readonly others: readonly { readonly key: string; readonly value: bigint }[];
}

export interface EntryReport {
  /** Address of the VMCS region; undefined when there is none. */
  readonly vmcs: bigint | undefined;
  readonly instruction: 'VMLAUNCH' | 'VMRESUME';
  readonly enters: boolean;
  /** What the processor answers. */
  readonly outcome: string;
  readonly rules: readonly BrokenRule[];
  /** Where the entry failed; undefined for an entry that was not made. */
  readonly failedAt: { readonly rip: bigint; readonly position: number } | undefined;
}

/** A VMCS to look at: live or a copy. */
export interface VmcsSource {
  readonly read: ReadVmcsField;
  readonly context: EntryContext;
  readonly writtenAt?: (ordinal: number) => bigint | undefined;
}

export const SECTIONS: Readonly<Record<EntryCheckGroup, string>> = {
  controls: 'VM-execution, VM-exit and VM-entry controls',
  host: 'Host-state area',
  guest: 'Guest-state area',
};

/** More fields than one rule is about in no case. */
const MOST_FIELDS = 16;

/** Every rule about the contents of the VMCS that does not hold, in the manual's order. */
export function brokenRules(source: VmcsSource, rows: readonly EntryCheckRow[] = ENTRY_CHECKS): BrokenRule[] {
  const view = vmcsView(source.read, source.context);
  const failing = allFailures(view, rows).map(({ row }) => row);
  const known = new Set(failing.map(({ id }) => id));
  return failing.flatMap((row) => violationsOf(row, { source, view, known, rows }));
}

/** A sentence about several fields names the first that breaks it: the others are found with that one mended. */
function violationsOf(
  row: EntryCheckRow,
  {
    source,
    view,
    known,
    rows,
  }: {
    readonly source: VmcsSource;
    readonly view: VmcsView;
    readonly known: ReadonlySet<string>;
    readonly rows: readonly EntryCheckRow[];
  },
): BrokenRule[] {
  const mended = new Map<number, bigint>();
  const found: BrokenRule[] = [];
  const read: ReadVmcsField = (ordinal) => mended.get(ordinal) ?? source.read(ordinal);
  for (let count = 0; count < MOST_FIELDS; count++) {
    const now = count === 0 ? view : vmcsView(read, source.context);
    const violation = row.check(now);
    if (violation === undefined) break;
    const { ordinal } = VMCS_FIELD[violation.field];
    if (mended.has(ordinal)) break;
    const passing = passingValue(row, violation, { read, context: source.context }, known, rows);
    found.push(describe(row, violation, source, view, passing));
    if (passing === undefined) break;
    mended.set(ordinal, passing);
  }
  return found;
}

function describe(
  row: EntryCheckRow,
  violation: Violation,
  source: VmcsSource,
  view: VmcsView,
  passing: bigint | undefined,
): BrokenRule {
  const field = VMCS_FIELD[violation.field];
  const { offendingBits, allowed } = violation;
  return {
    id: row.id,
    section: SECTIONS[row.group],
    text: row.text,
    reference: formatReference(row.ref),
    outcome: describeOutcome(entryFailureOf(row)),
    field: {
      key: field.key,
      title: field.title,
      encoding: field.encoding,
      bits: field.width === 'natural' ? 64 : field.width,
      value: view[field.key],
      offendingBits,
      offending: offendingBits === undefined ? [] : namesOfBits(field.key, offendingBits),
      allowed,
      capability: describeCapability(row.capability, source.context.capabilities),
      passing,
      writtenAt: source.writtenAt?.(field.ordinal),
    },
    others: row.needs.filter((key) => key !== field.key).map((key) => ({ key, value: view[key] })),
  };
}

/** `VMfailValid(7): VM entry with invalid control fields`, or the exit reason with its qualification. */
export function describeOutcome(outcome: EntryFailure): string {
  if (outcome.kind === 'VMfailValid')
    return `VMfailValid(${outcome.error}): ${describeVmInstructionError(outcome.error)}`;
  const { exitReason, qualification } = outcome;
  const name = exitReasonRow(exitReason)?.name ?? 'VM-entry failure';
  return `${name} (exit reason ${exitReason}, qualification ${qualification})`;
}

const CONTROL_ROWS: ReadonlyMap<VmcsFieldKey, readonly (ControlRow & BitFieldRow)[]> = new Map(
  CONTROL_WORDS.map(({ key, field }) => [field, controlsOf(key)]),
);

/** The parts of a field, by rows. */
export function partsOfField(key: VmcsFieldKey): readonly BitFieldRow[] {
  return CONTROL_ROWS.get(key) ?? VMCS_FIELD[key].bits ?? [];
}

function namesOfBits(key: VmcsFieldKey, bits: bigint): string[] {
  const names: string[] = [];
  let unnamed = bits;
  for (const row of partsOfField(key)) {
    const mask = bitFieldMask(row);
    if ((bits & mask) === 0n) continue;
    unnamed &= ~mask;
    const { bit, width = 1 } = row;
    names.push(`${width === 1 ? `bit ${bit}` : `bits ${bit + width - 1}:${bit}`} (${row.name})`);
  }
  return [...names, ...runsOfBits(unnamed)];
}

/** `bit 3`, `bits 63:46`. */
function runsOfBits(bits: bigint): string[] {
  const runs: string[] = [];
  for (let bit = 0; bit < 64; bit++) {
    if (((bits >> BigInt(bit)) & 1n) === 0n) continue;
    let last = bit;
    while (((bits >> BigInt(last + 1)) & 1n) === 1n) last++;
    runs.push(last === bit ? `bit ${bit}` : `bits ${last}:${bit}`);
    bit = last;
  }
  return runs;
}

const hex = (value: bigint): string => `0x${value.toString(16)}`;

/** `IA32_VMX_CR0_FIXED0 (0x486) is 0x80000021, …` */
function describeCapability(names: string | undefined, capabilities: VmxCapabilities): string | undefined {
  return names
    ?.split(', ')
    .map((name) => {
      const row = VMX_CAPABILITY_MSRS.find((candidate) => candidate.name === name);
      return row === undefined
        ? name
        : `${name} (0x${row.address.toString(16)}) is ${hex(row.value(capabilities))}`;
    })
    .join(', ');
}

/** A copy of all fields, for looking at a VMCS later. */
export function copyFields(read: ReadVmcsField): BigUint64Array {
  return BigUint64Array.from(VMCS_FIELD_LIST, ({ ordinal }) => read(ordinal));
}

/** The report as text, a paragraph for each rule. */
export function entryReportLines(
  report: EntryReport,
  source?: (address: bigint) => string | undefined,
): string[] {
  return report.rules.flatMap((rule, index) => entryRuleLines(rule, index + 1, source));
}

/** One rule in lines; `source` tells where in the program's source an address is. */
export function entryRuleLines(
  { text, reference, field, outcome, others }: BrokenRule,
  number: number,
  source: (address: bigint) => string | undefined = () => undefined,
): string[] {
  const lines = [`${number}. ${text}`];
  if (field !== undefined) {
    const { key, value, offendingBits, offending, allowed, capability, passing, writtenAt } = field;
    const bits = offendingBits === undefined ? '' : `; at fault: ${offending.join(', ')}`;
    lines.push(`   ${key} (${hex(BigInt(field.encoding))}) is ${hex(value)}${bits}`);
    if (allowed !== undefined) lines.push(`   allowed: ${allowed}`);
    if (capability !== undefined) lines.push(`   ${capability}`);
    if (passing !== undefined) lines.push(`   would pass: ${hex(passing)}`);
    if (writtenAt !== undefined) {
      const place = source(writtenAt);
      lines.push(
        `   written last by the VMWRITE at ${hex(writtenAt)}${place === undefined ? '' : ` (${place})`}`,
      );
    }
  }
  if (others.length > 0 && others.length <= 4)
    lines.push(`   with ${others.map((other) => `${other.key} ${hex(other.value)}`).join(', ')}`);
  lines.push(`   ${outcome}; ${reference}`);
  return lines;
}
