/**
 * Accesses of the guest to addresses without memory: the processor completes the instruction, and the guest's board
 * answers.
 *
 * Intel SDM Vol. 3C, "EPT-Induced VM Exits", 30.3.3.
 */
import { EPT_VIOLATION } from '../../vmx/exitLayouts.ts';
import { SLOT } from '../../vmx/vmcs.ts';
import { hex, type VmmStop } from '../stop.ts';
import type { Vcpu } from '../vcpu.ts';
import type { ExitHandler } from './handler.ts';

const FETCH = Number(EPT_VIOLATION.FETCH);
const TRANSLATED = Number(EPT_VIOLATION.TRANSLATED);

export const handleEptViolation: ExitHandler = (vcpu) => {
  const qualification = vcpu.low(SLOT.EXIT_QUALIFICATION);
  if (qualification & FETCH) return stopAt(vcpu, 'the guest executes code');
  if ((qualification & TRANSLATED) === 0) return stopAt(vcpu, 'a paging structure of the guest lies');
  if (vcpu.injection !== undefined)
    return stopAt(vcpu, 'an event is delivered through tables or a stack that lie');
  vcpu.completeInstruction();
  return undefined;
};

function stopAt({ vmx }: Vcpu, what: string): VmmStop {
  const address = hex(vmx.vmread('GUEST_PHYSICAL_ADDRESS'));
  return {
    reason: 'unimplemented',
    description: `${what} at guest-physical ${address}, where there is no memory (RIP ${hex(vmx.vmread('GUEST_RIP'))})`,
    details: [],
  };
}

export const handleEptMisconfiguration: ExitHandler = ({ vmx }) => ({
  reason: 'unimplemented',
  description: `an EPT entry for guest-physical ${hex(vmx.vmread('GUEST_PHYSICAL_ADDRESS'))} is misconfigured`,
  details: ['The VMM writes no such entry: something has overwritten its tables.'],
});
