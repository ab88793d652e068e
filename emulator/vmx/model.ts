/**
 * What a CPU model means for VT-x: its capabilities and the MSRs that report them.
 *
 * Intel SDM Vol. 3D, Appendix A, "VMX Capability Reporting Facility".
 */
import { supportedCr4 } from '../core/controlRegisters.ts';
import type { CpuModel } from '../core/model.ts';
import {
  capabilityMsrExists,
  DEFAULT_VMX_MODEL,
  VMX_CAPABILITY_MSRS,
  type VmxCapabilities,
  vmxCapabilities,
} from './capabilities.ts';
import { withdrawnCapabilities } from './withdrawn.ts';

/** "Load PKRS" is there with IA32_PKRS alone. @see SDM "VM-Entry Controls", 26.8.1 */
const WITH_PKS = ['vmx-load-pkrs-on-entry', 'vmx-load-pkrs-on-exit'];
/** The same for IA32_PERF_GLOBAL_CTRL. */
const WITH_PERFMON = [
  'vmx-load-perf-global-ctrl-on-entry',
  'vmx-load-perf-global-ctrl-on-exit',
  'vmx-save-perf-global-ctrl-on-exit',
];
/** And for IA32_LBR_CTL. */
const WITH_ARCH_LBR = ['vmx-load-lbr-ctl-on-entry', 'vmx-clear-lbr-ctl-on-exit'];

/** The capabilities of a processor: the control-register bits are those that it implements. */
export function capabilitiesOf({
  features,
  withdrawnVmx,
}: Pick<CpuModel, 'features' | 'withdrawnVmx'>): VmxCapabilities {
  return vmxCapabilities({
    ...DEFAULT_VMX_MODEL,
    cr4Supported: supportedCr4((feature) => features.has(feature)),
    withdrawn: withdrawnCapabilities([
      ...withdrawnVmx,
      ...(features.has('PKS') ? [] : WITH_PKS),
      ...(features.has('PERFMON') ? [] : WITH_PERFMON),
      ...(features.has('ARCH_LBR') ? [] : WITH_ARCH_LBR),
    ]),
  });
}

/** RDMSR of 480H to 493H; undefined where the processor has no such MSR. */
export function readCapabilityMsr(capabilities: VmxCapabilities, msr: number): bigint | undefined {
  const row = VMX_CAPABILITY_MSRS.find(({ address }) => address === msr);
  return row !== undefined && capabilityMsrExists(row, capabilities) ? row.value(capabilities) : undefined;
}
