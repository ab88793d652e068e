/**
 * Sums, products and quotients of normal double extended numbers in 32-bit words: no big integers for what most programs
 * compute. Rounds to nearest with 64 significand bits; what is zero or comes near the ends of the exponent range is left to
 * `arithmetic.ts`, which says what everything is.
 *
 * Intel SDM Vol. 1, "Rounding", 4.8.4.
 */
import { BIAS, MAX_EXPONENT } from './float80.ts';

/** A number with the integer bit set and an exponent that is neither 0 nor the highest. */
export interface NormalWords {
  readonly sign: number;
  readonly exponent: number;
  readonly high: number;
  readonly low: number;
}

interface RoundedWords extends NormalWords {
  readonly inexact: boolean;
  readonly up: boolean;
}

/** Undefined where a zero, overflow or underflow may be the result. */
export type WordOperation = (a: NormalWords, b: NormalWords) => RoundedWords | undefined;

const WORD = 2 ** 32;
const HALF = 2 ** 31;

/** `guard` are the 32 bits below the significand, `sticky` says that there is more below them. */
function round(
  sign: number,
  exponent: number,
  high: number,
  low: number,
  guard: number,
  sticky: boolean,
): RoundedWords | undefined {
  if (exponent < 2 || exponent > MAX_EXPONENT - 2) return undefined;
  const up = guard > HALF || (guard === HALF && (sticky || (low & 1) === 1));
  const inexact = guard !== 0 || sticky;
  if (!up) return { sign, exponent, high, low, inexact, up };
  const next = (low + 1) >>> 0;
  if (next !== 0) return { sign, exponent, high, low: next, inexact, up };
  if (high !== WORD - 1) return { sign, exponent, high: high + 1, low: next, inexact, up };
  return { sign, exponent: exponent + 1, high: HALF, low: next, inexact, up };
}

function isSmaller(a: NormalWords, b: NormalWords): boolean {
  if (a.exponent !== b.exponent) return a.exponent < b.exponent;
  return a.high === b.high ? a.low < b.low : a.high < b.high;
}

/** Three words and a sticky bit hold the smaller operand: after a cancellation of more than one bit nothing was shifted out. */
function sum(x: NormalWords, y: NormalWords, signOfY: number): RoundedWords | undefined {
  const swapped = isSmaller(x, y);
  const a = swapped ? y : x;
  const b = swapped ? x : y;
  const sign = swapped ? signOfY : x.sign;
  let { exponent } = a;
  let high = b.high;
  let low = b.low;
  let guard = 0;
  let sticky = false;
  let distance = Math.min(exponent - b.exponent, 128);
  for (; distance >= 32; distance -= 32) {
    sticky ||= guard !== 0;
    guard = low;
    low = high;
    high = 0;
  }
  if (distance > 0) {
    const left = 32 - distance;
    sticky ||= guard << left !== 0;
    guard = ((guard >>> distance) | (low << left)) >>> 0;
    low = ((low >>> distance) | (high << left)) >>> 0;
    high >>>= distance;
  }
  if (x.sign === signOfY) {
    low += a.low;
    high += a.high + (low >= WORD ? 1 : 0);
    low >>>= 0;
    if (high >= WORD) {
      sticky ||= (guard & 1) === 1;
      guard = ((guard >>> 1) | (low << 31)) >>> 0;
      low = ((low >>> 1) | (high << 31)) >>> 0;
      high = Math.floor(high / 2);
      exponent++;
    }
    return round(sign, exponent, high, low, guard, sticky);
  }
  guard = -guard - (sticky ? 1 : 0);
  low = a.low - low - (guard < 0 ? 1 : 0);
  high = a.high - high - (low < 0 ? 1 : 0);
  guard >>>= 0;
  low >>>= 0;
  if (high === 0 && low === 0 && guard === 0) return undefined;
  for (; high === 0; exponent -= 32) {
    high = low;
    low = guard;
    guard = 0;
  }
  const shift = Math.clz32(high);
  if (shift > 0) {
    const right = 32 - shift;
    high = ((high << shift) | (low >>> right)) >>> 0;
    low = ((low << shift) | (guard >>> right)) >>> 0;
    guard = (guard << shift) >>> 0;
    exponent -= shift;
  }
  return round(sign, exponent, high, low, guard, sticky);
}

export const addWords: WordOperation = (a, b) => sum(a, b, b.sign);
export const subtractWords: WordOperation = (a, b) => sum(a, b, b.sign ^ 1);

/** The upper word of a product of two words; partial products of 48 bits are exact. */
function productHigh(a: number, b: number): number {
  const upper = a * (b >>> 16);
  const lower = a * (b & 0xffff) + (upper & 0xffff) * 0x1_0000;
  return Math.floor(upper / 0x1_0000) + Math.floor(lower / WORD);
}

const productLow = (a: number, b: number): number => Math.imul(a, b) >>> 0;

export const multiplyWords: WordOperation = (a, b) => {
  const sticky = productLow(a.low, b.low) !== 0;
  const second = productHigh(a.low, b.low) + productLow(a.low, b.high) + productLow(a.high, b.low);
  const third =
    productHigh(a.low, b.high) +
    productHigh(a.high, b.low) +
    productLow(a.high, b.high) +
    Math.floor(second / WORD);
  let high = productHigh(a.high, b.high) + Math.floor(third / WORD);
  let low = third >>> 0;
  let guard = second >>> 0;
  const sign = a.sign ^ b.sign;
  const exponent = a.exponent + b.exponent - BIAS;
  if (high >= HALF) return round(sign, exponent + 1, high, low, guard, sticky);
  // The bit that comes into the guard from below stays behind as sticky: the guard's lowest bit only matters as such.
  high = ((high << 1) | (low >>> 31)) >>> 0;
  low = ((low << 1) | (guard >>> 31)) >>> 0;
  guard = ((guard << 1) | (productLow(a.low, b.low) >>> 31)) >>> 0;
  return round(sign, exponent, high, low, guard, productLow(a.low, b.low) << 1 !== 0);
};

/** Three digits to the base 2^32; a quotient of doubles is off by one at most. */
export const divideWords: WordOperation = (a, b) => {
  let exponent = a.exponent - b.exponent + BIAS;
  const divisor = b.high * WORD + b.low;
  let high = a.high;
  let low = a.low;
  const digits = [0, 0, 0, 0];
  // The first digit is the bit that says whether the quotient reaches one.
  if (high > b.high || (high === b.high && low >= b.low)) {
    digits[0] = 1;
    low -= b.low;
    high -= b.high + (low < 0 ? 1 : 0);
    low >>>= 0;
  }
  for (let i = 1; i < 4; i++) {
    let digit = Math.min(Math.floor(((high * WORD + low) / divisor) * WORD), WORD - 1);
    // The rest: (high, low, 0) - digit * (b.high, b.low).
    let newLow = -productLow(digit, b.low);
    let newHigh = low - productHigh(digit, b.low) - productLow(digit, b.high) + (newLow < 0 ? -1 : 0);
    let top = high - productHigh(digit, b.high) + Math.floor(newHigh / WORD);
    newLow >>>= 0;
    newHigh >>>= 0;
    while (top < 0) {
      digit--;
      newLow += b.low;
      newHigh += b.high + (newLow >= WORD ? 1 : 0);
      newLow >>>= 0;
      if (newHigh >= WORD) top++;
      newHigh >>>= 0;
    }
    while (top > 0 || newHigh > b.high || (newHigh === b.high && newLow >= b.low)) {
      digit++;
      newLow -= b.low;
      newHigh -= b.high + (newLow < 0 ? 1 : 0);
      newLow >>>= 0;
      if (newHigh < 0) top--;
      newHigh >>>= 0;
    }
    digits[i] = digit;
    high = newHigh;
    low = newLow;
  }
  const sticky = high !== 0 || low !== 0;
  const [one, first, second, third] = digits as [number, number, number, number];
  const sign = a.sign ^ b.sign;
  if (one === 0) {
    exponent--;
    return round(sign, exponent, first, second, third, sticky);
  }
  return round(
    sign,
    exponent,
    (HALF | (first >>> 1)) >>> 0,
    ((first << 31) | (second >>> 1)) >>> 0,
    ((second << 31) | (third >>> 1)) >>> 0,
    sticky || (third & 1) === 1,
  );
};
