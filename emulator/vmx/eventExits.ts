/**
 * VM exits that events cause: exceptions, interrupts, triple faults, failed second-level translations, and what pends
 * at an instruction boundary.
 *
 * Intel SDM Vol. 3C, "Other Causes of VM Exits", 27.2; "Architectural State Before a VM Exit", 29.1.
 */
import { pushedFlags } from '../core/events.ts';
import { OUTCOME, type Outcome } from '../core/outcome.ts';
import type { EventPriority, GuestEvent, SecondLevelFault } from '../core/virtualization.ts';
import { APIC_ACCESS } from '../mmu/fault.ts';
import { OFFSET } from '../state/layout.ts';
import { ACTIVITY, BLOCKING, CR0, FLAG, VECTOR } from '../state/registers.ts';
import { CONTROL } from './controls.ts';
import { externalInterruptInformation, interruptionInformation, NMI_UNBLOCKING } from './eventInformation.ts';
import { flagsOfFaultingAccess, vmExit } from './exit.ts';
import { EXIT_REASON_NUMBER } from './exitReasons.ts';
import type { VmxProcessor } from './processor.ts';
import { SLOT } from './vmcs.ts';

/** The exception bitmap's answer, which #PF's error code can turn round. @see SDM "Exception Bitmap", 26.6.3 */
function exceptionExits({ state, vmcs }: VmxProcessor, { vector, errorCode }: GuestEvent): boolean {
  const inBitmap = (state.VMX_EXCEPTION_BITMAP & (1 << vector)) !== 0;
  if (vector !== VECTOR.PF) return inBitmap;
  const masked = (errorCode ?? 0) & vmcs.low(SLOT.PAGE_FAULT_ERROR_CODE_MASK);
  return (masked === vmcs.low(SLOT.PAGE_FAULT_ERROR_CODE_MATCH)) === inBitmap;
}

function eventExits(processor: VmxProcessor, event: GuestEvent): boolean {
  switch (event.kind) {
    case 'nmi':
      return processor.has(CONTROL.nmiExiting);
    case 'hardware-exception':
    case 'privileged-software-exception':
    case 'software-exception':
      return exceptionExits(processor, event);
    case 'external':
    case 'software-interrupt':
      return false;
  }
}

/** Removing of blocking by an IRET that then failed, unless another event's delivery is under way. */
function nmiUnblocking({ cpu }: VmxProcessor, vector?: number): number {
  if (!cpu.nmiUnblockedByIret || cpu.deliveringEvent !== undefined || vector === VECTOR.DF) return 0;
  return NMI_UNBLOCKING;
}

/** An exception or NMI on its way to the IDT. External interrupts are asked for before they are acknowledged. */
export function interceptEvent(processor: VmxProcessor, event: GuestEvent): Outcome {
  if (!processor.inGuest) return OUTCOME.NEXT;
  if (!eventExits(processor, event)) {
    processor.monitorTrapFlag.eventDelivered();
    return OUTCOME.NEXT;
  }
  const unblocking = event.kind === 'hardware-exception' ? nmiUnblocking(processor, event.vector) : 0;
  const hasQualification = event.vector === VECTOR.PF || event.vector === VECTOR.DB;
  const nested = processor.cpu.deliveringEvent;
  return vmExit(processor, EXIT_REASON_NUMBER.exceptionOrNmi, {
    qualification: hasQualification ? event.qualification : 0,
    interruptionInformation: interruptionInformation(event) | unblocking,
    interruptionErrorCode: event.errorCode ?? 0,
    instructionLength: nested?.instructionLength || event.instructionLength,
    flags: pushedFlags(processor.cpu, event),
  });
}

/** @see SDM "External-interrupt exiting", table 26-5; "Acknowledge interrupt on exit", table 26-13 */
export function interceptExternalInterrupt(processor: VmxProcessor, acknowledge: () => number): Outcome {
  if (!processor.inGuest || !processor.has(CONTROL.externalInterruptExiting)) return OUTCOME.NEXT;
  if (processor.has(CONTROL.processPostedInterrupts)) {
    const vector = acknowledge();
    if (vector === (processor.vmcs.low(SLOT.POSTED_INTERRUPT_NOTIFICATION_VECTOR) & 0xff)) {
      processor.virtualApic.takePosted();
      // At the same boundary: the next one may not know of a string instruction between its iterations.
      const delivered = processor.virtualApic.deliver();
      return delivered === OUTCOME.NEXT ? OUTCOME.JUMPED : delivered;
    }
    return vmExit(processor, EXIT_REASON_NUMBER.externalInterrupt, {
      interruptionInformation: externalInterruptInformation(vector),
      flags: flagsBetweenInstructions(processor),
    });
  }
  const takesVector = processor.has(CONTROL.acknowledgeInterruptOnExit);
  const information = takesVector ? externalInterruptInformation(acknowledge()) : 0;
  return vmExit(processor, EXIT_REASON_NUMBER.externalInterrupt, {
    interruptionInformation: information,
    flags: flagsBetweenInstructions(processor),
  });
}

/** A string instruction that is interrupted between iterations leaves RF as 1. */
function flagsBetweenInstructions(processor: VmxProcessor): number {
  return pushedFlags(processor.cpu, EXTERNAL_INTERRUPT);
}

const EXTERNAL_INTERRUPT: GuestEvent = Object.freeze({
  kind: 'external',
  vector: 0,
  errorCode: undefined,
  qualification: 0n,
  instructionLength: 0,
});

/**
 * INIT is blocked in VMX root operation and in the wait-for-SIPI state; else it is a VM exit that leaves registers and
 * pending events as they are.
 *
 * @see SDM "Other Causes of VM Exits", 27.2, INIT signals; "Restrictions on VMX Operation", 25.8
 */
export function interceptInit(processor: VmxProcessor): Outcome | undefined {
  if (!processor.inVmxOperation) return OUTCOME.NEXT;
  if (!processor.inGuest || processor.state.ACTIVITY_STATE === ACTIVITY.WAIT_FOR_SIPI) return undefined;
  processor.state.INIT_PENDING = 0;
  return vmExit(processor, EXIT_REASON_NUMBER.initSignal, { flags: flagsBetweenInstructions(processor) });
}

/** @see SDM "Other Causes of VM Exits", 27.2, start-up IPIs */
export function interceptStartUp(processor: VmxProcessor, vector: number): Outcome {
  if (!processor.inGuest) return OUTCOME.NEXT;
  return vmExit(processor, EXIT_REASON_NUMBER.startUpIpi, { qualification: vector });
}

export function interceptTripleFault(processor: VmxProcessor): Outcome {
  if (!processor.inGuest) return OUTCOME.NEXT;
  return vmExit(processor, EXIT_REASON_NUMBER.tripleFault);
}

/**
 * The delivery of an event keeps the guest from ever reaching the end of an instruction: the time that the control grants
 * passes.
 *
 * @see SDM "Other Causes of VM Exits", 27.2, instruction timeout; "Instruction-Timeout Control", 26.6.25
 */
export function interceptEndlessDelivery(processor: VmxProcessor): Outcome {
  if (!processor.inGuest || !processor.has(CONTROL.instructionTimeout)) return OUTCOME.NEXT;
  processor.charge(processor.vmcs.low(SLOT.INSTRUCTION_TIMEOUT_CONTROL) >>> 0);
  return vmExit(processor, EXIT_REASON_NUMBER.instructionTimeout, {
    flags: flagsOfFaultingAccess(processor),
  });
}

const EPT_LINEAR_VALID = 1 << 7;

/** @see SDM "EPT-Induced VM Exits", 30.3.3; "Exit Qualification for EPT Violations", table 29-7 */
export function secondLevelFault(processor: VmxProcessor, fault: SecondLevelFault): Outcome {
  const flags = flagsOfFaultingAccess(processor);
  if (fault.kind === 'misconfiguration') {
    return vmExit(processor, EXIT_REASON_NUMBER.eptMisconfiguration, {
      guestPhysical: fault.guestPhysical,
      flags,
    });
  }
  if (fault.kind === 'apic-access') {
    const { cpu } = processor;
    const isGuestPhysical = fault.qualification >> 12 === APIC_ACCESS.GUEST_PHYSICAL;
    const kind = isGuestPhysical ? GUEST_PHYSICAL_DURING_DELIVERY : APIC_ACCESS_DURING_DELIVERY;
    const duringDelivery = (fault.qualification & 0xfff) | (kind << 12);
    return vmExit(processor, EXIT_REASON_NUMBER.apicAccess, {
      qualification: cpu.deliveringEvent === undefined ? fault.qualification : duringDelivery,
      flags,
    });
  }
  if (fault.kind === 'log-full') {
    return vmExit(processor, EXIT_REASON_NUMBER.pageModificationLogFull, {
      qualification: nmiUnblocking(processor),
      flags,
    });
  }
  if (fault.kind === 'sub-page') {
    return vmExit(processor, EXIT_REASON_NUMBER.sppRelatedEvent, {
      qualification: fault.qualification | nmiUnblocking(processor),
      guestPhysical: fault.guestPhysical,
      guestLinear: fault.linear,
      flags,
    });
  }
  if (becomesException(processor, fault)) return processor.cpu.raise(VECTOR.VE);
  return vmExit(processor, EXIT_REASON_NUMBER.eptViolation, {
    qualification: reportedQualification(processor, fault) | nmiUnblocking(processor),
    guestPhysical: fault.guestPhysical,
    guestLinear: fault.qualification & EPT_LINEAR_VALID ? fault.linear : 0n,
    flags,
  });
}

/** What guest paging permits, in an EPT violation's qualification. */
const ADVANCED_INFORMATION = 7 << 9;

function reportedQualification({ capabilities }: VmxProcessor, { qualification }: SecondLevelFault): number {
  return capabilities.eptVpid.advancedEptViolationInformation
    ? qualification
    : qualification & ~ADVANCED_INFORMATION;
}

/** Bits 15:12 of the qualification: a linear, and a guest-physical access while an event is delivered. */
const APIC_ACCESS_DURING_DELIVERY = 3;
const GUEST_PHYSICAL_DURING_DELIVERY = 10;

/** The virtualization-exception information area. */
const VE_AREA = {
  reason: 0,
  busy: 4,
  qualification: 8,
  linear: 16,
  guestPhysical: 24,
  eptpIndex: 32,
} as const;
const VE_BUSY = 0xffff_ffff | 0;

/**
 * Whether an EPT violation is #VE instead of a VM exit; then the information area is written.
 *
 * @see SDM "Virtualization Exceptions", 27.5.7
 */
function becomesException(processor: VmxProcessor, fault: SecondLevelFault): boolean {
  const { cpu, state, vmcs, physical } = processor;
  if (!processor.has(CONTROL.eptViolationVe) || fault.suppressVe) return false;
  if ((state.cr0 & CR0.PE) === 0 || cpu.deliveringEvent !== undefined) return false;
  const area = vmcs.physicalAddress(SLOT.VIRTUALIZATION_EXCEPTION_INFORMATION_ADDRESS);
  if (physical.read32(area + VE_AREA.busy) !== 0) return false;
  physical.write(area + VE_AREA.reason, 4, EXIT_REASON_NUMBER.eptViolation, 0);
  physical.write(area + VE_AREA.busy, 4, VE_BUSY, 0);
  physical.write64(area + VE_AREA.qualification, BigInt(reportedQualification(processor, fault)));
  physical.write64(area + VE_AREA.linear, fault.linear);
  physical.write64(area + VE_AREA.guestPhysical, BigInt(fault.guestPhysical));
  physical.write(area + VE_AREA.eptpIndex, 2, vmcs.low(SLOT.EPTP_INDEX) & 0xffff, 0);
  return true;
}

// What pends at an instruction boundary

const NEVER_INTERRUPTED = ACTIVITY.WAIT_FOR_SIPI;

/** @see SDM "Monitor Trap Flag", 27.5.2 */
function monitorTrapFlagPends({ monitorTrapFlag, state }: VmxProcessor): boolean {
  return state.ACTIVITY_STATE !== NEVER_INTERRUPTED && monitorTrapFlag.pends();
}

/** @see SDM "VMX-Preemption Timer", 27.5.1 */
function preemptionTimerExpired({ state, cpu }: VmxProcessor): boolean {
  if (state.VMX_PREEMPTION_ARMED === 0 || state.ACTIVITY_STATE === NEVER_INTERRUPTED) return false;
  return cpu.clock.now() >= state.f64[OFFSET.VMX_PREEMPTION_DEADLINE >> 3];
}

/** @see SDM "Other Causes of VM Exits", 27.2, NMI window */
function nmiWindowIsOpen(processor: VmxProcessor): boolean {
  if (!processor.has(CONTROL.nmiWindowExiting)) return false;
  const { state } = processor;
  if (state.ACTIVITY_STATE === NEVER_INTERRUPTED) return false;
  return (state.INTERRUPTIBILITY & (BLOCKING.NMI | BLOCKING.MOV_SS)) === 0;
}

/** @see SDM "Other Causes of VM Exits", 27.2, interrupt window */
function interruptWindowIsOpen(processor: VmxProcessor): boolean {
  if (!processor.has(CONTROL.interruptWindowExiting)) return false;
  const { state } = processor;
  if (state.ACTIVITY_STATE !== ACTIVITY.ACTIVE && state.ACTIVITY_STATE !== ACTIVITY.HLT) return false;
  if ((state.systemFlags & FLAG.IF) === 0) return false;
  return (state.INTERRUPTIBILITY & (BLOCKING.STI | BLOCKING.MOV_SS)) === 0;
}

const WINDOWS = CONTROL.interruptWindowExiting.mask | CONTROL.nmiWindowExiting.mask;

/** What everything that can pend needs: in most guests there is none of it, and asking it all costs more than this. */
export function mayExitBetweenInstructions(processor: VmxProcessor): boolean {
  const { state, controls, monitorTrapFlag, busLocks, virtualApic } = processor;
  if (!processor.inGuest) return false;
  return (
    (controls[CONTROL.interruptWindowExiting.slot] & WINDOWS) !== 0 ||
    state.VMX_PREEMPTION_ARMED !== 0 ||
    monitorTrapFlag.isSet ||
    busLocks.isSet ||
    virtualApic.isActive
  );
}

export function pendingExit(processor: VmxProcessor, priority: EventPriority): Outcome {
  if (!processor.inGuest) return OUTCOME.NEXT;
  switch (priority) {
    case 'above-signals':
      return processor.busLocks.pends() ? exitBetweenInstructions(processor, busLock) : OUTCOME.NEXT;
    case 'above-debug-traps': {
      // A locked access in two cache lines is never one that the virtual APIC completes.
      if (processor.busLocks.pends()) return exitBetweenInstructions(processor, busLock);
      const trap = processor.virtualApic.takeTrap();
      if (trap !== undefined) return exitBetweenInstructions(processor, trap.reason, trap.qualification);
      if (monitorTrapFlagPends(processor)) return exitBetweenInstructions(processor, monitorTrapFlag);
      return OUTCOME.NEXT;
    }
    case 'above-nmi':
      if (preemptionTimerExpired(processor))
        return exitBetweenInstructions(processor, vmxPreemptionTimerExpired);
      return nmiWindowIsOpen(processor) ? exitBetweenInstructions(processor, nmiWindow) : OUTCOME.NEXT;
    case 'above-external-interrupts':
      if (interruptWindowIsOpen(processor)) return exitBetweenInstructions(processor, interruptWindow);
      return processor.stepping ? OUTCOME.NEXT : processor.virtualApic.deliver();
  }
}

const { busLock, monitorTrapFlag, vmxPreemptionTimerExpired, nmiWindow, interruptWindow } =
  EXIT_REASON_NUMBER;

function exitBetweenInstructions(processor: VmxProcessor, reason: number, qualification = 0): Outcome {
  return vmExit(processor, reason, { qualification, flags: flagsBetweenInstructions(processor) });
}
