/**
 * WebAssembly functions that compute with zeros and normal numbers of the double extended format, all exceptions masked. Where
 * something else may be the result they change nothing and give 0: the instruction's TypeScript function says what it is.
 *
 * A number is an i32, the sign (bit 15) with the exponent, and an i64, the significand. A result that is not exact has below
 * its significand an i64 `rest`: the 64 bits that follow, the lowest one set if there is more.
 *
 * Intel SDM Vol. 1, "Rounding", 4.8.4; "Floating-Point Exception Conditions", 8.5.
 */
import { BIAS, MAX_EXPONENT } from '../isa/softfloat/float80.ts';
import { EXCEPTION, ROUNDING } from '../isa/softfloat/rounding.ts';
import { STATUS, TAG } from '../isa/x87/fpu.ts';
import { OFFSET } from '../state/layout.ts';
import type { Expression } from './wasm/expressions.ts';
import { Expressions } from './wasm/expressions.ts';
import { FunctionBuilder } from './wasm/functionBuilder.ts';
import type { ModuleBuilder } from './wasm/moduleBuilder.ts';
import type { ValueType } from './wasm/opcodes.ts';

export const SIGN = 0x8000;
const TOP_BIT = 1n << 63n;

export interface ArithmeticIndexes {
  /** (sign, rounding control, significand, rest) -> whether the magnitude is rounded up to the next significand. */
  readonly roundsUp: number;
  /** (a, significand of a, b, significand of b, register) -> 1, or 0: writes the result, sets C1 and PE. */
  readonly add: number;
  readonly subtract: number;
  readonly multiply: number;
  readonly divide: number;
}

/** Adds a function to a module: `write` gets its expressions and parameters, and leaves the results on the stack. */
export function addFunction(
  module: ModuleBuilder,
  parameters: readonly ValueType[],
  results: readonly ValueType[],
  write: (x: Expressions, ...parameters: number[]) => void,
  name?: string,
): number {
  const fn = new FunctionBuilder(parameters, results);
  write(new Expressions(fn), ...parameters.keys());
  return module.add(fn, name);
}

/** The rounding control of the control word. */
export function roundingControl(x: Expressions): Expression {
  return x.op('i32_and', x.op('i32_shr_u', x.load('i32_load', OFFSET.X87_CONTROL), x.i32(10)), x.i32(3));
}

/** Status bits with others in place of C1. */
export function setStatus(x: Expressions, mask: number, bits: Expression): void {
  const kept = x.op('i32_and', x.load('i32_load', OFFSET.X87_STATUS), x.i32(~mask));
  x.store('i32_store', OFFSET.X87_STATUS, x.op('i32_or', kept, bits));
}

export function setTag(x: Expressions, register: number, tag: Expression): void {
  const shift = x.op('i32_shr_u', x.local(register), x.i32(2));
  const others = x.op(
    'i32_and',
    x.load('i32_load', OFFSET.X87_TAG),
    x.op('i32_xor', x.op('i32_shl', x.i32(TAG.EMPTY), shift), x.i32(-1)),
  );
  x.store('i32_store', OFFSET.X87_TAG, x.op('i32_or', others, x.op('i32_shl', tag, shift)));
}

/** Without the tag. `register`: 8 times its physical number. */
function writeContent(x: Expressions, register: number, top: Expression, significand: Expression): void {
  const half = x.op('i32_shr_u', x.local(register), x.i32(1));
  x.store('i32_store', OFFSET.X87_EXPONENT, top, half);
  x.store('i64_store', OFFSET.X87_SIGNIFICAND, significand, x.local(register));
}

export function addArithmetic(module: ModuleBuilder, multiplyHigh: number): ArithmeticIndexes {
  const roundsUp = addFunction(module, ['i32', 'i32', 'i64', 'i64'], ['i32'], writeRoundsUp);
  const round = addFunction(module, ['i32', 'i32', 'i64', 'i64', 'i32'], ['i32'], (x, ...parameters) =>
    writeRound(x, roundsUp, parameters),
  );
  const binary = (body: (x: Expressions, ...parameters: number[]) => void) =>
    addFunction(module, ['i32', 'i64', 'i32', 'i64', 'i32'], ['i32'], body);
  const add = binary((x, ...parameters) => writeAdd(x, { round }, parameters));
  const subtract = binary((x, a, significandA, b, significandB, to) => {
    const negated = x.op('i32_xor', x.local(b as number), x.i32(SIGN));
    x.call(
      add,
      x.local(a),
      x.local(significandA as number),
      negated,
      x.local(significandB as number),
      x.local(to as number),
    )();
  });
  const multiply = binary((x, ...parameters) => writeMultiply(x, { round, multiplyHigh }, parameters));
  const digit = addFunction(module, ['i64', 'i64', 'i64'], ['i64'], writeDigit);
  const divide = binary((x, ...parameters) => writeDivide(x, { round, digit }, parameters));
  return { roundsUp, add, subtract, multiply, divide };
}

function writeRoundsUp(
  x: Expressions,
  sign: number,
  control: number,
  significand: number,
  rest: number,
): void {
  const is = (value: number) => x.op('i32_eq', x.local(control), x.i32(value));
  x.when(x.op('i32_eqz', x.local(control)), () => {
    const above = x.op('i64_gt_u', x.local(rest), x.i64(TOP_BIT));
    const half = x.op('i64_eq', x.local(rest), x.i64(TOP_BIT));
    const odd = x.op('i32_wrap_i64', x.op('i64_and', x.local(significand), x.i64(1)));
    x.give(x.op('i32_or', above, x.op('i32_and', half, odd)));
  });
  const away = x.op(
    'i32_or',
    x.op('i32_and', is(ROUNDING.UP), x.op('i32_eqz', x.local(sign))),
    x.op('i32_and', is(ROUNDING.DOWN), x.op('i32_ne', x.local(sign), x.i32(0))),
  );
  x.op('i32_and', away, x.op('i64_ne', x.local(rest), x.i64(0)))();
}

/** Writes a zero or normal number, with its tag. */
export function writePlain(x: Expressions, register: number, top: Expression, significand: number): void {
  writeContent(x, register, top, x.local(significand));
  // TAG.ZERO is 1 and TAG.VALID 0.
  setTag(x, register, x.op('i64_eqz', x.local(significand)));
}

/** What an operation has computed, in locals. */
interface Unrounded {
  readonly sign: number;
  readonly exponent: number;
  readonly significand: number;
  readonly rest: number;
  readonly register: number;
}

/** Pushes 1 after it has written the rounded result, or 0. To nearest with 64 bits it goes without a call. */
function finish(x: Expressions, round: number, result: Unrounded): void {
  const { sign, exponent, significand, rest, register } = result;
  const control = x.op('i32_and', x.load('i32_load', OFFSET.X87_CONTROL), x.i32(0xf00));
  x.when(x.op('i32_ne', control, x.i32(0x300)), () =>
    x.give(x.call(round, ...[sign, exponent, significand, rest, register].map((local) => x.local(local)))),
  );
  giveUpNearLimits(x, exponent);
  const odd = x.op('i64_and', x.local(significand), x.i64(1));
  const belowHalf = x.op('i64_or', x.op('i64_shl', x.local(rest), x.i64(1)), odd);
  const half = x.op('i64_lt_s', x.local(rest), x.i64(0));
  const up = x.keep('i32', x.op('i32_and', half, x.op('i64_ne', belowHalf, x.i64(0))));
  x.set(significand, x.op('i64_add', x.local(significand), x.op('i64_extend_i32_u', x.local(up))));
  writeRounded(x, result, up);
}

/** (sign, exponent, significand, rest, register): rounds to the precision and in the direction of the control word. */
function writeRound(x: Expressions, roundsUp: number, parameters: readonly number[]): void {
  const [sign, exponent, significand, rest, register] = parameters as [
    number,
    number,
    number,
    number,
    number,
  ];
  giveUpNearLimits(x, exponent);
  // Significand bits that are dropped: precision control 0 is 24 bits, 2 is 53.
  const precision = x.keep('i32', x.op('i32_and', x.load('i32_load', OFFSET.X87_CONTROL), x.i32(0x300)));
  const dropped = x.keep('i64', x.i64(0));
  x.when(x.op('i32_eqz', x.local(precision)), () => x.set(dropped, x.i64(40)));
  x.when(x.op('i32_eq', x.local(precision), x.i32(0x200)), () => x.set(dropped, x.i64(11)));
  x.when(x.op('i64_ne', x.local(dropped), x.i64(0)), () => {
    const more = x.op('i64_extend_i32_u', x.op('i64_ne', x.local(rest), x.i64(0)));
    const below = x.op('i64_shl', x.local(significand), x.op('i64_sub', x.i64(64), x.local(dropped)));
    x.set(rest, x.op('i64_or', below, more));
    x.set(significand, x.op('i64_shr_u', x.local(significand), x.local(dropped)));
  });
  const up = x.keep(
    'i32',
    x.call(roundsUp, x.local(sign), roundingControl(x), x.local(significand), x.local(rest)),
  );
  const sum = x.op('i64_add', x.local(significand), x.op('i64_extend_i32_u', x.local(up)));
  x.set(significand, x.op('i64_shl', sum, x.local(dropped)));
  writeRounded(x, { sign, exponent, significand, rest, register }, up);
}

/** What comes near the ends of the exponent range may overflow or underflow. */
function giveUpNearLimits(x: Expressions, exponent: number): void {
  const fromTwo = x.op('i32_sub', x.local(exponent), x.i32(2));
  x.when(x.op('i32_lt_u', x.i32(MAX_EXPONENT - 4), fromTwo), () => x.give(x.i32(0)));
}

/** The significand is rounded, and 0 after a carry. */
function writeRounded(x: Expressions, result: Unrounded, up: number): void {
  const { sign, exponent, significand, rest, register } = result;
  x.when(x.op('i64_eqz', x.local(significand)), () => {
    x.set(significand, x.i64(TOP_BIT));
    x.set(exponent, x.op('i32_add', x.local(exponent), x.i32(1)));
  });
  writeContent(x, register, x.op('i32_or', x.local(sign), x.local(exponent)), x.local(significand));
  setTag(x, register, x.i32(TAG.VALID));
  setStatus(x, STATUS.C1, roundingFlags(x, rest, up));
  x.i32(1)();
}

/** PE and C1 for a rest, and whether it was rounded up. */
export function roundingFlags(x: Expressions, rest: number, up: number): Expression {
  const inexact = x.op('i64_ne', x.local(rest), x.i64(0));
  return x.op(
    'i32_or',
    x.op('i32_shl', x.local(up), x.i32(Math.log2(STATUS.C1))),
    x.op('i32_shl', inexact, x.i32(Math.log2(EXCEPTION.PRECISION))),
  );
}

/** Gives 1 after a zero result, which is exact. */
function giveZero(x: Expressions, sign: Expression, register: number): void {
  writeContent(x, register, sign, x.i64(0));
  setTag(x, register, x.i32(TAG.ZERO));
  setStatus(x, STATUS.C1, x.i32(0));
  x.give(x.i32(1));
}

const signOf = (x: Expressions, top: number) => x.op('i32_and', x.local(top), x.i32(SIGN));
const exponentOf = (x: Expressions, top: number) => x.op('i32_and', x.local(top), x.i32(MAX_EXPONENT));

function writeAdd(x: Expressions, { round }: { round: number }, parameters: readonly number[]): void {
  const [a, significandA, b, significandB, to] = parameters as [number, number, number, number, number];
  const rounded = (top: number, significand: number) =>
    x.call(round, signOf(x, top), exponentOf(x, top), x.local(significand), x.i64(0), x.local(to));
  /** The sign of a sum of opposite numbers. */
  const emptySign = () =>
    x.op('i32_shl', x.op('i32_eq', roundingControl(x), x.i32(ROUNDING.DOWN)), x.i32(Math.log2(SIGN)));
  const sameSign = x.keep(
    'i32',
    x.op('i32_eqz', x.op('i32_and', x.op('i32_xor', x.local(a), x.local(b)), x.i32(SIGN))),
  );
  x.when(x.op('i64_eqz', x.local(significandB)), () => {
    x.when(x.op('i64_eqz', x.local(significandA)), () => {
      x.when(
        x.local(sameSign),
        () => giveZero(x, signOf(x, a), to),
        () => giveZero(x, emptySign(), to),
      );
    });
    x.give(rounded(a, significandA));
  });
  x.when(x.op('i64_eqz', x.local(significandA)), () => x.give(rounded(b, significandB)));
  const exponent = x.keep('i32', exponentOf(x, a));
  const distance = x.keep('i32', x.op('i32_sub', x.local(exponent), exponentOf(x, b)));
  const smaller = x.op(
    'i32_or',
    x.op('i32_lt_s', x.local(distance), x.i32(0)),
    x.op(
      'i32_and',
      x.op('i32_eqz', x.local(distance)),
      x.op('i64_lt_u', x.local(significandA), x.local(significandB)),
    ),
  );
  const sign = x.keep('i32', signOf(x, a));
  x.when(smaller, () => {
    x.set(sign, signOf(x, b));
    x.set(exponent, exponentOf(x, b));
    x.set(distance, x.op('i32_sub', x.i32(0), x.local(distance)));
    const exchanged = x.keep('i64', x.local(significandA));
    x.set(significandA, x.local(significandB));
    x.set(significandB, x.local(exchanged));
  });
  const rest = x.keep('i64', x.i64(0));
  x.when(
    x.op('i32_lt_u', x.local(distance), x.i32(64)),
    () => {
      const by = x.keep('i64', x.op('i64_extend_i32_u', x.local(distance)));
      const doubled = x.op('i64_shl', x.local(significandB), x.i64(1));
      x.set(rest, x.op('i64_shl', doubled, x.op('i64_sub', x.i64(63), x.local(by))));
      x.set(significandB, x.op('i64_shr_u', x.local(significandB), x.local(by)));
    },
    () => {
      // From a distance of 66 on it only matters that there is something.
      const half = x.op('i64_shr_u', x.local(significandB), x.i64(1));
      const near = x.op('i64_or', half, x.op('i64_and', x.local(significandB), x.i64(1)));
      const isAt = (value: number) => x.op('i32_eq', x.local(distance), x.i32(value));
      x.set(rest, x.op('select', near, x.i64(1), isAt(65)));
      x.set(rest, x.op('select', x.local(significandB), x.local(rest), isAt(64)));
      x.set(significandB, x.i64(0));
    },
  );
  x.when(
    x.local(sameSign),
    () => {
      const sum = x.keep('i64', x.op('i64_add', x.local(significandA), x.local(significandB)));
      x.when(x.op('i64_lt_u', x.local(sum), x.local(significandA)), () => {
        const sticky = x.op('i64_and', x.local(rest), x.i64(1));
        const below = x.op('i64_or', x.op('i64_shr_u', x.local(rest), x.i64(1)), sticky);
        x.set(rest, x.op('i64_or', x.op('i64_shl', x.local(sum), x.i64(63)), below));
        x.set(sum, x.op('i64_or', x.op('i64_shr_u', x.local(sum), x.i64(1)), x.i64(TOP_BIT)));
        x.set(exponent, x.op('i32_add', x.local(exponent), x.i32(1)));
      });
      x.set(significandA, x.local(sum));
    },
    () => {
      const borrow = x.op('i64_extend_i32_u', x.op('i64_ne', x.local(rest), x.i64(0)));
      const difference = x.op('i64_sub', x.local(significandA), x.local(significandB));
      x.set(significandA, x.op('i64_sub', difference, borrow));
      x.set(rest, x.op('i64_sub', x.i64(0), x.local(rest)));
      x.when(x.op('i64_eqz', x.local(significandA)), () => {
        x.when(x.op('i64_eqz', x.local(rest)), () => giveZero(x, emptySign(), to));
        x.set(significandA, x.local(rest));
        x.set(rest, x.i64(0));
        x.set(exponent, x.op('i32_sub', x.local(exponent), x.i32(64)));
      });
      const zeros = x.keep('i64', x.op('i64_clz', x.local(significandA)));
      const half = x.op('i64_shr_u', x.local(rest), x.i64(1));
      const incoming = x.op('i64_shr_u', half, x.op('i64_sub', x.i64(63), x.local(zeros)));
      x.set(significandA, x.op('i64_or', x.op('i64_shl', x.local(significandA), x.local(zeros)), incoming));
      x.set(rest, x.op('i64_shl', x.local(rest), x.local(zeros)));
      x.set(exponent, x.op('i32_sub', x.local(exponent), x.op('i32_wrap_i64', x.local(zeros))));
    },
  );
  finish(x, round, { sign, exponent, significand: significandA, rest, register: to });
}

function productSign(x: Expressions, a: number, b: number): Expression {
  return x.op('i32_and', x.op('i32_xor', x.local(a), x.local(b)), x.i32(SIGN));
}

function writeMultiply(
  x: Expressions,
  { round, multiplyHigh }: { round: number; multiplyHigh: number },
  parameters: readonly number[],
): void {
  const [a, significandA, b, significandB, to] = parameters as [number, number, number, number, number];
  const sign = x.keep('i32', productSign(x, a, b));
  const isZero = (local: number) => x.op('i64_eqz', x.local(local));
  x.when(x.op('i32_or', isZero(significandA), isZero(significandB)), () => giveZero(x, x.local(sign), to));
  const high = x.keep('i64', x.call(multiplyHigh, x.local(significandA), x.local(significandB)));
  const low = x.keep('i64', x.op('i64_mul', x.local(significandA), x.local(significandB)));
  const exponents = x.op('i32_add', exponentOf(x, a), exponentOf(x, b));
  const exponent = x.keep('i32', x.op('i32_sub', exponents, x.i32(BIAS - 1)));
  x.when(x.op('i64_ge_s', x.local(high), x.i64(0)), () => {
    const doubled = x.op('i64_shl', x.local(high), x.i64(1));
    x.set(high, x.op('i64_or', doubled, x.op('i64_shr_u', x.local(low), x.i64(63))));
    x.set(low, x.op('i64_shl', x.local(low), x.i64(1)));
    x.set(exponent, x.op('i32_sub', x.local(exponent), x.i32(1)));
  });
  finish(x, round, { sign, exponent, significand: high, rest: low, register: to });
}

/** (remainder, next 32 bits, divisor with bit 63 set) -> the next digit to the base 2^32 of a long division. */
function writeDigit(x: Expressions, remainder: number, next: number, divisor: number): void {
  const high = x.keep('i64', x.op('i64_shr_u', x.local(divisor), x.i64(32)));
  const low = x.keep('i64', x.op('i64_and', x.local(divisor), x.i64(0xffff_ffffn)));
  const digit = x.keep('i64', x.op('i64_div_u', x.local(remainder), x.local(high)));
  const left = x.keep(
    'i64',
    x.op('i64_sub', x.local(remainder), x.op('i64_mul', x.local(digit), x.local(high))),
  );
  const again = x.fn.loop();
  const tooLarge = x.op(
    'i64_gt_u',
    x.op('i64_mul', x.local(digit), x.local(low)),
    x.op('i64_or', x.op('i64_shl', x.local(left), x.i64(32)), x.local(next)),
  );
  const beyond = x.op('i64_ne', x.op('i64_shr_u', x.local(digit), x.i64(32)), x.i64(0));
  x.when(x.op('i32_or', beyond, tooLarge), () => {
    x.set(digit, x.op('i64_sub', x.local(digit), x.i64(1)));
    x.set(left, x.op('i64_add', x.local(left), x.local(high)));
    x.op('i64_eqz', x.op('i64_shr_u', x.local(left), x.i64(32)))();
    x.fn.brIf(again);
  });
  x.fn.end();
  x.local(digit)();
}

function writeDivide(
  x: Expressions,
  { round, digit }: { round: number; digit: number },
  parameters: readonly number[],
): void {
  const [a, significandA, b, divisor, to] = parameters as [number, number, number, number, number];
  x.when(x.op('i64_eqz', x.local(divisor)), () => x.give(x.i32(0)));
  const sign = x.keep('i32', productSign(x, a, b));
  x.when(x.op('i64_eqz', x.local(significandA)), () => giveZero(x, x.local(sign), to));
  const exponents = x.op('i32_sub', exponentOf(x, a), exponentOf(x, b));
  const exponent = x.keep('i32', x.op('i32_add', exponents, x.i32(BIAS - 1)));
  const low = x.keep('i64', x.i64(0));
  x.when(x.op('i64_ge_u', x.local(significandA), x.local(divisor)), () => {
    x.set(low, x.op('i64_shl', x.local(significandA), x.i64(63)));
    x.set(significandA, x.op('i64_shr_u', x.local(significandA), x.i64(1)));
    x.set(exponent, x.op('i32_add', x.local(exponent), x.i32(1)));
  });
  const remainder = x.keep('i64', x.local(significandA));
  const quotient = x.keep('i64', x.i64(0));
  const next = x.fn.allocate('i64');
  const current = x.fn.allocate('i64');
  for (const piece of [
    x.op('i64_shr_u', x.local(low), x.i64(32)),
    x.op('i64_and', x.local(low), x.i64(0xffff_ffffn)),
  ]) {
    x.set(next, piece);
    x.set(current, x.call(digit, x.local(remainder), x.local(next), x.local(divisor)));
    x.set(quotient, x.op('i64_or', x.op('i64_shl', x.local(quotient), x.i64(32)), x.local(current)));
    const shifted = x.op('i64_or', x.op('i64_shl', x.local(remainder), x.i64(32)), x.local(next));
    x.set(remainder, x.op('i64_sub', shifted, x.op('i64_mul', x.local(current), x.local(divisor))));
  }
  // Twice the remainder against the divisor; an exact half does not come about.
  const more = x.op('i64_gt_u', x.local(remainder), x.op('i64_sub', x.local(divisor), x.local(remainder)));
  const rest = x.op('select', x.i64(TOP_BIT | 1n), x.i64(1), more);
  x.set(next, x.op('select', x.i64(0), rest, x.op('i64_eqz', x.local(remainder))));
  finish(x, round, { sign, exponent, significand: quotient, rest: next, register: to });
}
