/**
 * What VMRUN wants of a VMCB; otherwise it exits with VMEXIT_INVALID.
 *
 * AMD64 Architecture Programmer's Manual vol. 2, 15.5.1, "Canonicalization and Consistency Checks".
 */
import type { PhysicalMemory } from '../mmu/physicalMemory.ts';
import { CR0, CR4, EFER } from '../state/registers.ts';
import { INTERCEPT_4 } from './intercepts.ts';
import { CONTROL, SAVE } from './vmcb.ts';

interface Vmcb {
  read32(offset: number): number;
  read64(offset: number): bigint;
}

interface CheckRow {
  readonly text: string;
  readonly ok: (vmcb: Vmcb) => boolean;
}

const has = (value: bigint, bit: number): boolean => (value & BigInt(bit >>> 0)) !== 0n;
const upperHalf = (value: bigint): boolean => value >> 32n === 0n;
const CR0_CD = 1 << 30;
const CR0_NW = 1 << 29;
const CODE_L = 1 << 9;
const CODE_D = 1 << 10;
const EFER_ALLOWED = BigInt(EFER.SCE | EFER.LME | EFER.LMA | EFER.NXE | EFER.SVME);
/** Types of an injected event: external interrupt, NMI, exception, software interrupt. */
const INJECTED_TYPES = [0, 2, 3, 4];

function pagesInLongMode(v: Vmcb): boolean {
  return has(v.read64(SAVE.EFER), EFER.LME) && has(v.read64(SAVE.CR0), CR0.PG);
}

// biome-ignore format: rows are read as a table
export const VMCB_CHECKS: readonly CheckRow[] = [
  { text: 'EFER.SVME must be 1', ok: (v) => has(v.read64(SAVE.EFER), EFER.SVME) },
  { text: 'EFER must not set reserved bits', ok: (v) => (v.read64(SAVE.EFER) & ~EFER_ALLOWED) === 0n },
  { text: 'CR0.NW must be 0 if CR0.CD is 0', ok: (v) => has(v.read64(SAVE.CR0), CR0_CD) || !has(v.read64(SAVE.CR0), CR0_NW) },
  { text: 'CR0[63:32] must be 0', ok: (v) => upperHalf(v.read64(SAVE.CR0)) },
  { text: 'DR6[63:32] must be 0', ok: (v) => upperHalf(v.read64(SAVE.DR6)) },
  { text: 'DR7[63:32] must be 0', ok: (v) => upperHalf(v.read64(SAVE.DR7)) },
  { text: 'CR4.PAE must be 1 if EFER.LME and CR0.PG are', ok: (v) => !pagesInLongMode(v) || has(v.read64(SAVE.CR4), CR4.PAE) },
  { text: 'CR0.PE must be 1 if EFER.LME and CR0.PG are', ok: (v) => !pagesInLongMode(v) || has(v.read64(SAVE.CR0), CR0.PE) },
  { text: 'CS.L and CS.D must not both be 1 in long mode', ok: (v) => !pagesInLongMode(v) || ((v.read32(SAVE.CS) >>> 16) & (CODE_L | CODE_D)) !== (CODE_L | CODE_D) },
  { text: 'VMRUN must be intercepted', ok: (v) => (v.read32(CONTROL.INTERCEPTS_4) & INTERCEPT_4.VMRUN) !== 0 },
  { text: 'the ASID must not be 0', ok: (v) => v.read32(CONTROL.ASID) !== 0 },
  { text: 'nested paging is not offered by this processor', ok: (v) => (v.read32(CONTROL.NP_ENABLE) & 1) === 0 },
  { text: 'the injected event must have a type that exists', ok: (v) => v.read32(CONTROL.EVENTINJ) >= 0 || INJECTED_TYPES.includes((v.read32(CONTROL.EVENTINJ) >> 8) & 7) },
];

/** The first rule that a VMCB breaks. */
export function firstBrokenRule(physical: PhysicalMemory, address: number): string | undefined {
  const vmcb: Vmcb = {
    read32: (offset) => physical.read32(address + offset) | 0,
    read64: (offset) => physical.read64(address + offset),
  };
  return VMCB_CHECKS.find(({ ok }) => !ok(vmcb))?.text;
}
