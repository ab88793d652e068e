/**
 * Floating-point errors as PCs reported them before CR0.NE: the processor asserts FERR#, the board makes IRQ 13 of it, and
 * with IGNNE# lets the processor go on although the error is still there.
 *
 * Intel SDM Vol. 1, "MS-DOS* Compatibility Sub-mode", 8.7.2.
 */
import { Unimplemented } from '../base/errors.ts';
import { ACTIVITY, BLOCKING, CR0, VECTOR } from '../state/registers.ts';
import type { Cpu } from './cpu.ts';

/** The two pins. */
export interface CoprocessorErrorPins {
  setFerr(asserted: boolean): void;
  readonly ignne: boolean;
}

/** A board that has connected neither. */
export const UNCONNECTED: CoprocessorErrorPins = Object.freeze({ setFerr: () => undefined, ignne: false });

/** Whether an instruction that waits for the FPU must not go on while an error is pending. */
export function stopsAtError(cpu: Cpu): boolean {
  return (cpu.state.cr0 & CR0.NE) !== 0 || !cpu.coprocessorError.ignne;
}

/** Whether the exception that is about to be delivered is reported by FERR# instead. */
export function isReportedByFerr(cpu: Cpu): boolean {
  return cpu.fault.vector === VECTOR.MF && (cpu.state.cr0 & CR0.NE) === 0;
}

/** The instruction has not been executed; the processor waits in front of it for an interrupt. */
export function reportByFerr(cpu: Cpu): void {
  const { state, coprocessorError } = cpu;
  if (coprocessorError.ignne) throw new Unimplemented('an MMX instruction while IGNNE# is asserted');
  coprocessorError.setFerr(true);
  state.INTERRUPTIBILITY &= ~(BLOCKING.STI | BLOCKING.MOV_SS);
  state.ACTIVITY_STATE = ACTIVITY.HLT;
}
