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
import { OFFSET } from './layout.ts';
import { ARITHMETIC_FLAGS, FLAG } from './registers.ts';

export const CC_SUB = 0;
export const CC_ADD = 1;
export const CC_RESULT = 2;
export const CC_FLAGS = 3;

const OP = OFFSET.CC_OP >> 2;
const A = OFFSET.CC_A >> 2;
const B = OFFSET.CC_B >> 2;

/** The six arithmetic flags, each at its RFLAGS position. In words of 32 bits: every VM exit asks. */
export function arithmeticFlags({ i32 }: CpuState): number {
  const op = i32[OP];
  const kind = op & 3;
  const bLow = i32[B];
  if (kind === CC_FLAGS) return bLow & ARITHMETIC_FLAGS;
  const bHigh = i32[B + 1];
  const aLow = i32[A];
  const aHigh = i32[A + 1];
  let low = aLow;
  let high = aHigh;
  let flags = bLow & (FLAG.CF | FLAG.AF | FLAG.OF);
  const size = op >> 4;
  if (kind !== CC_RESULT) {
    const subtract = kind === CC_SUB;
    low = subtract ? (aLow - bLow) | 0 : (aLow + bLow) | 0;
    const carry = (subtract ? aLow >>> 0 < bLow >>> 0 : low >>> 0 < aLow >>> 0) ? 1 : 0;
    const sum = (aHigh >>> 0) + (subtract ? -(bHigh >>> 0) - carry : (bHigh >>> 0) + carry);
    high = sum | 0;
    flags = sum < 0 || sum > 0xffff_ffff ? FLAG.CF : 0;
    const overflow = subtract ? (aHigh ^ bHigh) & (aHigh ^ high) : (aHigh ^ high) & (bHigh ^ high);
    if (overflow < 0) flags |= FLAG.OF;
    // The operands are shifted left: their bit 4 is bit 4 of the low half or of a byte of the high half.
    const halfCarry = size === 64 ? aLow ^ bLow ^ low : (aHigh ^ bHigh ^ high) >>> (32 - size);
    if (halfCarry & 0x10) flags |= FLAG.AF;
  }
  if ((low | high) === 0) flags |= FLAG.ZF;
  if (high < 0) flags |= FLAG.SF;
  let parity = size === 64 ? low : high >>> (32 - size);
  parity = (parity ^ (parity >> 4)) & 15;
  if (!((0x6996 >> parity) & 1)) flags |= FLAG.PF;
  return flags;
}

/** The flags that a processor may define, but for the arithmetic ones. */
export const SYSTEM_FLAGS = 0x3f_ffff & ~ARITHMETIC_FLAGS;

/** RFLAGS as PUSHFQ would see it. */
export function readRflags(state: CpuState): number {
  return (state.systemFlags & ~ARITHMETIC_FLAGS) | arithmeticFlags(state) | FLAG.FIXED;
}

/** Replaces RFLAGS; bits that no processor defines are dropped. */
export function writeRflags(state: CpuState, flags: number): void {
  state.systemFlags = (flags & SYSTEM_FLAGS) | FLAG.FIXED;
  setArithmeticFlags(state, flags);
}

/** Sets the six arithmetic flags from their RFLAGS positions. */
export function setArithmeticFlags({ i32 }: CpuState, flags: number): void {
  i32[OP] = CC_FLAGS | (64 << 4);
  i32[A] = 0;
  i32[A + 1] = 0;
  i32[B] = flags & ARITHMETIC_FLAGS;
  i32[B + 1] = 0;
}
