import { describe, expect, it } from 'vitest';
import {
  guestVmcs,
  processorInGuest,
  processorInRoot,
  type TestVmx,
} from '../../test/support/vmxProcessor.ts';
import { checkEvents } from '../core/eventCheck.ts';
import { signalInit } from '../core/initialization.ts';
import { OUTCOME } from '../core/outcome.ts';
import type { ControlKey } from './controls.ts';
import { EXIT_REASON_NUMBER } from './exitReasons.ts';

const BUS_LOCK = 74n | (1n << 26n);
const BS = 1n << 14n;

const guest = (...controls: readonly ControlKey[]): TestVmx =>
  processorInGuest(
    controls.reduce(
      (vmcs, key) => vmcs.control(key, true),
      guestVmcs().control('vmmBusLockDetection', true).set({ GUEST_RFLAGS: 0x202n }),
    ),
  );
/** The next instruction of the guest asserts a bus lock and completes. */
function assertLock(test: TestVmx): void {
  test.vmx.expectBusLock();
  test.retired.count++;
}
const { initSignal, tripleFault } = EXIT_REASON_NUMBER;

describe('"VMM bus-lock detection"', () => {
  // biome-ignore format: rows are read as a table
  it.each<[string, readonly ControlKey[], (test: TestVmx) => unknown]>([
    ['an INIT signal', [], ({ cpu }) => signalInit(cpu)],
    ['the monitor trap flag', ['monitorTrapFlag'], ({ vmx }) => vmx.processor.monitorTrapFlag.pend()],
    ['a debug trap', [], ({ state }) => { state.PENDING_DEBUG = BS; }],
    ['the NMI window', ['nmiExiting', 'virtualNmis', 'nmiWindowExiting'], () => undefined],
    ['an NMI', ['nmiExiting'], ({ state }) => { state.NMI_PENDING = 1; }],
    ['the interrupt window', ['interruptWindowExiting'], () => undefined],
    ['an external interrupt', ['externalInterruptExiting'], ({ interrupts }) => interrupts.push(0x41)],
  ])('has priority over %s', (_what, controls, cause) => {
    const test = guest(...controls);
    assertLock(test);
    cause(test);
    expect(checkEvents(test.cpu)).toBe(OUTCOME.VM_EXIT);
    expect(test.field('VM_EXIT_REASON')).toBe(BUS_LOCK);
  });

  it('leaves what has less priority pending', () => {
    const test = guest();
    assertLock(test);
    signalInit(test.cpu);
    test.state.PENDING_DEBUG = BS;
    checkEvents(test.cpu);
    expect(test.field('GUEST_PENDING_DEBUG_EXCEPTIONS')).toBe(BS);
    test.vmx.enterGuest();
    checkEvents(test.cpu);
    expect(test.field('VM_EXIT_REASON')).toBe(BigInt(initSignal));
  });

  it('is about instructions that complete: none for one that faults', () => {
    const test = guest();
    test.vmx.expectBusLock();
    expect(checkEvents(test.cpu)).toBe(OUTCOME.NEXT);
    test.retired.count++;
    expect(checkEvents(test.cpu)).toBe(OUTCOME.NEXT);
  });

  it.each([
    [1, BigInt(tripleFault) | (1n << 26n)],
    [0, BigInt(tripleFault)],
  ])('bit 26 tells of the lock when another exit comes first; %d instructions later: %d', (count, reason) => {
    const test = guest();
    test.vmx.expectBusLock();
    test.retired.count += count;
    test.vmx.interceptTripleFault();
    expect(test.field('VM_EXIT_REASON')).toBe(reason);
    expect(test.vmx.processor.busLocks.isSet).toBe(false);
  });

  it('is the guest’s alone, and not for what the VMM completes', () => {
    const root = processorInRoot(guestVmcs().control('vmmBusLockDetection', true));
    expect(root.vmx.detectsBusLocks).toBe(false);
    let watched = 0;
    root.cpu.watchBusLocks = () => watched++;
    root.vmx.enterGuest();
    expect([root.vmx.detectsBusLocks, watched]).toEqual([true, 1]);
    root.vmx.interceptTripleFault();
    root.vmx.vmwrite('GUEST_ACTIVITY_STATE', 0n);
    root.vmx.beginStep();
    assertLock(root);
    expect(root.vmx.processor.busLocks.isSet).toBe(false);
    root.vmx.endStep();
  });

  it('pends in a snapshot', () => {
    const test = guest();
    assertLock(test);
    const saved = test.vmx.save();
    test.vmx.processor.busLocks.clear();
    let watched = 0;
    test.cpu.watchBusLocks = () => watched++;
    test.vmx.restore(saved);
    expect(watched).toBe(1);
    checkEvents(test.cpu);
    expect(test.field('VM_EXIT_REASON')).toBe(BUS_LOCK);
  });
});
