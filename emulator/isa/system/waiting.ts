/**
 * Waiting for a store or for a time: MONITOR, MWAIT and their user-mode siblings.
 *
 * DEVIATION(bounded-waits): each wait ends by itself after a while, as the manual lets an implementation do, so that no
 * store to the monitored line can be missed.
 *
 * Intel SDM Vol. 3A, "MONITOR/MWAIT Instruction", 10.10.4; Vol. 2, the pages of the instructions.
 */
import { SDM } from '../../base/reference.ts';
import type { Cpu } from '../../core/cpu.ts';
import type { Instruction } from '../../core/instruction.ts';
import { linearAddress, readExplicit } from '../../core/memory.ts';
import { OUTCOME, type Outcome } from '../../core/outcome.ts';
import { timeStampCounter } from '../../core/timeStampCounter.ts';
import { setArithmeticFlags } from '../../state/flags.ts';
import { CR4, RAX, RCX, RDX } from '../../state/registers.ts';
import type { SystemRow } from '../forms.ts';
import { inOrder, readGpr } from './operands.ts';

/** MWAIT's: shorter than any timer a kernel sets. */
const WAIT_TICKS = 20_000;
/** The waits of user mode have a deadline of their own. */
const USER_WAIT_TICKS = 500;

/** ECX of MWAIT: an interrupt ends the wait even when it is masked. */
const INTERRUPT_BREAKS = 1n;

/** The byte at the monitored address is read: a fault is that of a load. */
function touch(cpu: Cpu, instruction: Instruction, address: bigint): Outcome {
  const linear = linearAddress(cpu, instruction.segment, address, 1, false);
  if (linear === undefined || readExplicit(cpu, linear, 1) === undefined) return cpu.failed;
  return OUTCOME.NEXT;
}

/** @see SDM "MONITOR—Set Up Monitor Address" */
function monitor(cpu: Cpu, instruction: Instruction): Outcome {
  const address = readGpr(cpu, RAX, instruction.addressSize);
  return inOrder(
    () => (cpu.state.CPL === 0 ? OUTCOME.NEXT : cpu.raiseUd()),
    () => cpu.virtualization.intercept({ point: 'MONITOR' }, instruction),
    () => (readGpr(cpu, RCX, 32) === 0n ? OUTCOME.NEXT : cpu.raiseGp()),
    () => touch(cpu, instruction, address),
    () => {
      cpu.state.MONITOR_ARMED = 1;
      return OUTCOME.NEXT;
    },
  );
}

/** @see SDM "MWAIT—Monitor Wait" */
function mwait(cpu: Cpu, instruction: Instruction): Outcome {
  const { state } = cpu;
  const armed = state.MONITOR_ARMED !== 0;
  return inOrder(
    () => (cpu.state.CPL === 0 ? OUTCOME.NEXT : cpu.raiseUd()),
    () => cpu.virtualization.intercept({ point: 'MWAIT', armed }, instruction),
    () => (readGpr(cpu, RCX, 32) & ~INTERRUPT_BREAKS ? cpu.raiseGp() : OUTCOME.NEXT),
    () => {
      state.MONITOR_ARMED = 0;
      return OUTCOME.NEXT_THEN_CHECK;
    },
  );
}

/** @see SDM "UMONITOR—User Level Set Up Monitor Address" */
function umonitor(cpu: Cpu, instruction: Instruction): Outcome {
  return touch(cpu, instruction, readGpr(cpu, instruction.register(0), instruction.addressSize));
}

/**
 * Bit 0 of the operand chooses between C0.2 and C0.1; EDX:EAX is the deadline. CF says that the operating system's limit
 * ended the wait, which it never does here.
 *
 * @see SDM "UMWAIT—User Level Monitor Wait"; "TPAUSE—Timed PAUSE"
 */
function userWait(point: 'UMWAIT' | 'TPAUSE') {
  return (cpu: Cpu, instruction: Instruction): Outcome => {
    const { state } = cpu;
    const denied = state.CPL > 0 && (state.cr4 & CR4.TSD) !== 0;
    return inOrder(
      () => (readGpr(cpu, instruction.register(0), 32) >> 1n ? cpu.raiseGp() : OUTCOME.NEXT),
      () => (denied ? cpu.raiseGp() : OUTCOME.NEXT),
      () => cpu.virtualization.intercept({ point }, instruction),
      () => {
        const deadline = (readGpr(cpu, RDX, 32) << 32n) | readGpr(cpu, RAX, 32);
        setArithmeticFlags(state, 0);
        const now = cpu.virtualization.guestTsc(timeStampCounter(cpu));
        return now >= deadline ? OUTCOME.NEXT : OUTCOME.NEXT_THEN_CHECK;
      },
    );
  };
}

// biome-ignore format: rows are read as a table
export const WAITING_ROWS: readonly SystemRow[] = [
  { op: 'MONITOR', call: monitor, feature: 'MONITOR', ref: SDM('MONITOR—Set Up Monitor Address') },
  { op: 'MWAIT', ticks: WAIT_TICKS, call: mwait, feature: 'MONITOR', ref: SDM('MWAIT—Monitor Wait') },
  { op: 'UMONITOR', call: umonitor, feature: 'WAITPKG', ref: SDM('UMONITOR—User Level Set Up Monitor Address') },
  { op: 'UMWAIT', ticks: USER_WAIT_TICKS, call: userWait('UMWAIT'), feature: 'WAITPKG', ref: SDM('UMWAIT—User Level Monitor Wait') },
  { op: 'TPAUSE', ticks: USER_WAIT_TICKS, call: userWait('TPAUSE'), feature: 'WAITPKG', ref: SDM('TPAUSE—Timed PAUSE') },
];
