/**
 * The double extended-precision format: a sign, 15 exponent bits and 64 significand bits whose highest is the integer
 * bit.
 *
 * Intel SDM Vol. 1, "x87 FPU Data Types", 8.2; "Unsupported Double Extended-Precision Floating-Point Encodings and
 * Pseudo-Denormals", 8.2.2; "NaNs", 4.8.3.4.
 */

export type Sign = 0 | 1;

export interface Float80 {
  readonly sign: Sign;
  /** Biased, 0 to 7FFFH. */
  readonly exponent: number;
  readonly significand: bigint;
  /** Converted from a denormal of a narrower format, where it counts as a denormal operand. */
  readonly narrowDenormal?: true;
}

export type Float80Class =
  | 'zero'
  /** Pseudo-denormals too: exponent 0 with the integer bit. */
  | 'denormal'
  | 'normal'
  | 'infinity'
  | 'quiet'
  | 'signaling'
  /** Pseudo-NaNs, pseudo-infinities and unnormals: the integer bit is clear and the exponent is not 0. */
  | 'unsupported';

export const INTEGER_BIT = 1n << 63n;
export const QUIET_BIT = 1n << 62n;
export const MAX_EXPONENT = 0x7fff;
export const BIAS = 16383;

export function float80(sign: Sign, exponent: number, significand: bigint): Float80 {
  return { sign, exponent, significand };
}

export const zero = (sign: Sign): Float80 => float80(sign, 0, 0n);
export const infinity = (sign: Sign): Float80 => float80(sign, MAX_EXPONENT, INTEGER_BIT);
/** The QNaN real indefinite: the masked response to an invalid operation. */
export const INDEFINITE = float80(1, MAX_EXPONENT, INTEGER_BIT | QUIET_BIT);
export const ONE = float80(0, BIAS, INTEGER_BIT);

export function classify({ exponent, significand }: Float80): Float80Class {
  if (exponent === 0) return significand === 0n ? 'zero' : 'denormal';
  if ((significand & INTEGER_BIT) === 0n) return 'unsupported';
  if (exponent !== MAX_EXPONENT) return 'normal';
  if (significand === INTEGER_BIT) return 'infinity';
  return (significand & QUIET_BIT) !== 0n ? 'quiet' : 'signaling';
}

export function isNan(kind: Float80Class): boolean {
  return kind === 'quiet' || kind === 'signaling';
}

/** Whether the value raises the denormal-operand exception. */
export function isDenormalOperand(value: Float80): boolean {
  return value.narrowDenormal === true || (value.exponent === 0 && value.significand !== 0n);
}

/** A finite value is its significand times 2 to this power. */
export function scaleOf({ exponent }: Float80): number {
  return (exponent === 0 ? 1 : exponent) - BIAS - 63;
}

export function negate(value: Float80): Float80 {
  return { ...value, sign: value.sign === 0 ? 1 : 0 };
}

export function quieted(value: Float80): Float80 {
  return float80(value.sign, value.exponent, value.significand | QUIET_BIT);
}
