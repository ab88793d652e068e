/**
 * VM entries that failed: what is kept of the last one, and the reports about it and about an entry that has not been
 * made yet.
 *
 * Intel SDM Vol. 3C, "VM Entries", 28.1 to 28.4.
 */
import { formatReference } from '../base/reference.ts';
import type { EntryContext } from './entryChecks/check.ts';
import type { FailedEntryCheck } from './entryChecks/evaluate.ts';
import {
  type BrokenRule,
  brokenRules,
  copyFields,
  describeOutcome,
  type EntryReport,
  type VmcsSource,
} from './entryReport.ts';
import { EXIT_REASON_NUMBER } from './exitReasons.ts';
import { ENTRIES } from './manual.ts';
import { type RefusedMsr, refusedMsr } from './msrAreas.ts';
import type { VmxProcessor } from './processor.ts';
import { SLOT } from './vmcs.ts';
import { VMCS_FIELD } from './vmcsLayout.ts';
import {
  describeVmInstructionError,
  VM_INSTRUCTION_ERROR,
  type VmInstructionErrorKey,
} from './vmInstructionErrors.ts';

/** Why VMLAUNCH or VMRESUME did not enter. */
export type EntryProblem =
  | { readonly kind: 'noVmcs' | 'shadowVmcs' }
  | { readonly kind: 'basic'; readonly error: VmInstructionErrorKey }
  | { readonly kind: 'check'; readonly failure: FailedEntryCheck }
  | { readonly kind: 'msr'; readonly refused: RefusedMsr };

/** What was there when an entry failed: the VMCS may change afterwards. */
export interface FailedEntry {
  readonly problem: EntryProblem;
  readonly instruction: EntryReport['instruction'];
  readonly vmcs: bigint | undefined;
  readonly rip: bigint;
  readonly position: number;
  readonly fields: BigUint64Array | undefined;
  readonly context: EntryContext;
  readonly writers: BigUint64Array | undefined;
}

/** Notes a failure and tells whoever listens. */
export function noteFailedEntry(processor: VmxProcessor, problem: EntryProblem, launch: boolean): void {
  const { vmcs, view, state, marks } = processor;
  const failed: FailedEntry = {
    problem,
    instruction: launch ? 'VMLAUNCH' : 'VMRESUME',
    vmcs: vmcs.isValid ? BigInt(vmcs.address) : undefined,
    rip: state.RIP,
    position: processor.position(),
    fields: vmcs.isValid ? copyFields((ordinal) => vmcs.read(ordinal)) : undefined,
    context: {
      ...view.context,
      ia32eMode: view.context.ia32eMode,
      currentVmcsPointer: view.context.currentVmcsPointer,
    },
    writers: marks?.writers?.slice(),
  };
  processor.failedEntry = failed;
  processor.onEntryFailure(failed);
}

/** The report about the last entry that failed; undefined when none has. */
export function lastEntryReport({ failedEntry }: VmxProcessor): EntryReport | undefined {
  if (failedEntry === undefined) return undefined;
  const { problem, instruction, vmcs, rip, position, fields, context, writers } = failedEntry;
  const rules = [
    ...basicRules(problem, instruction),
    ...(fields === undefined ? [] : brokenRules(source((ordinal) => fields[ordinal], context, writers))),
    ...(problem.kind === 'msr' ? [msrRule(problem.refused, fields)] : []),
  ];
  return {
    vmcs,
    instruction,
    enters: false,
    outcome: outcomeOf(problem),
    rules,
    failedAt: { rip, position },
  };
}

/** The report about an entry with the current VMCS, as it would go now. */
export function nextEntryReport(processor: VmxProcessor): EntryReport {
  const { vmcs, view, marks } = processor;
  const instruction = vmcs.isValid && vmcs.launched ? 'VMRESUME' : 'VMLAUNCH';
  if (!vmcs.isValid || vmcs.isShadow) {
    const problem: EntryProblem = { kind: vmcs.isValid ? 'shadowVmcs' : 'noVmcs' };
    return {
      vmcs: undefined,
      instruction,
      enters: false,
      outcome: outcomeOf(problem),
      rules: basicRules(problem, instruction),
      failedAt: undefined,
    };
  }
  const rules = brokenRules(source((ordinal) => vmcs.read(ordinal), view.context, marks?.writers));
  const first = rules[0];
  const count = vmcs.low(SLOT.VM_ENTRY_MSR_LOAD_COUNT) >>> 0;
  // An area whose address is refused is not read.
  const isReadable = !rules.some(({ id }) => id.startsWith('controls.entryMsrLoad.'));
  const refused =
    count !== 0 && isReadable
      ? refusedMsr(processor, vmcs.physicalAddress(SLOT.VM_ENTRY_MSR_LOAD_ADDRESS), count)
      : undefined;
  const all = refused === undefined ? rules : [...rules, msrRule(refused, undefined)];
  const outcome = first?.outcome ?? (refused && outcomeOf({ kind: 'msr', refused }));
  return {
    vmcs: BigInt(vmcs.address),
    instruction,
    enters: all.length === 0,
    outcome: outcome ?? `the processor enters the guest at RIP 0x${processor.view.GUEST_RIP.toString(16)}`,
    rules: all,
    failedAt: undefined,
  };
}

function source(
  read: (ordinal: number) => bigint,
  context: EntryContext,
  writers: BigUint64Array | undefined,
): VmcsSource {
  return { read, context, writtenAt: (ordinal) => writers?.[ordinal] || undefined };
}

function outcomeOf(problem: EntryProblem): string {
  switch (problem.kind) {
    case 'noVmcs':
      return 'VMfailInvalid: there is no current VMCS';
    case 'shadowVmcs':
      return 'VMfailInvalid: the current VMCS is a shadow VMCS';
    case 'basic': {
      const number = VM_INSTRUCTION_ERROR[problem.error];
      return `VMfailValid(${number}): ${describeVmInstructionError(number)}`;
    }
    case 'check':
      return describeOutcome(problem.failure.outcome);
    case 'msr':
      return describeOutcome({
        kind: 'entryFailure',
        exitReason: EXIT_REASON_NUMBER.entryFailureMsrLoading,
        qualification: problem.refused.number,
      });
  }
}

const BASIC = formatReference(ENTRIES('Basic VM-Entry Checks', '1'));
const LOADING_MSRS = formatReference(ENTRIES('Loading MSRs', '4'));

const BASIC_TEXTS: Readonly<Partial<Record<VmInstructionErrorKey, string>>> = {
  vmlaunchNonClearVmcs:
    'VMLAUNCH needs a VMCS whose launch state is clear: use VMRESUME, or VMCLEAR and VMPTRLD before',
  vmresumeNonLaunchedVmcs:
    'VMRESUME needs a VMCS whose launch state is launched: use VMLAUNCH for the first entry after VMCLEAR',
  entryEventsBlockedByMovSs:
    'Events must not be blocked by MOV SS: VMLAUNCH or VMRESUME may not follow MOV SS or POP SS directly',
};

function basicRules(problem: EntryProblem, instruction: EntryReport['instruction']): BrokenRule[] {
  if (problem.kind === 'check' || problem.kind === 'msr') return [];
  const text =
    problem.kind !== 'basic'
      ? `${instruction} needs a current VMCS that is no shadow VMCS: VMPTRLD makes one current`
      : (BASIC_TEXTS[problem.error] ?? describeVmInstructionError(VM_INSTRUCTION_ERROR[problem.error]));
  return [
    {
      id: `basic.${problem.kind === 'basic' ? problem.error : problem.kind}`,
      section: 'Basic checks',
      text,
      reference: BASIC,
      outcome: outcomeOf(problem),
      field: undefined,
      others: [],
    },
  ];
}

function msrRule(refused: RefusedMsr, fields: BigUint64Array | undefined): BrokenRule {
  const address = VMCS_FIELD.VM_ENTRY_MSR_LOAD_ADDRESS;
  const entry = `entry ${refused.number} at 0x${refused.address.toString(16)}`;
  const msr = `MSR 0x${refused.msr.toString(16)}${refused.name === undefined ? '' : ` (${refused.name})`}`;
  return {
    id: 'msrLoad',
    section: 'VM-entry MSR-load area',
    text: `Every MSR of the VM-entry MSR-load area must be loadable: ${entry} names ${msr} with the value 0x${refused.value.toString(16)}: ${refused.why}`,
    reference: LOADING_MSRS,
    outcome: outcomeOf({ kind: 'msr', refused }),
    field: undefined,
    others: fields === undefined ? [] : [{ key: address.key, value: fields[address.ordinal] }],
  };
}
