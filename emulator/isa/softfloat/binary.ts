/**
 * Arithmetic on the half, single and double formats as SSE, AVX, F16C and FMA define it: exceptions and their priority,
 * denormals-are-zeros, flush-to-zero, and which NaN results.
 *
 * Values are their encodings. An operation gives an encoding and exception flags with the bit positions of MXCSR; where an
 * exception that is not masked ends it, the encoding means nothing.
 *
 * Intel SDM Vol. 1, "Handling SIMD Floating-Point Exceptions", 11.5; "Floating-Point Exceptions", 4.9; "Operating on SNaNs
 * and QNaNs", 4.8.3.5; "MXCSR Control and Status Register", 10.2.3.
 */
import type { Sign } from './float80.ts';
import { bitLength, EXCEPTION, ROUNDING, type Rounding, roundShift } from './rounding.ts';

export interface Format {
  readonly size: 16 | 32 | 64;
  /** Significand bits with the integer bit. */
  readonly width: number;
  readonly bias: number;
  /** Exponent of infinities and NaNs. */
  readonly maxExponent: number;
  readonly fractionBits: bigint;
  readonly fractionMask: bigint;
  readonly signBit: bigint;
  readonly quietBit: bigint;
  readonly infinity: bigint;
  /** The QNaN floating-point indefinite. */
  readonly indefinite: bigint;
}

function format(size: 16 | 32 | 64, width: number): Format {
  const exponentBits = size - width;
  const fractionBits = BigInt(width - 1);
  const maxExponent = (1 << exponentBits) - 1;
  const infinity = BigInt(maxExponent) << fractionBits;
  const signBit = 1n << BigInt(size - 1);
  const quietBit = 1n << (fractionBits - 1n);
  const fractionMask = (1n << fractionBits) - 1n;
  const indefinite = signBit | infinity | quietBit;
  const bias = maxExponent >> 1;
  return {
    size,
    width,
    bias,
    maxExponent,
    fractionBits,
    fractionMask,
    signBit,
    quietBit,
    infinity,
    indefinite,
  };
}

export const HALF = format(16, 11);
export const SINGLE = format(32, 24);
export const DOUBLE = format(64, 53);

/** What MXCSR says. */
export interface BinaryControl {
  readonly rounding: Rounding;
  /** Masked exceptions. */
  readonly masks: number;
  readonly denormalsAreZeros: boolean;
  readonly flushToZero: boolean;
}

export interface BinaryResult {
  readonly bits: bigint;
  readonly flags: number;
}

type Kind = 'zero' | 'finite' | 'infinity' | 'quiet' | 'signaling';

interface Unpacked {
  readonly kind: Kind;
  readonly sign: Sign;
  /** A finite value is its significand times 2 to the scale. */
  readonly significand: bigint;
  readonly scale: number;
  readonly denormal: boolean;
  readonly bits: bigint;
}

function unpack(bits: bigint, f: Format, control: BinaryControl): Unpacked {
  const sign = (bits & f.signBit) === 0n ? 0 : 1;
  const exponent = Number((bits & f.infinity) >> f.fractionBits);
  const fraction = bits & f.fractionMask;
  const scale = (exponent === 0 ? 1 : exponent) - f.bias - (f.width - 1);
  const value = (kind: Kind, significand: bigint, denormal: boolean): Unpacked => ({
    kind,
    sign,
    significand,
    scale,
    denormal,
    bits,
  });
  if (exponent === f.maxExponent) {
    if (fraction === 0n) return value('infinity', 0n, false);
    return value((fraction & f.quietBit) === 0n ? 'signaling' : 'quiet', 0n, false);
  }
  if (exponent !== 0) return value('finite', fraction | (1n << f.fractionBits), false);
  if (fraction === 0n || control.denormalsAreZeros) return value('zero', 0n, false);
  return value('finite', fraction, true);
}

const isNan = ({ kind }: Unpacked): boolean => kind === 'quiet' || kind === 'signaling';

const signed = (sign: Sign, bits: bigint, f: Format): bigint => (sign === 1 ? bits | f.signBit : bits);

const exact = (bits: bigint, flags = 0): BinaryResult => ({ bits, flags });

const invalid = (f: Format): BinaryResult => exact(f.indefinite, EXCEPTION.INVALID);

/** The first operand that is a NaN, quieted; any signaling one is invalid. */
function nanOf(f: Format, ...operands: readonly Unpacked[]): BinaryResult | undefined {
  const first = operands.find(isNan);
  if (first === undefined) return undefined;
  const signaling = operands.some(({ kind }) => kind === 'signaling');
  return exact(first.bits | f.quietBit, signaling ? EXCEPTION.INVALID : 0);
}

const denormalFlag = (...operands: readonly Unpacked[]): number =>
  operands.some(({ denormal }) => denormal) ? EXCEPTION.DENORMAL : 0;

/** Rounds a value that is not zero. Tininess is detected after rounding. */
function round(
  sign: Sign,
  significand: bigint,
  scale: number,
  sticky: boolean,
  f: Format,
  control: BinaryControl,
  flags: number,
): BinaryResult {
  const length = bitLength(significand);
  const value = { sign, significand, sticky };
  let exponent = length - 1 + scale + f.bias;
  let rounded = roundShift(value, length - f.width, control.rounding);
  let kept = rounded.value;
  if (kept >> BigInt(f.width) !== 0n) {
    kept >>= 1n;
    exponent++;
  }
  if (exponent >= f.maxExponent) {
    const masked = (control.masks & EXCEPTION.OVERFLOW) !== 0;
    const raised = EXCEPTION.OVERFLOW | (masked || rounded.inexact ? EXCEPTION.PRECISION : 0);
    const away =
      control.rounding === ROUNDING.NEAREST ||
      control.rounding === (sign === 0 ? ROUNDING.UP : ROUNDING.DOWN);
    return exact(signed(sign, away ? f.infinity : f.infinity - 1n, f), flags | raised);
  }
  if (exponent <= 0) {
    if ((control.masks & EXCEPTION.UNDERFLOW) === 0) {
      const raised = EXCEPTION.UNDERFLOW | (rounded.inexact ? EXCEPTION.PRECISION : 0);
      return exact(signed(sign, 0n, f), flags | raised);
    }
    if (control.flushToZero)
      return exact(signed(sign, 0n, f), flags | EXCEPTION.UNDERFLOW | EXCEPTION.PRECISION);
    rounded = roundShift(value, 1 - f.bias - (f.width - 1) - scale, control.rounding);
    const raised = rounded.inexact ? EXCEPTION.UNDERFLOW | EXCEPTION.PRECISION : 0;
    // A carry into the integer bit is the smallest normal number's exponent.
    return exact(signed(sign, rounded.value, f), flags | raised);
  }
  const encoded = (BigInt(exponent) << f.fractionBits) | (kept & f.fractionMask);
  return exact(signed(sign, encoded, f), flags | (rounded.inexact ? EXCEPTION.PRECISION : 0));
}

/** Whether an exception that is not masked ends the operation before it computes. */
const endsEarly = (flags: number, control: BinaryControl): boolean => (flags & ~control.masks) !== 0;

/** A sum of two values that are not both zero operands of the same sign; an exact zero's sign is the rounding mode's. */
function sum(
  a: { sign: Sign; significand: bigint; scale: number },
  b: { sign: Sign; significand: bigint; scale: number },
  f: Format,
  control: BinaryControl,
  flags: number,
): BinaryResult {
  const scale = Math.min(a.scale, b.scale);
  const magnitude = (value: typeof a): bigint => {
    const shifted = value.significand << BigInt(value.scale - scale);
    return value.sign === 0 ? shifted : -shifted;
  };
  // A distance of thousands of bits is cheap enough, and exact.
  const total = magnitude(a) + magnitude(b);
  if (total === 0n) {
    const sign = control.rounding === ROUNDING.DOWN ? 1 : 0;
    return exact(
      signed(a.significand === 0n && b.significand === 0n && a.sign === b.sign ? a.sign : sign, 0n, f),
      flags,
    );
  }
  return total < 0n
    ? round(1, -total, scale, false, f, control, flags)
    : round(0, total, scale, false, f, control, flags);
}

export type BinaryOperation = (a: bigint, b: bigint, f: Format, control: BinaryControl) => BinaryResult;

export const add: BinaryOperation = (x, y, f, control) => {
  const a = unpack(x, f, control);
  const b = unpack(y, f, control);
  return addUnpacked(a, b, f, control);
};

function addUnpacked(a: Unpacked, b: Unpacked, f: Format, control: BinaryControl): BinaryResult {
  const nan = nanOf(f, a, b);
  if (nan) return nan;
  if (a.kind === 'infinity' && b.kind === 'infinity' && a.sign !== b.sign) return invalid(f);
  const flags = denormalFlag(a, b);
  if (endsEarly(flags, control)) return exact(0n, flags);
  if (a.kind === 'infinity') return exact(signed(a.sign, f.infinity, f), flags);
  if (b.kind === 'infinity') return exact(signed(b.sign, f.infinity, f), flags);
  return sum(a, b, f, control, flags);
}

export const subtract: BinaryOperation = (x, y, f, control) => {
  const a = unpack(x, f, control);
  const b = unpack(y, f, control);
  // A NaN keeps its sign.
  return nanOf(f, a, b) ?? addUnpacked(a, { ...b, sign: b.sign === 0 ? 1 : 0 }, f, control);
};

export const multiply: BinaryOperation = (x, y, f, control) => {
  const a = unpack(x, f, control);
  const b = unpack(y, f, control);
  const nan = nanOf(f, a, b);
  if (nan) return nan;
  const infinite = a.kind === 'infinity' || b.kind === 'infinity';
  const empty = a.kind === 'zero' || b.kind === 'zero';
  if (infinite && empty) return invalid(f);
  const flags = denormalFlag(a, b);
  if (endsEarly(flags, control)) return exact(0n, flags);
  const sign = (a.sign ^ b.sign) as Sign;
  if (infinite) return exact(signed(sign, f.infinity, f), flags);
  if (empty) return exact(signed(sign, 0n, f), flags);
  return round(sign, a.significand * b.significand, a.scale + b.scale, false, f, control, flags);
};

export const divide: BinaryOperation = (x, y, f, control) => {
  const a = unpack(x, f, control);
  const b = unpack(y, f, control);
  const nan = nanOf(f, a, b);
  if (nan) return nan;
  if (a.kind === b.kind && (a.kind === 'infinity' || a.kind === 'zero')) return invalid(f);
  const sign = (a.sign ^ b.sign) as Sign;
  if (b.kind === 'zero' && a.kind !== 'infinity')
    return exact(signed(sign, f.infinity, f), EXCEPTION.ZERO_DIVIDE);
  const flags = denormalFlag(a, b);
  if (endsEarly(flags, control)) return exact(0n, flags);
  if (a.kind === 'infinity') return exact(signed(sign, f.infinity, f), flags);
  if (a.kind === 'zero' || b.kind === 'infinity') return exact(signed(sign, 0n, f), flags);
  // At least two bits more than the format keeps, whatever the operands' lengths.
  const extra = 2 * f.width + 2;
  const dividend = a.significand << BigInt(extra);
  const quotient = dividend / b.significand;
  const sticky = quotient * b.significand !== dividend;
  return round(sign, quotient, a.scale - b.scale - extra, sticky, f, control, flags);
};

export function squareRoot(x: bigint, f: Format, control: BinaryControl): BinaryResult {
  const a = unpack(x, f, control);
  const nan = nanOf(f, a);
  if (nan) return nan;
  if (a.kind === 'zero') return exact(signed(a.sign, 0n, f));
  if (a.sign === 1) return invalid(f);
  if (a.kind === 'infinity') return exact(f.infinity);
  const flags = denormalFlag(a);
  if (endsEarly(flags, control)) return exact(0n, flags);
  const shift = 2 * f.width + 8 + ((a.scale & 1) === 0 ? 0 : 1);
  const radicand = a.significand << BigInt(shift);
  const root = integerRoot(radicand);
  return round(0, root, (a.scale - shift) / 2, root * root !== radicand, f, control, flags);
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

/** a × b + c, rounded once; `negateProduct` and `negateAddend` change signs of values, not of NaNs. */
export function fusedMultiplyAdd(
  [x, y, z]: readonly [bigint, bigint, bigint],
  { negateProduct, negateAddend }: { negateProduct: boolean; negateAddend: boolean },
  nanOrder: readonly [number, number, number],
  f: Format,
  control: BinaryControl,
): BinaryResult {
  const operands = [unpack(x, f, control), unpack(y, f, control), unpack(z, f, control)] as const;
  const [a, b, c] = operands;
  const infinite = a.kind === 'infinity' || b.kind === 'infinity';
  const empty = a.kind === 'zero' || b.kind === 'zero';
  const nan = nanOf(f, ...nanOrder.map((n) => operands[n] as Unpacked));
  if (nan) {
    return nan;
  }
  if (infinite && empty) return invalid(f);
  const sign = (a.sign ^ b.sign ^ (negateProduct ? 1 : 0)) as Sign;
  const addendSign = (c.sign ^ (negateAddend ? 1 : 0)) as Sign;
  if (infinite && c.kind === 'infinity' && sign !== addendSign) return invalid(f);
  const flags = denormalFlag(a, b, c);
  if (endsEarly(flags, control)) return exact(0n, flags);
  if (infinite) return exact(signed(sign, f.infinity, f), flags);
  if (c.kind === 'infinity') return exact(signed(addendSign, f.infinity, f), flags);
  const product = { sign, significand: a.significand * b.significand, scale: a.scale + b.scale };
  return sum(product, { sign: addendSign, significand: c.significand, scale: c.scale }, f, control, flags);
}

export type BinaryRelation = 'less' | 'equal' | 'greater' | 'unordered';

/** `quiet` comparisons are invalid for signaling NaNs alone. */
export function compare(
  x: bigint,
  y: bigint,
  quiet: boolean,
  f: Format,
  control: BinaryControl,
): { relation: BinaryRelation; flags: number } {
  const a = unpack(x, f, control);
  const b = unpack(y, f, control);
  if (isNan(a) || isNan(b)) {
    const raises = !quiet || a.kind === 'signaling' || b.kind === 'signaling';
    return { relation: 'unordered', flags: raises ? EXCEPTION.INVALID : 0 };
  }
  const flags = denormalFlag(a, b);
  const order = (value: Unpacked): bigint => {
    if (value.kind === 'zero') return 0n;
    const magnitude = value.bits & ~f.signBit;
    return value.sign === 0 ? magnitude : -magnitude;
  };
  const [left, right] = [order(a), order(b)];
  return { relation: left < right ? 'less' : left > right ? 'greater' : 'equal', flags };
}

/** Like `a < b ? a : b` (or `>`): the second operand when either is a NaN or both are zeros. @see SDM "MINPS" */
export function minimumOrMaximum(
  x: bigint,
  y: bigint,
  maximum: boolean,
  f: Format,
  control: BinaryControl,
): BinaryResult {
  const { relation, flags } = compare(x, y, false, f, control);
  const first = relation === (maximum ? 'greater' : 'less');
  return exact(withoutDenormal(first ? x : y, f, control), flags);
}

function withoutDenormal(bits: bigint, f: Format, control: BinaryControl): bigint {
  const denormal = (bits & f.infinity) === 0n;
  return denormal && control.denormalsAreZeros ? bits & f.signBit : bits;
}

/** ROUNDPS and the like. Denormals raise nothing. */
export function roundToInteger(
  x: bigint,
  rounding: Rounding,
  f: Format,
  control: BinaryControl,
): BinaryResult {
  const a = unpack(x, f, control);
  const nan = nanOf(f, a);
  if (nan) return nan;
  if (a.kind === 'zero') return exact(signed(a.sign, 0n, f));
  if (a.kind === 'infinity' || a.scale >= 0) return exact(x);
  const rounded = roundShift({ ...a, sticky: false }, -a.scale, rounding);
  const flags = rounded.inexact ? EXCEPTION.PRECISION : 0;
  if (rounded.value === 0n) return exact(signed(a.sign, 0n, f), flags);
  return exact(round(a.sign, rounded.value, 0, false, f, control, 0).bits, flags);
}

/** To another format. */
export function convert(x: bigint, from: Format, to: Format, control: BinaryControl): BinaryResult {
  const a = unpack(x, from, control);
  if (isNan(a)) {
    const shift = to.width - from.width;
    const fraction = x & from.fractionMask;
    const moved = shift >= 0 ? fraction << BigInt(shift) : fraction >> BigInt(-shift);
    const bits = signed(a.sign, to.infinity | to.quietBit | moved, to);
    return exact(bits, a.kind === 'signaling' ? EXCEPTION.INVALID : 0);
  }
  if (a.kind === 'infinity') return exact(signed(a.sign, to.infinity, to));
  if (a.kind === 'zero') return exact(signed(a.sign, 0n, to));
  const flags = denormalFlag(a);
  if (endsEarly(flags, control)) return exact(0n, flags);
  return round(a.sign, a.significand, a.scale, false, to, control, flags);
}

export function fromInteger(value: bigint, f: Format, control: BinaryControl): BinaryResult {
  if (value === 0n) return exact(0n);
  return value < 0n ? round(1, -value, 0, false, f, control, 0) : round(0, value, 0, false, f, control, 0);
}

/** A two's complement integer; what does not fit is invalid and gives the integer indefinite. Denormals raise nothing. */
export function toInteger(
  x: bigint,
  size: 32 | 64,
  rounding: Rounding,
  f: Format,
  control: BinaryControl,
): BinaryResult {
  const a = unpack(x, f, control);
  const indefinite = exact(1n << BigInt(size - 1), EXCEPTION.INVALID);
  if (a.kind === 'zero') return exact(0n);
  if (a.kind !== 'finite' || a.scale > 64) return indefinite;
  const rounded = roundShift({ ...a, sticky: false }, -a.scale, rounding);
  const half = 1n << BigInt(size - 1);
  if (rounded.value > (a.sign === 0 ? half - 1n : half)) return indefinite;
  const value = a.sign === 0 ? rounded.value : -rounded.value;
  return exact(BigInt.asUintN(size, value), rounded.inexact ? EXCEPTION.PRECISION : 0);
}
