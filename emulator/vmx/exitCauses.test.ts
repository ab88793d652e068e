/** For each basic exit reason: what causes it, what it reports, and that it does not come where its control says so. */
import { describe, expect, it } from 'vitest';
import { EXIT_CASES, type ExitCase } from '../../test/support/vmxExitCases.ts';
import { AT, guestVmcs, processorInRoot, type TestVmx } from '../../test/support/vmxProcessor.ts';
import { EXIT_REASON_NUMBER, EXIT_REASONS, type ExitReasonRow } from './exitReasons.ts';

const NO_EXIT = 0xffffn;

/** After VM entry and the cause, with the control as it makes the exit come, or not. */
function run(row: ExitCase, exits: boolean): TestVmx {
  let contents = (row.with ?? []).reduce((vmcs, key) => vmcs.control(key, true), guestVmcs());
  contents = contents.set({ VM_EXIT_REASON: NO_EXIT, GUEST_IDTR_LIMIT: 0xfffn, ...row.set });
  if (row.control !== undefined) contents.control(row.control, exits !== (row.inverted ?? false));
  if (row.control === 'enableEpt' && !exits) contents.control('unrestrictedGuest', false);
  const test = processorInRoot(contents);
  for (let vector = 0; vector < 256; vector++)
    test.physical.write64(AT.GUEST_IDT + 16 * vector, 0x0010_8e00_0008_0000n);
  test.physical.write64(AT.GUEST_GDT + 8, 0x00af_9b00_0000_ffffn);
  row.before?.(test);
  test.vmx.enterGuest();
  row.cause(test);
  return test;
}

const isEntryFailure = (reason: number): boolean =>
  EXIT_REASONS.some(({ number, timing }) => number === reason && timing === 'entryFailure');

describe('the VM exit', () => {
  it.each(EXIT_CASES.map((row) => [row.reason, row] as const))(
    '%s reports what the manual says',
    (_reason, row) => {
      const test = run(row, true);
      const reason = EXIT_REASON_NUMBER[row.reason];
      expect(test.vmx.processor.inGuest).toBe(false);
      const bits = (row.reasonBits ?? 0n) | (isEntryFailure(reason) ? 1n << 31n : 0n);
      expect(test.field('VM_EXIT_REASON')).toBe(BigInt(reason) | bits);
      expect({
        qualification: test.field('EXIT_QUALIFICATION'),
        information: test.field('VM_EXIT_INSTRUCTION_INFORMATION'),
        length: test.field('VM_EXIT_INSTRUCTION_LENGTH'),
        interruption: test.field('VM_EXIT_INTERRUPTION_INFORMATION'),
      }).toEqual({
        qualification: row.qualification ?? 0n,
        information: row.information ?? 0n,
        length: row.length ?? 0n,
        interruption: row.interruption ?? 0n,
      });
    },
  );

  const conditional = EXIT_CASES.filter(({ control }) => control !== undefined);
  it.each(conditional.map((row) => [row.reason, row.control, row] as const))(
    '%s does not come with the other setting of "%s"',
    (reason, _control, row) => {
      const test = run(row, false);
      const seen = test.field('VM_EXIT_REASON') & 0xffffn;
      expect(test.vmx.processor.failedEntry?.problem).toBeUndefined();
      expect(test.vmx.processor.vmcs.launched).toBe(true);
      expect(seen).not.toBe(BigInt(EXIT_REASON_NUMBER[reason]));
    },
  );

  it('has a case for each reason that the processor has, and says why it has not the others', () => {
    const rows: readonly ExitReasonRow[] = EXIT_REASONS;
    const cases = new Set<string>(EXIT_CASES.map(({ reason }) => reason));
    expect(rows.filter(({ key, absent }) => cases.has(key) === (absent !== undefined))).toEqual([]);
  });
});
