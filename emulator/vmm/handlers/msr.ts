/**
 * RDMSR and WRMSR of the guest: the VMM answers for the local APIC and the TSC, and hides what the guest's processor does
 * not have; the processor completes the others.
 *
 * Intel SDM Vol. 4, "Architectural MSRs"; Vol. 3C, "Time-Stamp Counter Offset and Multiplier", 26.6.5.
 */
import { msrName, readMsr, writeMsr } from '../../core/msrs.ts';
import { timeStampCounter } from '../../core/timeStampCounter.ts';
import { RAX, RCX, RDX, VECTOR } from '../../state/registers.ts';
import { GUEST_MSR } from '../guestMsrs.ts';
import type { Vcpu } from '../vcpu.ts';
import type { ExitHandler } from './handler.ts';

const LOW32 = 0xffff_ffffn;

type Emulated = 'apic' | 'absent' | 'tsc' | 'tscAdjust' | 'shown' | undefined;

function emulationOf({ guestCpu }: Vcpu, msr: number): Emulated {
  if (msr === GUEST_MSR.timeStampCounter) return 'tsc';
  if (msr === GUEST_MSR.tscAdjust) return 'tscAdjust';
  if (msr === GUEST_MSR.apicBase || msr === GUEST_MSR.tscDeadline) return 'apic';
  if (msr >= GUEST_MSR.firstX2apic && msr <= GUEST_MSR.lastX2apic) return 'apic';
  if (msr === GUEST_MSR.miscEnable) return 'shown';
  // Those of VMX and of performance monitoring.
  return msrName(guestCpu, msr) === undefined ? 'absent' : undefined;
}

/** Runs `access` with the guest's IA32_APIC_BASE in place of the processor's. */
function withGuestApicBase<Result>({ state, vm }: Vcpu, access: () => Result): Result {
  const own = state.IA32_APIC_BASE;
  state.IA32_APIC_BASE = vm.apicBase;
  try {
    return access();
  } finally {
    vm.apicBase = state.IA32_APIC_BASE;
    state.IA32_APIC_BASE = own;
  }
}

function setTscOffset(vcpu: Vcpu, offset: bigint): void {
  vcpu.tscOffset = BigInt.asUintN(64, offset);
  vcpu.vmx.vmwrite('TSC_OFFSET', vcpu.tscOffset);
  vcpu.vm.apic.tscChanged();
}

export const handleRdmsr: ExitHandler = (vcpu) => {
  const msr = Number(vcpu.state.gpr(RCX) & LOW32);
  let value: bigint | undefined;
  switch (emulationOf(vcpu, msr)) {
    case 'apic':
      value = withGuestApicBase(vcpu, () => readMsr(vcpu.guestCpu, msr));
      break;
    case 'tscAdjust':
      value = vcpu.tscAdjust;
      break;
    case 'shown':
      value = readMsr(vcpu.guestCpu, msr);
      break;
    case 'absent':
      break;
    default:
      vcpu.completeInstruction();
      return undefined;
  }
  if (value === undefined) {
    vcpu.raise(VECTOR.GP, 0);
    return undefined;
  }
  vcpu.state.setGpr(RAX, value & LOW32);
  vcpu.state.setGpr(RDX, value >> 32n);
  vcpu.skipInstruction();
  return undefined;
};

export const handleWrmsr: ExitHandler = (vcpu) => {
  const { state } = vcpu;
  const msr = Number(state.gpr(RCX) & LOW32);
  const value = ((state.gpr(RDX) & LOW32) << 32n) | (state.gpr(RAX) & LOW32);
  switch (emulationOf(vcpu, msr)) {
    case 'apic':
      if (!withGuestApicBase(vcpu, () => writeMsr(vcpu.guestCpu, msr, value))) {
        vcpu.raise(VECTOR.GP, 0);
        return undefined;
      }
      break;
    case 'tsc': {
      // A write to the TSC changes IA32_TSC_ADJUST by the same amount.
      const offset = BigInt.asUintN(64, value - timeStampCounter(vcpu.parts.cpu));
      vcpu.tscAdjust = BigInt.asUintN(64, vcpu.tscAdjust + offset - vcpu.tscOffset);
      setTscOffset(vcpu, offset);
      break;
    }
    case 'tscAdjust': {
      const change = value - vcpu.tscAdjust;
      vcpu.tscAdjust = value;
      setTscOffset(vcpu, vcpu.tscOffset + change);
      break;
    }
    case 'absent':
      vcpu.raise(VECTOR.GP, 0);
      return undefined;
    default:
      vcpu.completeInstruction();
      return undefined;
  }
  vcpu.skipInstruction();
  return undefined;
};

/** There are no counters for the guest. */
export const handleRdpmc: ExitHandler = (vcpu) => {
  vcpu.raise(VECTOR.GP, 0);
  return undefined;
};
