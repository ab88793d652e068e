/**
 * FPREM, FPREM1, FRNDINT, FSCALE and FXTRACT on the double extended-precision format. Precision control does not
 * apply to them.
 *
 * Intel SDM Vol. 1, "Basic Arithmetic Instructions", 8.3.5, and the pages of the instructions in volume 2A.
 */
import { denormalFlag, endsEarly, INVALID, nanResult } from './arithmetic.ts';
import {
  BIAS,
  classify,
  type Float80,
  float80,
  INDEFINITE,
  infinity,
  type Sign,
  scaleOf,
  zero,
} from './float80.ts';
import {
  bitLength,
  EXCEPTION,
  exact,
  type FloatControl,
  type FloatResult,
  ROUNDING,
  roundShift,
  roundToFloat80,
} from './rounding.ts';

export interface Remainder extends FloatResult {
  /** The low three bits of the quotient; undefined when the reduction is partial (C2) or there is no result. */
  readonly quotient: number | undefined;
  readonly partial: boolean;
}

const withoutQuotient = (result: FloatResult): Remainder => ({
  ...result,
  quotient: undefined,
  partial: false,
});

/**
 * FPREM (quotient truncated) and FPREM1 (quotient to nearest).
 *
 * @see SDM "FPREM—Partial Remainder", "FPREM1—Partial Remainder"
 */
export function remainder(a: Float80, b: Float80, nearest: boolean, control: FloatControl): Remainder {
  const nan = nanResult(a, b);
  if (nan) return withoutQuotient(nan);
  const kindA = classify(a);
  const kindB = classify(b);
  if (kindA === 'infinity' || kindB === 'zero') return withoutQuotient(INVALID);
  const flags = denormalFlag(a, b);
  if (endsEarly(flags, control)) return withoutQuotient(exact(INDEFINITE, flags));
  if (kindA === 'zero') return { ...exact(a, flags), quotient: 0, partial: false };
  const full = { ...control, precision: 64, rounding: ROUNDING.NEAREST } as const;
  if (kindB === 'infinity') {
    return { ...normalized(a.sign, a.significand, scaleOf(a), full, flags), quotient: 0, partial: false };
  }
  const distance = leadingExponent(a) - leadingExponent(b);
  if (distance < -1) {
    return { ...normalized(a.sign, a.significand, scaleOf(a), full, flags), quotient: 0, partial: false };
  }
  const scale = Math.min(scaleOf(a), scaleOf(b));
  const dividend = a.significand << BigInt(scaleOf(a) - scale);
  let divisor = b.significand << BigInt(scaleOf(b) - scale);
  const partial = distance >= 64;
  // How far a partial reduction goes is up to the implementation, between 32 and 63 bits.
  if (partial) divisor <<= BigInt(distance - ((distance & 31) | 32));
  let quotient = dividend / divisor;
  let rest = dividend - quotient * divisor;
  let sign = a.sign;
  if (nearest && !partial) {
    const twice = rest << 1n;
    if (twice > divisor || (twice === divisor && (quotient & 1n) === 1n)) {
      quotient++;
      rest = divisor - rest;
      sign = sign === 0 ? 1 : 0;
    }
  }
  const result = normalized(sign, rest, scale, full, flags);
  // A zero has the dividend's sign.
  const value = rest === 0n ? exact(zero(a.sign), flags) : result;
  return { ...value, quotient: partial ? undefined : Number(quotient & 7n), partial };
}

/** The exponent of the highest significand bit. */
function leadingExponent(value: Float80): number {
  return scaleOf(value) + bitLength(value.significand) - 1;
}

function normalized(
  sign: Sign,
  significand: bigint,
  scale: number,
  control: FloatControl,
  flags: number,
): FloatResult {
  if (significand === 0n) return exact(zero(sign), flags);
  return roundToFloat80({ sign, significand, scale, sticky: false }, control, flags);
}

/** @see SDM "FRNDINT—Round to Integer" */
export function roundToInteger(a: Float80, control: FloatControl): FloatResult {
  const nan = nanResult(a);
  if (nan) return nan;
  const scale = scaleOf(a);
  if (classify(a) === 'infinity' || a.significand === 0n || scale >= 0) return exact(a);
  const flags = denormalFlag(a);
  if (endsEarly(flags, control)) return exact(INDEFINITE, flags);
  const rounded = roundShift(
    { sign: a.sign, significand: a.significand, sticky: false },
    -scale,
    control.rounding,
  );
  const value = fromInteger(a.sign, rounded.value);
  return { value, flags: flags | (rounded.inexact ? EXCEPTION.PRECISION : 0), roundedUp: rounded.up };
}

/** An integer of at most 64 bits. */
export function fromInteger(sign: Sign, magnitude: bigint): Float80 {
  if (magnitude === 0n) return zero(sign);
  const length = bitLength(magnitude);
  return float80(sign, BIAS + length - 1, magnitude << BigInt(64 - length));
}

/** No finite value needs more to leave the range for good. */
const FARTHEST = 0x1_0000;

/**
 * The value times 2 to the truncated second operand.
 *
 * @see SDM "FSCALE—Scale"
 */
export function scaleBy(a: Float80, b: Float80, control: FloatControl): FloatResult {
  const nan = nanResult(a, b);
  if (nan) return nan;
  const kindA = classify(a);
  const kindB = classify(b);
  if (kindB === 'infinity' && kindA === (b.sign === 0 ? 'zero' : 'infinity')) return INVALID;
  const flags = denormalFlag(a, b);
  if (endsEarly(flags, control)) return exact(INDEFINITE, flags);
  if (kindA === 'infinity' || kindA === 'zero') return exact(a, flags);
  if (kindB === 'infinity') return exact(b.sign === 0 ? infinity(a.sign) : zero(a.sign), flags);
  const exponent =
    b.exponent > BIAS + 16 ? FARTHEST : Number(b.significand >> BigInt(Math.min(-scaleOf(b), 64)));
  const scale = scaleOf(a) + (b.sign === 0 ? exponent : -exponent);
  const full = { ...control, precision: 64 } as const;
  return normalized(a.sign, a.significand, scale, full, flags);
}

export interface Extracted {
  readonly exponent: Float80;
  readonly significand: Float80;
  readonly flags: number;
}

/** @see SDM "FXTRACT—Extract Exponent and Significand" */
export function extract(a: Float80, control: FloatControl): Extracted {
  const nan = nanResult(a);
  if (nan) return { exponent: nan.value, significand: nan.value, flags: nan.flags };
  const kind = classify(a);
  if (kind === 'infinity') return { exponent: infinity(0), significand: a, flags: 0 };
  if (kind === 'zero') return { exponent: infinity(1), significand: a, flags: EXCEPTION.ZERO_DIVIDE };
  const flags = denormalFlag(a);
  if (endsEarly(flags, control)) return { exponent: INDEFINITE, significand: INDEFINITE, flags };
  const exponent = leadingExponent(a);
  const shift = BigInt(64 - bitLength(a.significand));
  return {
    exponent: fromInteger(exponent < 0 ? 1 : 0, BigInt(Math.abs(exponent))),
    significand: float80(a.sign, BIAS, a.significand << shift),
    flags,
  };
}
