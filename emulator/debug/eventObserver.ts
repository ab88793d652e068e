/** Stands before the processor's virtualization and notices events that are delivered; for single-stepping. */
import type { Instruction } from '../core/instruction.ts';
import { OUTCOME, type Outcome } from '../core/outcome.ts';
import type {
  EventPriority,
  GuestEvent,
  InterceptPoint,
  SecondLevelFault,
  Virtualization,
  VirtualMsrWrite,
} from '../core/virtualization.ts';

export class EventObserver implements Virtualization {
  readonly #observed: Virtualization;
  readonly #delivered: (event: GuestEvent) => void;

  /** `delivered` is called before the event shows in the processor's state. */
  constructor(observed: Virtualization, delivered: (event: GuestEvent) => void) {
    this.#observed = observed;
    this.#delivered = delivered;
  }

  get inGuest(): boolean {
    return this.#observed.inGuest;
  }

  get mayInterceptInvlpg(): boolean {
    return this.#observed.mayInterceptInvlpg;
  }

  get detectsBusLocks(): boolean {
    return this.#observed.detectsBusLocks;
  }

  interceptEvent(event: GuestEvent): Outcome {
    const outcome = this.#observed.interceptEvent(event);
    if (outcome === OUTCOME.NEXT) this.#delivered(event);
    return outcome;
  }

  intercept(point: InterceptPoint, instruction: Instruction | undefined): Outcome {
    return this.#observed.intercept(point, instruction);
  }

  interceptExternalInterrupt(acknowledge: () => number): Outcome {
    return this.#observed.interceptExternalInterrupt(acknowledge);
  }

  secondLevelFault(fault: SecondLevelFault): Outcome {
    return this.#observed.secondLevelFault(fault);
  }

  interceptInit(): Outcome | undefined {
    return this.#observed.interceptInit();
  }

  interceptStartUp(vector: number): Outcome {
    return this.#observed.interceptStartUp(vector);
  }

  interceptTripleFault(): Outcome {
    return this.#observed.interceptTripleFault();
  }

  interceptEndlessDelivery(): Outcome {
    return this.#observed.interceptEndlessDelivery();
  }

  expectBusLock(): void {
    this.#observed.expectBusLock();
  }

  mayExitBetweenInstructions(): boolean {
    return this.#observed.mayExitBetweenInstructions();
  }

  pendingExit(priority: EventPriority): Outcome {
    return this.#observed.pendingExit(priority);
  }

  nmiControl(): 'normal' | 'exiting' | 'virtual' {
    return this.#observed.nmiControl();
  }

  permitsCr(cr: 0 | 4, value: bigint): boolean {
    return this.#observed.permitsCr(cr, value);
  }

  readableCr(cr: 0 | 4, value: bigint): bigint {
    return this.#observed.readableCr(cr, value);
  }

  writableCr(cr: 0 | 4, value: bigint, current: bigint): bigint {
    return this.#observed.writableCr(cr, value, current);
  }

  readTaskPriority(): number | undefined {
    return this.#observed.readTaskPriority();
  }

  writeTaskPriority(priority: number): boolean {
    return this.#observed.writeTaskPriority(priority);
  }

  readVirtualMsr(msr: number): bigint | undefined {
    return this.#observed.readVirtualMsr(msr);
  }

  writeVirtualMsr(msr: number, value: bigint): VirtualMsrWrite {
    return this.#observed.writeVirtualMsr(msr, value);
  }

  guestTsc(tsc: bigint): bigint {
    return this.#observed.guestTsc(tsc);
  }

  execute(instruction: Instruction): Outcome {
    return this.#observed.execute(instruction);
  }
}
