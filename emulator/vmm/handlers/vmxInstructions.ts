/** VMX instructions of the guest, to which VMX is not offered. */
import { VECTOR } from '../../state/registers.ts';
import { exitReasonRow } from '../../vmx/exitReasons.ts';
import { SLOT } from '../../vmx/vmcs.ts';
import { hex } from '../stop.ts';
import type { ExitHandler } from './handler.ts';

/** A hypervisor in the guest cannot work: better to say so than to let it fail. */
export const handleVmxInstruction: ExitHandler = (vcpu) => {
  const name = exitReasonRow(vcpu.low(SLOT.VM_EXIT_REASON) & 0xffff)?.name ?? 'a VMX instruction';
  return {
    reason: 'unimplemented',
    description: `the guest executes ${name} at RIP ${hex(vcpu.vmx.vmread('GUEST_RIP'))}: in mode "guest" there is no VMX for it; use mode "bare-metal" to run a hypervisor`,
    details: [],
  };
};

/** There is no hypercall. */
export const handleVmcall: ExitHandler = (vcpu) => {
  vcpu.raise(VECTOR.UD);
  return undefined;
};
