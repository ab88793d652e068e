import { describe, expect, it } from 'vitest';
import {
  guestVmcs,
  processorInGuest,
  processorInRoot,
  type TestVmx,
} from '../../test/support/vmxProcessor.ts';
import { checkEvents } from '../core/eventCheck.ts';
import { deliverFault } from '../core/events.ts';
import { OUTCOME } from '../core/outcome.ts';
import type { GuestEvent } from '../core/virtualization.ts';
import { ACTIVITY, BLOCKING, FLAG, VECTOR } from '../state/registers.ts';
import type { ControlKey } from './controls.ts';
import type { TestVmcs } from './testVmcs.ts';

const VALID = 0x8000_0000n;

function exception(vector: number, change: Partial<GuestEvent> = {}): GuestEvent {
  return {
    kind: 'hardware-exception',
    vector,
    errorCode: undefined,
    qualification: 0n,
    instructionLength: 0,
    ...change,
  };
}

function guest(...controls: readonly ControlKey[]): TestVmcs {
  return controls.reduce((vmcs, key) => vmcs.control(key, true), guestVmcs());
}

const bitmap = (...vectors: readonly number[]): bigint =>
  vectors.reduce((bits, vector) => bits | (1n << BigInt(vector)), 0n);

describe('"instruction timeout"', () => {
  it('ends an endless delivery: the exit names the event, and the granted time has passed', () => {
    const test = processorInGuest(guest('instructionTimeout').set({ INSTRUCTION_TIMEOUT_CONTROL: 1000n }));
    const before = test.charged.ticks;
    test.cpu.deliveringEvent = exception(VECTOR.AC, { errorCode: 0 });
    expect(test.vmx.interceptEndlessDelivery()).toBe(OUTCOME.VM_EXIT);
    expect(test.field('IDT_VECTORING_INFORMATION')).toBe(VALID | 0xb11n);
    expect(test.field('GUEST_RFLAGS')).toBe(BigInt(FLAG.RF | FLAG.FIXED));
    expect(test.charged.ticks - before).toBe(1000 + 500);
    test.cpu.deliveringEvent = undefined;
  });
});

describe('exceptions', () => {
  it('exit exactly when the bit of their vector is 1', () => {
    const contents = guestVmcs().set({ EXCEPTION_BITMAP: bitmap(VECTOR.UD) });
    expect(processorInGuest(contents).vmx.interceptEvent(exception(VECTOR.GP))).toBe(OUTCOME.NEXT);
    const test = processorInGuest(contents);
    expect(test.vmx.interceptEvent(exception(VECTOR.UD))).toBe(OUTCOME.VM_EXIT);
    expect(test.field('VM_EXIT_REASON')).toBe(0n);
    expect(test.field('VM_EXIT_INTERRUPTION_INFORMATION')).toBe(VALID | 0x306n);
  });

  it('report their error code, and RF as the stack would get it', () => {
    const test = processorInGuest(guestVmcs().set({ EXCEPTION_BITMAP: bitmap(VECTOR.GP) }));
    test.cpu.raise(VECTOR.GP, 0x28);
    expect(deliverFault(test.cpu)).toBe(OUTCOME.VM_EXIT);
    expect(test.field('VM_EXIT_INTERRUPTION_INFORMATION')).toBe(VALID | 0xb0dn);
    expect(test.field('VM_EXIT_INTERRUPTION_ERROR_CODE')).toBe(0x28n);
    expect(test.field('GUEST_RFLAGS')).toBe(BigInt(FLAG.RF | FLAG.FIXED));
  });

  it('of vector 14 report the address and leave CR2 alone', () => {
    const test = processorInGuest(guestVmcs().set({ EXCEPTION_BITMAP: bitmap(VECTOR.PF) }));
    test.state.CR2 = 7n;
    test.cpu.raise(VECTOR.PF, 2, 0xdead_b000n);
    deliverFault(test.cpu);
    expect(test.field('EXIT_QUALIFICATION')).toBe(0xdead_b000n);
    expect(test.state.CR2).toBe(7n);
  });

  it('of vector 1 report the conditions and leave DR6 and DR7 alone', () => {
    const test = processorInGuest(guestVmcs().set({ EXCEPTION_BITMAP: bitmap(VECTOR.DB) }));
    test.cpu.raise(VECTOR.DB, undefined, 0x4000n);
    deliverFault(test.cpu);
    expect(test.field('EXIT_QUALIFICATION')).toBe(0x4000n);
    expect(test.state.debugRegister(6)).toBe(0xffff_0ff0n);
  });

  // biome-ignore format: rows are read as a table
  it.each([
    ['bit 14 is 1 and the masked error code matches', 1n, 0x1n, 0x1n, 0x3, true],
    ['bit 14 is 1 and it does not match', 1n, 0x1n, 0x1n, 0x2, false],
    ['bit 14 is 0 and it matches', 0n, 0x1n, 0x1n, 0x3, false],
    ['bit 14 is 0 and it does not match', 0n, 0x1n, 0x1n, 0x2, true],
  ] as const)('page faults: %s', (_what, bit, mask, match, errorCode, exits) => {
    const { vmx } = processorInGuest(
      guestVmcs().set({ EXCEPTION_BITMAP: bit << 14n, PAGE_FAULT_ERROR_CODE_MASK: mask, PAGE_FAULT_ERROR_CODE_MATCH: match }),
    );
    expect(vmx.interceptEvent(exception(VECTOR.PF, { errorCode }))).toBe(exits ? OUTCOME.VM_EXIT : OUTCOME.NEXT);
  });

  it.each([
    ['INT3', 'software-exception', VECTOR.BP, 0x603n],
    ['INT1', 'privileged-software-exception', VECTOR.DB, 0x501n],
  ] as const)('of %s report type and instruction length', (_name, kind, vector, information) => {
    const test = processorInGuest(guestVmcs().set({ EXCEPTION_BITMAP: bitmap(vector) }));
    test.vmx.interceptEvent(exception(vector, { kind, instructionLength: 1 }));
    expect(test.field('VM_EXIT_INTERRUPTION_INFORMATION')).toBe(VALID | information);
    expect(test.field('VM_EXIT_INSTRUCTION_LENGTH')).toBe(1n);
  });

  it('INT n is not an exception', () => {
    const { vmx } = processorInGuest(guestVmcs().set({ EXCEPTION_BITMAP: 0xffff_ffffn }));
    expect(vmx.interceptEvent(exception(14, { kind: 'software-interrupt' }))).toBe(OUTCOME.NEXT);
  });

  it('of an IRET that had ended NMI blocking say so', () => {
    const test = processorInGuest(guestVmcs().set({ EXCEPTION_BITMAP: bitmap(VECTOR.GP) }));
    test.cpu.nmiUnblockedByIret = true;
    test.cpu.raise(VECTOR.GP, 0);
    deliverFault(test.cpu);
    expect(test.field('VM_EXIT_INTERRUPTION_INFORMATION')).toBe(VALID | 0x1b0dn);
  });

  it('during the delivery of an event report that event as IDT-vectoring information', () => {
    const contents = guestVmcs().set({ EXCEPTION_BITMAP: bitmap(VECTOR.GP), GUEST_IDTR_LIMIT: 0n });
    const test = processorInGuest(contents);
    test.cpu.raise(VECTOR.UD);
    deliverFault(test.cpu);
    expect(test.field('IDT_VECTORING_INFORMATION')).toBe(VALID | 0x306n);
    expect(test.field('VM_EXIT_INTERRUPTION_ERROR_CODE')).toBe(0x33n);
  });

  it('double faults that exit do not count as during delivery', () => {
    const contents = guestVmcs().set({ EXCEPTION_BITMAP: bitmap(VECTOR.DF), GUEST_IDTR_LIMIT: 0n });
    const test = processorInGuest(contents);
    test.cpu.raise(VECTOR.GP, 0);
    deliverFault(test.cpu);
    expect(test.field('VM_EXIT_INTERRUPTION_INFORMATION')).toBe(VALID | 0xb08n);
    expect(test.field('IDT_VECTORING_INFORMATION')).toBe(0n);
  });

  it('third faults exit as triple faults', () => {
    const test = processorInGuest(guestVmcs().set({ GUEST_IDTR_LIMIT: 0n }));
    test.cpu.raise(VECTOR.GP, 0);
    expect(deliverFault(test.cpu)).toBe(OUTCOME.VM_EXIT);
    expect(test.field('VM_EXIT_REASON')).toBe(2n);
    expect(test.field('IDT_VECTORING_INFORMATION')).toBe(0n);
  });

  it('do not exit from VMX root operation', () => {
    expect(processorInRoot().vmx.interceptTripleFault()).toBe(OUTCOME.NEXT);
  });
});

describe('interrupts', () => {
  it('external ones exit although RFLAGS.IF is 0, and stay in the controller without acknowledgment', () => {
    const test = processorInGuest(guest('externalInterruptExiting'));
    test.interrupts.push(0x30);
    expect(checkEvents(test.cpu)).toBe(OUTCOME.VM_EXIT);
    expect(test.field('VM_EXIT_REASON')).toBe(1n);
    expect(test.field('VM_EXIT_INTERRUPTION_INFORMATION')).toBe(0n);
    expect(test.interrupts).toEqual([0x30]);
  });

  it('give their vector with "acknowledge interrupt on exit"', () => {
    const test = processorInGuest(guest('externalInterruptExiting', 'acknowledgeInterruptOnExit'));
    test.interrupts.push(0x30);
    checkEvents(test.cpu);
    expect(test.field('VM_EXIT_INTERRUPTION_INFORMATION')).toBe(VALID | 0x30n);
    expect(test.interrupts).toEqual([]);
  });

  it('leave a halted guest halted in the VMCS', () => {
    const test = processorInGuest(guest('externalInterruptExiting').set({ GUEST_ACTIVITY_STATE: 1n }));
    test.interrupts.push(0x30);
    checkEvents(test.cpu);
    expect(test.field('GUEST_ACTIVITY_STATE')).toBe(1n);
  });

  it('between two iterations of a string instruction save RF as 1', () => {
    const test = processorInGuest(guest('externalInterruptExiting'));
    test.interrupts.push(0x30);
    test.cpu.insideRepeat = true;
    checkEvents(test.cpu);
    expect(test.field('GUEST_RFLAGS')).toBe(BigInt(FLAG.RF | FLAG.FIXED));
  });

  it('an NMI exits with "NMI exiting" and blocks others after the exit', () => {
    const test = processorInGuest(guest('nmiExiting'));
    test.state.NMI_PENDING = 1;
    expect(checkEvents(test.cpu)).toBe(OUTCOME.VM_EXIT);
    expect(test.field('VM_EXIT_INTERRUPTION_INFORMATION')).toBe(VALID | 0x202n);
    expect(test.state.INTERRUPTIBILITY).toBe(BLOCKING.NMI);
  });

  it('IRET and NMIs follow the pin-based controls', () => {
    expect(processorInGuest().vmx.nmiControl()).toBe('normal');
    expect(processorInGuest(guest('nmiExiting')).vmx.nmiControl()).toBe('exiting');
    expect(processorInGuest(guest('nmiExiting', 'virtualNmis')).vmx.nmiControl()).toBe('virtual');
    expect(processorInRoot().vmx.nmiControl()).toBe('normal');
  });
});

describe('windows', () => {
  const windowOpens = (test: TestVmx): boolean =>
    test.vmx.pendingExit('above-external-interrupts') === OUTCOME.VM_EXIT;

  // biome-ignore format: rows are read as a table
  it.each([
    ['RFLAGS.IF is 1', FLAG.IF, 0, ACTIVITY.ACTIVE, true],
    ['RFLAGS.IF is 0', 0, 0, ACTIVITY.ACTIVE, false],
    ['STI blocks', FLAG.IF, BLOCKING.STI, ACTIVITY.ACTIVE, false],
    ['MOV SS blocks', FLAG.IF, BLOCKING.MOV_SS, ACTIVITY.ACTIVE, false],
    ['the guest is halted', FLAG.IF, 0, ACTIVITY.HLT, true],
    ['the guest is shut down', FLAG.IF, 0, ACTIVITY.SHUTDOWN, false],
  ] as const)('for interrupts: %s', (_what, flags, blocking, activity, opens) => {
    const test = processorInGuest(guest('interruptWindowExiting'));
    test.state.systemFlags |= flags;
    test.state.INTERRUPTIBILITY = blocking;
    test.state.ACTIVITY_STATE = activity;
    expect(windowOpens(test)).toBe(opens);
    if (opens) expect(test.field('VM_EXIT_REASON')).toBe(7n);
  });

  it.each([
    ['nothing blocks', 0, true],
    ['virtual NMIs are blocked', BLOCKING.NMI, false],
    ['MOV SS blocks', BLOCKING.MOV_SS, false],
  ] as const)('for NMIs: %s', (_what, blocking, opens) => {
    const test = processorInGuest(guest('nmiExiting', 'virtualNmis', 'nmiWindowExiting'));
    test.state.INTERRUPTIBILITY = blocking;
    expect(test.vmx.pendingExit('above-nmi')).toBe(opens ? OUTCOME.VM_EXIT : OUTCOME.NEXT);
    if (opens) expect(test.field('VM_EXIT_REASON')).toBe(8n);
  });
});

describe('the VMX-preemption timer', () => {
  const timer = (value: bigint): TestVmcs =>
    guest('activateVmxPreemptionTimer').set({ VMX_PREEMPTION_TIMER_VALUE: value });

  it('counts down when bit 5 of the TSC changes', () => {
    const test = processorInGuest(timer(3n));
    test.clock.advance(95);
    expect(test.vmx.pendingExit('above-nmi')).toBe(OUTCOME.NEXT);
    test.clock.advance(1);
    expect(test.vmx.pendingExit('above-nmi')).toBe(OUTCOME.VM_EXIT);
    expect(test.field('VM_EXIT_REASON')).toBe(52n);
  });

  it('asks the clock for an event check at that moment', () => {
    expect(processorInGuest(timer(3n)).clock.nextDeadline()).toBe(96);
  });

  it('with value 0 exits before the first instruction', () => {
    expect(processorInGuest(timer(0n)).vmx.pendingExit('above-nmi')).toBe(OUTCOME.VM_EXIT);
  });

  it('comes before the NMI window', () => {
    const both = guest('activateVmxPreemptionTimer', 'nmiExiting', 'virtualNmis', 'nmiWindowExiting');
    const test = processorInGuest(both);
    test.vmx.pendingExit('above-nmi');
    expect(test.field('VM_EXIT_REASON')).toBe(52n);
  });

  it('does not outlive the exit', () => {
    const test = processorInGuest(timer(3n));
    test.vmx.interceptTripleFault();
    expect(test.clock.nextDeadline()).toBe(Number.POSITIVE_INFINITY);
    test.clock.advance(1000);
    expect(test.vmx.pendingExit('above-nmi')).toBe(OUTCOME.NEXT);
  });
});

describe('the monitor trap flag', () => {
  it('exits after one instruction, for which the run is cut short', () => {
    const test = processorInGuest(guest('monitorTrapFlag'));
    expect(test.vmx.pendingExit('above-debug-traps')).toBe(OUTCOME.NEXT);
    expect(test.clock.nextDeadline()).toBe(test.clock.now() + 1);
    expect(test.vmx.pendingExit('above-debug-traps')).toBe(OUTCOME.NEXT);
    test.retired.count++;
    expect(test.vmx.pendingExit('above-debug-traps')).toBe(OUTCOME.VM_EXIT);
    expect(test.field('VM_EXIT_REASON')).toBe(37n);
    expect(test.clock.nextDeadline()).toBe(Number.POSITIVE_INFINITY);
  });

  it('does not count VMRESUME itself', () => {
    const test = processorInGuest(guest('monitorTrapFlag'));
    test.retired.count++;
    expect(test.vmx.pendingExit('above-debug-traps')).toBe(OUTCOME.NEXT);
  });

  it('exits before the handler of an event that the first instruction or something else raised', () => {
    const test = processorInGuest(guest('monitorTrapFlag'));
    test.vmx.pendingExit('above-debug-traps');
    expect(test.vmx.interceptEvent(exception(VECTOR.GP))).toBe(OUTCOME.NEXT);
    expect(test.vmx.pendingExit('above-debug-traps')).toBe(OUTCOME.VM_EXIT);
  });

  it('keeps the run short when time passes without an instruction', () => {
    const test = processorInGuest(guest('monitorTrapFlag'));
    test.vmx.pendingExit('above-debug-traps');
    test.clock.advance(1);
    expect(test.clock.nextDeadline()).toBe(test.clock.now() + 1);
  });
});

describe('failed second-level translations', () => {
  it('violations report qualification, guest-physical and guest-linear address, and RF as 1', () => {
    const test = processorInGuest();
    test.vmx.secondLevelFault({
      kind: 'violation',
      guestPhysical: 0x12_3456_7000,
      qualification: 0x182,
      linear: 0x7f00n,
      suppressVe: true,
    });
    expect(test.field('VM_EXIT_REASON')).toBe(48n);
    expect(test.field('EXIT_QUALIFICATION')).toBe(0x182n);
    expect(test.field('GUEST_PHYSICAL_ADDRESS')).toBe(0x12_3456_7000n);
    expect(test.field('GUEST_LINEAR_ADDRESS')).toBe(0x7f00n);
    expect(test.field('GUEST_RFLAGS')).toBe(BigInt(FLAG.RF | FLAG.FIXED));
  });

  it('misconfigurations report the guest-physical address', () => {
    const test = processorInGuest();
    test.vmx.secondLevelFault({
      kind: 'misconfiguration',
      guestPhysical: 0x5000,
      qualification: 0,
      linear: 0n,
      suppressVe: true,
    });
    expect(test.field('VM_EXIT_REASON')).toBe(49n);
    expect(test.field('GUEST_PHYSICAL_ADDRESS')).toBe(0x5000n);
  });

  it('during the delivery of an interrupt save RF as the stack would get it', () => {
    const test = processorInGuest();
    test.cpu.deliveringEvent = exception(0x30, { kind: 'external' });
    test.vmx.secondLevelFault({
      kind: 'violation',
      guestPhysical: 0,
      qualification: 0x82,
      linear: 0n,
      suppressVe: true,
    });
    expect(test.field('GUEST_RFLAGS')).toBe(BigInt(FLAG.FIXED));
    expect(test.field('IDT_VECTORING_INFORMATION')).toBe(VALID | 0x30n);
  });

  it('of an access through the page tables of the guest come from the MMU', () => {
    const test = processorInGuest();
    expect(test.cpu.mmu.readLinear(0x40_0000n, 1, 'supervisor')).toBeUndefined();
    expect(test.cpu.raiseMemoryFault()).toBe(OUTCOME.FAULT);
    test.physical.write64(0x32_2010, 0x40_0087n);
    expect(test.cpu.mmu.readLinear(0x40_0000n, 1, 'supervisor')).toBeUndefined();
    expect(test.cpu.raiseMemoryFault()).toBe(OUTCOME.VM_EXIT);
    expect(test.field('GUEST_PHYSICAL_ADDRESS')).toBe(0x40_0000n);
    expect(test.field('EXIT_QUALIFICATION')).toBe(0x781n);
  });
});
