/**
 * Floating-point instructions that WebAssembly's own floats execute where the result is proven the same: all exceptions masked,
 * the precision exception sticky already, round to nearest, neither DAZ nor FTZ, operands that are zero or normal, and a result
 * that is an exact zero or safely normal. Then no flag changes, and both round as IEEE 754 does. Everything else goes to the
 * row's function and the integer soft float.
 *
 * The smallest normal number is not a result here: a tiny value may have been rounded up to it.
 */
import { OFFSET } from '../../state/layout.ts';
import { FLAG } from '../../state/registers.ts';
import type { Emitter } from '../emitter.ts';
import type { SemanticRow } from '../forms.ts';
import type { Value } from '../ir.ts';
import { FLOAT_ROWS } from './float.ts';
import { begin, isVex, low64, repeated, result, source } from './forms.ts';
import { formOf } from './moves.ts';
import type { VectorForm, VectorSystemRow } from './systemForms.ts';

/** Of MXCSR: rounding control, masks, DAZ and FTZ, and the sticky precision flag; and what they have to be. */
const CONTROL = 0xffe0;
const PLAIN = 0x1fa0;

export type Shape = 'f32x4' | 'f64x2';

export const LIMITS = {
  f32x4: { size: 32, least: [0, 0, 0x80, 0], above: [0, 0, 0, 1], most: [0xff, 0xff, 0x7f, 0x7f] },
  f64x2: {
    size: 64,
    least: [0, 0, 0, 0, 0, 0, 0x10, 0],
    above: [0, 0, 0, 0, 0, 0, 0x20, 0],
    most: [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xef, 0x7f],
  },
} as const;

/** All ones where the magnitude is finite and at least that of `least`. */
export function isBetween(e: Emitter, shape: Shape, value: Value, least: readonly number[]): Value {
  const magnitude = e.simd(`${shape}_abs`, [value]);
  const enough = e.simd(`${shape}_le`, [repeated(e, ...least), magnitude]);
  const finite = e.simd(`${shape}_le`, [magnitude, repeated(e, ...LIMITS[shape].most)]);
  return e.simd('v128_and', [enough, finite]);
}

export const isZero = (e: Emitter, shape: Shape, value: Value): Value =>
  e.simd(`${shape}_eq`, [value, repeated(e, 0)]);
const either = (e: Emitter, a: Value, b: Value): Value => e.simd('v128_or', [a, b]);

/** Zero or normal. */
export function isPlain(e: Emitter, shape: Shape, value: Value): Value {
  return either(e, isBetween(e, shape, value, LIMITS[shape].least), isZero(e, shape, value));
}

type Operation = 'add' | 'sub' | 'mul' | 'div';

/** What an operation gives in every element, and all ones where that is right. */
function compute(
  e: Emitter,
  shape: Shape,
  operation: Operation,
  a: Value,
  b: Value,
): { value: Value; right: Value } {
  const value = e.simd(`${shape}_${operation}`, [a, b]);
  const normal = isBetween(e, shape, value, LIMITS[shape].above);
  // A sum that is zero is exact. A product or quotient is zero because an operand is, or because it is tiny.
  const empty =
    operation === 'add' || operation === 'sub'
      ? isZero(e, shape, value)
      : operation === 'mul'
        ? either(e, isZero(e, shape, a), isZero(e, shape, b))
        : e.simd('v128_and', [isZero(e, shape, a), isZero(e, shape, value)]);
  const operands = e.simd('v128_and', [isPlain(e, shape, a), isPlain(e, shape, b)]);
  return { value, right: e.simd('v128_and', [operands, either(e, normal, empty)]) };
}

function computeRoot(e: Emitter, shape: Shape, a: Value): { value: Value; right: Value } {
  const positive = e.simd(`${shape}_lt`, [repeated(e, 0), a]);
  const normal = e.simd('v128_and', [isBetween(e, shape, a, LIMITS[shape].least), positive]);
  return { value: e.simd(`${shape}_sqrt`, [a]), right: either(e, normal, isZero(e, shape, a)) };
}

/** Goes to the row's function unless every element that counts is right and MXCSR is plain. */
export function orElse(
  e: Emitter,
  shape: Shape,
  scalar: boolean,
  rights: readonly Value[],
  dependsOnControl = true,
): void {
  let right = rights[0] as Value;
  if (rights[1]) right = e.simd('v128_and', [right, rights[1]]);
  const { size } = LIMITS[shape];
  const counted = Array.from({ length: 16 }, (_, i) => (scalar && i >= size / 8 ? 0 : 0xff));
  const wrong = e.simd('v128_andnot', [e.simd('v128_const', [], counted), right]);
  const any = e.simd('v128_any_true', [wrong]);
  if (!dependsOnControl) {
    e.if(any, () => e.system());
    return;
  }
  const control = e.and(e.field(OFFSET.MXCSR, 32), e.constant(CONTROL));
  const unusual = e.compare('i64_ne', control, e.constant(PLAIN));
  e.if(e.logic('i32_or', unusual, any), () => e.system());
}

/** The first source with the element 0 of another value. */
export function merge(e: Emitter, shape: Shape, first: Value, value: Value): Value {
  const bytes = LIMITS[shape].size / 8;
  const indexes = Array.from({ length: 16 }, (_, i) => (i < bytes ? 16 + i : i));
  return e.simd('i8x16_shuffle', [first, value], indexes);
}

function arithmetic(shape: Shape, operation: Operation, scalar: boolean) {
  return (e: Emitter): void => {
    begin(e);
    const [left, right] = isVex(e) ? [1, 2] : [0, 1];
    const [b0, b1] = floatSource(e, right, scalar);
    const [a0, a1] = source(e, left);
    const low = compute(e, shape, operation, a0, b0);
    const high = a1 && b1 && compute(e, shape, operation, a1, b1);
    orElse(e, shape, scalar, high ? [low.right, high.right] : [low.right]);
    result(e, scalar ? merge(e, shape, a0, low.value) : low.value, high?.value);
  };
}

function squareRoot(shape: Shape, scalar: boolean) {
  return (e: Emitter): void => {
    begin(e);
    const last = scalar && isVex(e) ? 2 : 1;
    const [b0, b1] = floatSource(e, last, scalar);
    const low = computeRoot(e, shape, b0);
    const high = b1 && computeRoot(e, shape, b1);
    orElse(e, shape, scalar, high ? [low.right, high.right] : [low.right]);
    const first = scalar ? e.vector(isVex(e) ? 1 : 0) : low.value;
    result(e, scalar ? merge(e, shape, first, low.value) : low.value, high?.value);
  };
}

/** Operand `n`, element 0 alone of memory where the instruction is scalar. */
export function floatSource(e: Emitter, n: number, scalar: boolean): readonly [Value, Value | undefined] {
  return scalar && e.isMemory(n) ? [low64(e, e.read(n)), undefined] : source(e, n);
}

/** MINPS and the like: without NaNs and denormals, an ordered comparison decides; equal operands give the second. */
function extreme(shape: Shape, maximum: boolean, scalar: boolean) {
  return (e: Emitter): void => {
    begin(e);
    const [left, right] = isVex(e) ? [1, 2] : [0, 1];
    const [b0, b1] = floatSource(e, right, scalar);
    const [a0, a1] = source(e, left);
    const choose = (a: Value, b: Value) =>
      e.simd('v128_bitselect', [a, b, e.simd(`${shape}_lt`, maximum ? [b, a] : [a, b])]);
    const plain = (a: Value, b: Value) => e.simd('v128_and', [isPlain(e, shape, a), isPlain(e, shape, b)]);
    orElse(e, shape, scalar, a1 && b1 ? [plain(a0, b0), plain(a1, b1)] : [plain(a0, b0)], false);
    const low = choose(a0, b0);
    result(e, scalar ? merge(e, shape, a0, low) : low, a1 && b1 && choose(a1, b1));
  };
}

/** Predicates, by bits 2:0 of the immediate, that hold for less, equal and greater: of numbers, bits 4:3 say nothing. */
const HOLDS = { less: 0b1001_0110, equal: 0b1010_0101, greater: 0b1111_0000 } as const;

function comparison(shape: Shape, scalar: boolean) {
  return (e: Emitter): void => {
    begin(e);
    const [left, right] = isVex(e) ? [1, 2] : [0, 1];
    const [b0, b1] = floatSource(e, right, scalar);
    const [a0, a1] = source(e, left);
    const predicate = e.and(e.read(right + 1), e.constant(7));
    const chosen = (holds: number): Value => {
      const bit = e.and(e.binary('i64_shr_u', e.constant(holds), predicate), e.constant(1));
      return e.simd('i64x2_splat', [e.sub(e.constant(0), bit)]);
    };
    const compare = (a: Value, b: Value): Value => {
      const less = e.simd('v128_and', [e.simd(`${shape}_lt`, [a, b]), chosen(HOLDS.less)]);
      const equal = e.simd('v128_and', [e.simd(`${shape}_eq`, [a, b]), chosen(HOLDS.equal)]);
      const greater = e.simd('v128_and', [e.simd(`${shape}_lt`, [b, a]), chosen(HOLDS.greater)]);
      return either(e, either(e, less, equal), greater);
    };
    const plain = (a: Value, b: Value) => e.simd('v128_and', [isPlain(e, shape, a), isPlain(e, shape, b)]);
    orElse(e, shape, scalar, a1 && b1 ? [plain(a0, b0), plain(a1, b1)] : [plain(a0, b0)], false);
    const low = compare(a0, b0);
    result(e, scalar ? merge(e, shape, a0, low) : low, a1 && b1 && compare(a1, b1));
  };
}

/** COMISD and the like. */
function comparisonToFlags(shape: Shape) {
  return (e: Emitter): void => {
    begin(e);
    const [b] = floatSource(e, 1, true);
    const [a] = source(e, 0);
    orElse(e, shape, true, [e.simd('v128_and', [isPlain(e, shape, a), isPlain(e, shape, b)])], false);
    const first = (mask: Value) =>
      shape === 'f64x2'
        ? e.simd('i64x2_extract_lane', [mask], [0])
        : e.unary('i64_extend_i32_u', e.simd('i32x4_extract_lane', [mask], [0]));
    const flag = (mask: Value, bit: number) => e.and(first(mask), e.constant(bit));
    const less = flag(e.simd(`${shape}_lt`, [a, b]), FLAG.CF);
    e.setFlags(e.or(less, flag(e.simd(`${shape}_eq`, [a, b]), FLAG.ZF)));
  };
}

/** ROUNDPS and the like: nearest, down, up, to zero; bit 2 means MXCSR's mode, which is nearest here. */
function rounding(shape: Shape, scalar: boolean) {
  return (e: Emitter): void => {
    begin(e);
    const last = scalar && isVex(e) ? 2 : 1;
    const [b0, b1] = floatSource(e, last, scalar);
    const immediate = e.read(last + 1);
    const bit = (n: number) => e.isNotZero(e.and(immediate, e.constant(1 << n)));
    const round = (value: Value): Value => {
      const to = (mode: 'nearest' | 'floor' | 'ceil' | 'trunc') => e.simd(`${shape}_${mode}`, [value]);
      const directed = e.select(
        bit(1),
        e.select(bit(0), to('trunc'), to('ceil')),
        e.select(bit(0), to('floor'), to('nearest')),
      );
      return e.select(bit(2), to('nearest'), directed);
    };
    orElse(e, shape, scalar, b1 ? [isPlain(e, shape, b0), isPlain(e, shape, b1)] : [isPlain(e, shape, b0)]);
    const low = round(b0);
    const first = scalar ? e.vector(isVex(e) ? 1 : 0) : low;
    result(e, scalar ? merge(e, shape, first, low) : low, b1 && round(b1));
  };
}

const OPERATIONS: Readonly<Record<string, Operation>> = { ADD: 'add', SUB: 'sub', MUL: 'mul', DIV: 'div' };

function emitOf(op: string): ((e: Emitter) => void) | undefined {
  const match = /^V?(ADD|SUB|MUL|DIV|SQRT|MIN|MAX|CMP|COMI|UCOMI|ROUND)([PS])([SD])( XMM)?$/.exec(op);
  if (!match) return undefined;
  const [, name, count, format] = match as unknown as [string, string, string, string];
  const shape = format === 'S' ? 'f32x4' : 'f64x2';
  const scalar = count === 'S';
  const operation = OPERATIONS[name];
  if (operation) return arithmetic(shape, operation, scalar);
  switch (name) {
    case 'SQRT':
      return squareRoot(shape, scalar);
    case 'CMP':
      return comparison(shape, scalar);
    case 'ROUND':
      return rounding(shape, scalar);
    case 'COMI':
    case 'UCOMI':
      return comparisonToFlags(shape);
    default:
      return extreme(shape, name === 'MAX', scalar);
  }
}

/** Rows with a fast way; the row's function is called for what is not plain. */
export function fastRowsOf(
  rows: readonly VectorSystemRow[],
  emits: (op: string) => ((e: Emitter) => void) | undefined,
): SemanticRow[] {
  return rows.flatMap(({ op, forms, call, ref }) => {
    const emit = emits(op);
    if (!emit) return [];
    const feature = (forms[0] as VectorForm).feature;
    const expanded = forms.map((form) => formOf(form.operands, form.feature));
    const flags = /^V?U?COMI/.test(op) ? { flags: { writes: 'all' as const } } : {};
    return [{ op, forms: expanded, emit, call, feature, ref, ...flags }];
  });
}

export const FAST_FLOAT_ROWS: readonly SemanticRow[] = fastRowsOf(FLOAT_ROWS, emitOf);
