/**
 * Lazy arithmetic flags. Instructions store what the flags follow from; the flags are computed when something asks.
 *
 * CC_OP holds the kind in bits 1:0 and the operand size in bits (8, 16, 32, 64) shifted left by 4.
 *
 *   SUB     CC_A - CC_B. Both are kept shifted left so that their most significant bit is bit 63: the size matters
 *           for PF and AF alone. Logic operations are SUB(result, 0).
 *   ADD     CC_A + CC_B, shifted likewise.
 *   RESULT  ZF, SF and PF from the result in CC_A (shifted); CF, AF, OF at their RFLAGS positions in CC_B.
 *   FLAGS   all six flags at their RFLAGS positions in CC_B.
 *
 * @see SDM "Status Flags", 3.4.3.1 of volume 1
 */
import type { CpuState } from './cpuState.ts';
import { ARITHMETIC_FLAGS, FLAG } from './registers.ts';

export const CC_SUB = 0;
export const CC_ADD = 1;
export const CC_RESULT = 2;
export const CC_FLAGS = 3;

const MASK64 = (1n << 64n) - 1n;

/** The six arithmetic flags, each at its RFLAGS position. */
export function arithmeticFlags(state: CpuState): number {
  const op = state.CC_OP;
  const kind = op & 3;
  const b = state.CC_B;
  if (kind === CC_FLAGS) return Number(b & 0xffffn) & ARITHMETIC_FLAGS;
  const a = state.CC_A;
  const shift = BigInt(64 - (op >> 4));
  let result: bigint;
  let flags: number;
  if (kind === CC_RESULT) {
    result = a;
    flags = Number(b & 0xffffn) & (FLAG.CF | FLAG.AF | FLAG.OF);
  } else {
    const subtract = kind === CC_SUB;
    result = (subtract ? a - b : a + b) & MASK64;
    flags = (subtract ? a < b : result < a) ? FLAG.CF : 0;
    const overflow = subtract ? (a ^ b) & (a ^ result) : (a ^ result) & (b ^ result);
    if (overflow >> 63n) flags |= FLAG.OF;
    if (((a ^ b ^ result) >> shift) & 0x10n) flags |= FLAG.AF;
  }
  if (result === 0n) flags |= FLAG.ZF;
  if (result >> 63n) flags |= FLAG.SF;
  let parity = Number((result >> shift) & 0xffn);
  parity ^= parity >> 4;
  if (!((0x6996 >> (parity & 15)) & 1)) flags |= FLAG.PF;
  return flags;
}

/** RFLAGS as PUSHFQ would see it. */
export function readRflags(state: CpuState): number {
  return (state.systemFlags & ~ARITHMETIC_FLAGS) | arithmeticFlags(state) | FLAG.FIXED;
}

/** Replaces RFLAGS; bits that no processor defines are dropped. */
export function writeRflags(state: CpuState, flags: number): void {
  state.systemFlags = (flags & ~ARITHMETIC_FLAGS & 0x3f_ffff) | FLAG.FIXED;
  setArithmeticFlags(state, flags);
}

/** Sets the six arithmetic flags from their RFLAGS positions. */
export function setArithmeticFlags(state: CpuState, flags: number): void {
  state.CC_OP = CC_FLAGS | (64 << 4);
  state.CC_A = 0n;
  state.CC_B = BigInt(flags & ARITHMETIC_FLAGS);
}
