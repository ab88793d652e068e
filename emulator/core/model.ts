/**
 * A CPU model: what CPUID and the capability MSRs say about the processor, and by that what it can do.
 */
import { UserError } from '../base/errors.ts';
import {
  type FeatureKey,
  type FeatureSet,
  featureRow,
  IMPLEMENTED_FEATURES,
  isFeatureKey,
} from './features.ts';

export interface CpuModel {
  readonly name: string;
  /** CPUID.0: twelve characters. */
  readonly vendor: string;
  /** CPUID.1:EAX: family, model and stepping as encoded. */
  readonly signature: number;
  /** CPUID.80000002H–80000004H: at most 47 characters. */
  readonly brand: string;
  /** MAXPHYADDR. */
  readonly physicalAddressBits: number;
  /** Logical processors in the package. */
  readonly processors: number;
  readonly features: FeatureSet;
  readonly performanceMonitoring: PerformanceMonitoringModel;
  /** Last-branch records where there is no ARCH_LBR: a stack with PDCM, AMD's single record, or none. */
  readonly branchRecords: 'stack' | 'single' | 'none';
  /** Banks of the machine-check architecture. */
  readonly machineCheckBanks: number;
  /** Names of VT-x controls that the processor is made without, as `vmx-vpid`; vmx knows them. */
  readonly withdrawnVmx: ReadonlySet<string>;
  /** The microcode revision that IA32_BIOS_SIGN_ID shows. */
  readonly microcodeRevision: number;
  /** The hypervisor leaves 40000000H and up, when a VMM shows itself to its guest. */
  readonly hypervisor?: HypervisorLeaves;
  /** An MSR of the VMX capability facility (480H–493H), or undefined when the processor does not have it. */
  readonly vmxCapability: (msr: number) => bigint | undefined;
}

/** What CPUID.0AH says, with the feature PERFMON. */
export interface PerformanceMonitoringModel {
  /** 4 or 5. */
  readonly version: number;
  /** Counters besides the fixed ones. */
  readonly counters: number;
}

export interface HypervisorLeaves {
  /** Twelve characters, in EBX, ECX and EDX of leaf 40000000H. */
  readonly signature: string;
  /** EAX, EBX, ECX, EDX of the leaves after 40000000H. */
  readonly leaves: readonly (readonly [number, number, number, number])[];
}

export interface ModelOptions {
  readonly virtualization: 'vt-x' | 'amd-v' | 'none';
  readonly processors?: number;
  /** The built-in VMM owns VT-x: the controls that the model lacks are there for it. */
  readonly hosted?: boolean;
  /** Features to add or take away, as in `--cpu sapphire-rapids,-PCID`. */
  readonly changes?: readonly { readonly feature: string; readonly offered: boolean }[];
  readonly hypervisor?: HypervisorLeaves;
  readonly vmxCapability?: (msr: number) => bigint | undefined;
}

interface ModelRow {
  readonly name: string;
  readonly vendor: string;
  readonly signature: number;
  readonly brand: string;
  readonly physicalAddressBits: number;
  readonly microcodeRevision: number;
  readonly performanceMonitoring: PerformanceMonitoringModel;
  readonly branchRecords: CpuModel['branchRecords'];
  readonly machineCheckBanks: number;
  /**
   * Features that are implemented and that this processor does not have, or that come with model-specific registers: idle
   * drivers that find MONITOR on a model they know program its C-states.
   */
  readonly lacks: readonly FeatureKey[];
  /** Names of VT-x controls that it does not have. */
  readonly lacksVmx?: readonly string[];
}

const AMD = 'AuthenticAMD';
const INTEL = 'GenuineIntel';

export const CPU_MODELS = [
  {
    name: 'sapphire-rapids',
    vendor: INTEL,
    // Family 6, model 8FH, stepping 8.
    signature: 0x806f8,
    brand: 'Intel(R) Xeon(R) Processor (Sapphire Rapids)',
    physicalAddressBits: 46,
    microcodeRevision: 0x2b00_0603,
    performanceMonitoring: { version: 5, counters: 8 },
    branchRecords: 'none',
    machineCheckBanks: 20,
    lacks: ['SSE4A', 'SVM', 'MONITOR'],
  },
  {
    name: 'skylake-server',
    vendor: INTEL,
    // Family 6, model 55H, stepping 4.
    signature: 0x50654,
    brand: 'Intel(R) Xeon(R) Processor (Skylake)',
    physicalAddressBits: 46,
    microcodeRevision: 0x0200_6e05,
    performanceMonitoring: { version: 4, counters: 4 },
    branchRecords: 'stack',
    machineCheckBanks: 20,
    // biome-ignore format: names
    lacks: [
      'SSE4A', 'SVM', 'MONITOR', 'SHA', 'UMIP', 'RDPID', 'WAITPKG', 'MOVDIRI', 'MOVDIR64B', 'SERIALIZE', 'FSRM', 'LA57', 'PKS',
      'ARCH_CAPABILITIES', 'ARCH_LBR',
    ],
    lacksVmx: [
      'vmx-user-wait-and-pause',
      'vmx-sub-page-write-permissions',
      'vmx-vmm-bus-lock-detection',
      'vmx-instruction-timeout',
      'vmx-activate-tertiary-controls',
      'vmx-ept-walk-length-5',
      'vmx-save-perf-global-ctrl-on-exit',
    ],
  },
  {
    name: 'zen3-server',
    vendor: AMD,
    // Family 19H, model 1, stepping 1.
    signature: 0xa00f11,
    brand: 'AMD EPYC Processor (Milan)',
    physicalAddressBits: 48,
    microcodeRevision: 0x0a00_11d5,
    performanceMonitoring: { version: 0, counters: 0 },
    branchRecords: 'single',
    machineCheckBanks: 23,
    // biome-ignore format: names
    lacks: [
      'VMX', 'MONITOR', 'TSC_DEADLINE', 'SS', 'DTS', 'TSC_ADJUST', 'FDP_EXCPTN_ONLY', 'FPU_CS_DS_DEPRECATED', 'WAITPKG', 'LA57',
      'MOVDIRI', 'MOVDIR64B', 'PKS', 'MD_CLEAR', 'SERIALIZE', 'SPEC_CTRL', 'STIBP', 'L1D_FLUSH', 'ARCH_CAPABILITIES',
      'SSBD', 'PERFMON', 'PDCM', 'ARCH_LBR',
    ],
  },
  {
    // Everything that is implemented, whoever makes it.
    name: 'max',
    vendor: INTEL,
    signature: 0x806f8,
    brand: 'HVM Debugger max',
    physicalAddressBits: 46,
    microcodeRevision: 0x2b00_0603,
    performanceMonitoring: { version: 5, counters: 8 },
    branchRecords: 'none',
    machineCheckBanks: 20,
    lacks: [],
  },
] as const satisfies readonly ModelRow[];

export const isAmd = ({ vendor }: CpuModel): boolean => vendor === AMD;

/** `vmx-monitor-trap-flag`, and the two that everybody knows. */
function isVmxName(name: string): boolean {
  return name.startsWith('vmx-') || name === 'ept' || name === 'vpid';
}

/**
 * `MODEL[,±feature]…`: a model's name, and features of CPUID or VT-x controls added to it or taken away.
 *
 * @throws UserError for what is neither added nor taken away
 */
export function parseCpu(text: string): {
  readonly name: string;
  readonly changes: NonNullable<ModelOptions['changes']>;
} {
  const [name, ...parts] = text.split(',').map((part) => part.trim());
  const changes = parts.map((part) => {
    const sign = part[0];
    if ((sign !== '+' && sign !== '-') || part.length < 2)
      throw new UserError(
        `"${part}" in --cpu begins neither with + nor with -: write MODEL,+FEATURE or MODEL,-FEATURE`,
      );
    const feature = part.slice(1).toLowerCase();
    const key = feature.toUpperCase().replaceAll(/[-.]/g, '_');
    return { feature: isVmxName(feature) ? feature : key, offered: sign === '+' };
  });
  return { name, changes };
}

/** Builds a CPU model by name; throws a {@link UserError} that says what is wrong with the request. */
export function createModel(name: string, options: ModelOptions): CpuModel {
  const row: ModelRow | undefined = CPU_MODELS.find((model) => model.name === name);
  if (!row)
    throw new UserError(
      `unknown CPU model "${name}"; there are: ${CPU_MODELS.map((m) => m.name).join(', ')}`,
    );
  if (row.lacks.includes('VMX') && options.virtualization === 'vt-x') {
    throw new UserError(
      `the CPU model ${name} has no VT-x: use --mode bare-metal --virtualization none, or another --cpu`,
    );
  }
  if (row.lacks.includes('SVM') && options.virtualization === 'amd-v') {
    throw new UserError(`the CPU model ${name} has no AMD-V: use --cpu zen3-server`);
  }
  const features = new Set<FeatureKey>(IMPLEMENTED_FEATURES);
  for (const feature of row.lacks) features.delete(feature);
  if (options.virtualization !== 'vt-x') features.delete('VMX');
  if (options.virtualization !== 'amd-v') features.delete('SVM');
  const processors = options.processors ?? 1;
  // HTT says that CPUID.1:EBX[23:16] counts logical processors.
  if (processors === 1) features.delete('HTT');
  const withdrawnVmx = new Set<string>(options.hosted ? [] : row.lacksVmx);
  for (const { feature, offered } of options.changes ?? []) {
    if (isVmxName(feature)) {
      if (offered) withdrawnVmx.delete(feature);
      else withdrawnVmx.add(feature);
      continue;
    }
    if (!isFeatureKey(feature)) throw new UserError(`unknown CPU feature "${feature}" for model ${name}`);
    if (!offered) features.delete(feature);
    else if (featureRow(feature).implemented) features.add(feature);
    else throw new UserError(`the CPU feature ${feature} is not implemented; remove +${feature} from --cpu`);
  }
  if (features.has('VMX') && options.virtualization !== 'vt-x') {
    throw new UserError('the CPU feature VMX needs --virtualization vt-x');
  }
  if (features.has('SVM') && options.virtualization !== 'amd-v') {
    throw new UserError('the CPU feature SVM needs --virtualization amd-v');
  }
  return Object.freeze({
    ...row,
    processors,
    features,
    withdrawnVmx,
    ...(options.hypervisor ? { hypervisor: options.hypervisor } : {}),
    vmxCapability: (msr: number) => (features.has('VMX') ? options.vmxCapability?.(msr) : undefined),
  });
}
