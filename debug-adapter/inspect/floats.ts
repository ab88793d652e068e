/**
 * Floating-point numbers of a program as text.
 *
 * @see SDM "Floating-Point Data Types", 4.2.2 of volume 1
 */

interface FloatFormat {
  readonly exponentBits: number;
  readonly fractionBits: number;
  /** The leading one is stored: the 80-bit format. */
  readonly hasIntegerBit: boolean;
}

const HALF: FloatFormat = { exponentBits: 5, fractionBits: 10, hasIntegerBit: false };
const BRAIN: FloatFormat = { exponentBits: 8, fractionBits: 7, hasIntegerBit: false };
const EXTENDED: FloatFormat = { exponentBits: 15, fractionBits: 63, hasIntegerBit: true };
const QUAD: FloatFormat = { exponentBits: 15, fractionBits: 112, hasIntegerBit: false };

const view = new DataView(new ArrayBuffer(8));

export function floatOfBits(bits: bigint, size: 4 | 8): number {
  view.setBigUint64(0, BigInt.asUintN(64, bits), true);
  return size === 4 ? view.getFloat32(0, true) : view.getFloat64(0, true);
}

export function bitsOfFloat(value: number, size: 4 | 8): bigint {
  view.setBigUint64(0, 0n, true);
  if (size === 4) view.setFloat32(0, value, true);
  else view.setFloat64(0, value, true);
  return view.getBigUint64(0, true);
}

/** The text of a number that a type of `size` bytes, by its name where sizes are shared, has in some bits. */
export function formatFloat(bits: bigint, size: number, typeName: string): string {
  if (size === 4) return shortest(floatOfBits(bits, 4));
  if (size === 8) return decimal(floatOfBits(bits, 8));
  const isQuad = size === 16 && /128|quad/i.test(typeName);
  if (size === 2) return decode(bits, /bf|brain/i.test(typeName) ? BRAIN : HALF);
  return decode(bits, isQuad ? QUAD : EXTENDED);
}

function decimal(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  if (!Number.isFinite(value)) return value < 0 ? '-inf' : 'inf';
  return Object.is(value, -0) ? '-0' : value.toString();
}

/** The fewest digits that give the same binary32 number. */
function shortest(value: number): string {
  if (!Number.isFinite(value) || value === 0) return decimal(value);
  for (let digits = 1; digits < 9; digits++) {
    const text = Number(value.toPrecision(digits));
    if (Math.fround(text) === value) return text.toString();
  }
  return Number(value.toPrecision(9)).toString();
}

/** Formats that JavaScript does not have: what a double cannot hold is rounded to one. */
function decode(bits: bigint, { exponentBits, fractionBits, hasIntegerBit }: FloatFormat): string {
  const significandBits = fractionBits + (hasIntegerBit ? 1 : 0);
  const significand = bits & ((1n << BigInt(significandBits)) - 1n);
  const exponent = Number((bits >> BigInt(significandBits)) & ((1n << BigInt(exponentBits)) - 1n));
  const isNegative = ((bits >> BigInt(significandBits + exponentBits)) & 1n) === 1n;
  const bias = 2 ** (exponentBits - 1) - 1;
  const fraction = significand & ((1n << BigInt(fractionBits)) - 1n);
  const sign = isNegative ? -1 : 1;
  if (exponent === 2 ** exponentBits - 1)
    return decimal(fraction === 0n ? sign * Number.POSITIVE_INFINITY : Number.NaN);
  const whole = hasIntegerBit || exponent === 0 ? significand : significand | (1n << BigInt(fractionBits));
  const power = Math.max(exponent, 1) - bias - fractionBits;
  const value = scaled(whole, power);
  // Beyond a double: the number as a significand and a power of two.
  if ((!Number.isFinite(value) || value === 0) && whole !== 0n)
    return `${isNegative ? '-' : ''}${whole}*2^${power}`;
  return decimal(sign * value);
}

function scaled(whole: bigint, power: number): number {
  const bits = whole.toString(2).length;
  const drop = Math.max(0, bits - 62);
  const high = Number(whole >> BigInt(drop));
  const total = power + drop;
  // In two steps, so that neither factor overflows where their product does not.
  const half = Math.trunc(total / 2);
  return high * 2 ** half * 2 ** (total - half);
}
