import { describe, expect, it } from 'vitest';
import { AT, guestVmcs, processorInGuest, type TestVmx } from '../../test/support/vmxProcessor.ts';
import { CONTROLS } from './controls.ts';
import { ENTRY_CHECKS } from './entryChecks/evaluate.ts';
import { longModeGuest } from './testVmcs.ts';
import { VMCS_FIELD } from './vmcsLayout.ts';

/** The rows that the next VM entry runs. */
function rowsOfNextEntry(test: TestVmx): string[] {
  const ran: string[] = [];
  const { marks, view } = test.vmx.processor;
  const originals = ENTRY_CHECKS.map((row) => row.check);
  for (const row of ENTRY_CHECKS) {
    const { check } = row;
    row.check = (vmcs) => {
      ran.push(row.id);
      return check.call(row, vmcs);
    };
  }
  marks?.firstFailure(view);
  for (const [index, row] of ENTRY_CHECKS.entries()) row.check = originals[index];
  return ran;
}

/** With EPT and without link pointer no check reads memory. */
const EVERY_TIME: string[] = [];

function exited(): TestVmx {
  const test = processorInGuest();
  test.vmx.interceptTripleFault();
  return test;
}

describe('the entry checks of a VMCS that was entered before', () => {
  it('do not run again when nothing has changed', () => {
    expect(rowsOfNextEntry(exited())).toEqual(EVERY_TIME);
  });

  it('run again where they read memory', () => {
    const contents = guestVmcs().set({ VMCS_LINK_POINTER: BigInt(AT.OTHER_VMCS) });
    const test = processorInGuest(contents);
    test.vmx.interceptTripleFault();
    const expected = ['guest.linkPointer.revision', 'guest.linkPointer.shadow'];
    expect(rowsOfNextEntry(test)).toEqual(expected);
    expect(rowsOfNextEntry(test)).toEqual(expected);
  });

  it('run again where they look at the mode of the processor, when it is another', () => {
    const test = exited();
    test.state.IA32_EFER = 0n;
    const rows = ENTRY_CHECKS.filter(({ alsoReads }) => alsoReads === 'processorState').map(({ id }) => id);
    expect(rows).toContain(rowsOfNextEntry(test)[0]);
  });

  it('run again where they read a field that VMWRITE has changed, in the manual’s order', () => {
    const test = exited();
    test.vmx.vmwrite('GUEST_RIP', 0x1_0000_1234n);
    const expected = ENTRY_CHECKS.filter(
      ({ id, needs }) => EVERY_TIME.includes(id) || needs.includes('GUEST_RIP'),
    ).map(({ id }) => id);
    expect(rowsOfNextEntry(test)).toEqual(expected);
    expect(rowsOfNextEntry(test)).toEqual(EVERY_TIME);
  });

  it('do not run again for the half of a field that has no say: a handler moves RIP on', () => {
    const test = exited();
    test.vmx.vmwrite('GUEST_RIP', test.field('GUEST_RIP') + 2n);
    expect(rowsOfNextEntry(test)).toEqual(EVERY_TIME);
    const rows = ENTRY_CHECKS.filter(({ upperHalfOf }) => upperHalfOf !== undefined);
    expect(rows.map(({ needs, upperHalfOf }) => needs.includes(upperHalfOf as never))).toEqual([true, true]);
  });

  it('do not run again when VMWRITE writes the value that was there', () => {
    const test = exited();
    test.vmx.vmwrite('GUEST_RIP', test.field('GUEST_RIP'));
    expect(rowsOfNextEntry(test)).toEqual(EVERY_TIME);
  });

  it('all run again after a change of the controls', () => {
    const test = exited();
    test.vmx.vmwrite('PIN_BASED_VM_EXECUTION_CONTROLS', test.field('PIN_BASED_VM_EXECUTION_CONTROLS') | 1n);
    expect(rowsOfNextEntry(test)).toHaveLength(ENTRY_CHECKS.length);
  });

  it('run again for the word alone when only a window is opened', () => {
    const test = exited();
    const field = 'PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS';
    test.vmx.vmwrite(field, test.field(field) | 4n);
    expect(rowsOfNextEntry(test)).toHaveLength(
      ENTRY_CHECKS.filter(({ id, needs }) => EVERY_TIME.includes(id) || needs.includes(field)).length,
    );
    test.vmx.enterGuest();
    expect(test.vmx.processor.view.controls.interruptWindowExiting).toBe(true);
  });

  it('all run again after a store to the page of the VMCS', () => {
    const test = exited();
    test.physical.write(AT.VMCS + VMCS_FIELD.GUEST_RFLAGS.offset, 4, 0, 0);
    expect(rowsOfNextEntry(test).length).toBeGreaterThan(EVERY_TIME.length);
    test.vmx.enterGuest();
    expect(test.vmx.processor.inGuest).toBe(false);
  });

  it('all run again after the guest has changed "IA-32e mode guest"', () => {
    const test = processorInGuest();
    test.state.IA32_EFER &= ~0x500n;
    test.vmx.interceptTripleFault();
    expect(rowsOfNextEntry(test).length).toBeGreaterThan(EVERY_TIME.length);
  });

  it('are remembered for each VMCS', () => {
    const test = exited();
    for (let at = 0; at < 4096; at += 8)
      test.physical.write64(AT.OTHER_VMCS + at, test.physical.read64(AT.VMCS + at));
    test.vmx.vmptrld(BigInt(AT.OTHER_VMCS));
    expect(rowsOfNextEntry(test)).toHaveLength(ENTRY_CHECKS.length);
    test.vmx.vmptrld(BigInt(AT.VMCS));
    expect(rowsOfNextEntry(test)).toEqual(EVERY_TIME);
  });
});

describe('the window controls', () => {
  it('are looked at by no row that does not name their word', () => {
    for (const key of ['interruptWindowExiting', 'nmiWindowExiting'] as const) {
      const row = CONTROLS.find((control) => control.key === key);
      const vmcs = guestVmcs();
      let reads = 0;
      const controls = new Proxy(longModeGuest().view.controls, {
        get: (target, property) => {
          if (property === key) reads++;
          return Reflect.get(target, property) as unknown;
        },
      });
      for (const { needs, check } of ENTRY_CHECKS) {
        if (needs.includes('PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS')) continue;
        check(
          new Proxy(vmcs.view, {
            get: (target, property) => (property === 'controls' ? controls : Reflect.get(target, property)),
          }),
        );
      }
      expect([row?.name, reads]).toEqual([row?.name, 0]);
    }
  });
});
