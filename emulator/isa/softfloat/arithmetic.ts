/**
 * Basic arithmetic on the double extended-precision format.
 *
 * Each operation looks at its operands in the order of exception priority: unsupported formats and NaNs, other invalid
 * operations and division by zero, denormal operands, and only then computes and rounds. Where an exception that is
 * not masked ends the operation, `value` means nothing.
 *
 * Intel SDM Vol. 1, "x87 FPU Floating-Point Exception Conditions", 8.5; "Operating on SNaNs and QNaNs", 4.8.3.5;
 * "Floating-Point Exception Priority", 4.9.2.
 */
import {
  classify,
  type Float80,
  INDEFINITE,
  infinity,
  isDenormalOperand,
  isNan,
  negate,
  quieted,
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
  roundToFloat80,
} from './rounding.ts';

export type BinaryOperation = (a: Float80, b: Float80, control: FloatControl) => FloatResult;
export type UnaryOperation = (a: Float80, control: FloatControl) => FloatResult;

export const INVALID = exact(INDEFINITE, EXCEPTION.INVALID);

/**
 * The result that NaNs and unsupported formats among the operands determine; undefined without any.
 *
 * @see SDM "Operating on SNaNs and QNaNs", 4.8.3.5 of volume 1, table 4-7
 */
export function nanResult(a: Float80, b?: Float80): FloatResult | undefined {
  const kindA = classify(a);
  const kindB = b && classify(b);
  if (kindA === 'unsupported' || kindB === 'unsupported') return INVALID;
  const nanB = kindB !== undefined && isNan(kindB);
  const flags = kindA === 'signaling' || kindB === 'signaling' ? EXCEPTION.INVALID : 0;
  if (!nanB) return isNan(kindA) ? exact(quieted(a), flags) : undefined;
  if (!isNan(kindA)) return exact(quieted(b as Float80), flags);
  if (kindA === 'quiet' && kindB === 'signaling') return exact(a, flags);
  if (kindA === 'signaling' && kindB === 'quiet') return exact(b as Float80, flags);
  return exact(quieted(largerNan(a, b as Float80)), flags);
}

/** The NaN with the larger significand; of equal ones, the positive. */
function largerNan(a: Float80, b: Float80): Float80 {
  if (a.significand !== b.significand) return a.significand > b.significand ? a : b;
  return a.sign <= b.sign ? a : b;
}

/** The denormal-operand exception of these operands. */
export function denormalFlag(...operands: readonly Float80[]): number {
  return operands.some(isDenormalOperand) ? EXCEPTION.DENORMAL : 0;
}

/** Whether an exception that is not masked ends the operation before it computes. */
export function endsEarly(flags: number, control: FloatControl): boolean {
  return (flags & ~control.masks) !== 0;
}

/** The sign of a zero that is the sum of two opposite values. */
function cancelledSign(control: FloatControl): Sign {
  return control.rounding === ROUNDING.DOWN ? 1 : 0;
}

/** Beyond this distance the smaller operand of a sum only says "a little more" or "a little less". */
const FAR = 140;

export function add(a: Float80, b: Float80, control: FloatControl): FloatResult {
  const nan = nanResult(a, b);
  if (nan) return nan;
  const infiniteA = classify(a) === 'infinity';
  const infiniteB = classify(b) === 'infinity';
  if (infiniteA && infiniteB && a.sign !== b.sign) return INVALID;
  const flags = denormalFlag(a, b);
  if (endsEarly(flags, control)) return exact(INDEFINITE, flags);
  if (infiniteA || infiniteB) return exact(infinity(infiniteA ? a.sign : b.sign), flags);
  if (a.significand === 0n && b.significand === 0n) {
    return exact(zero(a.sign === b.sign ? a.sign : cancelledSign(control)), flags);
  }
  const [large, small] = scaleOf(a) >= scaleOf(b) ? [a, b] : [b, a];
  const distance = scaleOf(large) - scaleOf(small);
  if (distance > FAR && large.significand !== 0n && small.significand !== 0n) {
    const shifted = large.significand << BigInt(FAR);
    const significand = large.sign === small.sign ? shifted : shifted - 1n;
    const value = { sign: large.sign, significand, scale: scaleOf(large) - FAR, sticky: true };
    return roundToFloat80(value, control, flags);
  }
  const signed = (value: Float80, shift: number) => {
    const magnitude = value.significand << BigInt(shift);
    return value.sign === 0 ? magnitude : -magnitude;
  };
  const sum = signed(large, distance) + signed(small, 0);
  if (sum === 0n) return exact(zero(cancelledSign(control)), flags);
  const sign = sum < 0n ? 1 : 0;
  return roundToFloat80(
    { sign, significand: sum < 0n ? -sum : sum, scale: scaleOf(small), sticky: false },
    control,
    flags,
  );
}

export function subtract(a: Float80, b: Float80, control: FloatControl): FloatResult {
  return nanResult(a, b) ?? add(a, negate(b), control);
}

export function multiply(a: Float80, b: Float80, control: FloatControl): FloatResult {
  const nan = nanResult(a, b);
  if (nan) return nan;
  const kindA = classify(a);
  const kindB = classify(b);
  const sign = (a.sign ^ b.sign) as Sign;
  const infinite = kindA === 'infinity' || kindB === 'infinity';
  const empty = kindA === 'zero' || kindB === 'zero';
  if (infinite && empty) return INVALID;
  const flags = denormalFlag(a, b);
  if (endsEarly(flags, control)) return exact(INDEFINITE, flags);
  if (infinite) return exact(infinity(sign), flags);
  if (empty) return exact(zero(sign), flags);
  const significand = a.significand * b.significand;
  return roundToFloat80({ sign, significand, scale: scaleOf(a) + scaleOf(b), sticky: false }, control, flags);
}

/** Quotient bits beyond the divisor's and dividend's own: enough to round. */
const QUOTIENT_BITS = 140;

export function divide(a: Float80, b: Float80, control: FloatControl): FloatResult {
  const nan = nanResult(a, b);
  if (nan) return nan;
  const kindA = classify(a);
  const kindB = classify(b);
  const sign = (a.sign ^ b.sign) as Sign;
  if (kindA === kindB && (kindA === 'infinity' || kindA === 'zero')) return INVALID;
  if (kindB === 'zero' && kindA !== 'infinity') return exact(infinity(sign), EXCEPTION.ZERO_DIVIDE);
  const flags = denormalFlag(a, b);
  if (endsEarly(flags, control)) return exact(INDEFINITE, flags);
  if (kindA === 'infinity') return exact(infinity(sign), flags);
  if (kindA === 'zero' || kindB === 'infinity') return exact(zero(sign), flags);
  const dividend = a.significand << BigInt(QUOTIENT_BITS);
  const significand = dividend / b.significand;
  const sticky = significand * b.significand !== dividend;
  const scale = scaleOf(a) - scaleOf(b) - QUOTIENT_BITS;
  return roundToFloat80({ sign, significand, scale, sticky }, control, flags);
}

export function squareRoot(a: Float80, control: FloatControl): FloatResult {
  const nan = nanResult(a);
  if (nan) return nan;
  const kind = classify(a);
  if (kind === 'zero') return exact(a);
  if (a.sign === 1) return INVALID;
  const flags = denormalFlag(a);
  if (endsEarly(flags, control)) return exact(INDEFINITE, flags);
  if (kind === 'infinity') return exact(a);
  // An even power of two, and a root of at least 130 bits.
  const shift = 200 + (scaleOf(a) & 1);
  const radicand = a.significand << BigInt(shift);
  const significand = integerRoot(radicand);
  const sticky = significand * significand !== radicand;
  return roundToFloat80({ sign: 0, significand, scale: (scaleOf(a) - shift) / 2, sticky }, control, flags);
}

/** The integer part of the square root, by Newton's iteration from above. */
function integerRoot(value: bigint): bigint {
  let root = 1n << BigInt((bitLength(value) + 1) >> 1);
  for (;;) {
    const next = (root + value / root) >> 1n;
    if (next >= root) return root;
    root = next;
  }
}
