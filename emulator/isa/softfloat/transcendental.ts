/**
 * The transcendental functions on the double extended-precision format, correctly rounded. Precision control does not
 * apply to them. Arguments of the trigonometric functions are reduced by the 66-bit approximation of π that processors
 * keep.
 *
 * Intel SDM Vol. 1, "Trigonometric Instructions", 8.3.7; "Approximation of Pi", 8.3.8; "Logarithmic, Exponential, and
 * Scale", 8.3.9; the tables on the instructions' pages in volume 2A.
 */
import { denormalFlag, endsEarly, INVALID, nanResult } from './arithmetic.ts';
import {
  BIAS,
  classify,
  type Float80,
  INDEFINITE,
  infinity,
  negate,
  ONE,
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
  roundToFloat80,
} from './rounding.ts';
import {
  arcTangent,
  cosine,
  exponentialMinus1,
  FIXED_ONE,
  fromFixed,
  logarithmOf1Plus,
  magnitude,
  pi,
  ratio,
  type Scaled,
  sine,
  tangent,
  toFixed,
} from './series.ts';

/** @see SDM "Approximation of Pi", 8.3.8 of volume 1: 0.C90FDAA2 2168C234 C × 4 */
const PI_66: Scaled = { significand: 0xc90f_daa2_2168_c234_cn, scale: -66 };
/** Arguments from here on are out of range (C2). */
const OUT_OF_RANGE_EXPONENT = BIAS + 63;

const scaled = (value: Float80): Scaled => ({
  significand: value.sign === 0 ? value.significand : -value.significand,
  scale: scaleOf(value),
});

/** Rounds a value that is known up to a relative error that no tie comes near to. */
function round(value: Scaled, control: FloatControl, flags: number): FloatResult {
  const { significand, scale } = value;
  return roundToFloat80(
    { sign: significand < 0n ? 1 : 0, significand: magnitude(significand), scale, sticky: true },
    { ...control, precision: 64 },
    flags,
  );
}

/** Rounds a value that is known exactly. */
function roundExact({ significand, scale }: Scaled, control: FloatControl, flags: number): FloatResult {
  const sign = significand < 0n ? 1 : 0;
  const value = { sign, significand: magnitude(significand), scale, sticky: false } as const;
  return roundToFloat80(value, { ...control, precision: 64 }, flags);
}

interface Reduced {
  /** From −π/4 to π/4. */
  readonly argument: Scaled;
  /** How many times π/2 was taken away, modulo 4. */
  readonly quadrant: number;
}

/** An argument below 2^63 without its multiples of π/2. */
function reduce(value: Float80): Reduced {
  const argument = scaled(value);
  if (value.exponent < BIAS - 1) return { argument, quadrant: 0 };
  // In units of the last bit of both.
  const scale = Math.min(argument.scale, PI_66.scale - 1);
  const x = argument.significand << BigInt(argument.scale - scale);
  const halfPi = PI_66.significand << BigInt(PI_66.scale - 1 - scale);
  const doubled = 2n * x + halfPi;
  const quotient = doubled / (2n * halfPi) - (doubled < 0n ? 1n : 0n);
  return {
    argument: { significand: x - quotient * halfPi, scale },
    quadrant: Number(BigInt.asUintN(2, quotient)),
  };
}

export interface Trigonometric extends FloatResult {
  /** The argument is out of range: nothing happens but C2. */
  readonly outOfRange?: true;
}

type TrigonometricFunction = (x: Reduced) => Scaled;

const negateScaled = ({ significand, scale }: Scaled): Scaled => ({ significand: -significand, scale });

/** Sine of the reduced argument, `quarters` quarter turns later. */
function sineOf({ argument, quadrant }: Reduced, quarters: number): Scaled {
  const turn = (quadrant + quarters) & 3;
  const value = turn & 1 ? cosine(argument) : sine(argument);
  return turn & 2 ? negateScaled(value) : value;
}

function tangentOf({ argument, quadrant }: Reduced): Scaled {
  const value = tangent(argument);
  return quadrant & 1 ? negateScaled(ratio(fromFixed(FIXED_ONE), value)) : value;
}

/** `atZero` is the function's value for a zero of this sign. */
function trigonometric(f: TrigonometricFunction, atZero: (a: Float80) => Float80) {
  return (a: Float80, control: FloatControl): Trigonometric => {
    const nan = nanResult(a);
    if (nan) return nan;
    const kind = classify(a);
    if (kind === 'infinity') return INVALID;
    if (a.exponent >= OUT_OF_RANGE_EXPONENT) return { ...exact(a), outOfRange: true };
    if (kind === 'zero') return exact(atZero(a));
    const flags = denormalFlag(a);
    if (endsEarly(flags, control)) return exact(INDEFINITE, flags);
    return round(f(reduce(a)), control, flags);
  };
}

/** @see SDM "FSIN—Sine" */
export const sin = trigonometric(
  (x) => sineOf(x, 0),
  (a) => a,
);
/** @see SDM "FCOS—Cosine" */
export const cos = trigonometric(
  (x) => sineOf(x, 1),
  () => ONE,
);
/** @see SDM "FPTAN—Partial Tangent" */
export const tan = trigonometric(tangentOf, (a) => a);

/** A multiple of π/4, rounded. */
function quarterPis(sign: Sign, count: bigint, control: FloatControl, flags: number): FloatResult {
  const value = { significand: count * pi(), scale: fromFixed(0n).scale - 2 };
  return round(sign === 0 ? value : negateScaled(value), control, flags);
}

/**
 * The angle of the point (x, y), from −π to π.
 *
 * @see SDM "FPATAN—Partial Arctangent"
 */
export function atan2(y: Float80, x: Float80, control: FloatControl): FloatResult {
  const nan = nanResult(x, y);
  if (nan) return nan;
  const flags = denormalFlag(x, y);
  if (endsEarly(flags, control)) return exact(INDEFINITE, flags);
  const kindX = classify(x);
  const kindY = classify(y);
  const left = x.sign === 1;
  if (kindX === 'infinity' && kindY === 'infinity') return quarterPis(y.sign, left ? 3n : 1n, control, flags);
  if (kindY === 'zero' || kindX === 'infinity') {
    return left ? quarterPis(y.sign, 4n, control, flags) : exact(zero(y.sign), flags);
  }
  if (kindX === 'zero' || kindY === 'infinity') return quarterPis(y.sign, 2n, control, flags);
  const a = scaled({ ...x, sign: 0 });
  const b = scaled({ ...y, sign: 0 });
  const steep = compareScaled(b, a) > 0;
  const angle = arcTangent(steep ? ratio(a, b) : ratio(b, a));
  let result = angle;
  if (steep || left) {
    const near = toFixed(angle);
    const fixed = steep ? pi() / 2n + (left ? near : -near) : pi() - near;
    result = fromFixed(fixed);
  }
  return round(y.sign === 0 ? result : negateScaled(result), control, flags);
}

/** Compares two values that are not negative nor zero. */
function compareScaled(a: Scaled, b: Scaled): number {
  const lengths = bitLength(a.significand) + a.scale - bitLength(b.significand) - b.scale;
  if (lengths !== 0) return lengths;
  const scale = Math.min(a.scale, b.scale);
  const difference = (a.significand << BigInt(a.scale - scale)) - (b.significand << BigInt(b.scale - scale));
  return difference > 0n ? 1 : difference < 0n ? -1 : 0;
}

/**
 * 2^x − 1 for x from −1 to 1. Outside, where the manual leaves the result undefined, x stays.
 *
 * @see SDM "F2XM1—Compute 2x–1"
 */
export function exponential(a: Float80, control: FloatControl): FloatResult {
  const nan = nanResult(a);
  if (nan) return nan;
  const kind = classify(a);
  if (kind === 'zero') return exact(a);
  if (kind === 'infinity') return exact(a.sign === 0 ? a : negate(ONE));
  const flags = denormalFlag(a);
  if (endsEarly(flags, control)) return exact(INDEFINITE, flags);
  if (a.exponent === BIAS && a.significand === ONE.significand) {
    return exact(a.sign === 0 ? a : { ...a, exponent: BIAS - 1 });
  }
  if (a.exponent >= BIAS) return exact(a, EXCEPTION.PRECISION);
  return round(exponentialMinus1(scaled(a)), control, flags);
}

/** y times a logarithm that is infinite or zero; undefined when it is neither. */
function timesSpecial(
  y: Float80,
  logarithm: 'infinite' | 'zero' | 'finite',
  sign: Sign,
): FloatResult | undefined {
  const kind = classify(y);
  const product = (y.sign ^ sign) as Sign;
  if (logarithm === 'zero') return kind === 'infinity' ? INVALID : exact(zero(product));
  if (logarithm === 'infinite') return kind === 'zero' ? INVALID : exact(infinity(product));
  if (kind === 'infinity') return exact(infinity(product));
  return kind === 'zero' ? exact(zero(product)) : undefined;
}

const withFlags = (result: FloatResult, flags: number): FloatResult =>
  result === INVALID ? result : { ...result, flags: result.flags | flags };

/** What y·log2(x) is for the x of these classes. */
function specialLogarithm(y: Float80, sign: Sign, kind: string): FloatResult | undefined {
  if (kind === 'zero') {
    const special = classify(y);
    if (special === 'zero') return INVALID;
    const value = infinity((y.sign ^ 1) as Sign);
    return exact(value, special === 'infinity' ? 0 : EXCEPTION.ZERO_DIVIDE);
  }
  if (sign === 1) return INVALID;
  return kind === 'infinity' ? timesSpecial(y, 'infinite', 0) : undefined;
}

/**
 * y·log2(x).
 *
 * @see SDM "FYL2X—Compute y ∗ log2x"
 */
export function logarithm(y: Float80, x: Float80, control: FloatControl): FloatResult {
  const nan = nanResult(x, y);
  if (nan) return nan;
  const kind = classify(x);
  const flags = denormalFlag(x, y);
  const special = specialLogarithm(y, x.sign, kind);
  if (special === INVALID || (special && special.flags !== 0)) return special;
  if (endsEarly(flags, control)) return exact(INDEFINITE, flags);
  if (special) return withFlags(special, flags);
  return scaledLogarithm(y, scaled(x), control, flags);
}

/** y·log2(x) for positive finite x. */
function scaledLogarithm(y: Float80, x: Scaled, control: FloatControl, flags: number): FloatResult {
  // x = 2^n · (1 + f), with f around zero.
  const length = bitLength(x.significand);
  let n = length - 1 + x.scale;
  const power = 1n << BigInt(length - 1);
  const isPower = x.significand === power;
  // Above √2, in half steps.
  const upper = !isPower && x.significand * x.significand > 2n * power * power;
  if (upper) n++;
  const fraction = {
    significand: x.significand - (upper ? 2n * power : power),
    scale: upper ? -length : 1 - length,
  };
  const sign = (isPower ? n < 0 : n < 0 || (n === 0 && fraction.significand < 0n)) ? 1 : 0;
  const special = timesSpecial(y, isPower && n === 0 ? 'zero' : 'finite', sign);
  if (special) return withFlags(special, flags);
  const factor = scaled(y);
  if (isPower) {
    // Processors report a loss of precision whether or not there is one.
    flags |= EXCEPTION.PRECISION;
    return roundExact({ significand: factor.significand * BigInt(n), scale: factor.scale }, control, flags);
  }
  const small = logarithmOf1Plus(fraction);
  const value = n === 0 ? small : fromFixed(BigInt(n) * FIXED_ONE + toFixed(small));
  return round(product(factor, value), control, flags);
}

const product = (a: Scaled, b: Scaled): Scaled => ({
  significand: a.significand * b.significand,
  scale: a.scale + b.scale,
});

/** No sum of 1 and something smaller differs from 1 by more than the series sees. */
const TINY = -64;

/**
 * y·log2(x + 1). The manual defines it for x around zero; further away it is the logarithm all the same.
 *
 * @see SDM "FYL2XP1—Compute y ∗ log2(x +1)"
 */
export function logarithmPlus1(y: Float80, x: Float80, control: FloatControl): FloatResult {
  const nan = nanResult(x, y);
  if (nan) return nan;
  const kind = classify(x);
  const flags = denormalFlag(x, y);
  const special = kind === 'zero' ? timesSpecial(y, 'zero', x.sign) : infiniteOrNegative(y, x);
  if (special === INVALID || (special && special.flags !== 0)) return special;
  if (endsEarly(flags, control)) return exact(INDEFINITE, flags);
  if (special) return withFlags(special, flags);
  const value = scaled(x);
  if (x.exponent - BIAS < TINY) {
    const known = timesSpecial(y, 'finite', x.sign);
    if (known) return withFlags(known, flags);
    return round(product(scaled(y), logarithmOf1Plus(value)), control, flags);
  }
  const scale = Math.min(value.scale, 0);
  const sum = (value.significand << BigInt(value.scale - scale)) + (1n << BigInt(-scale));
  return scaledLogarithm(y, { significand: sum, scale }, control, flags);
}

/** x is infinite, or at most −1. */
function infiniteOrNegative(y: Float80, x: Float80): FloatResult | undefined {
  if (x.sign === 1 && x.exponent >= BIAS) {
    const minus1 = x.exponent === BIAS && x.significand === ONE.significand;
    return specialLogarithm(y, 1, minus1 ? 'zero' : 'normal');
  }
  return classify(x) === 'infinity' ? timesSpecial(y, 'infinite', 0) : undefined;
}
