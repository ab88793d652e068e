import { describe, expect, it } from 'vitest';
import {
  add,
  type BinaryControl,
  type BinaryOperation,
  convert,
  DOUBLE,
  divide,
  type Format,
  fusedMultiplyAdd,
  HALF,
  multiply,
  SINGLE,
  squareRoot,
  subtract,
  toInteger,
} from './binary.ts';
import { EXCEPTION, ROUNDING } from './rounding.ts';

const NEAREST: BinaryControl = {
  rounding: ROUNDING.NEAREST,
  masks: 0x3f,
  denormalsAreZeros: false,
  flushToZero: false,
};

const view = new DataView(new ArrayBuffer(8));
function encode(value: number, format: Format): bigint {
  if (format === DOUBLE) view.setFloat64(0, value);
  else view.setFloat32(0, value);
  return format === DOUBLE ? view.getBigUint64(0) : BigInt(view.getUint32(0));
}

let seed = 0x1234_5678n;
function random64(): bigint {
  seed ^= BigInt.asUintN(64, seed << 13n);
  seed ^= seed >> 7n;
  seed ^= BigInt.asUintN(64, seed << 17n);
  return seed;
}

/** JavaScript's numbers are IEEE 754 doubles, rounded to nearest; a double holds any result of singles well enough. */
const OPERATIONS: readonly [string, BinaryOperation, (a: number, b: number) => number][] = [
  ['add', add, (a, b) => a + b],
  ['subtract', subtract, (a, b) => a - b],
  ['multiply', multiply, (a, b) => a * b],
  ['divide', divide, (a, b) => a / b],
  ['squareRoot', (a, _b, f, control) => squareRoot(a, f, control), (a) => Math.sqrt(a)],
];

function decode(bits: bigint, format: Format): number {
  if (format === DOUBLE) view.setBigUint64(0, bits);
  else view.setUint32(0, Number(bits));
  return format === DOUBLE ? view.getFloat64(0) : view.getFloat32(0);
}

describe('arithmetic in integers', () => {
  it.each(OPERATIONS)('gives what IEEE 754 gives: %s', (_name, operation, model) => {
    for (const format of [SINGLE, DOUBLE]) {
      for (let i = 0; i < 4000; i++) {
        const mask = (1n << BigInt(format.size)) - 1n;
        const a = random64() & mask;
        // Exponents that are near each other, so that sums meet.
        const b = i % 2 ? random64() & mask : (a & format.infinity) | (random64() & format.fractionMask);
        const expected = encode(model(decode(a, format), decode(b, format)), format);
        const { bits } = operation(a, b, format, NEAREST);
        const nan = Number.isNaN(decode(expected, format));
        if (nan) expect(Number.isNaN(decode(bits, format))).toBe(true);
        else expect([a, b, bits]).toEqual([a, b, expected]);
      }
    }
  });

  it('rounds a fused product and sum once', () => {
    const one = encode(1, DOUBLE);
    const small = encode(2 ** -30, DOUBLE);
    const above = encode(1 + 2 ** -30, DOUBLE);
    // (1 + 2^-30)² - 1 - 2^-29 is 2^-60 exactly, and 0 when the product is rounded first.
    const sum = encode(-(1 + 2 ** -29), DOUBLE);
    const signs = { negateProduct: false, negateAddend: false };
    const { bits, flags } = fusedMultiplyAdd([above, above, sum], signs, [0, 1, 2], DOUBLE, NEAREST);
    expect([decode(bits, DOUBLE), flags]).toEqual([2 ** -60, 0]);
    expect(decode(multiply(one, small, DOUBLE, NEAREST).bits, DOUBLE)).toBe(2 ** -30);
  });

  it('flushes tiny results to zero when MXCSR says so', () => {
    const least = encode(2 ** -1022, DOUBLE);
    const half = encode(0.5, DOUBLE);
    expect(multiply(least, half, DOUBLE, NEAREST)).toEqual({ bits: 1n << 51n, flags: 0 });
    const flags = EXCEPTION.UNDERFLOW | EXCEPTION.PRECISION;
    expect(multiply(least, half, DOUBLE, { ...NEAREST, flushToZero: true })).toEqual({ bits: 0n, flags });
  });

  it('takes denormals for zeros when MXCSR says so', () => {
    const control = { ...NEAREST, denormalsAreZeros: true };
    expect(add(1n, 0n, DOUBLE, control)).toEqual({ bits: 0n, flags: 0 });
    expect(add(1n, 0n, DOUBLE, NEAREST)).toEqual({ bits: 1n, flags: EXCEPTION.DENORMAL });
  });

  it('gives the integer indefinite for what does not fit', () => {
    const { bits, flags } = toInteger(encode(3e9, DOUBLE), 32, ROUNDING.ZERO, DOUBLE, NEAREST);
    expect([bits, flags]).toEqual([0x8000_0000n, EXCEPTION.INVALID]);
  });

  it('converts between formats, quieting NaNs', () => {
    expect(convert(0x3c00n, HALF, SINGLE, NEAREST).bits).toBe(encode(1, SINGLE));
    expect(convert(0x7c01n, HALF, SINGLE, NEAREST)).toEqual({ bits: 0x7fc0_2000n, flags: EXCEPTION.INVALID });
    expect(convert(encode(65520, SINGLE), SINGLE, HALF, NEAREST).bits).toBe(0x7c00n);
  });
});
