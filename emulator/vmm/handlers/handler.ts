/** What a handler of VM exits is. */

import type { VmmStop } from '../stop.ts';
import type { Vcpu } from '../vcpu.ts';

/** Handles the exit that the current VMCS describes. Nothing: the guest goes on. */
export type ExitHandler = (vcpu: Vcpu) => VmmStop | undefined;

/** The processor completes the instruction: the exit was asked for by the policy, or the VMM has nothing to add. */
export const complete: ExitHandler = (vcpu) => {
  vcpu.completeInstruction();
  return undefined;
};

/** The instruction is complete already. */
export const resume: ExitHandler = () => undefined;
