import { describe, expect, it } from 'vitest';
import { assemble } from '../../test/support/assemble.ts';
import { bareMetalMachine } from '../../test/support/guestMachine.ts';
import {
  AT,
  guestVmcs,
  processorInGuest,
  processorInRoot,
  type TestVmx,
} from '../../test/support/vmxProcessor.ts';
import { checkEvents } from '../core/eventCheck.ts';
import { signalInit, signalStartUp } from '../core/initialization.ts';
import { OUTCOME } from '../core/outcome.ts';
import { testInstruction } from '../core/testing/instruction.ts';
import { ACTIVITY, CS, RAX } from '../state/registers.ts';
import { EXIT_REASON_NUMBER } from './exitReasons.ts';
import type { TestVmcs } from './testVmcs.ts';

const REASON = EXIT_REASON_NUMBER;

function waiting(): TestVmcs {
  return guestVmcs().set({ GUEST_ACTIVITY_STATE: BigInt(ACTIVITY.WAIT_FOR_SIPI) });
}

const reasonOf = (test: TestVmx): number => Number(test.field('VM_EXIT_REASON'));

describe('INIT in VMX non-root operation', () => {
  it.each([
    ['active', ACTIVITY.ACTIVE],
    ['HLT', ACTIVITY.HLT],
    ['shutdown', ACTIVITY.SHUTDOWN],
  ] as const)(
    'is a VM exit in the state %s, which it saves with all registers as they are',
    (_name, state) => {
      const test = processorInGuest(guestVmcs().set({ GUEST_ACTIVITY_STATE: BigInt(state) }));
      test.state.setGpr(RAX, 0x1234n);
      signalInit(test.cpu);
      expect(checkEvents(test.cpu)).toBe(OUTCOME.VM_EXIT);
      expect(reasonOf(test)).toBe(REASON.initSignal);
      expect(test.field('GUEST_ACTIVITY_STATE')).toBe(BigInt(state));
      expect(test.field('GUEST_RIP')).toBe(BigInt(AT.GUEST_CODE));
      expect(test.field('EXIT_QUALIFICATION')).toBe(0n);
      expect(test.field('VM_EXIT_INTERRUPTION_INFORMATION')).toBe(0n);
      expect(test.field('VM_EXIT_INSTRUCTION_LENGTH')).toBe(0n);
      expect(test.state.gpr(RAX)).toBe(0x1234n);
      expect(test.state.INIT_PENDING).toBe(0);
    },
  );

  it('is blocked in the wait-for-SIPI state, and pends', () => {
    const test = processorInGuest(waiting());
    signalInit(test.cpu);
    expect(checkEvents(test.cpu)).toBe(OUTCOME.NEXT);
    expect(test.state.INIT_PENDING).toBe(1);
  });

  it('comes before the monitor trap flag, and leaves pending debug exceptions in the VMCS', () => {
    const trapping = guestVmcs()
      .control('monitorTrapFlag', true)
      .set({ GUEST_PENDING_DEBUG_EXCEPTIONS: 0x1001n });
    const test = processorInGuest(trapping);
    test.vmx.pendingExit('above-debug-traps');
    test.retired.count++;
    test.state.PENDING_DEBUG = 0x1001n;
    signalInit(test.cpu);
    checkEvents(test.cpu);
    expect(reasonOf(test)).toBe(REASON.initSignal);
    expect(test.field('GUEST_PENDING_DEBUG_EXCEPTIONS')).toBe(0x1001n);
  });

  it('does not clear an NMI that pends', () => {
    const test = processorInGuest();
    test.state.NMI_PENDING = 1;
    signalInit(test.cpu);
    checkEvents(test.cpu);
    expect([reasonOf(test), test.state.NMI_PENDING]).toEqual([REASON.initSignal, 1]);
  });
});

describe('INIT in VMX root operation', () => {
  it('is blocked, and a VM exit before the first instruction after VM entry', () => {
    const test = processorInRoot();
    signalInit(test.cpu);
    expect(checkEvents(test.cpu)).toBe(OUTCOME.NEXT);
    test.vmx.enterGuest();
    expect(checkEvents(test.cpu)).toBe(OUTCOME.VM_EXIT);
    expect(reasonOf(test)).toBe(REASON.initSignal);
    expect(test.field('GUEST_RIP')).toBe(BigInt(AT.GUEST_CODE));
  });

  it('does not wake a processor that a VMX abort has shut down', () => {
    const test = processorInGuest(
      guestVmcs().set({ VM_EXIT_MSR_LOAD_COUNT: 1n, VM_EXIT_MSR_LOAD_ADDRESS: 0x5000n }),
    );
    test.physical.write64(0x5000, 0x1234_5678n);
    test.vmx.interceptTripleFault();
    expect(test.vmx.processor.aborted).toBe('loadingHostMsrs');
    signalInit(test.cpu);
    expect(checkEvents(test.cpu)).toBe(OUTCOME.NEXT);
    expect(test.state.ACTIVITY_STATE).toBe(ACTIVITY.SHUTDOWN);
    // A snapshot knows why.
    const saved = test.vmx.save();
    test.vmx.reset();
    test.vmx.restore(saved);
    expect(test.vmx.processor.aborted).toBe('loadingHostMsrs');
  });

  it('is not blocked any more after VMXOFF: the processor goes to the reset vector', () => {
    const test = processorInRoot();
    test.state.IA32_APIC_BASE = 0xfee0_0900n;
    signalInit(test.cpu);
    expect(test.vmx.execute(testInstruction('VMXOFF'))).toBe(OUTCOME.NEXT_THEN_CHECK);
    expect(checkEvents(test.cpu)).toBe(OUTCOME.JUMPED);
    expect([test.state.segmentBase(CS), test.state.RIP]).toEqual([0xffff_0000n, 0xfff0n]);
  });
});

describe('a start-up IPI in VMX non-root operation', () => {
  it('is a VM exit in the wait-for-SIPI state, with the vector as qualification', () => {
    const test = processorInGuest(waiting());
    expect(checkEvents(test.cpu)).toBe(OUTCOME.NEXT);
    signalStartUp(test.cpu, 0x9a);
    expect(checkEvents(test.cpu)).toBe(OUTCOME.VM_EXIT);
    expect(reasonOf(test)).toBe(REASON.startUpIpi);
    expect(test.field('EXIT_QUALIFICATION')).toBe(0x9an);
    expect(test.field('GUEST_ACTIVITY_STATE')).toBe(BigInt(ACTIVITY.WAIT_FOR_SIPI));
    expect(test.field('GUEST_CS_SELECTOR')).toBe(8n);
  });

  it('comes before an INIT that was blocked, which pends in root operation', () => {
    const test = processorInGuest(waiting());
    signalInit(test.cpu);
    signalStartUp(test.cpu, 1);
    checkEvents(test.cpu);
    expect([reasonOf(test), test.state.INIT_PENDING]).toEqual([REASON.startUpIpi, 1]);
  });

  it.each([
    ['active', ACTIVITY.ACTIVE],
    ['HLT', ACTIVITY.HLT],
    ['shutdown', ACTIVITY.SHUTDOWN],
  ] as const)('is discarded in the state %s', (_name, state) => {
    const test = processorInGuest(guestVmcs().set({ GUEST_ACTIVITY_STATE: BigInt(state) }));
    signalStartUp(test.cpu, 0x9a);
    expect(checkEvents(test.cpu)).toBe(OUTCOME.NEXT);
    test.state.ACTIVITY_STATE = ACTIVITY.WAIT_FOR_SIPI;
    expect(checkEvents(test.cpu)).toBe(OUTCOME.NEXT);
  });
});

describe('the wait-for-SIPI state', () => {
  it('holds back interrupts, NMIs, windows, the preemption timer and the monitor trap flag', () => {
    const test = processorInGuest(
      waiting()
        .control('externalInterruptExiting', true)
        .control('nmiExiting', true)
        .control('virtualNmis', true)
        .control('nmiWindowExiting', true)
        .control('interruptWindowExiting', true)
        .control('activateVmxPreemptionTimer', true)
        .control('monitorTrapFlag', true)
        .set({ VMX_PREEMPTION_TIMER_VALUE: 0n, GUEST_RFLAGS: 0x202n }),
    );
    test.interrupts.push(0x30);
    test.state.NMI_PENDING = 1;
    for (let i = 0; i < 2; i++) {
      test.retired.count++;
      expect(checkEvents(test.cpu)).toBe(OUTCOME.NEXT);
    }
  });

  it('takes no injected event', () => {
    const test = processorInRoot(waiting().set({ VM_ENTRY_INTERRUPTION_INFORMATION: 0x8000_0202n }));
    test.vmx.enterGuest();
    expect(reasonOf(test)).toBe(0x8000_0000 + REASON.entryFailureInvalidGuestState);
  });
});

describe('a machine', () => {
  const ENTRY = 0x10_0000;
  const idle = () => bareMetalMachine(assemble('1: pause; jmp 1b', ENTRY), ENTRY).machine;
  const INIT_TO_ITSELF = 'mov $0xfee00000, %edi; movl $0, 0x310(%rdi); movl $0x4500, 0x300(%rdi); nop; hlt';

  it('gives INIT to itself by the interrupt-command register', () => {
    const { machine } = bareMetalMachine(assemble(`mov $7, %ebx; ${INIT_TO_ITSELF}`, ENTRY), ENTRY);
    machine.state.XCR0 = 7n;
    machine.state.MXCSR = 0x1fa0;
    // There is no firmware at the reset vector.
    expect(() => machine.run(1000)).toThrow('execution of code outside RAM, at host-physical 0xfffffff0');
    const { state } = machine;
    expect([state.gpr(3), state.CR0, state.efer, state.CR3]).toEqual([0n, 0x10n, 0, 0n]);
    expect([state.XCR0, state.MXCSR]).toEqual([7n, 0x1fa0]);
  });

  it('waits for a start-up IPI after INIT if it is not the bootstrap processor, and begins where that says', () => {
    const machine = idle();
    machine.state.IA32_APIC_BASE &= ~0x100n;
    machine.initialize();
    expect(machine.run(1000)).toBe('idle');
    expect(machine.state.ACTIVITY_STATE).toBe(ACTIVITY.WAIT_FOR_SIPI);
    machine.physical.write(0x5000, 4, 0xf4f4_43fb | 0, 0); // sti; inc %bx; hlt
    machine.apic.receive({ deliveryMode: 6, vector: 5, trigger: 'edge' });
    expect(machine.run(1000)).toBe('idle');
    expect(machine.state.segmentSelector(CS)).toBe(0x500);
    expect([machine.state.gpr(3), machine.state.RIP]).toEqual([1n, 3n]);
  });

  it('stops with its name where an SMI would be', () => {
    expect(() => idle().apic.receive({ deliveryMode: 2, vector: 0, trigger: 'edge' })).toThrow('SMI');
  });
});
