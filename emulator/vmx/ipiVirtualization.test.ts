/** Interprocessor interrupts that the guest sends without a VM exit. */
import { describe, expect, it } from 'vitest';
import { guestVmcs, processorInGuest, type TestVmx } from '../../test/support/vmxProcessor.ts';
import { writeExplicit } from '../core/memory.ts';
import { OUTCOME } from '../core/outcome.ts';
import type { ControlKey } from './controls.ts';
import { EXIT_REASON_NUMBER } from './exitReasons.ts';

const PAGE = 0x34_0000;
const ACCESS = 0x34_1000;
const TABLE = 0x34_2000;
const DESCRIPTOR = 0x34_3000;
const NOTIFICATION = DESCRIPTOR + 32;
const ICR = 0x300;
const ICR_MSR = 0x830;

/** Virtual processor 2 has a descriptor; the notification vector is 0xf2 and the destination 7. */
function processor(...controls: readonly ControlKey[]): TestVmx {
  const keys: ControlKey[] = ['activateTertiaryControls', 'ipiVirtualization', 'useTprShadow', ...controls];
  const contents = keys
    .reduce((vmcs, key) => vmcs.control(key, true), guestVmcs())
    .set({
      VIRTUAL_APIC_ADDRESS: BigInt(PAGE),
      APIC_ACCESS_ADDRESS: BigInt(ACCESS),
      PID_POINTER_TABLE_ADDRESS: BigInt(TABLE),
      LAST_PID_POINTER_INDEX: 2n,
    });
  const test = processorInGuest(contents);
  test.physical.write64(TABLE + 16, BigInt(DESCRIPTOR) | 1n);
  test.physical.write64(NOTIFICATION, (0x700n << 32n) | 0x00f2_0000n);
  return test;
}
const x2apic = () => processor('virtualizeX2apicMode');
const write = (test: TestVmx, value: bigint) => test.vmx.writeVirtualMsr(ICR_MSR, value);
const exitsAfter = (test: TestVmx): boolean => test.vmx.pendingExit('above-debug-traps') === OUTCOME.VM_EXIT;

describe('"IPI virtualization"', () => {
  it('posts the interrupt and notifies the processor that the descriptor names', () => {
    const test = x2apic();
    expect(write(test, (2n << 32n) | 0x41n)).toBe('done');
    expect(exitsAfter(test)).toBe(false);
    expect(test.physical.read32(DESCRIPTOR + 8)).toBe(2);
    expect(test.physical.read32(NOTIFICATION) & 1).toBe(1);
    expect(test.sent).toEqual([[0xf2, 7]]);
    expect(test.physical.read64(PAGE + ICR)).toBe((2n << 32n) | 0x41n);
  });

  it('notifies once while a notification is outstanding, and never while it is suppressed', () => {
    const test = x2apic();
    write(test, (2n << 32n) | 0x41n);
    write(test, (2n << 32n) | 0x42n);
    expect(test.physical.read32(DESCRIPTOR + 8)).toBe(6);
    expect(test.sent).toHaveLength(1);
    const other = x2apic();
    other.physical.write(NOTIFICATION, 4, 0x00f2_0002, 0);
    write(other, (2n << 32n) | 0x41n);
    expect(other.sent).toEqual([]);
  });

  it('does the same for a write to the APIC-access page, with the destination of ICR_HI', () => {
    const test = processor('virtualizeApicAccesses');
    test.physical.write64(0x32_0000 + 0x2000, 0x87n);
    expect(writeExplicit(test.cpu, BigInt(ACCESS + 0x310), 4, 0x0200_0000n)).toBe(true);
    expect(exitsAfter(test)).toBe(false);
    expect(writeExplicit(test.cpu, BigInt(ACCESS + ICR), 4, 0x41n)).toBe(true);
    expect(exitsAfter(test)).toBe(false);
    expect(test.sent).toEqual([[0xf2, 7]]);
  });

  it.each([
    ['a processor beyond the table', (3n << 32n) | 0x41n],
    ['an entry that is not valid', (1n << 32n) | 0x41n],
    ['a shorthand', 0xc_0041n],
    ['a logical destination', (2n << 32n) | 0x841n],
    ['an NMI', (2n << 32n) | 0x441n],
    ['a level-triggered interrupt', (2n << 32n) | 0x8041n],
    ['a vector below 16', (2n << 32n) | 0x0fn],
  ])('leaves %s to the hypervisor: an APIC-write VM exit', (_what, command) => {
    const test = x2apic();
    expect(write(test, command)).toBe('done');
    expect(exitsAfter(test)).toBe(true);
    expect(Number(test.field('VM_EXIT_REASON'))).toBe(EXIT_REASON_NUMBER.apicWrite);
    expect(test.field('EXIT_QUALIFICATION')).toBe(BigInt(ICR));
    expect(test.sent).toEqual([]);
  });

  it('refuses reserved bits with #GP(0)', () => {
    expect(write(x2apic(), 0x2041n)).toBe('refused');
  });
});

describe('"virtualize IA32_SPEC_CTRL"', () => {
  const MSR = 0x48;
  const virtualizing = () =>
    processorInGuest(
      guestVmcs()
        .control('activateTertiaryControls', true)
        .control('virtualizeSpecCtrl', true)
        .set({ SPEC_CTRL_MASK: 1n, SPEC_CTRL_SHADOW: 4n }),
    );

  it('shows the guest what it has written, and keeps the masked bits', () => {
    const test = virtualizing();
    test.state.IA32_SPEC_CTRL = 1n;
    expect(test.vmx.readVirtualMsr(MSR)).toBe(4n);
    expect(test.vmx.writeVirtualMsr(MSR, 2n)).toBe('done');
    expect(test.state.IA32_SPEC_CTRL).toBe(3n);
    expect(test.vmx.readVirtualMsr(MSR)).toBe(2n);
    expect(test.field('SPEC_CTRL_SHADOW')).toBe(2n);
    expect(test.vmx.writeVirtualMsr(MSR, 0x100n)).toBe('refused');
  });

  it('leaves the MSR alone without the control', () => {
    const test = processorInGuest();
    expect(test.vmx.readVirtualMsr(MSR)).toBeUndefined();
    expect(test.vmx.writeVirtualMsr(MSR, 2n)).toBe('real');
  });
});
