/**
 * Enters guests with damaged VMCSs: whatever the fields hold, the processor refuses the entry with the number that the
 * report has foretold, or enters the guest, and the host goes on after the exit. Nothing brings the emulator down.
 */
import { Unimplemented } from '../../emulator/base/errors.ts';
import { ACTIVITY, VMX_OPERATION } from '../../emulator/state/registers.ts';
import { CONTROLS } from '../../emulator/vmx/controls.ts';
import { lastEntryReport, nextEntryReport } from '../../emulator/vmx/failedEntry.ts';
import {
  longModeGuest,
  protectedModeGuest,
  realModeGuest,
  type TestVmcs,
  virtual8086Guest,
} from '../../emulator/vmx/testVmcs.ts';
import { VMCS_FIELD_LIST, type VmcsField } from '../../emulator/vmx/vmcsLayout.ts';
import { Random } from '../support/random.ts';
import { AT, guestVmcs, processorInRoot, type TestVmx } from '../support/vmxProcessor.ts';

export interface VmcsFuzzResult {
  readonly entered: number;
  readonly refused: number;
  /** Refusals by what the processor answered. */
  readonly answers: Readonly<Record<string, number>>;
  /** Guests whose exit was a VMX abort. */
  readonly aborts: number;
  readonly missing: ReadonlySet<string>;
  readonly slowestReportMilliseconds: number;
}

const MOST_MUTATIONS = 6;

/** A value for a field: a little or altogether other than what it holds. */
function mutated(random: Random, { mask, width }: VmcsField, value: bigint): bigint {
  const bits = width === 'natural' ? 64 : width;
  const bit = 1n << BigInt(random.below(bits));
  const candidates = [
    value ^ bit,
    value ^ bit,
    value ^ bit,
    random.u64(),
    0n,
    mask,
    value + 1n,
    BigInt(AT.OTHER_VMCS),
  ];
  return random.pick(candidates) & mask;
}

/** The VMCS of a number: a valid one with some fields changed, some controls turned over, or nothing but noise. */
export function damagedVmcs(number: number): TestVmcs {
  const random = new Random(number);
  const build = random.pick([
    guestVmcs,
    guestVmcs,
    longModeGuest,
    protectedModeGuest,
    realModeGuest,
    virtual8086Guest,
  ]);
  const vmcs = build();
  const noise = random.below(20) === 0;
  const count = noise ? VMCS_FIELD_LIST.length : random.below(MOST_MUTATIONS + 1);
  for (let i = 0; i < count; i++) {
    const field = noise ? VMCS_FIELD_LIST[i] : random.pick(VMCS_FIELD_LIST);
    vmcs.set({ [field.key]: mutated(random, field, vmcs.get(field.key)) });
  }
  const controls = random.below(4);
  for (let i = 0; i < controls; i++) {
    const { key } = random.pick(CONTROLS.filter(({ supported }) => supported));
    vmcs.control(key, random.below(2) === 0);
  }
  return vmcs;
}

/** The processor's answer to VMLAUNCH, in the words of a report; undefined when it entered. */
function answerOf(test: TestVmx, jumped: boolean): string | undefined {
  if (!jumped) return `VMfailValid(${test.vmx.vmread32('VM_INSTRUCTION_ERROR')})`;
  const reason = test.vmx.vmread32('VM_EXIT_REASON');
  if (test.state.VMX_OPERATION === VMX_OPERATION.NON_ROOT || reason < 0x8000_0000) return undefined;
  return `(exit reason ${reason & 0xffff}, qualification ${test.field('EXIT_QUALIFICATION')})`;
}

interface Outcome {
  readonly answer: string | undefined;
  readonly aborted: boolean;
  readonly missing: string | undefined;
  readonly reportMilliseconds: number;
}

function enter(number: number): Outcome {
  const test = processorInRoot(damagedVmcs(number));
  const { vmx, state } = test;
  vmx.vmwrite('VM_EXIT_REASON', 0n);
  const began = performance.now();
  const report = nextEntryReport(vmx.processor);
  const reportMilliseconds = performance.now() - began;
  const ended = (answer: string | undefined, missing?: string): Outcome => ({
    answer,
    aborted: vmx.processor.aborted !== undefined,
    missing,
    reportMilliseconds,
  });
  try {
    const jumped = vmx.enterGuest() !== 0;
    const answer = answerOf(test, jumped);
    if (vmx.processor.aborted !== undefined) return ended(answer);
    if (report.enters !== (answer === undefined))
      throw new Error(`the report says "${report.outcome}", the processor ${answer ?? 'enters'}`);
    if (answer !== undefined) {
      if (!report.outcome.includes(answer))
        throw new Error(`the report says "${report.outcome}", the processor ${answer}`);
      if (lastEntryReport(vmx.processor)?.outcome !== report.outcome) throw new Error('the reports differ');
    } else leave(test);
    if (state.CURRENT_VMCS !== BigInt(AT.VMCS)) throw new Error('another VMCS is current');
    return ended(answer);
  } catch (error) {
    if (!(error instanceof Unimplemented)) throw error;
    return ended(undefined, error.feature);
  }
}

/** Leaves the guest again, unless what was injected has done that: the host is as the VMCS says. */
function leave(test: TestVmx): void {
  const { vmx, state } = test;
  if (vmx.processor.inGuest) vmx.interceptTripleFault();
  if (vmx.processor.aborted !== undefined) return;
  if (
    state.VMX_OPERATION !== VMX_OPERATION.ROOT ||
    state.ACTIVITY_STATE !== ACTIVITY.ACTIVE ||
    state.CPL !== 0
  )
    throw new Error('the host is not what a VM exit makes of it');
  if (state.RIP !== test.field('HOST_RIP')) throw new Error('RIP is not HOST_RIP');
}

/** Enters with the damaged VMCSs of `count` numbers from `seed` on. Throws, naming the number, when one goes wrong. */
export function fuzzVmcss(seed: number, count: number): VmcsFuzzResult {
  const answers: Record<string, number> = {};
  const missing = new Set<string>();
  let entered = 0;
  let refused = 0;
  let aborts = 0;
  let slowestReportMilliseconds = 0;
  for (let i = 0; i < count; i++) {
    const number = (seed + i) >>> 0;
    try {
      const outcome = enter(number);
      if (outcome.missing !== undefined) missing.add(outcome.missing);
      if (outcome.aborted) aborts++;
      if (outcome.answer === undefined) entered++;
      else {
        refused++;
        answers[outcome.answer] = (answers[outcome.answer] ?? 0) + 1;
      }
      slowestReportMilliseconds = Math.max(slowestReportMilliseconds, outcome.reportMilliseconds);
    } catch (error) {
      throw new Error(`VMCS ${number}`, { cause: error });
    }
  }
  return { entered, refused, answers, aborts, missing, slowestReportMilliseconds };
}
