/**
 * Rounding of exact values to a binary format, with the masked and unmasked responses to overflow and underflow.
 *
 * Intel SDM Vol. 1, "Rounding", 4.8.4; "Floating-Point Exceptions", 4.9; "x87 FPU Floating-Point Exception
 * Conditions", 8.5.
 */
import { BIAS, type Float80, float80, infinity, MAX_EXPONENT, type Sign, zero } from './float80.ts';

/** Exceptions, with the bit positions of the x87 status and control words and of MXCSR. */
export const EXCEPTION = {
  INVALID: 1 << 0,
  DENORMAL: 1 << 1,
  ZERO_DIVIDE: 1 << 2,
  OVERFLOW: 1 << 3,
  UNDERFLOW: 1 << 4,
  PRECISION: 1 << 5,
} as const;

/** The encodings of rounding control. */
export const ROUNDING = { NEAREST: 0, DOWN: 1, UP: 2, ZERO: 3 } as const;
export type Rounding = (typeof ROUNDING)[keyof typeof ROUNDING];

export interface FloatControl {
  /** Significand bits that results of basic arithmetic keep. */
  readonly precision: 24 | 53 | 64;
  readonly rounding: Rounding;
  /** Masked exceptions. */
  readonly masks: number;
}

/** What an operation gives: exceptions, and whether rounding has made the result's magnitude larger. */
export interface FloatResult {
  readonly value: Float80;
  readonly flags: number;
  readonly roundedUp: boolean;
}

export function exact(value: Float80, flags = 0): FloatResult {
  return { value, flags, roundedUp: false };
}

/** An exact value: significand times 2 to the scale, and a little more if `sticky`. */
export interface Exact {
  readonly sign: Sign;
  readonly significand: bigint;
  readonly scale: number;
  readonly sticky: boolean;
}

export interface BinaryFormat {
  /** Significand bits that are kept. */
  readonly precision: number;
  /** Significand bits of the format, the integer bit included. */
  readonly width: number;
  readonly bias: number;
  /** The exponent of infinities and NaNs. */
  readonly maxExponent: number;
  /** What the unmasked response to overflow and underflow takes from or adds to the exponent. */
  readonly adjustment: number;
}

export const EXTENDED = { width: 64, bias: BIAS, maxExponent: MAX_EXPONENT, adjustment: 24576 } as const;

export function bitLength(value: bigint): number {
  return value === 0n ? 0 : value.toString(2).length;
}

interface RoundedInteger {
  readonly value: bigint;
  readonly inexact: boolean;
  readonly up: boolean;
}

/** `significand` shifted right by `shift` (left if negative) and rounded to an integer. */
export function roundShift(
  { sign, significand, sticky }: Pick<Exact, 'sign' | 'significand' | 'sticky'>,
  shift: number,
  rounding: Rounding,
): RoundedInteger {
  let value: bigint;
  let againstHalf: number;
  let inexact = sticky;
  if (shift <= 0) {
    value = significand << BigInt(-shift);
    againstHalf = -1;
  } else {
    const bits = BigInt(shift);
    value = significand >> bits;
    const rest = significand - (value << bits);
    const half = 1n << (bits - 1n);
    inexact ||= rest !== 0n;
    againstHalf = rest > half ? 1 : rest < half ? -1 : sticky ? 1 : 0;
  }
  if (!inexact) return { value, inexact, up: false };
  const up =
    rounding === ROUNDING.NEAREST
      ? againstHalf > 0 || (againstHalf === 0 && (value & 1n) === 1n)
      : rounding === ROUNDING.UP
        ? sign === 0
        : rounding === ROUNDING.DOWN && sign === 1;
  return { value: up ? value + 1n : value, inexact, up };
}

interface RoundedBinary {
  readonly kind: 'finite' | 'infinity';
  /** Biased; 0 for denormals and zero. */
  readonly exponent: number;
  /** `width` bits with the integer bit. */
  readonly significand: bigint;
  readonly flags: number;
  readonly up: boolean;
}

/** Rounds a value that is not zero. Tininess is detected after rounding. */
export function roundToFormat(
  value: Exact,
  format: BinaryFormat,
  rounding: Rounding,
  masks: number,
): RoundedBinary {
  const { precision, width, bias, maxExponent, adjustment } = format;
  const spare = BigInt(width - precision);
  const length = bitLength(value.significand);
  let rounded = roundShift(value, length - precision, rounding);
  let exponent = length - 1 + value.scale + bias;
  let significand = rounded.value;
  if (significand >> BigInt(precision) !== 0n) {
    significand >>= 1n;
    exponent++;
  }
  let flags = rounded.inexact ? EXCEPTION.PRECISION : 0;
  if (exponent >= maxExponent) {
    flags |= EXCEPTION.OVERFLOW;
    const infinite = { kind: 'infinity', exponent: maxExponent, significand: 0n, up: true } as const;
    const awayFromZero =
      rounding === ROUNDING.NEAREST || rounding === (value.sign === 0 ? ROUNDING.UP : ROUNDING.DOWN);
    if (!(masks & EXCEPTION.OVERFLOW)) {
      exponent -= adjustment;
      // FSCALE overflows by more than the adjustment takes back.
      if (exponent >= maxExponent) return { ...infinite, flags: flags | EXCEPTION.PRECISION };
    } else {
      flags |= EXCEPTION.PRECISION;
      if (awayFromZero) return { ...infinite, flags };
      exponent = maxExponent - 1;
      significand = (1n << BigInt(precision)) - 1n;
      return { kind: 'finite', exponent, significand: significand << spare, flags, up: false };
    }
  } else if (exponent <= 0) {
    if (!(masks & EXCEPTION.UNDERFLOW)) {
      flags |= EXCEPTION.UNDERFLOW;
      exponent += adjustment;
      if (exponent <= 0)
        return {
          kind: 'finite',
          exponent: 0,
          significand: 0n,
          flags: flags | EXCEPTION.PRECISION,
          up: false,
        };
    } else {
      const unit = 1 - bias - (width - 1) + (width - precision);
      rounded = roundShift(value, unit - value.scale, rounding);
      significand = rounded.value;
      flags = rounded.inexact ? EXCEPTION.UNDERFLOW | EXCEPTION.PRECISION : 0;
      exponent = significand >> BigInt(precision - 1) === 0n ? 0 : 1;
    }
  }
  return { kind: 'finite', exponent, significand: significand << spare, flags, up: rounded.up };
}

/** Rounds a value that is not zero to a register. `flags` are exceptions that are known already. */
export function roundToFloat80(value: Exact, control: FloatControl, flags = 0): FloatResult {
  const format = { ...EXTENDED, precision: control.precision };
  const rounded = roundToFormat(value, format, control.rounding, control.masks);
  const result =
    rounded.kind === 'infinity'
      ? infinity(value.sign)
      : rounded.significand === 0n
        ? zero(value.sign)
        : float80(value.sign, rounded.exponent, rounded.significand);
  return { value: result, flags: flags | rounded.flags, roundedUp: rounded.up };
}
