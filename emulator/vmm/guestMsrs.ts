/**
 * MSRs that the guest reads and writes without the VMM: the processor switches them, or nobody else uses them. All
 * others exit, those without a bit in the bitmaps included.
 */

/** Read and written without an exit. */
// biome-ignore format: one list
const SHARED = [
  0x174, 0x175, 0x176, // IA32_SYSENTER_CS, _ESP, _EIP
  0x277, // IA32_PAT
  0xc000_0080, // IA32_EFER
  0xc000_0081, 0xc000_0082, 0xc000_0083, 0xc000_0084, // IA32_STAR, LSTAR, CSTAR, FMASK
  0xc000_0100, 0xc000_0101, 0xc000_0102, // IA32_FS_BASE, GS_BASE, KERNEL_GS_BASE
  0xc000_0103, // IA32_TSC_AUX
  0x48, // IA32_SPEC_CTRL
  0x8b, // IA32_BIOS_SIGN_ID
] as const;

/** Read without an exit. The TSC has an offset then. */
const READABLE = [0x10, 0xce, 0x10a] as const;
/** Commands without a state. */
const WRITABLE = [0x49, 0x10b] as const;

export const PASSED_THROUGH_READS: readonly number[] = [...SHARED, ...READABLE];
export const PASSED_THROUGH_WRITES: readonly number[] = [...SHARED, ...WRITABLE];

/** MSRs that exit because the VMM gives them a meaning of their own. */
export const GUEST_MSR = {
  timeStampCounter: 0x10,
  apicBase: 0x1b,
  tscAdjust: 0x3b,
  miscEnable: 0x1a0,
  tscDeadline: 0x6e0,
  firstX2apic: 0x800,
  lastX2apic: 0x8ff,
} as const;
