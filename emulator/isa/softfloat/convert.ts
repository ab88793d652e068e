/**
 * Between the double extended-precision format and what memory operands hold: single and double precision, integers
 * and packed BCD.
 *
 * Intel SDM Vol. 1, "x87 FPU Data Types", 8.2; "Packed BCD Integers", 4.7.
 */
import { nanResult } from './arithmetic.ts';
import {
  classify,
  type Float80,
  float80,
  INTEGER_BIT,
  MAX_EXPONENT,
  type Sign,
  scaleOf,
  zero,
} from './float80.ts';
import { fromInteger } from './functions.ts';
import {
  bitLength,
  EXCEPTION,
  type FloatControl,
  type Rounding,
  roundShift,
  roundToFormat,
} from './rounding.ts';

const NARROW = {
  32: { precision: 24, width: 24, bias: 127, maxExponent: 0xff, adjustment: 192 },
  64: { precision: 53, width: 53, bias: 1023, maxExponent: 0x7ff, adjustment: 1536 },
} as const;

/** A single or double. Signaling NaNs stay signaling: who uses the value raises the exception. */
export function fromNarrow(bits: bigint, size: 32 | 64): Float80 {
  const { width, bias, maxExponent } = NARROW[size];
  const fractionBits = BigInt(width - 1);
  const fraction = bits & ((1n << fractionBits) - 1n);
  const exponent = Number((bits >> fractionBits) & BigInt(maxExponent));
  const sign = Number(bits >> BigInt(size - 1)) as Sign;
  const significand = INTEGER_BIT | (fraction << (63n - fractionBits));
  if (exponent === maxExponent) return float80(sign, MAX_EXPONENT, significand);
  if (exponent !== 0) return float80(sign, exponent - bias + 16383, significand);
  if (fraction === 0n) return zero(sign);
  const length = bitLength(fraction);
  return {
    sign,
    exponent: length - 1 + (1 - bias - (width - 1)) + 16383,
    significand: fraction << BigInt(64 - length),
    narrowDenormal: true,
  };
}

export interface Stored {
  readonly bits: bigint;
  readonly flags: number;
  readonly roundedUp: boolean;
}

/** Rounds to a single or double. With an unmasked overflow, underflow or invalid operation, nothing is to be stored. */
export function toNarrow(value: Float80, size: 32 | 64, control: FloatControl): Stored {
  const format = NARROW[size];
  const fractionBits = BigInt(format.width - 1);
  const encode = (sign: Sign, exponent: number, significand: bigint) =>
    (BigInt(sign) << BigInt(size - 1)) |
    (BigInt(exponent) << fractionBits) |
    (significand & ((1n << fractionBits) - 1n));
  const nan = nanResult(value);
  if (nan) {
    const { sign, significand } = nan.value;
    const bits = encode(sign, format.maxExponent, significand >> (63n - fractionBits));
    return { bits, flags: nan.flags, roundedUp: false };
  }
  const { sign, significand } = value;
  if (classify(value) === 'infinity') {
    return { bits: encode(sign, format.maxExponent, 0n), flags: 0, roundedUp: false };
  }
  if (significand === 0n) return { bits: encode(sign, 0, 0n), flags: 0, roundedUp: false };
  const exact = { sign, significand, scale: scaleOf(value), sticky: false };
  const rounded = roundToFormat(exact, format, control.rounding, control.masks);
  return {
    bits: encode(sign, Math.max(0, rounded.exponent) & format.maxExponent, rounded.significand),
    flags: rounded.flags,
    roundedUp: rounded.up,
  };
}

/** A two's complement integer. */
export function fromSigned(bits: bigint, size: 16 | 32 | 64): Float80 {
  const value = BigInt.asIntN(size, bits);
  return value < 0n ? fromInteger(1, -value) : fromInteger(0, value);
}

interface RoundedMagnitude {
  readonly magnitude: bigint;
  readonly flags: number;
  readonly roundedUp: boolean;
}

/** The magnitude as an integer of at most `limit`; undefined is an invalid operation. */
function integerMagnitude(value: Float80, limit: bigint, rounding: Rounding): RoundedMagnitude | undefined {
  const kind = classify(value);
  if (kind !== 'normal' && kind !== 'denormal' && kind !== 'zero') return undefined;
  const scale = scaleOf(value);
  if (scale > 64) return undefined;
  const rounded = roundShift(
    { sign: value.sign, significand: value.significand, sticky: false },
    -scale,
    rounding,
  );
  if (rounded.value > limit) return undefined;
  return {
    magnitude: rounded.value,
    flags: rounded.inexact ? EXCEPTION.PRECISION : 0,
    roundedUp: rounded.up,
  };
}

/** The integer indefinite is the masked response to an invalid operation. */
export function signedIndefinite(size: 16 | 32 | 64): bigint {
  return 1n << BigInt(size - 1);
}

export function toSigned(value: Float80, size: 16 | 32 | 64, rounding: Rounding): Stored {
  const half = 1n << BigInt(size - 1);
  const rounded = integerMagnitude(value, value.sign === 0 ? half - 1n : half, rounding);
  if (!rounded) return { bits: signedIndefinite(size), flags: EXCEPTION.INVALID, roundedUp: false };
  const { magnitude, flags, roundedUp } = rounded;
  return { bits: BigInt.asUintN(size, value.sign === 0 ? magnitude : -magnitude), flags, roundedUp };
}

const BCD_DIGITS = 18;
const BCD_LIMIT = 10n ** BigInt(BCD_DIGITS) - 1n;
export const BCD_INDEFINITE = 0xffffc000000000000000n;

export function fromBcd(bits: bigint): Float80 {
  let magnitude = 0n;
  for (let digit = BCD_DIGITS - 1; digit >= 0; digit--) {
    magnitude = magnitude * 10n + ((bits >> BigInt(4 * digit)) & 15n);
  }
  return fromInteger(Number((bits >> 79n) & 1n) as Sign, magnitude);
}

export function toBcd(value: Float80, rounding: Rounding): Stored {
  const rounded = integerMagnitude(value, BCD_LIMIT, rounding);
  if (!rounded) return { bits: BCD_INDEFINITE, flags: EXCEPTION.INVALID, roundedUp: false };
  let rest = rounded.magnitude;
  let bits = BigInt(value.sign) << 79n;
  for (let digit = 0; digit < BCD_DIGITS; digit++) {
    bits |= (rest % 10n) << BigInt(4 * digit);
    rest /= 10n;
  }
  return { bits, flags: rounded.flags, roundedUp: rounded.roundedUp };
}
