/** For each control that the processor offers: what differs between its settings. */
import { describe, expect, it } from 'vitest';
import { CONTROL_CASES, CONTROL_EFFECTS, type ControlCase } from '../../test/support/vmxControlCases.ts';
import { AT, guestVmcs, processorInRoot } from '../../test/support/vmxProcessor.ts';
import { CONTROLS, type ControlRow } from './controls.ts';

function observe(row: ControlCase, on: boolean): unknown {
  const common = (row.with ?? []).reduce((vmcs, key) => vmcs.control(key, true), guestVmcs());
  const contents = common.set({ GUEST_IDTR_LIMIT: 0xfffn, ...row.set }).control(row.control, on);
  const test = processorInRoot(row.change?.(contents, on) ?? contents);
  for (let vector = 0; vector < 256; vector++)
    test.physical.write64(AT.GUEST_IDT + 16 * vector, 0x0010_8e00_0008_0000n);
  test.physical.write64(AT.GUEST_GDT + 8, 0x00af_9b00_0000_ffffn);
  row.before?.(test, on);
  test.vmx.enterGuest();
  expect(test.vmx.processor.failedEntry?.problem).toBeUndefined();
  expect(test.vmx.processor.inGuest).toBe(true);
  return row.observe(test);
}

describe('the control', () => {
  it.each(CONTROL_EFFECTS.map((row) => [row.control, row.what, row] as const))(
    '"%s": %s',
    (_control, _what, row) => {
      expect({ on: observe(row, true), off: observe(row, false) }).toEqual({ on: row.on, off: row.off });
    },
  );

  it('has a case of its effect if it is offered', () => {
    const rows: readonly ControlRow[] = CONTROLS;
    const shown = new Set<string>(CONTROL_CASES.map(({ control }) => control));
    expect(rows.filter(({ key, supported }) => supported && !shown.has(key)).map(({ key }) => key)).toEqual(
      [],
    );
  });
});
