/** Task switches of the guest. The processor completes those of instructions. */
import { hex } from '../stop.ts';
import type { ExitHandler } from './handler.ts';

export const handleTaskSwitch: ExitHandler = (vcpu) => {
  if (vcpu.injection === undefined) {
    vcpu.completeInstruction();
    return undefined;
  }
  return {
    reason: 'unimplemented',
    description: `task switch through a task gate in the IDT at RIP ${hex(vcpu.vmx.vmread('GUEST_RIP'))} (SDM "Task Switching", 9.3)`,
    details: [],
  };
};
