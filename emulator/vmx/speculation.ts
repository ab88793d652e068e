/**
 * "Virtualize IA32_SPEC_CTRL": the guest reads what it has written, and some bits of the MSR stay as the hypervisor wants.
 *
 * Intel SDM Vol. 3C, "Changes to Instruction Behavior in VMX Non-Root Operation", 27.3, RDMSR and WRMSR.
 */
import { acceptsMsr, writeMsr } from '../core/msrs.ts';
import type { VirtualMsrWrite } from '../core/virtualization.ts';
import { CONTROL } from './controls.ts';
import type { VmxProcessor } from './processor.ts';
import { SLOT } from './vmcs.ts';
import { VMCS_FIELD } from './vmcsLayout.ts';

export const IA32_SPEC_CTRL = 0x48;

const MASK = VMCS_FIELD.SPEC_CTRL_MASK.ordinal;
const SHADOW = VMCS_FIELD.SPEC_CTRL_SHADOW.ordinal;

/** The shadow; undefined: the MSR itself. */
export function readSpecCtrl(processor: VmxProcessor): bigint | undefined {
  return processor.has(CONTROL.virtualizeSpecCtrl) ? processor.vmcs.read(SHADOW) : undefined;
}

/** Bits that are 1 in the mask keep their value in the MSR; the shadow takes all. */
export function writeSpecCtrl(processor: VmxProcessor, value: bigint): VirtualMsrWrite {
  if (!processor.has(CONTROL.virtualizeSpecCtrl)) return 'real';
  const { cpu, state, vmcs } = processor;
  if (!acceptsMsr(cpu, IA32_SPEC_CTRL, value)) return 'refused';
  const mask = vmcs.read(MASK);
  writeMsr(cpu, IA32_SPEC_CTRL, (state.IA32_SPEC_CTRL & mask) | (value & ~mask));
  processor.announceVmcsWrite();
  vmcs.setPair(
    SLOT.SPEC_CTRL_SHADOW,
    Number(BigInt.asIntN(32, value)),
    Number(BigInt.asIntN(32, value >> 32n)),
  );
  return 'done';
}
