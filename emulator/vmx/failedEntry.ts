/**
 * VM entries that failed: what is kept of the last one, and the reports about it and about an entry that has not been
 * made yet.
 *
 * Intel SDM Vol. 3C, "VM Entries", 28.1 to 28.4.
 */
import { formatReference } from '../base/reference.ts';
import { MSR_LIST_LIMIT } from './capabilities.ts';
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
import { ENTRIES, VMCS } from './manual.ts';
import { isListTooLong, type RefusedMsr, refusedMsr } from './msrAreas.ts';
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
  | { readonly kind: 'longMsrList'; readonly count: number }
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

/** What of the host an entry that fails later has to know: loading guest state overwrites it. */
interface HostOfEntry {
  readonly rip: bigint;
  readonly ia32eMode: boolean;
}

export function hostOfEntry({ state, view }: VmxProcessor): HostOfEntry {
  return { rip: state.RIP, ia32eMode: view.context.ia32eMode };
}

/** Notes a failure and tells whoever listens. */
export function noteFailedEntry(
  processor: VmxProcessor,
  problem: EntryProblem,
  launch: boolean,
  host = hostOfEntry(processor),
): void {
  const { vmcs, view, marks } = processor;
  const failed: FailedEntry = {
    problem,
    instruction: launch ? 'VMLAUNCH' : 'VMRESUME',
    vmcs: vmcs.isValid ? BigInt(vmcs.address) : undefined,
    rip: host.rip,
    position: processor.position(),
    fields: vmcs.isValid ? copyFields((ordinal) => vmcs.read(ordinal)) : undefined,
    context: {
      ...view.context,
      ia32eMode: host.ia32eMode,
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
    ...(problem.kind === 'longMsrList' ? [longMsrListRule(problem.count, writers)] : []),
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
  const count = vmcs.low(SLOT.VM_ENTRY_MSR_LOAD_COUNT) >>> 0;
  // An area whose address is refused is not read.
  const isReadable = !rules.some(({ id }) => id.startsWith('controls.entryMsrLoad.'));
  const tooLong = isListTooLong(count);
  const refused =
    count !== 0 && isReadable && !tooLong
      ? refusedMsr(processor, vmcs.physicalAddress(SLOT.VM_ENTRY_MSR_LOAD_ADDRESS), count)
      : undefined;
  const all = [
    ...rules,
    ...(tooLong ? [longMsrListRule(count, marks?.writers)] : []),
    ...(refused === undefined ? [] : [msrRule(refused)]),
  ];
  const outcome = all[0]?.outcome;
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
    case 'longMsrList':
      return describeOutcome({
        kind: 'entryFailure',
        exitReason: EXIT_REASON_NUMBER.entryFailureMachineCheck,
        qualification: 0,
      });
    case 'msr':
      return describeOutcome({
        kind: 'entryFailure',
        exitReason: EXIT_REASON_NUMBER.entryFailureMsrLoading,
        qualification: problem.refused.number,
      });
  }
}

const BASIC = formatReference(ENTRIES('Basic VM-Entry Checks', '1'));
const MSR_COUNT = formatReference(VMCS('VM-Entry Controls for MSRs', '8.2'));
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
  if (problem.kind !== 'basic' && problem.kind !== 'noVmcs' && problem.kind !== 'shadowVmcs') return [];
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

function longMsrListRule(count: number, writers?: BigUint64Array): BrokenRule {
  const field = VMCS_FIELD.VM_ENTRY_MSR_LOAD_COUNT;
  return {
    id: 'msrLoad.count',
    section: 'VM-entry MSR-load area',
    text: `The VM-entry MSR-load count should not be greater than ${MSR_LIST_LIMIT}, which IA32_VMX_MISC[27:25] recommends: beyond it a processor may do anything, a machine check included`,
    reference: MSR_COUNT,
    outcome: outcomeOf({ kind: 'longMsrList', count }),
    field: {
      key: field.key,
      title: field.title,
      encoding: field.encoding,
      bits: 32,
      value: BigInt(count),
      offendingBits: undefined,
      offending: [],
      allowed: `at most ${MSR_LIST_LIMIT}`,
      capability: undefined,
      passing: undefined,
      writtenAt: writers?.[field.ordinal] || undefined,
    },
    others: [],
  };
}

export function msrRule(refused: RefusedMsr, fields?: BigUint64Array): BrokenRule {
  const address = VMCS_FIELD.VM_ENTRY_MSR_LOAD_ADDRESS;
  const at = refused.address === undefined ? '' : ` at 0x${refused.address.toString(16)}`;
  const entry = `entry ${refused.number}${at}`;
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
