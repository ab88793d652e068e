/**
 * Scalar values and their arithmetic. All of it is done in 64 bits: a narrower operand is widened to a signed 64-bit
 * one as C does with `int`, and an unsigned 64-bit operand makes the result unsigned.
 */

import type { BinaryOperator } from './ast.ts';
import { ExpressionError } from './errors.ts';

export interface ScalarType {
  readonly name: string;
  readonly bits: 8 | 16 | 32 | 64;
  readonly signed: boolean;
  /** IEEE 754 binary32 or binary64: the value is its bits. */
  readonly isFloat?: true;
}

function scalar(name: string, bits: ScalarType['bits'], signed: boolean): ScalarType {
  return { name, bits, signed };
}

export const U64 = scalar('u64', 64, false);
export const I64 = scalar('i64', 64, true);

/** Names a cast may use: ours, and those of C on x86-64 (LP64). */
export const SCALAR_TYPES: ReadonlyMap<string, ScalarType> = new Map(
  [
    scalar('u8', 8, false),
    scalar('u16', 16, false),
    scalar('u32', 32, false),
    U64,
    scalar('i8', 8, true),
    scalar('i16', 16, true),
    scalar('i32', 32, true),
    I64,
    scalar('uint8_t', 8, false),
    scalar('uint16_t', 16, false),
    scalar('uint32_t', 32, false),
    scalar('uint64_t', 64, false),
    scalar('int8_t', 8, true),
    scalar('int16_t', 16, true),
    scalar('int32_t', 32, true),
    scalar('int64_t', 64, true),
    scalar('char', 8, true),
    scalar('short', 16, true),
    scalar('int', 32, true),
    scalar('long', 64, true),
    scalar('byte', 8, false),
    scalar('word', 16, false),
    scalar('dword', 32, false),
    scalar('qword', 64, false),
  ].map((type) => [type.name, type]),
);

const WORDS: ReadonlySet<string> = new Set(['unsigned', 'signed', 'long', 'short', 'int', 'char']);

/** The scalar that words of C name, in any order: `unsigned long int`. */
export function scalarOfWords(words: readonly string[]): ScalarType | undefined {
  const name = words.join(' ');
  const known = SCALAR_TYPES.get(name);
  if (known) return known;
  if (words.length === 0 || !words.every((word) => WORDS.has(word))) {
    // `unsigned u32` and the like.
    const [sign, base] = words;
    const type =
      words.length === 2 && (sign === 'unsigned' || sign === 'signed') ? SCALAR_TYPES.get(base) : undefined;
    return type && { name, bits: type.bits, signed: sign === 'signed' };
  }
  const bits = words.includes('char') ? 8 : words.includes('short') ? 16 : words.includes('long') ? 64 : 32;
  return { name, bits, signed: !words.includes('unsigned') };
}

export function unsignedType(bits: number): ScalarType {
  return SCALAR_TYPES.get(`u${bits <= 8 ? 8 : bits <= 16 ? 16 : bits <= 32 ? 32 : 64}`) as ScalarType;
}

/** The value as its type reads the bits. */
export function normalize(value: bigint, type: ScalarType): bigint {
  return type.signed ? BigInt.asIntN(type.bits, value) : BigInt.asUintN(type.bits, value);
}

/** The type both operands are widened to. */
function commonType(left: ScalarType, right: ScalarType): ScalarType {
  const unsigned = (type: ScalarType): boolean => type.bits === 64 && !type.signed;
  return unsigned(left) || unsigned(right) ? U64 : I64;
}

function shifted(left: bigint, right: bigint, type: ScalarType): bigint {
  if (right < 0n) throw new ExpressionError(`cannot shift by ${right}`);
  return right >= 64n ? 0n : normalize(left << right, type);
}

function quotient(left: bigint, right: bigint, operator: '/' | '%'): bigint {
  if (right === 0n) throw new ExpressionError('division by zero');
  return operator === '/' ? left / right : left % right;
}

/** `&&` and `||` are the evaluator's, because they may not evaluate their right side. */
export function binary(
  operator: Exclude<BinaryOperator, '&&' | '||'>,
  left: { readonly value: bigint; readonly type: ScalarType },
  right: { readonly value: bigint; readonly type: ScalarType },
): { readonly value: bigint; readonly type: ScalarType } {
  const isShift = operator === '<<' || operator === '>>';
  const type = isShift ? commonType(left.type, left.type) : commonType(left.type, right.type);
  const a = normalize(left.value, type);
  const b = isShift ? right.value : normalize(right.value, type);
  const truth = (holds: boolean) => ({ value: holds ? 1n : 0n, type: I64 });
  const number = (value: bigint) => ({ value: normalize(value, type), type });
  switch (operator) {
    case '==':
      return truth(a === b);
    case '!=':
      return truth(a !== b);
    case '<':
      return truth(a < b);
    case '<=':
      return truth(a <= b);
    case '>':
      return truth(a > b);
    case '>=':
      return truth(a >= b);
    case '|':
      return number(a | b);
    case '^':
      return number(a ^ b);
    case '&':
      return number(a & b);
    case '+':
      return number(a + b);
    case '-':
      return number(a - b);
    case '*':
      return number(a * b);
    case '<<':
      return number(shifted(a, b, type));
    case '>>':
      return number(b >= 64n ? (a < 0n ? -1n : 0n) : b < 0n ? shifted(a, b, type) : a >> b);
    case '/':
    case '%':
      return number(quotient(a, b, operator));
  }
}
