/**
 * Running the entry checks: VM entry wants the first failure and its outcome, the debugger wants them all.
 *
 * Intel SDM Vol. 3C, "VM Entries"; "VM-Entry Failures During or After Loading Guest State".
 */
import { EXIT_REASON_NUMBER } from '../exitReasons.ts';
import { VM_INSTRUCTION_ERROR } from '../vmInstructionErrors.ts';
import type { EntryCheckRow, Violation, VmcsView } from './check.ts';
import { CONTROL_CHECKS } from './controls.ts';
import { GUEST_CHECKS } from './guest.ts';
import { HOST_CHECKS } from './host.ts';

/** What a failed check makes of the VM entry. */
export type EntryFailure =
  | { readonly kind: 'VMfailValid'; readonly error: number }
  | { readonly kind: 'entryFailure'; readonly exitReason: number; readonly qualification: number };

export interface FailedEntryCheck {
  readonly row: EntryCheckRow;
  readonly violation: Violation;
  readonly outcome: EntryFailure;
}

/** All rows, in the manual's order. */
export const ENTRY_CHECKS: readonly EntryCheckRow[] = [...CONTROL_CHECKS, ...HOST_CHECKS, ...GUEST_CHECKS];

export function entryFailureOf({ group, qualification = 0 }: EntryCheckRow): EntryFailure {
  switch (group) {
    case 'controls':
      return { kind: 'VMfailValid', error: VM_INSTRUCTION_ERROR.entryInvalidControlFields };
    case 'host':
      return { kind: 'VMfailValid', error: VM_INSTRUCTION_ERROR.entryInvalidHostState };
    case 'guest':
      return {
        kind: 'entryFailure',
        exitReason: EXIT_REASON_NUMBER.entryFailureInvalidGuestState,
        qualification,
      };
  }
}

/**
 * The first check that fails.
 *
 * @param rows a part of the rows, for callers that know what has not changed since the last entry
 * @see SDM 28.2, "Checks on VMX Controls and Host-State Area"; 28.3, "Checking and Loading Guest State"
 */
export function firstFailure(
  vmcs: VmcsView,
  rows: readonly EntryCheckRow[] = ENTRY_CHECKS,
): FailedEntryCheck | undefined {
  for (const row of rows) {
    const violation = row.check(vmcs);
    if (violation !== undefined) return { row, violation, outcome: entryFailureOf(row) };
  }
  return undefined;
}

/** Every check that fails, also those that VM entry would not have reached. */
export function allFailures(
  vmcs: VmcsView,
  rows: readonly EntryCheckRow[] = ENTRY_CHECKS,
): FailedEntryCheck[] {
  const failures: FailedEntryCheck[] = [];
  for (const row of rows) {
    const violation = row.check(vmcs);
    if (violation !== undefined) failures.push({ row, violation, outcome: entryFailureOf(row) });
  }
  return failures;
}
