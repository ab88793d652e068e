/**
 * What happens at an instruction boundary: the concurrent events in the manual's order of priority, and the small
 * print of single instructions (single-step traps, RF, the shadow of STI and MOV SS).
 *
 * Intel SDM Vol. 3A, "Prioritization of Concurrent Events", 7.9.
 */
import type { CpuState } from '../state/cpuState.ts';
import { OFFSET } from '../state/layout.ts';
import { ACTIVITY, BLOCKING, FLAG, VECTOR, VMX_OPERATION } from '../state/registers.ts';
import { recordsBranches } from './branchRecords.ts';
import type { Cpu } from './cpu.ts';
import { DEBUGCTL, PENDING_DEBUG } from './debugRegisters.ts';
import { deliverEvent } from './events.ts';
import { initializeProcessor, startUpProcessor } from './initialization.ts';
import { OUTCOME, type Outcome } from './outcome.ts';
import type { GuestEvent } from './virtualization.ts';

const SHADOW = BLOCKING.STI | BLOCKING.MOV_SS;
const PENDING_DEBUG_WORD = OFFSET.PENDING_DEBUG >> 2;
const INIT_PENDING = OFFSET.INIT_PENDING >> 2;
const STARTUP_PENDING = OFFSET.STARTUP_PENDING >> 2;
const NMI_PENDING = OFFSET.NMI_PENDING >> 2;
const DEBUG_TRAPS = Number(PENDING_DEBUG.ENABLED_BREAKPOINT | PENDING_DEBUG.BS | PENDING_DEBUG.BT);

const NMI_EVENT: GuestEvent = Object.freeze({
  kind: 'nmi',
  vector: VECTOR.NMI,
  errorCode: undefined,
  qualification: 0n,
  instructionLength: 0,
});

/**
 * Takes the most important of the events that are due between two instructions, if any. It may be asked again and
 * again at the same boundary.
 *
 * @returns `NEXT` (0) when nothing was taken, else `JUMPED` or `VM_EXIT`
 */
export function checkEvents(cpu: Cpu): Outcome {
  const { state, virtualization } = cpu;
  const activity = state.ACTIVITY_STATE;
  const blocking = state.INTERRUPTIBILITY;

  // 0. INIT and start-up IPIs.
  if ((state.INIT_PENDING | state.STARTUP_PENDING) !== 0) {
    const above = virtualization.pendingExit('above-signals');
    if (above !== OUTCOME.NEXT) return above;
    const signalled = takeSignal(cpu);
    if (signalled !== OUTCOME.NEXT) return signalled;
  }

  // 1. Bus locks, monitor trap flag and TPR threshold.
  const mayExit = virtualization.mayExitBetweenInstructions();
  if (mayExit) {
    const outcome = virtualization.pendingExit('above-debug-traps');
    if (outcome !== OUTCOME.NEXT) return outcome;
  }

  // 2. Traps on the previous instruction.
  if (hasDebugTrap(state) && (blocking & BLOCKING.MOV_SS) === 0 && canRun(activity))
    return deliverDebugTrap(cpu);

  // 3. VMX-preemption timer and NMI window.
  if (mayExit) {
    const outcome = virtualization.pendingExit('above-nmi');
    if (outcome !== OUTCOME.NEXT) return outcome;
  }

  // 4. Nonmaskable interrupt.
  if (state.NMI_PENDING !== 0 && activity !== ACTIVITY.WAIT_FOR_SIPI && !isNmiBlocked(cpu)) {
    state.NMI_PENDING = 0;
    return deliverEvent(cpu, NMI_EVENT);
  }

  // 5. Interrupt window and virtual interrupts.
  if (mayExit) {
    const outcome = virtualization.pendingExit('above-external-interrupts');
    if (outcome !== OUTCOME.NEXT) return outcome;
  }

  // 6. Maskable external interrupts: a VM exit does not ask for RFLAGS.IF.
  if ((blocking & SHADOW) !== 0 || !canRun(activity) || !cpu.interruptController.hasInterrupt())
    return OUTCOME.NEXT;
  return takeExternalInterrupt(cpu);
}

/**
 * Whether {@link checkEvents} may find something after an instruction that changed nothing but general registers and a
 * device, and that no guest executed. It is false where nothing can be due.
 */
export function eventMayBeDue({ state, interruptController }: Cpu): boolean {
  const { i32 } = state;
  if ((i32[INIT_PENDING] | i32[STARTUP_PENDING] | i32[NMI_PENDING]) !== 0 || hasDebugTrap(state)) return true;
  return (state.systemFlags & FLAG.IF) !== 0 && interruptController.hasInterrupt();
}

/** @see SDM "Prioritization of Concurrent Events", 7.9, external hardware interventions */
function takeSignal(cpu: Cpu): Outcome {
  const { state, virtualization } = cpu;
  const startUp = state.STARTUP_PENDING;
  state.STARTUP_PENDING = 0;
  if (startUp !== 0 && state.ACTIVITY_STATE === ACTIVITY.WAIT_FOR_SIPI) {
    const vector = startUp & 0xff;
    const outcome = virtualization.interceptStartUp(vector);
    if (outcome !== OUTCOME.NEXT) return outcome;
    startUpProcessor(cpu, vector);
    return OUTCOME.JUMPED;
  }
  if (state.INIT_PENDING === 0) return OUTCOME.NEXT;
  const outcome = virtualization.interceptInit();
  if (outcome !== OUTCOME.NEXT) return outcome ?? OUTCOME.NEXT;
  initializeProcessor(cpu);
  return OUTCOME.JUMPED;
}

function takeExternalInterrupt(cpu: Cpu): Outcome {
  const { state, virtualization } = cpu;
  const outcome = virtualization.interceptExternalInterrupt(() => cpu.interruptController.acknowledge());
  if (outcome !== OUTCOME.NEXT) return outcome;
  if ((state.systemFlags & FLAG.IF) === 0) return OUTCOME.NEXT;
  return deliverEvent(cpu, {
    kind: 'external',
    vector: cpu.interruptController.acknowledge(),
    errorCode: undefined,
    qualification: 0n,
    instructionLength: 0,
  });
}

/** Active or halted: not shut down and not waiting for a start-up IPI. */
function canRun(activity: number): boolean {
  return activity === ACTIVITY.ACTIVE || activity === ACTIVITY.HLT;
}

function isNmiBlocked(cpu: Cpu): boolean {
  const blocking = cpu.state.INTERRUPTIBILITY;
  if (blocking & BLOCKING.MOV_SS) return true;
  return (blocking & BLOCKING.NMI) !== 0 && cpu.virtualization.nmiControl() !== 'virtual';
}

function hasDebugTrap({ i32 }: CpuState): boolean {
  return (i32[PENDING_DEBUG_WORD] & DEBUG_TRAPS) !== 0;
}

function deliverDebugTrap(cpu: Cpu): Outcome {
  const { state } = cpu;
  const { B, BS, BT, RTM } = PENDING_DEBUG;
  const qualification = state.PENDING_DEBUG & (B | BS | BT | RTM);
  state.PENDING_DEBUG = 0n;
  return deliverEvent(cpu, {
    kind: 'hardware-exception',
    vector: VECTOR.DB,
    errorCode: undefined,
    qualification,
    instructionLength: 0,
  });
}

/** Whether the next instruction has to be run alone, between {@link beginStep} and {@link endStep}. */
export function mustStep(state: CpuState): boolean {
  if ((state.INTERRUPTIBILITY & SHADOW) !== 0 || (state.systemFlags & (FLAG.TF | FLAG.RF)) !== 0) return true;
  return recordsBranches(state);
}

/** What an instruction that is run alone found when it began. */
export interface Step {
  readonly shadow: number;
  readonly resumeFlag: boolean;
  readonly inGuest: boolean;
  /** IA32_DEBUGCTL.BTF: TF traps after branches that are taken alone. */
  readonly onBranches: boolean;
}

/**
 * An instruction is about to be run alone.
 *
 * @see SDM "Single-Step Exception Condition", 19.3.1.4
 */
export function beginStep(cpu: Cpu): Step {
  const { state } = cpu;
  cpu.singleStepTrap = (state.systemFlags & FLAG.TF) !== 0;
  cpu.loadedResumeFlag = false;
  return {
    shadow: state.INTERRUPTIBILITY & SHADOW,
    resumeFlag: (state.systemFlags & FLAG.RF) !== 0,
    inGuest: state.VMX_OPERATION === VMX_OPERATION.NON_ROOT,
    onBranches: cpu.singleStepTrap && (state.IA32_DEBUGCTL & DEBUGCTL.BTF) !== 0n,
  };
}

/**
 * The instruction has ended; only a retired one ends the shadow, clears RF and traps. `branched` says whether it was a
 * branch that was taken, where the step asks for that.
 *
 * @see SDM "Single-Stepping on Branches", 19.4.3
 */
export function endStep(cpu: Cpu, step: Step, outcome: Outcome, branched = true): void {
  const { state } = cpu;
  if (outcome === OUTCOME.FAULT || outcome === OUTCOME.VM_EXIT) return;
  // After a VM entry everything here is what the entry loaded.
  if ((state.VMX_OPERATION === VMX_OPERATION.NON_ROOT) !== step.inGuest) return;
  state.INTERRUPTIBILITY &= ~step.shadow;
  if (step.resumeFlag && !cpu.loadedResumeFlag && outcome !== OUTCOME.REPEAT) state.systemFlags &= ~FLAG.RF;
  if (cpu.singleStepTrap && (branched || !step.onBranches)) state.PENDING_DEBUG |= PENDING_DEBUG.BS;
}
