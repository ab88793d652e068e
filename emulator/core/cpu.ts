/**
 * One logical processor as system code sees it: its state, its way to memory, ports and interrupts, and what happened
 * to the instruction at hand (the pending fault, the event being delivered).
 */
import type { Clock } from '../base/clock.ts';
import { EmulatorBug } from '../base/errors.ts';
import type { Mmu } from '../mmu/mmu.ts';
import type { CpuState } from '../state/cpuState.ts';
import { DS, SS, VECTOR } from '../state/registers.ts';
import { type CoprocessorErrorPins, UNCONNECTED } from './coprocessorError.ts';
import type { FeatureKey } from './features.ts';
import type { CpuModel } from './model.ts';
import { NO_VIRTUALIZATION } from './noVirtualization.ts';
import { OUTCOME, type Outcome } from './outcome.ts';
import { PerformanceMonitoring } from './performanceMonitoring.ts';
import type { GuestEvent, Virtualization } from './virtualization.ts';

/** Where maskable external interrupts come from: the local APIC, and through it the 8259s. */
export interface InterruptController {
  hasInterrupt(): boolean;
  /** Takes the interrupt that is due and gives its vector. */
  acknowledge(): number;
}

/** The local APIC as instructions reach it: by CPUID, by MSR and as CR8. */
export interface ApicPort {
  /** The APIC ID after reset, as CPUID shows it. */
  readonly id: number;
  /** Reads an x2APIC register or IA32_TSC_DEADLINE; undefined is #GP(0). */
  readMsr(msr: number): bigint | undefined;
  /** Writes one; false is #GP(0). */
  writeMsr(msr: number, value: bigint): boolean;
  /** IA32_APIC_BASE was changed by WRMSR (the value has passed the reserved-bit and mode-transition checks). */
  baseChanged(value: bigint): void;
  /** INIT: registers at their reset values, but for the APIC ID. */
  reset(): void;
  /** The TSC was written: a TSC deadline is now at another tick. */
  tscChanged(): void;
  /** Ends the interrupt in service, as a write to the EOI register does. */
  eoi(): void;
  /** Sends a fixed, edge-triggered interrupt to the local APIC with a physical APIC ID. */
  sendFixed(vector: number, destination: number): void;
  /** Bits 7:4 of the task-priority register, as CR8. */
  readCr8(): number;
  writeCr8(priority: number): void;
}

/** The I/O address space. */
export interface PortIo {
  read(port: number, size: 1 | 2 | 4): number;
  write(port: number, size: 1 | 2 | 4, value: number): void;
}

/** What {@link Cpu.raise} recorded: an exception that waits for delivery. */
export interface PendingFault {
  vector: number;
  errorCode: number | undefined;
  /** #PF: the linear address; #DB: bits for DR6. */
  qualification: bigint;
}

export interface CpuParts {
  readonly state: CpuState;
  readonly mmu: Mmu;
  readonly apic: ApicPort;
  readonly interruptController: InterruptController;
  readonly portIo: PortIo;
  readonly clock: Clock;
  readonly model: CpuModel;
}

export class Cpu {
  readonly state: CpuState;
  readonly mmu: Mmu;
  readonly apic: ApicPort;
  readonly interruptController: InterruptController;
  /** Another one when a board is attached. */
  portIo: PortIo;
  readonly clock: Clock;
  readonly model: CpuModel;
  readonly performance: PerformanceMonitoring;
  /** Set by the composition root when the processor offers VT-x or AMD-V. */
  virtualization: Virtualization = NO_VIRTUALIZATION;
  /** From now on {@link Virtualization.expectBusLock} has to be told. Set by the engine. */
  watchBusLocks: () => void = () => undefined;
  /** Set by the composition root when the board has connected them. */
  coprocessorError: CoprocessorErrorPins = UNCONNECTED;

  /** Valid after an outcome of `FAULT`. */
  readonly fault: PendingFault = { vector: 0, errorCode: undefined, qualification: 0n };
  /** Why the last helper that answers with a value or a boolean gave `undefined` or `false`: `FAULT` or `VM_EXIT`. */
  failed: Outcome = OUTCOME.FAULT;
  /** The event on its way through the IDT: what a VM exit reports as IDT-vectoring information. */
  deliveringEvent: GuestEvent | undefined = undefined;
  /** An IRET has ended NMI blocking and then failed: a VM exit reports "NMI unblocking due to IRET". */
  nmiUnblockedByIret = false;
  /** The delivery of an event never comes to an end: only RESET helps. */
  isStuck = false;
  /** The instruction being run alone will end with a single-step trap: see eventCheck.ts. */
  singleStepTrap = false;
  /** The instruction being run alone was IRET: RF is what it loaded. */
  loadedResumeFlag = false;

  constructor(parts: CpuParts) {
    this.state = parts.state;
    this.mmu = parts.mmu;
    this.apic = parts.apic;
    this.interruptController = parts.interruptController;
    this.portIo = parts.portIo;
    this.clock = parts.clock;
    this.model = parts.model;
    this.performance = new PerformanceMonitoring(this);
  }

  /** Execution stopped between two iterations of a string instruction: an event pushes RF as 1. Set by the engine. */
  get insideRepeat(): boolean {
    return this.state.REPEATING !== 0;
  }

  set insideRepeat(inside: boolean) {
    this.state.REPEATING = inside ? 1 : 0;
  }

  has(feature: FeatureKey): boolean {
    return this.model.features.has(feature);
  }

  /** Records an exception for delivery. An instruction function ends with `return cpu.raise(…)`. */
  raise(vector: number, errorCode?: number, qualification = 0n): Outcome {
    this.fault.vector = vector;
    this.fault.errorCode = errorCode;
    this.fault.qualification = qualification;
    this.failed = OUTCOME.FAULT;
    return OUTCOME.FAULT;
  }

  /** #GP with a selector's error code, or with 0. */
  raiseGp(selector = 0): Outcome {
    return this.raise(VECTOR.GP, this.errorCode(selector));
  }

  raiseUd(): Outcome {
    return this.raise(VECTOR.UD);
  }

  /**
   * The error code that names a selector (or nothing, for 0). EXT is set while an event external to the program is
   * being delivered.
   *
   * @see SDM "Error Code", 7.13
   */
  errorCode(selector: number): number {
    const event = this.deliveringEvent;
    const external = event && event.kind !== 'software-interrupt' && event.kind !== 'software-exception';
    return (selector & 0xfffc) | (external ? 1 : 0);
  }

  /** A segment's access is outside its limits, of the wrong type or not canonical: #SS for the stack, else #GP. */
  raiseSegmentFault(segment: number, selector = 0): Outcome {
    return this.raise(segment === SS ? VECTOR.SS : VECTOR.GP, this.errorCode(selector));
  }

  /**
   * Turns the failed translation in `mmu.fault` into #PF, into what the second level of translation makes of it, or
   * into #AC, or into the #GP or #SS of an address that is not canonical.
   */
  raiseMemoryFault(segment: number = DS): Outcome {
    const fault = this.mmu.fault;
    switch (fault.kind) {
      case 'page':
        return this.raise(VECTOR.PF, fault.errorCode, fault.linear);
      case 'second-level':
        this.failed = this.virtualization.secondLevelFault(fault.secondLevel);
        return this.failed;
      case 'alignment':
        return this.raise(VECTOR.AC, this.errorCode(0));
      case 'non-canonical':
        return this.raiseSegmentFault(segment);
      case 'none':
        throw new EmulatorBug('an access failed and the MMU does not say why');
    }
  }
}
