/**
 * Delivery of exceptions and interrupts: what is intercepted, what a fault during delivery turns into, and shutdown.
 *
 * Intel SDM Vol. 3A, "Interrupt and Exception Handling", chapter 7; "Interrupt 8—Double Fault Exception (#DF)", 7.15.
 */
import { readRflags } from '../state/flags.ts';
import { ACTIVITY, BLOCKING, FLAG, VECTOR } from '../state/registers.ts';
import { recordEvent } from './branchRecords.ts';
import { isReportedByFerr, reportByFerr } from './coprocessorError.ts';
import type { Cpu } from './cpu.ts';
import { recordDebugException } from './debugRegisters.ts';
import { deliverThroughIdt } from './idt.ts';
import { OUTCOME, type Outcome } from './outcome.ts';
import type { GuestEvent } from './virtualization.ts';

type ExceptionClass = 'benign' | 'contributory' | 'page fault' | 'double fault';

/** @see SDM "Interrupt 8—Double Fault Exception (#DF)", table 7-4; vectors that are not here are benign */
const EXCEPTION_CLASSES: ReadonlyMap<number, ExceptionClass> = new Map([
  [VECTOR.DE, 'contributory'],
  [VECTOR.DF, 'double fault'],
  [VECTOR.TS, 'contributory'],
  [VECTOR.NP, 'contributory'],
  [VECTOR.SS, 'contributory'],
  [VECTOR.GP, 'contributory'],
  [VECTOR.PF, 'page fault'],
  [VECTOR.VE, 'page fault'],
  [VECTOR.CP, 'contributory'],
]);

/** Only exceptions count; an interrupt is benign whatever its vector. */
function exceptionClass(event: GuestEvent): ExceptionClass {
  if (event.kind !== 'hardware-exception') return 'benign';
  return EXCEPTION_CLASSES.get(event.vector) ?? 'benign';
}

/**
 * What a second exception during the delivery of a first event leads to.
 *
 * @see SDM "Interrupt 8—Double Fault Exception (#DF)", table 7-5
 */
export function combineExceptions(
  first: GuestEvent,
  second: GuestEvent,
): 'serial' | 'double fault' | 'triple fault' {
  const firstClass = exceptionClass(first);
  const secondClass = exceptionClass(second);
  if (firstClass === 'double fault') return 'triple fault';
  if (firstClass === 'contributory') return secondClass === 'contributory' ? 'double fault' : 'serial';
  if (firstClass === 'page fault') return secondClass === 'benign' ? 'serial' : 'double fault';
  return 'serial';
}

const DOUBLE_FAULT: GuestEvent = Object.freeze({
  kind: 'hardware-exception',
  vector: VECTOR.DF,
  errorCode: 0,
  qualification: 0n,
  instructionLength: 0,
});

/** DR6.BD in the qualification of #DB: the one debug fault that is not an instruction breakpoint. */
const DEBUG_REGISTER_ACCESS = 1n << 13n;

/**
 * The RFLAGS image that the delivery of an event pushes, and that a VM exit due to the event saves.
 *
 * @see SDM "Instruction-Breakpoint Exception Condition", 19.3.1.1
 */
export function pushedFlags(cpu: Cpu, event: GuestEvent): number {
  const flags = readRflags(cpu.state);
  if (event.kind === 'hardware-exception') {
    const fault = event.vector !== VECTOR.DB || (event.qualification & DEBUG_REGISTER_ACCESS) !== 0n;
    if (fault) return flags | FLAG.RF;
  }
  const betweenIterations =
    cpu.insideRepeat && (event.kind === 'external' || event.kind === 'nmi' || event.vector === VECTOR.DB);
  return betweenIterations ? flags | FLAG.RF : flags;
}

/** The exception in `cpu.fault` as an event. */
export function faultEvent(cpu: Cpu): GuestEvent {
  const { vector, errorCode, qualification } = cpu.fault;
  return { kind: 'hardware-exception', vector, errorCode, qualification, instructionLength: 0 };
}

/** Delivers the exception that the last instruction or fetch raised, or reports it by FERR#. */
export function deliverFault(cpu: Cpu): Outcome {
  if (isReportedByFerr(cpu)) {
    reportByFerr(cpu);
    return OUTCOME.JUMPED;
  }
  return deliverEvent(cpu, faultEvent(cpu));
}

/**
 * Delivers an event, with everything that may come of it: a VM exit before or during delivery, nested exceptions, a
 * double fault, shutdown. RIP is that of the instruction that raised it (for software events) or to return to.
 *
 * @returns `JUMPED` when a handler was reached or the processor shut down, or `VM_EXIT`
 */
export function deliverEvent(cpu: Cpu, event: GuestEvent): Outcome {
  let outcome = cpu.virtualization.interceptEvent(event);
  if (outcome !== OUTCOME.VM_EXIT) {
    applySideEffects(cpu, event);
    outcome = deliverUnintercepted(cpu, event, pushedFlags(cpu, event));
  }
  cpu.nmiUnblockedByIret = false;
  return outcome;
}

/**
 * Delivers an event that VM entry injects: it is not intercepted and leaves CR2, DR6 and DR7 as they are. Exceptions on
 * the way are like any other.
 *
 * @see SDM "Vectored-Event Injection", 28.6.1
 */
export function injectEvent(cpu: Cpu, event: GuestEvent): Outcome {
  return deliverUnintercepted(cpu, event, readRflags(cpu.state));
}

function deliverUnintercepted(cpu: Cpu, first: GuestEvent, firstFlags: number): Outcome {
  const { state } = cpu;
  const { RIP, CPL } = state;
  let event = first;
  let flags = firstFlags;
  for (;;) {
    cpu.deliveringEvent = event;
    const outcome = deliverThroughIdt(cpu, event, flags);
    if (outcome !== OUTCOME.FAULT) {
      cpu.deliveringEvent = undefined;
      if (outcome === OUTCOME.JUMPED) recordEvent(cpu, event, RIP, CPL);
      return outcome;
    }
    // A nested exception is intercepted before it combines with the event it interrupted.
    const nested = faultEvent(cpu);
    if (cpu.virtualization.interceptEvent(nested) === OUTCOME.VM_EXIT) {
      cpu.deliveringEvent = undefined;
      return OUTCOME.VM_EXIT;
    }
    if (isEndless(event, nested)) return neverDeliver(cpu);
    applySideEffects(cpu, nested);
    const combined = combineExceptions(event, nested);
    event = nested;
    if (combined !== 'serial') {
      // Neither a double nor a triple fault counts as happening during delivery.
      cpu.deliveringEvent = undefined;
      if (combined === 'triple fault') return shutDown(cpu);
      if (cpu.virtualization.interceptEvent(DOUBLE_FAULT) === OUTCOME.VM_EXIT) return OUTCOME.VM_EXIT;
      event = DOUBLE_FAULT;
    }
    flags = pushedFlags(cpu, event);
  }
}

/** What an exception does to registers besides its delivery. */
function applySideEffects(cpu: Cpu, event: GuestEvent): void {
  if (event.kind !== 'hardware-exception') return;
  if (event.vector === VECTOR.PF) cpu.state.CR2 = event.qualification;
  if (event.vector === VECTOR.DB) recordDebugException(cpu.state, event.qualification);
}

/**
 * An alignment-check exception whose handler has the stack that it is about is raised again by its own delivery: both are
 * benign, so that nothing ends this.
 */
function isEndless(event: GuestEvent, nested: GuestEvent): boolean {
  return event.kind === 'hardware-exception' && event.vector === VECTOR.AC && nested.vector === VECTOR.AC;
}

function neverDeliver(cpu: Cpu): Outcome {
  const outcome = cpu.virtualization.interceptEndlessDelivery();
  cpu.deliveringEvent = undefined;
  if (outcome === OUTCOME.VM_EXIT) return outcome;
  const { state } = cpu;
  cpu.isStuck = true;
  state.ACTIVITY_STATE = ACTIVITY.SHUTDOWN;
  state.INTERRUPTIBILITY |= BLOCKING.NMI;
  return OUTCOME.JUMPED;
}

function shutDown(cpu: Cpu): Outcome {
  if (cpu.virtualization.interceptTripleFault() === OUTCOME.VM_EXIT) return OUTCOME.VM_EXIT;
  cpu.isStuck = false;
  cpu.state.ACTIVITY_STATE = ACTIVITY.SHUTDOWN;
  return OUTCOME.JUMPED;
}
