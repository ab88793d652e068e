/**
 * What the guest's processor is to be interrupted by: decided once before each VM entry. Events whose delivery an exit
 * interrupted come first, then NMIs, then interrupts; what cannot be delivered yet asks for a window.
 *
 * Intel SDM Vol. 3C, "Event Injection", 28.6; "Interrupt-window exiting" and "NMI-window exiting", table 26-6.
 */

import type { GuestEvent } from '../core/virtualization.ts';
import { ACTIVITY, BLOCKING, FLAG, VECTOR } from '../state/registers.ts';
import { CONTROL } from '../vmx/controls.ts';
import { SLOT } from '../vmx/vmcs.ts';
import type { Vcpu } from './vcpu.ts';

const NMI: GuestEvent = Object.freeze({
  kind: 'nmi',
  vector: VECTOR.NMI,
  errorCode: undefined,
  qualification: 0n,
  instructionLength: 0,
});

const WINDOWS = CONTROL.interruptWindowExiting.mask | CONTROL.nmiWindowExiting.mask;
const SHADOW = BLOCKING.STI | BLOCKING.MOV_SS;

export function prepareEvents(vcpu: Vcpu): void {
  const { vm } = vcpu;
  const blocking = vcpu.low(SLOT.GUEST_INTERRUPTIBILITY_STATE);
  let event = vcpu.injection;
  vcpu.injection = undefined;
  let windows = 0;

  if (vm.nmiPending) {
    if (event === undefined && (blocking & (BLOCKING.NMI | SHADOW)) === 0) {
      event = NMI;
      vm.nmiPending = false;
    } else windows |= CONTROL.nmiWindowExiting.mask;
  }

  if (vm.apic.hasInterrupt()) {
    const accepts = (vcpu.low(SLOT.GUEST_RFLAGS) & FLAG.IF) !== 0 && (blocking & SHADOW) === 0;
    if (event === undefined && accepts) {
      event = {
        kind: 'external',
        vector: vm.apic.acknowledge(),
        errorCode: undefined,
        qualification: 0n,
        instructionLength: 0,
      };
    }
    // Another one, or this one, as soon as the guest takes interrupts.
    if (vm.apic.hasInterrupt()) windows |= CONTROL.interruptWindowExiting.mask;
  }

  const controls = vcpu.low(SLOT.PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS);
  if ((controls & WINDOWS) !== windows) {
    vcpu.vmx.vmwrite(
      'PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS',
      BigInt(((controls & ~WINDOWS) | windows) >>> 0),
    );
  }
  if (event === undefined) return;
  // Exceptions are delivered to a processor that is awake.
  if (vcpu.low(SLOT.GUEST_ACTIVITY_STATE) !== ACTIVITY.ACTIVE) {
    vcpu.vmx.vmwrite('GUEST_ACTIVITY_STATE', BigInt(ACTIVITY.ACTIVE));
  }
  vcpu.inject(event);
}
