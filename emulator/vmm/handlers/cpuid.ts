/**
 * CPUID of the guest: the processor's own answers without VMX, and the hypervisor leaves.
 *
 * Intel SDM Vol. 2A, "CPUID—CPU Identification".
 */
import type { CpuModel } from '../../core/model.ts';
import { OFFSET } from '../../state/layout.ts';
import { CR4, RAX, RBX, RCX, RDX } from '../../state/registers.ts';
import { SLOT } from '../../vmx/vmcs.ts';
import type { Vcpu } from '../vcpu.ts';
import type { ExitHandler } from './handler.ts';

/** Twelve characters. */
const SIGNATURE = 'HVMDebugger ';

/** What the guest's processor is: the host's, without VMX, performance monitoring and last-branch records, and with a hypervisor. */
export function guestModel(host: CpuModel): CpuModel {
  const features = new Set(host.features);
  // Counters and records are the processor's, which the guest shares with the VMM.
  for (const feature of ['VMX', 'PERFMON', 'PDCM', 'ARCH_LBR'] as const) features.delete(feature);
  return Object.freeze({
    ...host,
    features,
    hypervisor: { signature: SIGNATURE, leaves: [] },
    vmxCapability: () => undefined,
  });
}

const OSXSAVE = 1 << 27;
const APIC = 1 << 9;
const SYSCALL = 1 << 11;
const APIC_GLOBAL_ENABLE = 1n << 11n;

const GPR = OFFSET.GPR >> 2;

function setRegister(words: Int32Array, register: number, value: number): void {
  words[GPR + 2 * register] = value;
  words[GPR + 2 * register + 1] = 0;
}

export const handleCpuid: ExitHandler = (vcpu) => {
  const words = vcpu.state.i32;
  const leaf = words[GPR + 2 * RAX] >>> 0;
  const subleaf = words[GPR + 2 * RCX] >>> 0;
  const [eax, ebx, ecx, edx] = vcpu.cpuid.answer(leaf, subleaf);
  setRegister(words, RAX, eax);
  setRegister(words, RBX, ebx);
  setRegister(words, RCX, leaf === 1 ? featureEcx(vcpu, ecx) : ecx);
  setRegister(
    words,
    RDX,
    leaf === 1 ? featureEdx(vcpu, edx) : leaf === 0x8000_0001 ? extendedEdx(vcpu, edx) : edx,
  );
  vcpu.skipInstruction();
  return undefined;
};

function featureEcx(vcpu: Vcpu, ecx: number): number {
  return vcpu.low(SLOT.GUEST_CR4) & CR4.OSXSAVE ? ecx | OSXSAVE : ecx & ~OSXSAVE;
}

function featureEdx(vcpu: Vcpu, edx: number): number {
  if (!vcpu.guestCpu.has('APIC')) return edx;
  return vcpu.vm.apicBase & APIC_GLOBAL_ENABLE ? edx | APIC : edx & ~APIC;
}

/** Intel processors show SYSCALL in 64-bit mode only. */
function extendedEdx(vcpu: Vcpu, edx: number): number {
  return vcpu.in64BitMode && vcpu.guestCpu.has('SYSCALL') ? edx | SYSCALL : edx & ~SYSCALL;
}
