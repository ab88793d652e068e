/**
 * The elementary functions behind the x87 transcendental instructions, on fixed-point and on scaled integers, with many
 * more bits than a register keeps: rounding their results once is rounding the function.
 *
 * A `Scaled` is significand × 2^scale with a relative error far below 2^-200. Nothing here knows of NaNs or rounding
 * modes.
 */
import { bitLength } from './rounding.ts';

/** Bits after the point of fixed-point numbers. */
const FRACTION = 320;
const SHIFT = BigInt(FRACTION);
export const FIXED_ONE = 1n << SHIFT;

export interface Scaled {
  /** May be negative. */
  readonly significand: bigint;
  readonly scale: number;
}

const multiplyFixed = (a: bigint, b: bigint): bigint => (a * b) >> SHIFT;

/** The fixed-point value, truncated. */
export function toFixed({ significand, scale }: Scaled): bigint {
  const shift = scale + FRACTION;
  return shift >= 0 ? significand << BigInt(shift) : significand >> BigInt(-shift);
}

export const fromFixed = (value: bigint): Scaled => ({ significand: value, scale: -FRACTION });

/** `a` times a fixed-point factor. */
function times({ significand, scale }: Scaled, factor: bigint): Scaled {
  return { significand: significand * factor, scale: scale - FRACTION };
}

/** The quotient of two values with {@link FRACTION} bits or more. */
export function ratio(a: Scaled, b: Scaled): Scaled {
  const shift =
    FRACTION + Math.max(0, bitLength(magnitude(b.significand)) - bitLength(magnitude(a.significand)));
  return {
    significand: (a.significand << BigInt(shift)) / b.significand,
    scale: a.scale - b.scale - shift,
  };
}

export const magnitude = (value: bigint): bigint => (value < 0n ? -value : value);

/** The sum of x^n / d(n), whose terms shrink by at least a factor of two. */
function series(x: bigint, divide: (term: bigint, n: bigint) => bigint): bigint {
  let sum = 0n;
  let power = FIXED_ONE;
  for (let n = 0n; power !== 0n && power !== -1n; n++) {
    sum += divide(power, n);
    power = multiplyFixed(power, x);
  }
  return sum;
}

/** atan(x)/x, or atanh(x)/x for the negative square, by the square of a small x. */
const arcFactor = (minusSquare: bigint): bigint => series(minusSquare, (term, n) => term / (2n * n + 1n));

/** The sum of x^n / (first·(first+1)…), each term from the one before. */
function factorialSeries(x: bigint, next: (n: bigint) => bigint): bigint {
  let sum = FIXED_ONE;
  let term = FIXED_ONE;
  for (let n = 1n; ; n++) {
    term = multiplyFixed(term, x) / next(n);
    if (term === 0n) return sum;
    sum += term;
  }
}

function once(compute: () => bigint): () => bigint {
  let value: bigint | undefined;
  return () => {
    value ??= compute();
    return value;
  };
}

/** atan(1/n) for Machin's formula. */
const inverseTangent = (n: bigint): bigint => arcFactor(-FIXED_ONE / (n * n)) / n;

/** π in fixed-point: 16 atan(1/5) − 4 atan(1/239). */
export const pi = once(() => 16n * inverseTangent(5n) - 4n * inverseTangent(239n));

/** ln 2 = 2 atanh(1/3). */
const naturalLogOf2 = once(() => (2n * arcFactor(FIXED_ONE / 9n)) / 3n);

function square(x: Scaled): bigint {
  return toFixed({ significand: x.significand * x.significand, scale: 2 * x.scale });
}

/** A factor of exactly 1 stands for something just below (or above) it. */
const notOne = (factor: bigint, step: bigint): bigint => (factor === FIXED_ONE ? FIXED_ONE + step : factor);

/** For |x| below 1, x not zero. */
export function sine(x: Scaled): Scaled {
  return times(
    x,
    notOne(
      factorialSeries(-square(x), (n) => 2n * n * (2n * n + 1n)),
      -1n,
    ),
  );
}

export function cosine(x: Scaled): Scaled {
  return fromFixed(
    notOne(
      factorialSeries(-square(x), (n) => 2n * n * (2n * n - 1n)),
      -1n,
    ),
  );
}

/** For |x| below 1, x not zero. */
export function tangent(x: Scaled): Scaled {
  return ratio(sine(x), cosine(x));
}

/** atan(x) for x from 0 to 1, not 0. */
export function arcTangent(x: Scaled): Scaled {
  if (bitLength(x.significand) + x.scale <= -8) return times(x, notOne(arcFactor(-square(x)), -1n));
  // Halve the angle: tan(a/2) = t / (1 + √(1 + t²)).
  let t = toFixed(x);
  let halvings = 0n;
  for (; t >> BigInt(FRACTION - 8) !== 0n; halvings++) {
    const root = squareRootFixed(FIXED_ONE + multiplyFixed(t, t));
    t = (t << SHIFT) / (FIXED_ONE + root);
  }
  return fromFixed(multiplyFixed(t, arcFactor(-multiplyFixed(t, t))) << halvings);
}

function squareRootFixed(value: bigint): bigint {
  const radicand = value << SHIFT;
  let root = 1n << BigInt((bitLength(radicand) + 1) >> 1);
  for (;;) {
    const next = (root + radicand / root) >> 1n;
    if (next >= root) return root;
    root = next;
  }
}

/** 2^x − 1 for |x| up to 1, x not zero. */
export function exponentialMinus1(x: Scaled): Scaled {
  const z = times(x, naturalLogOf2());
  return times(
    z,
    factorialSeries(toFixed(z), (n) => n + 1n),
  );
}

/** log2(1 + x) for x from 1/√2 − 1 to √2 − 1, not zero. */
export function logarithmOf1Plus(x: Scaled): Scaled {
  // ln(1 + x) = 2 atanh(x / (2 + x)). A tiny x does not change 2.
  const scale = Math.max(x.scale, -2 * FRACTION);
  const two = { significand: 2n << BigInt(-scale), scale };
  const divisor = x.scale === scale ? { significand: two.significand + x.significand, scale } : two;
  const s = ratio(x, divisor);
  const factor = arcFactor(square(s));
  const natural = times(s, 2n * factor);
  return ratio(natural, fromFixed(naturalLogOf2()));
}
