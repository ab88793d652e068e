/**
 * What the control registers make of a linear address: the paging mode and the bits that change what a translation
 * permits.
 *
 * Intel SDM Vol. 3A, "Paging Modes and Control Bits", 5.1.
 */
import { CR0, CR4, EFER } from '../state/registers.ts';

export const PAGING = { NONE: 0, BITS_32: 1, PAE: 2, LEVEL_4: 3, LEVEL_5: 4 } as const;
export type PagingMode = (typeof PAGING)[keyof typeof PAGING];

/** Bits 31:0 of the registers that choose and modify the mode. */
export interface PagingControls {
  readonly cr0: number;
  readonly cr4: number;
  readonly efer: number;
}

/** @see SDM "Four Paging Modes", 5.1.1 */
export function pagingMode({ cr0, cr4, efer }: PagingControls): PagingMode {
  if ((cr0 & CR0.PG) === 0) return PAGING.NONE;
  if ((cr4 & CR4.PAE) === 0) return PAGING.BITS_32;
  if ((efer & EFER.LMA) === 0) return PAGING.PAE;
  return cr4 & CR4.LA57 ? PAGING.LEVEL_5 : PAGING.LEVEL_4;
}

/** Mode with PSE or NXE as one number below 16: the part of a context's class that every access shares. */
export function modeClass({ cr0, cr4, efer }: PagingControls): number {
  const mode = pagingMode({ cr0, cr4, efer });
  const option = mode === PAGING.BITS_32 ? cr4 & CR4.PSE : mode === PAGING.NONE ? 0 : efer & EFER.NXE;
  return (mode << 1) | (option ? 1 : 0);
}

/**
 * What an access with the current privilege may do, as a number below 16: a user-mode access (with alignment checks or
 * without), or a supervisor-mode one with CR0.WP, SMEP and SMAP as it applies (CR4.SMAP with RFLAGS.AC clear). A column
 * for protection keys would go here.
 */
export function accessClass(
  user: boolean,
  aligned: boolean,
  writeProtect: boolean,
  smep: boolean,
  smap: boolean,
): number {
  if (user) return aligned ? 14 : 15;
  return (writeProtect ? 1 : 0) | (smep ? 2 : 0) | (smap ? 4 : 0);
}
