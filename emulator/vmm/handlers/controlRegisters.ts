/**
 * Control-register accesses of the guest. The processor completes them; the VMM keeps the read shadows of the bits
 * that VMX operation fixes, and answers for CR8, the task priority of the guest's local APIC.
 *
 * Intel SDM Vol. 3C, "Guest/Host Masks and Read Shadows for CR0 and CR4", 26.6.6; "Exit Qualification for
 * Control-Register Accesses", table 29-3.
 */
import { OUTCOME } from '../../core/outcome.ts';
import { VECTOR } from '../../state/registers.ts';
import { SLOT } from '../../vmx/vmcs.ts';
import { OWNED_CR0, OWNED_CR4, ownedBits } from '../setup.ts';
import type { Vcpu } from '../vcpu.ts';
import type { ExitHandler } from './handler.ts';

const MOV_TO_CR = 0;
const MOV_FROM_CR = 1;
const LOW32 = 0xffff_ffffn;
const HIGHEST_PRIORITY = 15n;

export const handleControlRegisterAccess: ExitHandler = (vcpu) => {
  const qualification = vcpu.low(SLOT.EXIT_QUALIFICATION);
  const cr = qualification & 15;
  const access = (qualification >> 4) & 3;
  const gpr = (qualification >> 8) & 15;
  // The guest's RSP is in the VMCS.
  if (cr === 8) accessCr8(vcpu, access, gpr);
  else if (access === MOV_FROM_CR || cr === 3) vcpu.completeInstruction();
  else if (cr === 4) writeCr4(vcpu, sourceValue(vcpu, gpr));
  else writeCr0(vcpu, access === MOV_TO_CR ? sourceValue(vcpu, gpr) : vcpu.vmx.vmread('CR0_READ_SHADOW'));
  return undefined;
};

const RSP = 4;

function sourceValue(vcpu: Vcpu, gpr: number): bigint {
  const value = gpr === RSP ? vcpu.vmx.vmread('GUEST_RSP') : vcpu.state.gpr(gpr);
  return vcpu.in64BitMode ? value : value & LOW32;
}

/** `value` has the bits of CR0 that the VMM owns as the guest wants them. */
function writeCr0(vcpu: Vcpu, value: bigint): void {
  const { vmx, policy } = vcpu;
  if (policy.cr0) vmx.vmwrite('CR0_GUEST_HOST_MASK', OWNED_CR0);
  const outcome = vcpu.completeInstruction();
  if (policy.cr0) vmx.vmwrite('CR0_GUEST_HOST_MASK', ownedBits(policy).cr0);
  if (outcome === OUTCOME.FAULT || outcome === OUTCOME.VM_EXIT) return;
  vmx.vmwrite('CR0_READ_SHADOW', (vmx.vmread('GUEST_CR0') & ~OWNED_CR0) | (value & OWNED_CR0));
}

function writeCr4(vcpu: Vcpu, value: bigint): void {
  const { vmx, policy } = vcpu;
  // The guest's processor has no VMX: CR4.VMXE is a reserved bit.
  if (value & OWNED_CR4) {
    vcpu.raise(VECTOR.GP, 0);
    return;
  }
  if (policy.cr4) vmx.vmwrite('CR4_GUEST_HOST_MASK', OWNED_CR4);
  const outcome = vcpu.completeInstruction();
  if (policy.cr4) vmx.vmwrite('CR4_GUEST_HOST_MASK', ownedBits(policy).cr4);
  if (outcome === OUTCOME.FAULT || outcome === OUTCOME.VM_EXIT) return;
  vmx.vmwrite('CR4_READ_SHADOW', vmx.vmread('GUEST_CR4') & ~OWNED_CR4);
}

function accessCr8(vcpu: Vcpu, access: number, gpr: number): void {
  const { vmx, state, vm } = vcpu;
  if (access === MOV_FROM_CR) {
    const priority = BigInt(vm.apic.readCr8());
    if (gpr === RSP) vmx.vmwrite('GUEST_RSP', priority);
    else state.setGpr(gpr, priority);
  } else {
    const priority = sourceValue(vcpu, gpr);
    if (priority > HIGHEST_PRIORITY) {
      vcpu.raise(VECTOR.GP, 0);
      return;
    }
    vm.apic.writeCr8(Number(priority));
  }
  vcpu.skipInstruction();
}
