import { describe, expect, it } from 'vitest';
import { add, divide, multiply, squareRoot } from './arithmetic.ts';
import { compare } from './compare.ts';
import { fromBcd, fromNarrow, fromSigned, toBcd, toNarrow, toSigned } from './convert.ts';
import { type Float80, float80, INDEFINITE, infinity, ONE, zero } from './float80.ts';
import { remainder, roundToInteger, scaleBy } from './functions.ts';
import { EXCEPTION, type FloatControl, type Rounding } from './rounding.ts';

const ALL_MASKED = 0x3f;
const control = (precision: 24 | 53 | 64 = 64, rounding: Rounding = 0, masks = ALL_MASKED): FloatControl => ({
  precision,
  rounding,
  masks,
});
const integer = (value: number): Float80 => fromSigned(BigInt(value), 64);
const LARGEST = float80(0, 0x7ffe, 0xffff_ffff_ffff_ffffn);
const SMALLEST_NORMAL = float80(0, 1, 1n << 63n);
const QUIET = (payload: bigint, sign: 0 | 1 = 0) => float80(sign, 0x7fff, (3n << 62n) | payload);
const SIGNALING = (payload: bigint) => float80(0, 0x7fff, (1n << 63n) | payload);

describe('rounding', () => {
  it.each([
    [24, 0, 0xaaaa_ab00_0000_0000n, true],
    [24, 1, 0xaaaa_aa00_0000_0000n, false],
    [53, 0, 0xaaaa_aaaa_aaaa_a800n, false],
    [53, 2, 0xaaaa_aaaa_aaaa_b000n, true],
    [64, 0, 0xaaaa_aaaa_aaaa_aaabn, true],
    [64, 3, 0xaaaa_aaaa_aaaa_aaaan, false],
  ] as const)('of 1/3 keeps %i bits with rounding control %i', (precision, rounding, significand, up) => {
    expect(divide(ONE, integer(3), control(precision, rounding))).toEqual({
      value: float80(0, 0x3ffd, significand),
      flags: EXCEPTION.PRECISION,
      roundedUp: up,
    });
  });

  it('to nearest takes the even value of a tie', () => {
    const half = float80(0, 0x3ffe, 1n << 63n);
    const integers = [1, 3, 5].map(
      (n) => roundToInteger(multiply(integer(n), half, control()).value, control()).value,
    );
    expect(integers).toEqual([zero(0), integer(2), integer(2)]);
  });
});

describe('overflow', () => {
  it.each([
    [0, infinity(0)],
    [1, LARGEST],
    [2, infinity(0)],
    [3, LARGEST],
  ] as const)('that is masked gives what rounding control %i says', (rounding, value) => {
    const result = add(LARGEST, LARGEST, control(64, rounding));
    expect([result.value, result.flags]).toEqual([value, EXCEPTION.OVERFLOW | EXCEPTION.PRECISION]);
  });

  it('that is not masked divides the result by 2 to the 24576', () => {
    const result = add(LARGEST, LARGEST, control(64, 0, ALL_MASKED & ~EXCEPTION.OVERFLOW));
    expect([result.value, result.flags]).toEqual([
      float80(0, 0x7fff - 24576, LARGEST.significand),
      EXCEPTION.OVERFLOW,
    ]);
  });
});

describe('underflow', () => {
  it('that is masked is reported for inexact results alone', () => {
    const half = float80(0, 0x3ffe, 1n << 63n);
    expect(multiply(SMALLEST_NORMAL, half, control())).toMatchObject({
      value: float80(0, 0, 1n << 62n),
      flags: 0,
    });
    const odd = float80(0, 1, (1n << 63n) | 1n);
    expect(multiply(odd, half, control()).flags).toBe(EXCEPTION.UNDERFLOW | EXCEPTION.PRECISION);
  });

  it('that is not masked multiplies the result by 2 to the 24576', () => {
    const half = float80(0, 0x3ffe, 1n << 63n);
    const result = multiply(SMALLEST_NORMAL, half, control(64, 0, ALL_MASKED & ~EXCEPTION.UNDERFLOW));
    expect([result.value, result.flags]).toEqual([float80(0, 24576, 1n << 63n), EXCEPTION.UNDERFLOW]);
  });
});

describe('NaNs', () => {
  it.each([
    ['a QNaN of an SNaN and a QNaN', SIGNALING(9n), QUIET(1n), QUIET(1n), EXCEPTION.INVALID],
    [
      'the larger significand of two SNaNs, quieted',
      SIGNALING(1n),
      SIGNALING(9n),
      QUIET(9n),
      EXCEPTION.INVALID,
    ],
    ['the larger significand of two QNaNs', QUIET(7n), QUIET(3n), QUIET(7n), 0],
    ['the positive one of equal QNaNs', QUIET(7n, 1), QUIET(7n), QUIET(7n), 0],
    ['the NaN of a NaN and a number', ONE, SIGNALING(5n), QUIET(5n), EXCEPTION.INVALID],
    ['the indefinite of an unnormal', float80(0, 5, 1n), QUIET(1n), INDEFINITE, EXCEPTION.INVALID],
  ] as const)('give %s', (_, a, b, value, flags) => {
    expect(add(a, b, control())).toMatchObject({ value, flags });
    expect(add(b, a, control())).toMatchObject({ value, flags });
  });

  it.each([
    ['∞ - ∞', add(infinity(0), infinity(1), control())],
    ['0 × ∞', multiply(zero(0), infinity(1), control())],
    ['0 / 0', divide(zero(0), zero(0), control())],
    ['∞ / ∞', divide(infinity(0), infinity(1), control())],
    ['√-1', squareRoot(fromSigned(-1n, 64), control())],
    ['∞ rem 1', remainder(infinity(0), ONE, false, control())],
    ['0 scaled by ∞', scaleBy(zero(0), infinity(0), control())],
  ])('come from %s', (_, result) => {
    expect(result).toMatchObject({ value: INDEFINITE, flags: EXCEPTION.INVALID });
  });

  it('are unordered; only signaling ones are invalid for a quiet comparison', () => {
    expect(compare(QUIET(0n), ONE, true)).toEqual({ relation: 'unordered', flags: 0 });
    expect(compare(QUIET(0n), ONE, false)).toEqual({ relation: 'unordered', flags: EXCEPTION.INVALID });
    expect(compare(SIGNALING(1n), ONE, true)).toEqual({ relation: 'unordered', flags: EXCEPTION.INVALID });
  });
});

describe('exceptions', () => {
  it('division by zero comes before denormal operands', () => {
    expect(divide(float80(0, 0, 1n), zero(1), control())).toMatchObject({
      value: infinity(1),
      flags: EXCEPTION.ZERO_DIVIDE,
    });
  });

  it('pseudo-denormals are denormal operands with the value of exponent 1', () => {
    const sum = add(float80(0, 0, 1n << 63n), zero(0), control());
    expect(sum).toMatchObject({ value: SMALLEST_NORMAL, flags: EXCEPTION.DENORMAL });
  });
});

describe('a partial remainder', () => {
  it('gives the low three bits of the quotient', () => {
    expect(remainder(integer(17), integer(3), false, control())).toMatchObject({
      value: integer(2),
      quotient: 5,
    });
    expect(remainder(integer(17), integer(3), true, control())).toMatchObject({
      value: integer(-1),
      quotient: 6,
    });
  });

  it('reduces by 32 to 63 bits at a time', () => {
    const large = float80(0, 16383 + 100, 0xffff_ffff_ffff_ffffn);
    const first = remainder(large, integer(3), false, control());
    expect(first.partial).toBe(true);
    expect(first.value.exponent).toBeLessThan(large.exponent - 31);
  });
});

describe('conversion', () => {
  it('round-trips singles and doubles', () => {
    for (const bits of [
      0n,
      1n,
      0x7f_ffffn,
      0x80_0000n,
      0x3f80_0000n,
      0x7f7f_ffffn,
      0x7f80_0000n,
      0xff80_0000n,
      0x7fc0_0001n,
    ]) {
      expect(toNarrow(fromNarrow(bits, 32), 32, control()).bits).toBe(bits);
    }
    for (const bits of [1n, 0x3ff0_0000_0000_0001n, 0x8000_0000_0000_0000n, 0x7fef_ffff_ffff_ffffn]) {
      expect(toNarrow(fromNarrow(bits, 64), 64, control()).bits).toBe(bits);
    }
  });

  it('to an integer out of range is invalid and gives the indefinite', () => {
    expect(toSigned(integer(32768), 16, 0)).toMatchObject({ bits: 0x8000n, flags: EXCEPTION.INVALID });
    expect(toSigned(integer(-32768), 16, 0)).toMatchObject({ bits: 0x8000n, flags: 0 });
  });

  it('round-trips packed BCD of 18 digits', () => {
    for (const bits of [0n, 0x123456789012345678n, (1n << 79n) | 0x999999999999999999n]) {
      expect(toBcd(fromBcd(bits), 0).bits).toBe(bits);
    }
    expect(toBcd(fromSigned(10n ** 18n, 64), 0)).toMatchObject({
      bits: 0xffffc000000000000000n,
      flags: EXCEPTION.INVALID,
    });
  });
});
