/**
 * RCPPS and RSQRTPS. The manual bounds their relative error, 1.5 × 2^-12, and leaves the bits to the processor: these round the
 * exact result to 12 significand bits: DEVIATION(approximate-reciprocals). Nothing here raises exceptions, and MXCSR does not matter.
 *
 * @see SDM "RCPPS—Compute Reciprocals of Packed Single Precision Floating-Point Values"; "RSQRTPS—Compute Reciprocals of Square
 *   Roots of Packed Single Precision Floating-Point Values"
 */
const SIGN = 0x8000_0000;
const INFINITY = 0x7f80_0000;
const QUIET = 0x40_0000;
const INDEFINITE = 0xffc0_0000;
const FRACTION_BITS = 23;
/** Fraction bits of the result. */
const KEPT = 11;
const BIAS = 127;
const LARGE = 126 + BIAS;

function parts(bits: number): { sign: number; exponent: number; fraction: number } {
  return { sign: bits & SIGN, exponent: (bits >>> FRACTION_BITS) & 0xff, fraction: bits & 0x7f_ffff };
}

/** A value from 1 up to 2 rounded to 12 bits, times 2 to the exponent; tiny values are zero. */
function encode(sign: number, significand: number, exponent: number): number {
  let kept = significand;
  let biased = exponent + BIAS;
  if (biased <= 0) return sign >>> 0;
  if (kept === 2 << KEPT) {
    kept = 1 << KEPT;
    biased++;
  }
  return (sign | (biased << FRACTION_BITS) | ((kept - (1 << KEPT)) << (FRACTION_BITS - KEPT))) >>> 0;
}

export function approximateReciprocal(bits: number): number {
  const { sign, exponent, fraction } = parts(bits);
  if (exponent === 0xff) return fraction === 0 ? sign >>> 0 : (bits | QUIET) >>> 0;
  // Denormals count as zero.
  if (exponent === 0) return (sign | INFINITY) >>> 0;
  // From 2^126 on, as processors have it: what their tables give there is tiny.
  if (exponent >= LARGE) return sign >>> 0;
  if (fraction === 0) return encode(sign, 1 << KEPT, BIAS - exponent);
  // 1 / 1.f lies between 0.5 and 1: the quotient has 12 bits and is rounded in integers.
  const divisor = (1 << FRACTION_BITS) + fraction;
  const significand = Math.floor((2 ** (FRACTION_BITS + KEPT + 2) / divisor + 1) / 2);
  return encode(sign, significand, BIAS - exponent - 1);
}

export function approximateRootReciprocal(bits: number): number {
  const { sign, exponent, fraction } = parts(bits);
  if (exponent === 0xff && fraction !== 0) return (bits | QUIET) >>> 0;
  if (exponent === 0) return (sign | INFINITY) >>> 0;
  if (sign !== 0) return INDEFINITE;
  if (exponent === 0xff) return 0;
  // x = m × 2^(2k) with m from 1 up to 4; 1 / √m lies between 0.5 and 1.
  const odd = (exponent - BIAS) & 1;
  const half = (exponent - BIAS - odd) / 2;
  const radicand = (BigInt(1 << FRACTION_BITS) + BigInt(fraction)) << BigInt(odd);
  if (radicand === 1n << BigInt(FRACTION_BITS)) return encode(0, 1 << KEPT, -half);
  // The largest s with (s / 2^13)² × m ≤ 1 decides the rounding to 2^-12.
  let low = 1 << KEPT;
  let high = 1 << (KEPT + 2);
  const limit = 1n << BigInt(2 * (KEPT + 2) + FRACTION_BITS);
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (BigInt(middle) * BigInt(middle) * radicand <= limit) low = middle;
    else high = middle;
  }
  return encode(0, (low + 1) >> 1, -half - 1);
}
