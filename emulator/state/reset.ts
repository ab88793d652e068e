/**
 * The processor's state after RESET.
 *
 * @see SDM "IA-32 and Intel 64 Processor States Following Power-up, Reset, or INIT", table 10-1 of volume 3A
 */
import type { CpuState } from './cpuState.ts';
import { writeRflags } from './flags.ts';
import { CPU_FIELDS } from './layout.ts';
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
