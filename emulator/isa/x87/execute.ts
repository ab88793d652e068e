/**
 * What comes before every x87 instruction: the device-not-available exception, and for waiting instructions the
 * delivery of a pending floating-point exception.
 *
 * Intel SDM Vol. 1, "x87 FPU Control Instructions", 8.3.11, and "Handling x87 FPU Exceptions in Software", 8.7.
 */
import { stopsAtError } from '../../core/coprocessorError.ts';
import type { Cpu } from '../../core/cpu.ts';
import type { Instruction } from '../../core/instruction.ts';
import { OUTCOME, type Outcome } from '../../core/outcome.ts';
import { CR0, VECTOR } from '../../state/registers.ts';
import type { SystemRow } from '../forms.ts';
import { STATUS, X87 } from './fpu.ts';

type Call = SystemRow['call'];
/** Gives the outcome of an instruction that may fail, nothing where it cannot. */
export type Body = (fpu: X87, instruction: Instruction, cpu: Cpu) => Outcome | undefined;

function run(body: Body, cpu: Cpu, instruction: Instruction): Outcome {
  return body(new X87(cpu, instruction), instruction, cpu) ?? OUTCOME.NEXT;
}

/** @see SDM "Interrupt 16—x87 FPU Floating-Point Error (#MF)" */
function pendingException(cpu: Cpu): Outcome {
  if ((cpu.state.X87_STATUS & STATUS.SUMMARY) === 0) return OUTCOME.NEXT;
  return stopsAtError(cpu) ? cpu.raise(VECTOR.MF) : OUTCOME.NEXT;
}

function isUnavailable(cpu: Cpu): boolean {
  return (cpu.state.cr0 & (CR0.EM | CR0.TS)) !== 0;
}

/** A control instruction that does not look at pending exceptions (FN…). */
export function nonWaiting(body: Body): Call {
  return (cpu, instruction) => (isUnavailable(cpu) ? cpu.raise(VECTOR.NM) : run(body, cpu, instruction));
}

/** A control instruction that does. */
export function waitingControl(body: Body): Call {
  return (cpu, instruction) => {
    if (isUnavailable(cpu)) return cpu.raise(VECTOR.NM);
    const pending = pendingException(cpu);
    return pending === OUTCOME.NEXT ? run(body, cpu, instruction) : pending;
  };
}

/** Any other instruction: it becomes the last one that the FPU's pointers name, unless it faults. */
export function waiting(body: Body): Call {
  return waitingControl((fpu, instruction, cpu) => {
    const outcome = body(fpu, instruction, cpu) ?? OUTCOME.NEXT;
    if (outcome === OUTCOME.NEXT) fpu.recordInstruction();
    return outcome;
  });
}

/** @see SDM "WAIT/FWAIT—Wait" */
export const wait: Call = (cpu) => {
  const both = CR0.MP | CR0.TS;
  return (cpu.state.cr0 & both) === both ? cpu.raise(VECTOR.NM) : pendingException(cpu);
};
