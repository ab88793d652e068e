/**
 * The features a processor can offer: one row for each CPUID feature flag. The flags of CPUID, the reserved bits of
 * control registers and MSRs, and the meaning of an instruction whose feature is absent all follow from the rows.
 *
 * Columns: `key` the manual's name, `leaf`/`register`/`bit` where CPUID shows it (`subleaf` 0 unless said),
 * `implemented` whether the emulator can do it: what is not implemented is never advertised.
 *
 * Intel SDM Vol. 2A, "CPUID—CPU Identification", tables 3-8 to 3-20.
 */
export interface FeatureRow {
  readonly key: string;
  readonly leaf: number;
  readonly subleaf?: number;
  readonly register: 'EAX' | 'EBX' | 'ECX' | 'EDX';
  readonly bit: number;
  readonly implemented: boolean;
}

const YES = true;
const NOT_YET = false;

// biome-ignore format: rows are read as a table
export const FEATURES = [
  { key: 'SSE3', leaf: 1, register: 'ECX', bit: 0, implemented: YES },
  { key: 'PCLMULQDQ', leaf: 1, register: 'ECX', bit: 1, implemented: YES },
  { key: 'DTES64', leaf: 1, register: 'ECX', bit: 2, implemented: NOT_YET },
  { key: 'MONITOR', leaf: 1, register: 'ECX', bit: 3, implemented: YES },
  { key: 'VMX', leaf: 1, register: 'ECX', bit: 5, implemented: YES },
  { key: 'SMX', leaf: 1, register: 'ECX', bit: 6, implemented: NOT_YET },
  { key: 'EIST', leaf: 1, register: 'ECX', bit: 7, implemented: NOT_YET },
  { key: 'SSSE3', leaf: 1, register: 'ECX', bit: 9, implemented: YES },
  { key: 'FMA', leaf: 1, register: 'ECX', bit: 12, implemented: YES },
  { key: 'CMPXCHG16B', leaf: 1, register: 'ECX', bit: 13, implemented: YES },
  { key: 'PDCM', leaf: 1, register: 'ECX', bit: 15, implemented: YES },
  { key: 'PCID', leaf: 1, register: 'ECX', bit: 17, implemented: YES },
  { key: 'SSE4_1', leaf: 1, register: 'ECX', bit: 19, implemented: YES },
  { key: 'SSE4_2', leaf: 1, register: 'ECX', bit: 20, implemented: YES },
  { key: 'X2APIC', leaf: 1, register: 'ECX', bit: 21, implemented: YES },
  { key: 'MOVBE', leaf: 1, register: 'ECX', bit: 22, implemented: YES },
  { key: 'POPCNT', leaf: 1, register: 'ECX', bit: 23, implemented: YES },
  { key: 'TSC_DEADLINE', leaf: 1, register: 'ECX', bit: 24, implemented: YES },
  { key: 'AESNI', leaf: 1, register: 'ECX', bit: 25, implemented: YES },
  { key: 'XSAVE', leaf: 1, register: 'ECX', bit: 26, implemented: YES },
  { key: 'AVX', leaf: 1, register: 'ECX', bit: 28, implemented: YES },
  { key: 'F16C', leaf: 1, register: 'ECX', bit: 29, implemented: YES },
  { key: 'RDRAND', leaf: 1, register: 'ECX', bit: 30, implemented: YES },

  { key: 'FPU', leaf: 1, register: 'EDX', bit: 0, implemented: YES },
  { key: 'VME', leaf: 1, register: 'EDX', bit: 1, implemented: YES },
  { key: 'DE', leaf: 1, register: 'EDX', bit: 2, implemented: YES },
  { key: 'PSE', leaf: 1, register: 'EDX', bit: 3, implemented: YES },
  { key: 'TSC', leaf: 1, register: 'EDX', bit: 4, implemented: YES },
  { key: 'MSR', leaf: 1, register: 'EDX', bit: 5, implemented: YES },
  { key: 'PAE', leaf: 1, register: 'EDX', bit: 6, implemented: YES },
  { key: 'MCE', leaf: 1, register: 'EDX', bit: 7, implemented: YES },
  { key: 'CX8', leaf: 1, register: 'EDX', bit: 8, implemented: YES },
  { key: 'APIC', leaf: 1, register: 'EDX', bit: 9, implemented: YES },
  { key: 'SEP', leaf: 1, register: 'EDX', bit: 11, implemented: YES },
  { key: 'MTRR', leaf: 1, register: 'EDX', bit: 12, implemented: YES },
  { key: 'PGE', leaf: 1, register: 'EDX', bit: 13, implemented: YES },
  { key: 'MCA', leaf: 1, register: 'EDX', bit: 14, implemented: YES },
  { key: 'CMOV', leaf: 1, register: 'EDX', bit: 15, implemented: YES },
  { key: 'PAT', leaf: 1, register: 'EDX', bit: 16, implemented: YES },
  { key: 'PSE36', leaf: 1, register: 'EDX', bit: 17, implemented: YES },
  { key: 'CLFSH', leaf: 1, register: 'EDX', bit: 19, implemented: YES },
  { key: 'DS', leaf: 1, register: 'EDX', bit: 21, implemented: NOT_YET },
  { key: 'ACPI', leaf: 1, register: 'EDX', bit: 22, implemented: NOT_YET },
  { key: 'MMX', leaf: 1, register: 'EDX', bit: 23, implemented: YES },
  { key: 'FXSR', leaf: 1, register: 'EDX', bit: 24, implemented: YES },
  { key: 'SSE', leaf: 1, register: 'EDX', bit: 25, implemented: YES },
  { key: 'SSE2', leaf: 1, register: 'EDX', bit: 26, implemented: YES },
  { key: 'SS', leaf: 1, register: 'EDX', bit: 27, implemented: YES },
  { key: 'HTT', leaf: 1, register: 'EDX', bit: 28, implemented: YES },
  { key: 'TM', leaf: 1, register: 'EDX', bit: 29, implemented: NOT_YET },
  { key: 'PBE', leaf: 1, register: 'EDX', bit: 31, implemented: NOT_YET },

  { key: 'DTS', leaf: 6, register: 'EAX', bit: 0, implemented: YES },
  { key: 'ARAT', leaf: 6, register: 'EAX', bit: 2, implemented: YES },

  { key: 'FSGSBASE', leaf: 7, register: 'EBX', bit: 0, implemented: YES },
  { key: 'TSC_ADJUST', leaf: 7, register: 'EBX', bit: 1, implemented: YES },
  { key: 'SGX', leaf: 7, register: 'EBX', bit: 2, implemented: NOT_YET },
  { key: 'BMI1', leaf: 7, register: 'EBX', bit: 3, implemented: YES },
  { key: 'HLE', leaf: 7, register: 'EBX', bit: 4, implemented: NOT_YET },
  { key: 'AVX2', leaf: 7, register: 'EBX', bit: 5, implemented: YES },
  { key: 'FDP_EXCPTN_ONLY', leaf: 7, register: 'EBX', bit: 6, implemented: YES },
  { key: 'SMEP', leaf: 7, register: 'EBX', bit: 7, implemented: YES },
  { key: 'BMI2', leaf: 7, register: 'EBX', bit: 8, implemented: YES },
  { key: 'ERMS', leaf: 7, register: 'EBX', bit: 9, implemented: YES },
  { key: 'INVPCID', leaf: 7, register: 'EBX', bit: 10, implemented: YES },
  { key: 'RTM', leaf: 7, register: 'EBX', bit: 11, implemented: NOT_YET },
  { key: 'FPU_CS_DS_DEPRECATED', leaf: 7, register: 'EBX', bit: 13, implemented: YES },
  { key: 'RDSEED', leaf: 7, register: 'EBX', bit: 18, implemented: YES },
  { key: 'ADX', leaf: 7, register: 'EBX', bit: 19, implemented: YES },
  { key: 'SMAP', leaf: 7, register: 'EBX', bit: 20, implemented: YES },
  { key: 'CLFLUSHOPT', leaf: 7, register: 'EBX', bit: 23, implemented: YES },
  { key: 'CLWB', leaf: 7, register: 'EBX', bit: 24, implemented: YES },
  { key: 'SHA', leaf: 7, register: 'EBX', bit: 29, implemented: YES },

  { key: 'UMIP', leaf: 7, register: 'ECX', bit: 2, implemented: YES },
  { key: 'PKU', leaf: 7, register: 'ECX', bit: 3, implemented: YES },
  { key: 'WAITPKG', leaf: 7, register: 'ECX', bit: 5, implemented: YES },
  { key: 'CET_SS', leaf: 7, register: 'ECX', bit: 7, implemented: NOT_YET },
  { key: 'LA57', leaf: 7, register: 'ECX', bit: 16, implemented: YES },
  { key: 'RDPID', leaf: 7, register: 'ECX', bit: 22, implemented: YES },
  { key: 'MOVDIRI', leaf: 7, register: 'ECX', bit: 27, implemented: YES },
  { key: 'MOVDIR64B', leaf: 7, register: 'ECX', bit: 28, implemented: YES },
  { key: 'PKS', leaf: 7, register: 'ECX', bit: 31, implemented: YES },

  { key: 'FSRM', leaf: 7, register: 'EDX', bit: 4, implemented: YES },
  { key: 'MD_CLEAR', leaf: 7, register: 'EDX', bit: 10, implemented: YES },
  { key: 'SERIALIZE', leaf: 7, register: 'EDX', bit: 14, implemented: YES },
  { key: 'ARCH_LBR', leaf: 7, register: 'EDX', bit: 19, implemented: YES },
  { key: 'CET_IBT', leaf: 7, register: 'EDX', bit: 20, implemented: NOT_YET },
  { key: 'SPEC_CTRL', leaf: 7, register: 'EDX', bit: 26, implemented: YES },
  { key: 'STIBP', leaf: 7, register: 'EDX', bit: 27, implemented: YES },
  { key: 'L1D_FLUSH', leaf: 7, register: 'EDX', bit: 28, implemented: YES },
  { key: 'ARCH_CAPABILITIES', leaf: 7, register: 'EDX', bit: 29, implemented: YES },
  { key: 'SSBD', leaf: 7, register: 'EDX', bit: 31, implemented: YES },

  // Version 4 or 5 of architectural performance monitoring: this bit of the version is 1 in both.
  { key: 'PERFMON', leaf: 0xa, register: 'EAX', bit: 2, implemented: YES },

  { key: 'XSAVEOPT', leaf: 0xd, subleaf: 1, register: 'EAX', bit: 0, implemented: YES },
  { key: 'XSAVEC', leaf: 0xd, subleaf: 1, register: 'EAX', bit: 1, implemented: YES },
  { key: 'XGETBV_ECX_1', leaf: 0xd, subleaf: 1, register: 'EAX', bit: 2, implemented: YES },
  { key: 'XSAVES', leaf: 0xd, subleaf: 1, register: 'EAX', bit: 3, implemented: YES },

  { key: 'LAHF_SAHF_64', leaf: 0x8000_0001, register: 'ECX', bit: 0, implemented: YES },
  { key: 'SVM', leaf: 0x8000_0001, register: 'ECX', bit: 2, implemented: YES },
  { key: 'LZCNT', leaf: 0x8000_0001, register: 'ECX', bit: 5, implemented: YES },
  { key: 'SSE4A', leaf: 0x8000_0001, register: 'ECX', bit: 6, implemented: YES },
  { key: 'PREFETCHW', leaf: 0x8000_0001, register: 'ECX', bit: 8, implemented: YES },
  { key: 'SYSCALL', leaf: 0x8000_0001, register: 'EDX', bit: 11, implemented: YES },
  { key: 'XD', leaf: 0x8000_0001, register: 'EDX', bit: 20, implemented: YES },
  { key: 'PAGE1GB', leaf: 0x8000_0001, register: 'EDX', bit: 26, implemented: YES },
  { key: 'RDTSCP', leaf: 0x8000_0001, register: 'EDX', bit: 27, implemented: YES },
  { key: 'LM', leaf: 0x8000_0001, register: 'EDX', bit: 29, implemented: YES },
  { key: 'INVARIANT_TSC', leaf: 0x8000_0007, register: 'EDX', bit: 8, implemented: YES },
] as const satisfies readonly FeatureRow[];

export type FeatureKey = (typeof FEATURES)[number]['key'];

export type FeatureSet = ReadonlySet<FeatureKey>;

const byKey = new Map<string, FeatureRow>(FEATURES.map((row) => [row.key, row]));

export function featureRow(key: FeatureKey): FeatureRow {
  return byKey.get(key) as FeatureRow;
}

export function isFeatureKey(name: string): name is FeatureKey {
  return byKey.has(name);
}

/** Every feature that is implemented. */
export const IMPLEMENTED_FEATURES: readonly FeatureKey[] = FEATURES.filter((row) => row.implemented).map(
  (row) => row.key,
);
