/**
 * Conversions that WebAssembly's own operations execute where the result is proven the same: exact ones of zero and normal
 * operands always, others under the conditions of fastFloat.ts. Everything else goes to the row's function.
 */
import type { Emitter } from '../emitter.ts';
import type { SemanticRow } from '../forms.ts';
import type { Value } from '../ir.ts';
import { CONVERT_ROWS } from './convert.ts';
import {
  FAST_FLOAT_ROWS,
  fastRowsOf,
  floatSource,
  isBetween,
  isPlain,
  isZero,
  merge,
  orElse,
  type Shape,
} from './fastFloat.ts';
import { begin, isVex, low64, repeated, result } from './forms.ts';

/** 2^31 and, where rounding could reach it, a little less, as little-endian bytes. */
const TWO_TO_31 = { f32x4: [0, 0, 0, 0x4f], f64x2: [0, 0, 0, 0, 0, 0, 0xe0, 0x41] } as const;
/** 2^31 - 128 and 2^31 - 1: the largest single below 2^31, and the largest integer. */
const BELOW = { f32x4: [0xff, 0xff, 0xff, 0x4e], f64x2: [0, 0, 0xc0, 0xff, 0xff, 0xff, 0xdf, 0x41] } as const;

/** Plain, and a doubleword integer also after rounding. */
function isDoubleword(e: Emitter, shape: Shape, value: Value, truncate: boolean): Value {
  const magnitude = e.simd(`${shape}_abs`, [value]);
  const small = truncate
    ? e.simd(`${shape}_lt`, [magnitude, repeated(e, ...TWO_TO_31[shape])])
    : e.simd(`${shape}_le`, [magnitude, repeated(e, ...BELOW[shape])]);
  return e.simd('v128_and', [isPlain(e, shape, value), small]);
}

/** Doublewords of the elements; of two doubles with zeros above. */
function toDoublewords(e: Emitter, shape: Shape, value: Value, truncate: boolean): Value {
  const integral = truncate ? value : e.simd(`${shape}_nearest`, [value]);
  return e.simd(shape === 'f32x4' ? 'i32x4_trunc_sat_f32x4_s' : 'i32x4_trunc_sat_f64x2_s_zero', [integral]);
}

function toGeneral(shape: Shape, truncate: boolean) {
  return (e: Emitter): void => {
    begin(e);
    const [value] = floatSource(e, 1, true);
    orElse(e, shape, true, [isDoubleword(e, shape, value, truncate)]);
    const integer = e.simd('i32x4_extract_lane', [toDoublewords(e, shape, value, truncate)], [0]);
    e.write(0, e.signExtend(e.unary('i64_extend_i32_u', integer), 32));
  };
}

/** Doublewords, and quadwords that would fit one: exact as doubles, rounded to nearest as singles. */
function fromGeneral(shape: Shape) {
  return (e: Emitter): void => {
    begin(e);
    const last = isVex(e) ? 2 : 1;
    const value = e.read(last);
    if (e.spec.operandBits[last] === 64)
      e.if(e.compare('i64_ne', e.unary('i64_extend32_s', value), value), () => e.system());
    const doubleword = low64(e, value);
    if (shape === 'f32x4') orElse(e, shape, true, [repeated(e, 0xff)]);
    const converted = e.simd(shape === 'f32x4' ? 'f32x4_convert_i32x4_s' : 'f64x2_convert_low_i32x4_s', [
      doubleword,
    ]);
    result(e, merge(e, shape, e.vector(isVex(e) ? 1 : 0), converted));
  };
}

const upperHalf = (e: Emitter, value: Value): Value =>
  e.simd(
    'i8x16_shuffle',
    [value, value],
    Array.from({ length: 16 }, (_, i) => (i + 8) % 16),
  );

/** The low elements of two vectors of half width side by side. */
const joined = (e: Emitter, low: Value, high: Value): Value =>
  e.simd(
    'i8x16_shuffle',
    [low, high],
    Array.from({ length: 16 }, (_, i) => (i < 8 ? i : 8 + i)),
  );

/** To elements of twice the size, which hold all values. */
function widen(operation: 'f64x2_promote_low_f32x4' | 'f64x2_convert_low_i32x4_s', scalar: boolean) {
  const floats = operation === 'f64x2_promote_low_f32x4';
  return (e: Emitter): void => {
    begin(e);
    const last = scalar && isVex(e) ? 2 : 1;
    const [value] = floatSource(e, last, scalar);
    const wide = e.spec.operandBits[0] === 256;
    if (floats) {
      // Elements that are not converted do not count.
      const counted = wide ? value : e.simd('i64x2_replace_lane', [value, e.constant(0)], [1]);
      orElse(e, 'f32x4', scalar, [isPlain(e, 'f32x4', counted)], false);
    }
    const low = e.simd(operation, [value]);
    if (scalar) result(e, merge(e, 'f64x2', e.vector(isVex(e) ? 1 : 0), low));
    else result(e, low, wide ? e.simd(operation, [upperHalf(e, value)]) : undefined);
  };
}

/** Doubles to singles: what is not zero has to stay normal. */
function narrow(scalar: boolean) {
  return (e: Emitter): void => {
    begin(e);
    const last = scalar && isVex(e) ? 2 : 1;
    const [low, high] = floatSource(e, last, scalar);
    const converted = (value: Value) => e.simd('f32x4_demote_f64x2_zero', [value]);
    const right = (value: Value): Value => {
      const plain = isPlain(e, 'f64x2', value);
      // Back in doubles, so that the elements stand where the operand's do.
      const back = e.simd('f64x2_promote_low_f32x4', [converted(value)]);
      const single = isBetween(e, 'f64x2', back, ABOVE_SINGLE);
      return e.simd('v128_and', [plain, e.simd('v128_or', [single, isZero(e, 'f64x2', value)])]);
    };
    orElse(e, 'f64x2', scalar, high ? [right(low), right(high)] : [right(low)]);
    if (scalar) result(e, merge(e, 'f32x4', e.vector(isVex(e) ? 1 : 0), converted(low)));
    else result(e, high ? joined(e, converted(low), converted(high)) : converted(low));
  };
}

/** Twice the smallest normal single, as a double. */
const ABOVE_SINGLE = [0, 0, 0, 0, 0, 0, 0x20, 0x38] as const;

function packedToDoublewords(shape: Shape, truncate: boolean) {
  return (e: Emitter): void => {
    begin(e);
    const [low, high] = floatSource(e, 1, false);
    const right = (value: Value) => isDoubleword(e, shape, value, truncate);
    orElse(e, shape, false, high ? [right(low), right(high)] : [right(low)]);
    const [first, second] = [low, high].map((value) => value && toDoublewords(e, shape, value, truncate));
    if (shape === 'f64x2' && second) result(e, joined(e, first as Value, second));
    else result(e, first as Value, second);
  };
}

const packedFromDoublewords = (e: Emitter): void => {
  begin(e);
  const [low, high] = floatSource(e, 1, false);
  orElse(e, 'f32x4', false, [repeated(e, 0xff)]);
  const convert = (value: Value) => e.simd('f32x4_convert_i32x4_s', [value]);
  result(e, convert(low), high && convert(high));
};

const EMITS: Readonly<Record<string, (e: Emitter) => void>> = {
  CVTSI2SS: fromGeneral('f32x4'),
  CVTSI2SD: fromGeneral('f64x2'),
  CVTSS2SI: toGeneral('f32x4', false),
  CVTTSS2SI: toGeneral('f32x4', true),
  CVTSD2SI: toGeneral('f64x2', false),
  CVTTSD2SI: toGeneral('f64x2', true),
  CVTSS2SD: widen('f64x2_promote_low_f32x4', true),
  CVTPS2PD: widen('f64x2_promote_low_f32x4', false),
  CVTDQ2PD: widen('f64x2_convert_low_i32x4_s', false),
  CVTSD2SS: narrow(true),
  CVTPD2PS: narrow(false),
  CVTDQ2PS: packedFromDoublewords,
  CVTPS2DQ: packedToDoublewords('f32x4', false),
  CVTTPS2DQ: packedToDoublewords('f32x4', true),
  CVTPD2DQ: packedToDoublewords('f64x2', false),
  CVTTPD2DQ: packedToDoublewords('f64x2', true),
};

export const FAST_ROWS: readonly SemanticRow[] = [
  ...FAST_FLOAT_ROWS,
  ...fastRowsOf(CONVERT_ROWS, (op) => EMITS[op.replace(/^V/, '')]),
];

/** Rows whose function is called for what is not plain, and that are no rows of their own. */
export const HAS_FAST_WAY: ReadonlySet<string> = new Set(FAST_ROWS.map(({ op }) => op));
