/**
 * The processor's state after RESET and after INIT.
 *
 * @see SDM "IA-32 and Intel 64 Processor States Following Power-up, Reset, or INIT", table 10-1 of volume 3A
 */
import type { CpuState } from './cpuState.ts';
import { writeRflags } from './flags.ts';
import { CPU_FIELDS, type CpuFieldKey } from './layout.ts';
import { AR, CS, LDTR, RDX, SEGMENT_NAMES, TR } from './registers.ts';

const DATA_SEGMENT = AR.P | AR.S | 3;
const CODE_SEGMENT = AR.P | AR.S | 0xb;
const LDT = AR.P | 2;
const BUSY_TSS_32 = AR.P | 0xb;
/** At FEE00000H, enabled, the bootstrap processor: SDM "Local APIC State After Power-Up or Reset", 12.4.7.1. */
const APIC_BASE_RESET = 0xfee0_0900n;
/** All exceptions unmasked, 24-bit precision, round to nearest; eight registers that hold +0.0. */
const X87_CONTROL_RESET = 0x40;
const X87_TAG_RESET = 0x5555;
/** All exceptions masked, round to nearest. */
const MXCSR_RESET = 0x1f80;
/** No VMCS is current. */
const NO_VMCS = 0xffff_ffff_ffff_ffffn;

/** Sets all architectural state but the MSRs with rows of their own (core/msrs.ts resets those). */
export function resetProcessor(state: CpuState, signature = 0): void {
  for (const field of CPU_FIELDS) {
    if (field.kind === 'arch') state.u8.fill(0, field.offset, field.offset + field.width * field.count);
  }
  writeRflags(state, 2);
  state.RIP = 0xfff0n;
  state.CR0 = 0x6000_0010n;
  state.setGpr(RDX, BigInt(signature));
  for (let segment = 0; segment < SEGMENT_NAMES.length; segment++) {
    state.setSegmentLimit(segment, 0xffff);
    state.setSegmentAccessRights(segment, DATA_SEGMENT);
  }
  state.setSegmentSelector(CS, 0xf000);
  state.setSegmentBase(CS, 0xffff_0000n);
  state.setSegmentAccessRights(CS, CODE_SEGMENT);
  state.setSegmentAccessRights(LDTR, LDT);
  state.setSegmentAccessRights(TR, BUSY_TSS_32);
  state.GDTR_LIMIT = 0xffff;
  state.IDTR_LIMIT = 0xffff;
  state.setDebugRegister(6, 0xffff_0ff0n);
  state.setDebugRegister(7, 0x400n);
  state.XCR0 = 1n;
  state.X87_CONTROL = X87_CONTROL_RESET;
  state.X87_TAG = X87_TAG_RESET;
  state.MXCSR = MXCSR_RESET;
  state.CURRENT_VMCS = NO_VMCS;
  state.IA32_APIC_BASE = APIC_BASE_RESET;
}

/** What INIT leaves as it is, besides bits CD and NW of CR0. */
const UNCHANGED_BY_INIT: ReadonlySet<CpuFieldKey> = new Set([
  'YMM',
  'X87_SIGNIFICAND',
  'X87_EXPONENT',
  'X87_CONTROL',
  'X87_STATUS',
  'X87_TAG',
  'X87_OPCODE',
  'X87_INSTRUCTION_POINTER',
  'X87_DATA_POINTER',
  'X87_INSTRUCTION_SELECTOR',
  'X87_DATA_SELECTOR',
  'MXCSR',
  'XCR0',
  'PKRU',
  'RANDOM',
  'IA32_STAR',
  'IA32_LSTAR',
  'IA32_CSTAR',
  'IA32_FMASK',
  'IA32_KERNEL_GS_BASE',
  'IA32_SYSENTER_CS',
  'IA32_SYSENTER_ESP',
  'IA32_SYSENTER_EIP',
  'IA32_PAT',
  'IA32_DEBUGCTL',
  'IA32_TSC_AUX',
  'IA32_TSC_ADJUST',
  'IA32_MISC_ENABLE',
  'IA32_FEATURE_CONTROL',
  'IA32_APIC_BASE',
  'IA32_BIOS_SIGN_ID',
  'IA32_SPEC_CTRL',
  'IA32_MTRR_DEF_TYPE',
  'IA32_MTRR_FIX',
  'IA32_MTRR_PHYS',
  'IA32_PKRS',
  'IA32_XSS',
  'IA32_UMWAIT_CONTROL',
  'IA32_MCG_CTL',
  'IA32_MC_CTL',
  'IA32_PMC',
  'IA32_PERFEVTSEL',
  'IA32_FIXED_CTR',
  'IA32_FIXED_CTR_CTRL',
  'IA32_PERF_GLOBAL_CTRL',
  'IA32_PERF_GLOBAL_STATUS',
  'REPETITIONS',
  'PERFMON_INSTRUCTIONS',
  'PERFMON_TICK',
  'PERFMON_CLASS',
  'LBR_FROM',
  'LBR_TO',
  'LBR_INFO',
  'LAST_BRANCH',
  'LAST_EVENT',
  'LBR_TICK',
  'LBR_TOS',
  'MSR_LBR_SELECT',
  'IA32_LBR_CTL',
  'IA32_LBR_DEPTH',
]);
const CR0_UNCHANGED_BY_INIT = 0x6000_0000n;

/** Does what INIT does to the registers. */
export function resetByInit(state: CpuState): void {
  const cr0 = state.CR0;
  const kept = CPU_FIELDS.filter(({ key }) => UNCHANGED_BY_INIT.has(key)).map(({ offset, width, count }) => ({
    offset,
    bytes: state.u8.slice(offset, offset + width * count),
  }));
  resetProcessor(state);
  for (const { offset, bytes } of kept) state.u8.set(bytes, offset);
  state.CR0 = (state.CR0 & ~CR0_UNCHANGED_BY_INIT) | (cr0 & CR0_UNCHANGED_BY_INIT);
}
