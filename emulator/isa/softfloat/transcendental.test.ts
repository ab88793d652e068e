import { describe, expect, it } from 'vitest';
import { fromSigned } from './convert.ts';
import { type Float80, float80, INDEFINITE, infinity, negate, ONE, zero } from './float80.ts';
import { EXCEPTION, type FloatControl, type Rounding } from './rounding.ts';
import { atan2, cos, exponential, logarithm, logarithmPlus1, sin, tan } from './transcendental.ts';

const control = (rounding: Rounding = 0, masks = 0x3f): FloatControl => ({ precision: 64, rounding, masks });
const NEAREST = control();
const integer = (value: number): Float80 => fromSigned(BigInt(value), 64);
const PI = float80(0, 0x4000, 0xc90f_daa2_2168_c235n);
const HALF_PI = float80(0, 0x3fff, 0xc90f_daa2_2168_c235n);
const { PRECISION, INVALID, ZERO_DIVIDE, UNDERFLOW, DENORMAL } = EXCEPTION;

describe('the trigonometric functions', () => {
  it('reduce their argument by the 66-bit π, so that sin π is −2^-64', () => {
    expect(sin(PI, NEAREST)).toEqual({
      value: float80(1, 0x3fff - 64, 1n << 63n),
      flags: PRECISION,
      roundedUp: true,
    });
    expect(cos(PI, NEAREST).value).toEqual(negate(ONE));
  });

  it('are correctly rounded in every direction', () => {
    // sin 1 = 0.D76AA478 48677020 C6E9…
    const rounded = ([0, 1, 2, 3] as const).map((rounding) => sin(ONE, control(rounding)).value.significand);
    const down = 0xd76a_a478_4867_7020n;
    expect(rounded).toEqual([down + 1n, down, down + 1n, down]);
  });

  it('of tiny arguments are next to the argument, or to 1', () => {
    const tiny = float80(0, 0x3fff - 100, 1n << 63n);
    const below = float80(0, 0x3fff - 101, (1n << 64n) - 1n);
    expect(sin(tiny, control(1)).value).toEqual(below);
    expect(sin(tiny, NEAREST)).toEqual({ value: tiny, flags: PRECISION, roundedUp: true });
    expect(tan(tiny, control(2)).value).toEqual(float80(0, 0x3fff - 100, (1n << 63n) + 1n));
    expect(cos(tiny, control(3)).value).toEqual(float80(0, 0x3ffe, (1n << 64n) - 1n));
  });

  it('of a denormal underflow', () => {
    const denormal = float80(0, 0, 5n);
    expect(sin(denormal, NEAREST)).toMatchObject({
      value: denormal,
      flags: DENORMAL | UNDERFLOW | PRECISION,
    });
  });

  it('do nothing from 2^63 on, and have no value for infinities', () => {
    const large = float80(1, 0x3fff + 63, 1n << 63n);
    expect(sin(large, NEAREST)).toMatchObject({ value: large, flags: 0, outOfRange: true });
    expect(cos(infinity(1), NEAREST)).toMatchObject({ value: INDEFINITE, flags: INVALID });
  });

  it('keep the sign of zero', () => {
    expect([sin, tan].map((f) => f(zero(1), NEAREST).value)).toEqual([zero(1), zero(1)]);
    expect(cos(zero(1), NEAREST).value).toEqual(ONE);
  });
});

describe('the angle of a point', () => {
  it.each([
    ['infinity, infinity', infinity(0), infinity(0), float80(0, 0x3ffe, PI.significand)],
    ['infinity, −infinity', infinity(1), infinity(1), float80(1, 0x4000, 0x96cb_e3f9_990e_91a8n)],
    ['0, −0', zero(0), zero(1), PI],
    ['−0, 1', zero(1), ONE, zero(1)],
    ['1, 0', ONE, zero(1), HALF_PI],
    ['−1, −1', negate(ONE), negate(ONE), float80(1, 0x4000, 0x96cb_e3f9_990e_91a8n)],
    ['a finite value, infinity', integer(-7), infinity(0), zero(1)],
  ])('%s', (_name, y, x, value) => {
    expect(atan2(y, x, NEAREST).value).toEqual(value);
  });

  it('between 0 and π/4 is the arc tangent', () => {
    // atan 1/2 = 0.76B19C15 86ED3DA2 B7F2… · 2^0
    expect(atan2(ONE, integer(2), control(3)).value).toEqual(float80(0, 0x3ffd, 0xed63_382b_0dda_7b45n));
  });
});

describe('exponential and logarithms', () => {
  it('2^x − 1 is exact at −1, 0 and 1', () => {
    expect(exponential(ONE, NEAREST)).toMatchObject({ value: ONE, flags: 0 });
    expect(exponential(negate(ONE), NEAREST)).toMatchObject({
      value: float80(1, 0x3ffe, 1n << 63n),
      flags: 0,
    });
    expect(exponential(infinity(1), NEAREST).value).toEqual(negate(ONE));
    // √2 − 1
    const half = float80(0, 0x3ffe, 1n << 63n);
    expect(exponential(half, NEAREST).value).toEqual(float80(0, 0x3ffd, 0xd413_cccf_e779_9211n));
  });

  it('y·log2(x) of a power of two is y times its exponent', () => {
    expect(logarithm(integer(5), integer(8), NEAREST).value).toEqual(integer(15));
    expect(logarithm(integer(-5), ONE, NEAREST)).toMatchObject({ value: zero(1), flags: 0 });
  });

  it('y·log2(x) around 1 keeps all bits', () => {
    // 1 / ln 2 = B8AA3B295C17F0BB.BE…; log2(1 + 2^-63) is smaller by half a unit of 2^-63.
    const x = float80(0, 0x3fff, (1n << 63n) + 1n);
    expect(logarithm(ONE, x, NEAREST).value).toEqual(float80(0, 0x3fff - 63, 0xb8aa_3b29_5c17_f0bbn));
    const tiny = float80(0, 1, 1n << 63n);
    expect(logarithmPlus1(ONE, tiny, NEAREST).value).toEqual(float80(0, 1, 0xb8aa_3b29_5c17_f0bcn));
  });

  it.each([
    ['a negative x', ONE, integer(-2), INDEFINITE, INVALID],
    ['zero', ONE, zero(1), infinity(1), ZERO_DIVIDE],
    ['zero and infinity', infinity(1), zero(0), infinity(0), 0],
    ['zero and zero', zero(0), zero(0), INDEFINITE, INVALID],
    ['1 and infinity', infinity(0), ONE, INDEFINITE, INVALID],
    ['infinity and zero', zero(0), infinity(0), INDEFINITE, INVALID],
    ['infinity', integer(-1), infinity(0), infinity(1), 0],
    ['1/2 and infinity', infinity(0), float80(0, 0x3ffe, 1n << 63n), infinity(1), 0],
  ])('y·log2(x) of %s', (_name, y, x, value, flags) => {
    expect(logarithm(y, x, NEAREST)).toMatchObject({ value, flags });
  });

  it('y·log2(x + 1) of zero has the sign of the product, of infinity the sign of y', () => {
    expect(logarithmPlus1(negate(ONE), zero(1), NEAREST).value).toEqual(zero(0));
    expect(logarithmPlus1(negate(ONE), infinity(0), NEAREST).value).toEqual(infinity(1));
    expect(logarithmPlus1(infinity(0), zero(0), NEAREST)).toMatchObject({ flags: INVALID });
  });
});
