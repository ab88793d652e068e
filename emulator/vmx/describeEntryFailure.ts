/**
 * Why a VM entry fails, for people: every check that the VMCS does not pass, not only the one that the processor
 * stopped at.
 *
 * Intel SDM Vol. 3C, "VM Entries", 28.2 and 28.3.
 */
import { formatReference } from '../base/reference.ts';
import type { VmcsView } from './entryChecks/check.ts';
import { allFailures, type FailedEntryCheck } from './entryChecks/evaluate.ts';
import { exitReasonRow } from './exitReasons.ts';
import { describeVmInstructionError } from './vmInstructionErrors.ts';

const hex = (value: bigint): string => `0x${value.toString(16)}`;

/** `VM entry with invalid control field(s)`, or the name of the exit reason. */
export function entryFailureTitle({ outcome }: FailedEntryCheck): string {
  if (outcome.kind === 'VMfailValid') return describeVmInstructionError(outcome.error);
  return exitReasonRow(outcome.exitReason)?.name ?? `VM-entry failure ${outcome.exitReason}`;
}

/** One line for a check: the rule, what the field holds, which bits are at fault, where the manual says so. */
export function describeFailedCheck({ row, violation }: FailedEntryCheck, vmcs: VmcsView): string {
  const { field, offendingBits, allowed } = violation;
  const bits = offendingBits === undefined ? '' : `, bits ${hex(offendingBits)}`;
  const may = allowed === undefined ? '' : `; allowed: ${allowed}`;
  return `${row.text}: ${field} is ${hex(vmcs[field])}${bits}${may} (${formatReference(row.ref)})`;
}

/** All checks that fail, in the manual's order. */
export function describeAllFailures(vmcs: VmcsView): string[] {
  return allFailures(vmcs).map((failure) => describeFailedCheck(failure, vmcs));
}
