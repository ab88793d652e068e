/**
 * WebAssembly that computes with zeros and normal numbers of the double extended format, all exceptions masked. Where something
 * else may be the result, the function that it is part of gives 0: the instruction's TypeScript function says what it is.
 *
 * A number is an i32, the sign (bit 15) with the exponent, and an i64, the significand. A result that is not exact has below
 * its significand an i64 `rest`: the 64 bits that follow, the lowest one set if there is more.
 *
 * Intel SDM Vol. 1, "Rounding", 4.8.4; "Floating-Point Exception Conditions", 8.5.
 */
import { BIAS, INTEGER_BIT, MAX_EXPONENT } from '../isa/softfloat/float80.ts';
import { EXCEPTION, ROUNDING } from '../isa/softfloat/rounding.ts';
import { STATUS } from '../isa/x87/fpu.ts';
import { OFFSET } from '../state/layout.ts';
import type { Expression } from './wasm/expressions.ts';
import { Expressions } from './wasm/expressions.ts';
import { FunctionBuilder, type Label } from './wasm/functionBuilder.ts';
import type { ModuleBuilder } from './wasm/moduleBuilder.ts';
import type { ValueType } from './wasm/opcodes.ts';

export const SIGN = 0x8000;
/** Rounding and precision control, and their values in programs: to nearest, 64 bits. */
const CONTROLS = 0xf00;
const USUAL = 0x300;

/** A zero or normal number in locals. */
export interface Plain {
  readonly top: number;
  readonly significand: number;
}

/** A number with the PE and C1 of its rounding, in locals. */
interface Rounded extends Plain {
  readonly flags: number;
}

/** A rounded result, and where code goes on that has it early. */
interface Result extends Rounded {
  readonly end: Label;
}

/** What an operation has computed, in locals. */
interface Unrounded {
  readonly sign: number;
  readonly exponent: number;
  readonly significand: number;
  readonly rest: number;
}

export type Operation = 'add' | 'subtract' | 'multiply' | 'divide';

/** Functions that the operations call. */
export interface ArithmeticIndexes {
  /** (sign, rounding control, significand, rest) -> whether the magnitude is rounded up to the next significand. */
  readonly roundsUp: number;
  /** (sign, significand, rest) -> by the control word: significand, 0 after a carry; rest; whether it was rounded up. */
  readonly round: number;
  readonly multiplyHigh: number;
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

export function addRounding(module: ModuleBuilder, multiplyHigh: number): ArithmeticIndexes {
  const roundsUp = addFunction(module, ['i32', 'i32', 'i64', 'i64'], ['i32'], writeRoundsUp);
  const round = addFunction(module, ['i32', 'i64', 'i64'], ['i64', 'i64', 'i32'], (x, ...parameters) =>
    writeRound(x, roundsUp, parameters),
  );
  return { roundsUp, round, multiplyHigh };
}

/** Computes into locals, or returns 0 (i64). May change the operands. */
export function compute(
  x: Expressions,
  operation: Operation,
  a: Plain,
  b: Plain,
  functions: ArithmeticIndexes,
): Rounded {
  const top = x.fn.allocate('i32');
  const significand = x.fn.allocate('i64');
  const flags = x.fn.allocate('i32');
  const result = { top, significand, flags, end: x.fn.block() };
  switch (operation) {
    case 'subtract':
      x.set(b.top, x.op('i32_xor', x.local(b.top), x.i32(SIGN)));
      add(x, a, b, functions, result);
      break;
    case 'add':
      add(x, a, b, functions, result);
      break;
    case 'multiply':
      multiply(x, a, b, functions, result);
      break;
    case 'divide':
      divide(x, a, b, functions, result);
  }
  x.fn.end();
  return result;
}

/** The rounding control of the control word. */
export function roundingControl(x: Expressions): Expression {
  return x.op('i32_and', x.op('i32_shr_u', x.load('i32_load', OFFSET.X87_CONTROL), x.i32(10)), x.i32(3));
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

function writeRoundsUp(
  x: Expressions,
  sign: number,
  control: number,
  significand: number,
  rest: number,
): void {
  const is = (value: number) => x.op('i32_eq', x.local(control), x.i32(value));
  x.when(x.op('i32_eqz', x.local(control)), () => {
    const above = x.op('i64_gt_u', x.local(rest), x.i64(INTEGER_BIT));
    const half = x.op('i64_eq', x.local(rest), x.i64(INTEGER_BIT));
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

/** (sign, significand, rest): see {@link ArithmeticIndexes}. */
function writeRound(x: Expressions, roundsUp: number, parameters: readonly number[]): void {
  const [sign, significand, rest] = parameters as [number, number, number];
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
  x.op('i64_shl', sum, x.local(dropped))();
  x.local(rest)();
  x.local(up)();
}

/** Rounds; returns 0 where an overflow or underflow comes near. To nearest with 64 bits it goes without a call. */
function finish(x: Expressions, { round }: ArithmeticIndexes, value: Unrounded, result: Rounded): void {
  const { sign, exponent, significand, rest } = value;
  const fromTwo = x.op('i32_sub', x.local(exponent), x.i32(2));
  x.when(x.op('i32_lt_u', x.i32(MAX_EXPONENT - 4), fromTwo), () => x.give(x.i64(0)));
  const up = x.fn.allocate('i32');
  const control = x.op('i32_and', x.load('i32_load', OFFSET.X87_CONTROL), x.i32(CONTROLS));
  x.when(
    x.op('i32_eq', control, x.i32(USUAL)),
    () => {
      const odd = x.op('i64_and', x.local(significand), x.i64(1));
      const belowHalf = x.op('i64_or', x.op('i64_shl', x.local(rest), x.i64(1)), odd);
      const half = x.op('i64_lt_s', x.local(rest), x.i64(0));
      x.set(up, x.op('i32_and', half, x.op('i64_ne', belowHalf, x.i64(0))));
      x.set(significand, x.op('i64_add', x.local(significand), x.op('i64_extend_i32_u', x.local(up))));
    },
    () => {
      x.call(round, x.local(sign), x.local(significand), x.local(rest))();
      x.take(significand, rest, up);
    },
  );
  x.when(x.op('i64_eqz', x.local(significand)), () => {
    x.set(significand, x.i64(INTEGER_BIT));
    x.set(exponent, x.op('i32_add', x.local(exponent), x.i32(1)));
  });
  x.set(result.top, x.op('i32_or', x.local(sign), x.local(exponent)));
  x.set(result.significand, x.local(significand));
  x.set(result.flags, roundingFlags(x, rest, up));
}

/** The result is a zero, which is exact. */
function zero(x: Expressions, result: Result, sign: Expression): void {
  x.set(result.top, sign);
  x.set(result.significand, x.i64(0));
  x.set(result.flags, x.i32(0));
  x.fn.br(result.end);
}

const signOf = (x: Expressions, top: number) => x.op('i32_and', x.local(top), x.i32(SIGN));
const exponentOf = (x: Expressions, top: number) => x.op('i32_and', x.local(top), x.i32(MAX_EXPONENT));

function add(
  x: Expressions,
  first: Plain,
  second: Plain,
  functions: ArithmeticIndexes,
  result: Result,
): void {
  const { top: a, significand: significandA } = first;
  const { top: b, significand: significandB } = second;
  /** The sign of a sum of opposite numbers. */
  const emptySign = () =>
    x.op('i32_shl', x.op('i32_eq', roundingControl(x), x.i32(ROUNDING.DOWN)), x.i32(Math.log2(SIGN)));
  const sameSign = x.keep(
    'i32',
    x.op('i32_eqz', x.op('i32_and', x.op('i32_xor', x.local(a), x.local(b)), x.i32(SIGN))),
  );
  x.when(x.op('i64_eqz', x.op('i64_or', x.local(significandA), x.local(significandB))), () =>
    zero(x, result, x.op('select', signOf(x, a), emptySign(), x.local(sameSign))),
  );
  // A zero counts as nothing below the other operand: its significand is 0.
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
      const far = x.op('i64_extend_i32_u', x.op('i64_ne', x.local(significandB), x.i64(0)));
      x.set(rest, x.op('select', near, far, isAt(65)));
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
        x.set(sum, x.op('i64_or', x.op('i64_shr_u', x.local(sum), x.i64(1)), x.i64(INTEGER_BIT)));
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
        x.when(x.op('i64_eqz', x.local(rest)), () => zero(x, result, emptySign()));
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
  finish(x, functions, { sign, exponent, significand: significandA, rest }, result);
}

function productSign(x: Expressions, a: number, b: number): Expression {
  return x.op('i32_and', x.op('i32_xor', x.local(a), x.local(b)), x.i32(SIGN));
}

function multiply(x: Expressions, a: Plain, b: Plain, functions: ArithmeticIndexes, result: Result): void {
  const sign = x.keep('i32', productSign(x, a.top, b.top));
  const isZero = ({ significand }: Plain) => x.op('i64_eqz', x.local(significand));
  x.when(x.op('i32_or', isZero(a), isZero(b)), () => zero(x, result, x.local(sign)));
  const high = x.keep('i64', x.call(functions.multiplyHigh, x.local(a.significand), x.local(b.significand)));
  const low = x.keep('i64', x.op('i64_mul', x.local(a.significand), x.local(b.significand)));
  const exponents = x.op('i32_add', exponentOf(x, a.top), exponentOf(x, b.top));
  const exponent = x.keep('i32', x.op('i32_sub', exponents, x.i32(BIAS - 1)));
  x.when(x.op('i64_ge_s', x.local(high), x.i64(0)), () => {
    const doubled = x.op('i64_shl', x.local(high), x.i64(1));
    x.set(high, x.op('i64_or', doubled, x.op('i64_shr_u', x.local(low), x.i64(63))));
    x.set(low, x.op('i64_shl', x.local(low), x.i64(1)));
    x.set(exponent, x.op('i32_sub', x.local(exponent), x.i32(1)));
  });
  finish(x, functions, { sign, exponent, significand: high, rest: low }, result);
}

/** The next digit to the base 2^32 of a long division: of a remainder and the next 32 bits by a divisor with bit 63 set. */
function nextDigit(x: Expressions, remainder: number, next: number, divisor: number): number {
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
  return digit;
}

function divide(x: Expressions, a: Plain, b: Plain, functions: ArithmeticIndexes, result: Result): void {
  const divisor = b.significand;
  x.when(x.op('i64_eqz', x.local(divisor)), () => x.give(x.i64(0)));
  const sign = x.keep('i32', productSign(x, a.top, b.top));
  const remainder = x.keep('i64', x.local(a.significand));
  x.when(x.op('i64_eqz', x.local(remainder)), () => zero(x, result, x.local(sign)));
  const exponents = x.op('i32_sub', exponentOf(x, a.top), exponentOf(x, b.top));
  const exponent = x.keep('i32', x.op('i32_add', exponents, x.i32(BIAS - 1)));
  const low = x.keep('i64', x.i64(0));
  x.when(x.op('i64_ge_u', x.local(remainder), x.local(divisor)), () => {
    x.set(low, x.op('i64_shl', x.local(remainder), x.i64(63)));
    x.set(remainder, x.op('i64_shr_u', x.local(remainder), x.i64(1)));
    x.set(exponent, x.op('i32_add', x.local(exponent), x.i32(1)));
  });
  const quotient = x.keep('i64', x.i64(0));
  const next = x.fn.allocate('i64');
  for (const piece of [
    x.op('i64_shr_u', x.local(low), x.i64(32)),
    x.op('i64_and', x.local(low), x.i64(0xffff_ffffn)),
  ]) {
    x.set(next, piece);
    const digit = nextDigit(x, remainder, next, divisor);
    x.set(quotient, x.op('i64_or', x.op('i64_shl', x.local(quotient), x.i64(32)), x.local(digit)));
    const shifted = x.op('i64_or', x.op('i64_shl', x.local(remainder), x.i64(32)), x.local(next));
    x.set(remainder, x.op('i64_sub', shifted, x.op('i64_mul', x.local(digit), x.local(divisor))));
  }
  // Twice the remainder against the divisor; an exact half does not come about.
  const more = x.op('i64_gt_u', x.local(remainder), x.op('i64_sub', x.local(divisor), x.local(remainder)));
  const rest = x.op('select', x.i64(INTEGER_BIT | 1n), x.i64(1), more);
  x.set(next, x.op('select', x.i64(0), rest, x.op('i64_eqz', x.local(remainder))));
  finish(x, functions, { sign, exponent, significand: quotient, rest: next }, result);
}
