/**
 * The virtual processor of a guest: its VMCS and what the VMM does with it again and again.
 *
 * Intel SDM Vol. 3C, "Virtual Machine Control Structures", chapter 26.
 */
import { SavedState } from '../base/savedState.ts';
import type { StateRecord } from '../base/stateValue.ts';
import type { Cpu } from '../core/cpu.ts';
import { beginStep, endStep } from '../core/eventCheck.ts';
import { combineExceptions } from '../core/events.ts';
import { OUTCOME, type Outcome } from '../core/outcome.ts';
import type { GuestEvent } from '../core/virtualization.ts';
import type { CpuState } from '../state/cpuState.ts';
import { AR, BLOCKING, FLAG } from '../state/registers.ts';
import { CONTROL } from '../vmx/controls.ts';
import { injectedEvent, interruptionInformation, isValid } from '../vmx/eventInformation.ts';
import { SLOT } from '../vmx/vmcs.ts';
import { VMCS_FIELD } from '../vmx/vmcsLayout.ts';
import type { Vmx } from '../vmx/vmx.ts';
import { CpuidAnswers } from './handlers/cpuidAnswers.ts';
import type { ExitPolicy } from './policy.ts';
import type { Vm } from './vm.ts';

/** The engine, as far as the VMM needs it to complete an instruction of the guest. */
export interface GuestStepper {
  /** Executes exactly one instruction (or iteration of one) in the present context, without taking events. */
  stepWithoutEvents(): Outcome;
}

export interface VcpuParts {
  readonly vm: Vm;
  readonly vmx: Vmx;
  /** The processor itself. */
  readonly cpu: Cpu;
  readonly stepper: GuestStepper;
  /** The processor as the guest sees it: same state and memory, its own model and local APIC. */
  readonly guestCpu: Cpu;
  readonly vmcs: number;
  readonly vpid: number;
  readonly ioBitmaps: readonly [number, number];
  readonly msrBitmaps: number;
  readonly policy: ExitPolicy;
}

/** Iterations of a repeated instruction that are completed at once. */
const ITERATIONS = 4096;

const { GUEST_RIP } = VMCS_FIELD;

/** Pending debug exceptions: single step. */
const SINGLE_STEP = 1n << 14n;

export class Vcpu {
  readonly vm: Vm;
  readonly vmx: Vmx;
  readonly guestCpu: Cpu;
  readonly state: CpuState;
  readonly parts: VcpuParts;
  readonly policy: ExitPolicy;
  readonly cpuid: CpuidAnswers;
  /** IA32_TSC_ADJUST as the guest knows it. */
  tscAdjust = 0n;
  /** What is to be added to the processor's TSC. */
  tscOffset = 0n;
  /** An event for the next VM entry: one whose delivery a VM exit interrupted, or an exception for the guest. */
  injection: GuestEvent | undefined = undefined;
  /** Completing an instruction has led to a VM exit, which is to be handled next. */
  exitedAgain = false;

  constructor(parts: VcpuParts) {
    this.parts = parts;
    this.vm = parts.vm;
    this.vmx = parts.vmx;
    this.guestCpu = parts.guestCpu;
    this.state = parts.guestCpu.state;
    this.policy = parts.policy;
    this.cpuid = new CpuidAnswers(parts.guestCpu);
  }

  /** Bits 31:0 of a field of the VMCS, as a signed number. */
  low(slot: number): number {
    return this.vmx.processor.vmcs.low(slot);
  }

  get in64BitMode(): boolean {
    // Every VM exit stores IA32_EFER.LMA here, so the guest's own switch to long mode shows.
    const longMode = (this.low(SLOT.VM_ENTRY_CONTROLS) & CONTROL.ia32eModeGuest.mask) !== 0;
    return longMode && (this.low(SLOT.GUEST_CS_ACCESS_RIGHTS) & AR.L) !== 0;
  }

  /** The exit's instruction is done: RIP moves behind it. */
  skipInstruction(): void {
    const { vmx } = this;
    const next = (this.low(SLOT.GUEST_RIP) >>> 0) + this.low(SLOT.VM_EXIT_INSTRUCTION_LENGTH);
    if (this.in64BitMode) {
      const carry = next > 0xffff_ffff ? 1 : 0;
      vmx.vmwritePair(GUEST_RIP, next | 0, (this.low(SLOT.GUEST_RIP + 1) + carry) | 0);
    } else {
      const is32Bit = (this.low(SLOT.GUEST_CS_ACCESS_RIGHTS) & AR.DB) !== 0;
      vmx.vmwritePair(GUEST_RIP, is32Bit ? next | 0 : next & 0xffff, 0);
    }
    const blocking = this.low(SLOT.GUEST_INTERRUPTIBILITY_STATE);
    if (blocking & (BLOCKING.STI | BLOCKING.MOV_SS)) {
      vmx.vmwrite('GUEST_INTERRUPTIBILITY_STATE', BigInt(blocking & ~(BLOCKING.STI | BLOCKING.MOV_SS)));
    }
    if (this.low(SLOT.GUEST_RFLAGS) & FLAG.TF) {
      vmx.vmwrite(
        'GUEST_PENDING_DEBUG_EXCEPTIONS',
        vmx.vmread('GUEST_PENDING_DEBUG_EXCEPTIONS') | SINGLE_STEP,
      );
    }
  }

  /**
   * Lets the processor execute the exit's instruction after all: with nothing intercepted, and with the addresses that
   * have no memory answered by the guest's board. The instruction's own faults go to the guest.
   *
   * @returns `FAULT` when the instruction did not complete, `VM_EXIT` when it has led to another exit
   */
  completeInstruction(): Outcome {
    const { vmx, state } = this;
    const { cpu, stepper } = this.parts;
    vmx.beginStep();
    cpu.mmu.mmioWindow = this.vm.window;
    let outcome: Outcome;
    try {
      const rip = state.RIP;
      let left = ITERATIONS;
      do {
        const step = beginStep(cpu);
        outcome = stepper.stepWithoutEvents();
        endStep(cpu, step, outcome);
      } while (--left > 0 && vmx.processor.inGuest && outcome !== OUTCOME.FAULT && state.RIP === rip);
    } finally {
      cpu.mmu.mmioWindow = undefined;
      if (!vmx.processor.inGuest) this.exitedAgain = true;
      vmx.endStep();
    }
    return this.exitedAgain ? OUTCOME.VM_EXIT : outcome;
  }

  /** Raises an exception in the guest instead of the exit's instruction. */
  raise(vector: number, errorCode?: number): void {
    this.injectException({
      kind: 'hardware-exception',
      vector,
      errorCode,
      qualification: 0n,
      instructionLength: 0,
    });
  }

  /**
   * Injects an exception; one that came up during the delivery of another event may make a double fault of both.
   *
   * @returns false when it makes a triple fault
   */
  injectException(event: GuestEvent): boolean {
    const first = this.injection;
    const combined = first === undefined ? 'serial' : combineExceptions(first, event);
    if (combined === 'triple fault') return false;
    this.injection = combined === 'serial' ? event : DOUBLE_FAULT;
    return true;
  }

  /** The event whose delivery the exit interrupted; it has to be injected again unless something takes its place. */
  takeInterruptedEvent(): void {
    const information = this.low(SLOT.IDT_VECTORING_INFORMATION);
    this.injection = isValid(information)
      ? injectedEvent(
          information,
          this.low(SLOT.IDT_VECTORING_ERROR_CODE),
          this.low(SLOT.VM_EXIT_INSTRUCTION_LENGTH),
        )
      : undefined;
  }

  save(): StateRecord {
    return { tscAdjust: this.tscAdjust, tscOffset: this.tscOffset };
  }

  restore(state: StateRecord): void {
    const saved = new SavedState('a virtual processor', state);
    this.tscAdjust = saved.bigint('tscAdjust');
    this.tscOffset = saved.bigint('tscOffset');
    this.injection = undefined;
    this.exitedAgain = false;
  }

  /** Writes the VM-entry controls for event injection. */
  inject(event: GuestEvent): void {
    const { vmx } = this;
    vmx.vmwrite('VM_ENTRY_INTERRUPTION_INFORMATION', BigInt(interruptionInformation(event) >>> 0));
    if (event.errorCode !== undefined) vmx.vmwrite('VM_ENTRY_EXCEPTION_ERROR_CODE', BigInt(event.errorCode));
    if (event.instructionLength !== 0)
      vmx.vmwrite('VM_ENTRY_INSTRUCTION_LENGTH', BigInt(event.instructionLength));
  }
}

const DOUBLE_FAULT: GuestEvent = Object.freeze({
  kind: 'hardware-exception',
  vector: 8,
  errorCode: 0,
  qualification: 0n,
  instructionLength: 0,
});
