/**
 * Memory-type range registers: which there are and what types they take. Memory types have no effect on an emulated
 * machine without caches.
 *
 * Intel SDM Vol. 3A, "Memory Type Range Registers (MTRRs)", 13.11.
 */

/** Base and mask pairs. */
export const MTRR_VARIABLE_COUNT = 10;

/** UC 0, WC 1, WT 4, WP 5, WB 6. */
export function isMemoryType(type: number): boolean {
  return type === 0 || type === 1 || (type >= 4 && type <= 6);
}

/** @see SDM "Fixed Range MTRRs", 13.11.2.2 */
// biome-ignore format: rows are read as a table
export const MTRR_FIXED_ADDRESSES = [
  { address: 0x250, name: 'IA32_MTRR_FIX64K_00000' },
  { address: 0x258, name: 'IA32_MTRR_FIX16K_80000' },
  { address: 0x259, name: 'IA32_MTRR_FIX16K_A0000' },
  { address: 0x268, name: 'IA32_MTRR_FIX4K_C0000' },
  { address: 0x269, name: 'IA32_MTRR_FIX4K_C8000' },
  { address: 0x26a, name: 'IA32_MTRR_FIX4K_D0000' },
  { address: 0x26b, name: 'IA32_MTRR_FIX4K_D8000' },
  { address: 0x26c, name: 'IA32_MTRR_FIX4K_E0000' },
  { address: 0x26d, name: 'IA32_MTRR_FIX4K_E8000' },
  { address: 0x26e, name: 'IA32_MTRR_FIX4K_F0000' },
  { address: 0x26f, name: 'IA32_MTRR_FIX4K_F8000' },
] as const;
