/**
 * Exits that events cause: exceptions go on to the guest, interrupts are the VMM's, a triple fault is the end.
 *
 * Intel SDM Vol. 3C, "Information for VM Exits Due to Vectored Events", 26.9.2.
 */
import type { GuestEvent } from '../../core/virtualization.ts';
import { VECTOR } from '../../state/registers.ts';
import { injectedEvent } from '../../vmx/eventInformation.ts';
import { EXCEPTION_NAMES } from '../../vmx/registerBits.ts';
import { SLOT } from '../../vmx/vmcs.ts';
import { preemptionTimerValue } from '../setup.ts';
import { hex, type VmmStop } from '../stop.ts';
import type { Vcpu } from '../vcpu.ts';
import type { ExitHandler } from './handler.ts';

const DR6_CONDITIONS = 0xe00fn;
const DR6_RTM = 1n << 16n;
const DR6_B = 0xfn;
const DR7_GD = 1n << 13n;

export const handleException: ExitHandler = (vcpu) => {
  const { vmx, state } = vcpu;
  const event = injectedEvent(
    vcpu.low(SLOT.VM_EXIT_INTERRUPTION_INFORMATION),
    vcpu.low(SLOT.VM_EXIT_INTERRUPTION_ERROR_CODE),
    vcpu.low(SLOT.VM_EXIT_INSTRUCTION_LENGTH),
  ) as GuestEvent;
  if (event.kind === 'nmi') {
    vcpu.vm.nmiPending = true;
    return undefined;
  }
  // What the processor does to registers before it delivers an exception.
  const qualification = vmx.vmread('EXIT_QUALIFICATION');
  if (event.vector === VECTOR.PF) state.CR2 = qualification;
  if (event.vector === VECTOR.DB) {
    const kept = state.debugRegister(6) & ~DR6_B;
    state.setDebugRegister(6, kept | DR6_RTM | (qualification & DR6_CONDITIONS));
    vmx.vmwrite('GUEST_DR7', vmx.vmread('GUEST_DR7') & ~DR7_GD);
    vmx.vmwrite('GUEST_IA32_DEBUGCTL', 0n);
  }
  return vcpu.injectException(event) ? undefined : tripleFault(vcpu, event);
};

function tripleFault({ vmx }: Vcpu, last: GuestEvent): VmmStop {
  const name = EXCEPTION_NAMES[last.vector] ?? `vector ${last.vector}`;
  return {
    reason: 'triple-fault',
    description: `triple fault of the guest at RIP ${hex(vmx.vmread('GUEST_RIP'))}`,
    details: [`The third exception was ${name}.`],
  };
}

export const handleTripleFault: ExitHandler = ({ vmx, state }) => ({
  reason: 'triple-fault',
  description: `triple fault of the guest at RIP ${hex(vmx.vmread('GUEST_RIP'))}`,
  details: [
    `IDTR base ${hex(vmx.vmread('GUEST_IDTR_BASE'))}, limit ${hex(vmx.vmread('GUEST_IDTR_LIMIT'))}`,
    `CR0 ${hex(vmx.vmread('GUEST_CR0'))}, CR2 ${hex(state.CR2)}, CR3 ${hex(vmx.vmread('GUEST_CR3'))}, RSP ${hex(vmx.vmread('GUEST_RSP'))}`,
  ],
});

/** A window is open: what waits for it is injected before the next VM entry. */
export const handleWindow: ExitHandler = () => undefined;

export const handlePreemptionTimer: ExitHandler = (vcpu) => {
  vcpu.vmx.vmwrite('VMX_PREEMPTION_TIMER_VALUE', preemptionTimerValue(vcpu));
  return undefined;
};
