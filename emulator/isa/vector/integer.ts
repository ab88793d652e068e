/**
 * Packed integer arithmetic, comparison and logic: MMX, SSE2, SSSE3, SSE4.1, SSE4.2, AVX and AVX2.
 *
 * Intel SDM Vol. 1, "MMX Instructions", 5.4; "SSE2 128-Bit SIMD Integer Instructions", 5.6.3; Vol. 2, the pages of the
 * instructions.
 */
import { SDM } from '../../base/reference.ts';
import type { Emitter } from '../emitter.ts';
import type { SemanticRow } from '../forms.ts';
import type { Value } from '../ir.ts';
import type { Features, Lane2 } from './forms.ts';
import {
  begin,
  binary,
  bytes,
  end,
  i32,
  isVex,
  lane64,
  MMX_SSE2,
  repeated,
  result,
  rowsOf,
  SSE_SSE2,
  SSE2,
  SSE2_SSE2,
  SSE4_1,
  SSE4_2,
  SSSE3,
  source,
  unary,
  zero,
} from './forms.ts';
import type { SimdOperation } from './simd.ts';

/** One operation of WebAssembly, in every lane. */
const op =
  (name: SimdOperation): Lane2 =>
  (e, a, b) =>
    e.simd(name, [a, b]);

const swapped =
  (name: SimdOperation): Lane2 =>
  (e, a, b) =>
    e.simd(name, [b, a]);

/** Even or odd elements of two vectors side by side, `size` bytes each; of MMX operands both in the low half. */
function alternate(e: Emitter, a: Value, b: Value, size: number, odd: 0 | 1, mmx: boolean): Value {
  const perVector = (mmx ? 8 : 16) / size / 2;
  const indexes: number[] = [];
  for (let i = 0; i < 16 / size; i++) {
    const fromB = Math.floor(i / perVector) % 2;
    const element = (i % perVector) * 2 + odd;
    for (let byte = 0; byte < size; byte++) indexes.push(16 * fromB + element * size + byte);
  }
  return e.simd('i8x16_shuffle', [a, b], indexes);
}

/** PHADD and PHSUB: neighbours with each other. */
function horizontal(name: SimdOperation, size: number): Lane2 {
  return (e, a, b, mmx) => e.simd(name, [alternate(e, a, b, size, 0, mmx), alternate(e, a, b, size, 1, mmx)]);
}

/** The high 16 bits of the products. */
function multiplyHigh(sign: 's' | 'u'): Lane2 {
  return (e, a, b) => {
    const low = e.simd(`i32x4_extmul_low_i16x8_${sign}`, [a, b]);
    const high = e.simd(`i32x4_extmul_high_i16x8_${sign}`, [a, b]);
    return alternate(e, low, high, 2, 1, false);
  };
}

/** Products of the even 32-bit elements. */
function multiplyEven(sign: 's' | 'u'): Lane2 {
  return (e, a, b) => {
    const even = (value: Value) => alternate(e, value, value, 4, 0, false);
    return e.simd(`i64x2_extmul_low_i32x4_${sign}`, [even(a), even(b)]);
  };
}

/** @see SDM "PMULHRSW—Packed Multiply High With Round and Scale" */
const multiplyRounded: Lane2 = (e, a, b) => {
  const half = (which: 'low' | 'high') => {
    const product = e.simd(`i32x4_extmul_${which}_i16x8_s`, [a, b]);
    const scaled = e.simd('i32x4_shr_s', [product, i32(e, e.constant(14))]);
    const one = repeated(e, 1, 0, 0, 0);
    return e.simd('i32x4_shr_s', [e.simd('i32x4_add', [scaled, one]), i32(e, e.constant(1))]);
  };
  return alternate(e, half('low'), half('high'), 2, 0, false);
};

/** Unsigned bytes of `a` with signed bytes of `b`. @see SDM "PMADDUBSW—Multiply and Add Packed Signed and Unsigned Bytes" */
const multiplyAddBytes: Lane2 = (e, a, b) => {
  const eight = i32(e, e.constant(8));
  const product = (unsigned: Value, signed: Value) => e.simd('i16x8_mul', [unsigned, signed]);
  const evenA = e.simd('v128_and', [a, repeated(e, 0xff, 0)]);
  const evenB = e.simd('i16x8_shr_s', [e.simd('i16x8_shl', [b, eight]), eight]);
  const oddA = e.simd('i16x8_shr_u', [a, eight]);
  const oddB = e.simd('i16x8_shr_s', [b, eight]);
  return e.simd('i16x8_add_sat_s', [product(evenA, evenB), product(oddA, oddB)]);
};

/** @see SDM "PSADBW—Compute Sum of Absolute Differences" */
const sumOfDifferences: Lane2 = (e, a, b, mmx) => {
  const difference = e.simd('i8x16_sub', [e.simd('i8x16_max_u', [a, b]), e.simd('i8x16_min_u', [a, b])]);
  const words = e.simd('i16x8_extadd_pairwise_i8x16_u', [difference]);
  const doublewords = e.simd('i32x4_extend_low_i16x8_u', [words]);
  if (mmx) return sumOfFour(e, doublewords, doublewords);
  const high = alternateQuarters(e, words);
  return sumOfFour(e, doublewords, e.simd('i32x4_extend_low_i16x8_u', [high]));
};

/** Bytes 15:8 in the place of bytes 7:0. */
function alternateQuarters(e: Emitter, value: Value): Value {
  return e.simd(
    'i8x16_shuffle',
    [value, value],
    Array.from({ length: 16 }, (_, i) => 8 + (i % 8)),
  );
}

/** The sum of the four doublewords of `low` in bits 63:0, of `high` in bits 127:64. */
function sumOfFour(e: Emitter, low: Value, high: Value): Value {
  const pairs = e.simd('i32x4_add', [
    alternate(e, low, high, 4, 0, false),
    alternate(e, low, high, 4, 1, false),
  ]);
  const even = alternate(e, pairs, pairs, 4, 0, false);
  const odd = alternate(e, pairs, pairs, 4, 1, false);
  return e.simd('i64x2_extend_low_i32x4_u', [e.simd('i32x4_add', [even, odd])]);
}

function pack(name: SimdOperation): Lane2 {
  return (e, a, b, mmx) => {
    if (!mmx) return e.simd(name, [a, b]);
    const both = e.simd('i64x2_replace_lane', [a, lane64(e, b, 0)], [1]);
    return e.simd(name, [both, both]);
  };
}

/** Elements of the low or high halves in turns. */
function interleave(size: number, high: boolean): Lane2 {
  return (e, a, b, mmx) => {
    const start = high ? (mmx ? 4 : 8) : 0;
    const indexes: number[] = [];
    for (let i = 0; i < 16; i++) {
      const pair = Math.floor(i / (2 * size));
      const fromB = Math.floor(i / size) % 2;
      indexes.push((16 * fromB + start + pair * size + (i % size)) % 32);
    }
    return e.simd('i8x16_shuffle', [a, b], indexes);
  };
}

/** The MMX forms of PUNPCKL read four bytes of memory. */
const halfMmx = (bits: number) => (bits === 64 ? 32 : bits) as 32;

/** The elements of `a` negated, kept or cleared by the sign of `b`'s. */
function applySign(size: 8 | 16 | 32): Lane2 {
  const shape = `i${size}x${128 / size}` as 'i8x16' | 'i16x8' | 'i32x4';
  return (e, a, b) => {
    const none = zero(e);
    const negated = e.simd(`${shape}_sub`, [none, a]);
    const negative = e.simd(`${shape}_gt_s`, [none, b]);
    const empty = e.simd(`${shape}_eq`, [b, none]);
    return e.simd('v128_andnot', [e.simd('v128_bitselect', [negated, a, negative]), empty]);
  };
}

const shuffleBytes: Lane2 = (e, a, b, mmx) =>
  e.simd('i8x16_swizzle', [a, e.simd('v128_and', [b, repeated(e, mmx ? 0x87 : 0x8f)])]);

type Shift = 'shl' | 'shr_u' | 'shr_s';

/** Shifts by one count for all elements, from an immediate or the low quadword of the second source. */
function shift(name: string, direction: Shift, size: 16 | 32 | 64, title: string): SemanticRow[] {
  const shape = `i${size}x${128 / size}` as 'i16x8';
  const lane = (e: Emitter, value: Value, count: Value): Value => {
    const beyond = e.compare('i64_gt_u', count, e.constant(size - 1));
    if (direction !== 'shr_s') {
      const shifted = e.simd(`${shape}_${direction}`, [value, i32(e, count)]);
      return e.select(beyond, zero(e), shifted);
    }
    return e.simd(`${shape}_shr_s`, [value, i32(e, e.select(beyond, e.constant(size - 1), count))]);
  };
  const finish = (e: Emitter, n: number, count: Value) => {
    const [low, high] = source(e, n);
    result(e, lane(e, low, count), high && lane(e, high, count));
  };
  const byRegister = rowsOf(
    name,
    MMX_SSE2,
    { sources: 2, narrow: (bits) => (bits === 64 ? 64 : 128) },
    (e) => {
      begin(e);
      const [left, right] = isVex(e) ? [1, 2] : [0, 1];
      finish(e, left, lane64(e, source(e, right)[0], 0));
    },
    SDM(title),
  );
  return byRegister.map((row): SemanticRow => {
    const vex = row.op.startsWith('V');
    const immediate = row.forms.map((form) => ({
      ...form,
      operands: form.operands.map((kind, i) => (i < form.operands.length - 1 ? kind : 'i')),
      operandBits: form.operandBits?.map((bits, i) => (i < form.operands.length - 1 ? bits : 8)) ?? [],
    }));
    return {
      ...row,
      forms: [...row.forms, ...immediate],
      emit: (e) => {
        const last = e.spec.operands.length - 1;
        if (e.spec.operands[last] !== 'i') {
          row.emit(e);
          return;
        }
        begin(e);
        finish(e, vex ? 1 : 0, e.read(last));
      },
    };
  });
}

const IOTA = Array.from({ length: 16 }, (_, i) => i);

/** PSLLDQ and PSRLDQ: the whole lane by bytes. */
function shiftBytes(name: string, direction: 1 | -1, title: string): SemanticRow[] {
  const lane = (e: Emitter, value: Value, count: Value): Value => {
    const clamped = e.select(e.compare('i64_gt_u', count, e.constant(16)), e.constant(16), count);
    const splat = e.simd('i8x16_splat', [i32(e, clamped)]);
    const indexes = e.simd(direction > 0 ? 'i8x16_sub' : 'i8x16_add', [bytes(e, ...IOTA), splat]);
    return e.simd('i8x16_swizzle', [value, indexes]);
  };
  const emit = (e: Emitter): void => {
    begin(e);
    const n = isVex(e) ? 1 : 0;
    const [low, high] = source(e, n);
    const count = e.read(n + 1);
    result(e, lane(e, low, count), high && lane(e, high, count));
  };
  const ref = SDM(title);
  const wide = { bits: 256, feature: 'AVX2' } as const;
  return [
    {
      op: name,
      forms: [{ operands: ['v', 'i'], bits: [128], operandBits: [128, 8], feature: 'SSE2' }],
      emit,
      feature: 'SSE2',
      ref,
    },
    {
      op: `V${name}`,
      forms: [
        { operands: ['v', 'v', 'i'], bits: [128], operandBits: [128, 128, 8], feature: 'AVX' },
        { operands: ['v', 'v', 'i'], bits: [wide.bits], operandBits: [256, 256, 8], feature: wide.feature },
      ],
      emit,
      feature: 'AVX',
      ref,
    },
  ];
}

/** Sign or zero extension of the low elements. */
function extend(name: string, from: 8 | 16 | 32, to: 16 | 32 | 64, sign: 's' | 'u'): SemanticRow[] {
  const lane = (e: Emitter, value: Value): Value => {
    let wider = value;
    for (let size = from as number; size < to; size *= 2) {
      const target = `i${size * 2}x${64 / size}` as 'i16x8';
      const origin = `i${size}x${128 / size}` as 'i8x16';
      wider = e.simd(`${target}_extend_low_${origin}_${sign}`, [wider]);
    }
    return wider;
  };
  const ratio = to / from;
  const emit = (e: Emitter): void => {
    begin(e);
    const [low] = source(e, 1);
    if (e.bits !== (256 as number)) {
      result(e, lane(e, low));
      return;
    }
    const rest = 16 / ratio;
    const upper = e.simd(
      'i8x16_shuffle',
      [low, low],
      IOTA.map((i) => (i + rest) % 16),
    );
    result(e, lane(e, low), lane(e, upper));
  };
  const ref = SDM(
    sign === 's' ? 'PMOVSX—Packed Move With Sign Extend' : 'PMOVZX—Packed Move With Zero Extend',
  );
  return rowsOf(name, SSE4_1, { sources: 1, narrow: (bits) => (bits / ratio) as 64 }, emit, ref);
}

const EXTENSIONS = [
  ['BW', 8, 16], ['BD', 8, 32], ['BQ', 8, 64], ['WD', 16, 32], ['WQ', 16, 64], ['DQ', 32, 64],
] as const; // biome-ignore format: short

/** The sign bits of the elements as an integer. */
function moveMask(
  name: string,
  operation: 'i8x16_bitmask' | 'i32x4_bitmask' | 'i64x2_bitmask',
  features: Features,
  title: string,
): SemanticRow[] {
  const count = operation === 'i8x16_bitmask' ? 16 : operation === 'i32x4_bitmask' ? 4 : 2;
  const emit = (e: Emitter): void => {
    begin(e);
    const [low, high] = source(e, 1);
    const mask = (value: Value) => e.unary('i64_extend_i32_u', e.simd(operation, [value]));
    let all = mask(low);
    if (high) all = e.or(all, e.shl(mask(high), count));
    // Of an MMX register, the upper bytes are zero.
    e.write(0, all);
    end(e);
  };
  const ref = SDM(title);
  const rows: SemanticRow[] = [];
  const forms = (kind: 'v' | 'q', bits: 64 | 128 | 256, feature: 'SSE' | 'SSE2' | 'AVX' | 'AVX2') =>
    ([32, 64] as const).map((size) => ({
      operands: ['r', kind] as const,
      bits: [size],
      operandBits: [size, bits],
      feature,
    }));
  const { mmx, sse, vex, wide } = features as { mmx?: 'SSE'; sse: 'SSE'; vex: 'AVX'; wide: 'AVX2' };
  rows.push({
    op: name,
    forms: [...(mmx ? forms('q', 64, mmx) : []), ...forms('v', 128, sse)],
    emit,
    feature: sse,
    ref,
  });
  rows.push({
    op: `V${name}`,
    forms: [...forms('v', 128, vex), ...forms('v', 256, wide)],
    emit,
    feature: vex,
    ref,
  });
  return rows;
}

const P = (title: string) => SDM(title);
const ADD = P('PADDB/PADDW/PADDD/PADDQ—Add Packed Integers');
const ADDS = P('PADDSB/PADDSW—Add Packed Signed Integers with Signed Saturation');
const ADDUS = P('PADDUSB/PADDUSW—Add Packed Unsigned Integers With Unsigned Saturation');
const SUB = P('PSUBB/PSUBW/PSUBD—Subtract Packed Integers');
const SUBS = P('PSUBSB/PSUBSW—Subtract Packed Signed Integers With Signed Saturation');
const SUBUS = P('PSUBUSB/PSUBUSW—Subtract Packed Unsigned Integers With Unsigned Saturation');
const EQ = P('PCMPEQB/PCMPEQW/PCMPEQD—Compare Packed Data for Equal');
const GT = P('PCMPGTB/PCMPGTW/PCMPGTD—Compare Packed Signed Integers for Greater Than');
const MIN = P('PMINSB/PMINSW—Minimum of Packed Signed Integers');
const MINU = P('PMINUB/PMINUW—Minimum of Packed Unsigned Integers');
const MAX = P('PMAXSB/PMAXSW/PMAXSD/PMAXSQ—Maximum of Packed Signed Integers');
const MAXU = P('PMAXUB/PMAXUW—Maximum of Packed Unsigned Integers');
const ABS = P('PABSB/PABSW/PABSD/PABSQ—Packed Absolute Value');
const UNPACKL = P('PUNPCKLBW/PUNPCKLWD/PUNPCKLDQ/PUNPCKLQDQ—Unpack Low Data');
const UNPACKH = P('PUNPCKHBW/PUNPCKHWD/PUNPCKHDQ/PUNPCKHQDQ—Unpack High Data');
const AVG = P('PAVGB/PAVGW—Average Packed Integers');
const LOGIC_FEATURES = { sse: 'SSE', vex: 'AVX', wide: 'AVX' } as const satisfies Features;
const LOGIC2_FEATURES = { sse: 'SSE2', vex: 'AVX', wide: 'AVX' } as const satisfies Features;

// biome-ignore format: rows are read as a table
export const VECTOR_INTEGER_ROWS: readonly SemanticRow[] = [
  ...binary('PADDB', MMX_SSE2, op('i8x16_add'), ADD),
  ...binary('PADDW', MMX_SSE2, op('i16x8_add'), ADD),
  ...binary('PADDD', MMX_SSE2, op('i32x4_add'), ADD),
  ...binary('PADDQ', SSE2_SSE2, op('i64x2_add'), ADD),
  ...binary('PADDSB', MMX_SSE2, op('i8x16_add_sat_s'), ADDS),
  ...binary('PADDSW', MMX_SSE2, op('i16x8_add_sat_s'), ADDS),
  ...binary('PADDUSB', MMX_SSE2, op('i8x16_add_sat_u'), ADDUS),
  ...binary('PADDUSW', MMX_SSE2, op('i16x8_add_sat_u'), ADDUS),
  ...binary('PSUBB', MMX_SSE2, op('i8x16_sub'), SUB),
  ...binary('PSUBW', MMX_SSE2, op('i16x8_sub'), SUB),
  ...binary('PSUBD', MMX_SSE2, op('i32x4_sub'), SUB),
  ...binary('PSUBQ', SSE2_SSE2, op('i64x2_sub'), P('PSUBQ—Subtract Packed Quadword Integers')),
  ...binary('PSUBSB', MMX_SSE2, op('i8x16_sub_sat_s'), SUBS),
  ...binary('PSUBSW', MMX_SSE2, op('i16x8_sub_sat_s'), SUBS),
  ...binary('PSUBUSB', MMX_SSE2, op('i8x16_sub_sat_u'), SUBUS),
  ...binary('PSUBUSW', MMX_SSE2, op('i16x8_sub_sat_u'), SUBUS),

  ...binary('PAND', MMX_SSE2, op('v128_and'), P('PAND—Logical AND')),
  ...binary('PANDN', MMX_SSE2, swapped('v128_andnot'), P('PANDN—Logical AND NOT')),
  ...binary('POR', MMX_SSE2, op('v128_or'), P('POR—Bitwise Logical OR')),
  ...binary('PXOR', MMX_SSE2, op('v128_xor'), P('PXOR—Logical Exclusive OR')),
  ...binary('ANDPS', LOGIC_FEATURES, op('v128_and'), P('ANDPS—Bitwise Logical AND of Packed Single Precision Floating-Point Values')),
  ...binary('ANDPD', LOGIC2_FEATURES, op('v128_and'), P('ANDPD—Bitwise Logical AND of Packed Double Precision Floating-Point Values')),
  ...binary('ANDNPS', LOGIC_FEATURES, swapped('v128_andnot'), P('ANDNPS—Bitwise Logical AND NOT of Packed Single Precision Floating-Point Values')),
  ...binary('ANDNPD', LOGIC2_FEATURES, swapped('v128_andnot'), P('ANDNPD—Bitwise Logical AND NOT of Packed Double Precision Floating-Point Values')),
  ...binary('ORPS', LOGIC_FEATURES, op('v128_or'), P('ORPS—Bitwise Logical OR of Packed Single Precision Floating-Point Values')),
  ...binary('ORPD', LOGIC2_FEATURES, op('v128_or'), P('ORPD—Bitwise Logical OR of Packed Double Precision Floating-Point Values')),
  ...binary('XORPS', LOGIC_FEATURES, op('v128_xor'), P('XORPS—Bitwise Logical XOR of Packed Single Precision Floating-Point Values')),
  ...binary('XORPD', LOGIC2_FEATURES, op('v128_xor'), P('XORPD—Bitwise Logical XOR of Packed Double Precision Floating-Point Values')),

  ...binary('PCMPEQB', MMX_SSE2, op('i8x16_eq'), EQ),
  ...binary('PCMPEQW', MMX_SSE2, op('i16x8_eq'), EQ),
  ...binary('PCMPEQD', MMX_SSE2, op('i32x4_eq'), EQ),
  ...binary('PCMPEQQ', SSE4_1, op('i64x2_eq'), P('PCMPEQQ—Compare Packed Qword Data for Equal')),
  ...binary('PCMPGTB', MMX_SSE2, op('i8x16_gt_s'), GT),
  ...binary('PCMPGTW', MMX_SSE2, op('i16x8_gt_s'), GT),
  ...binary('PCMPGTD', MMX_SSE2, op('i32x4_gt_s'), GT),
  ...binary('PCMPGTQ', SSE4_2, op('i64x2_gt_s'), P('PCMPGTQ—Compare Packed Data for Greater Than')),

  ...binary('PMINSB', SSE4_1, op('i8x16_min_s'), MIN),
  ...binary('PMINSW', SSE_SSE2, op('i16x8_min_s'), MIN),
  ...binary('PMINSD', SSE4_1, op('i32x4_min_s'), P('PMINSD/PMINSQ—Minimum of Packed Signed Integers')),
  ...binary('PMINUB', SSE_SSE2, op('i8x16_min_u'), MINU),
  ...binary('PMINUW', SSE4_1, op('i16x8_min_u'), MINU),
  ...binary('PMINUD', SSE4_1, op('i32x4_min_u'), P('PMINUD/PMINUQ—Minimum of Packed Unsigned Integers')),
  ...binary('PMAXSB', SSE4_1, op('i8x16_max_s'), MAX),
  ...binary('PMAXSW', SSE_SSE2, op('i16x8_max_s'), MAX),
  ...binary('PMAXSD', SSE4_1, op('i32x4_max_s'), MAX),
  ...binary('PMAXUB', SSE_SSE2, op('i8x16_max_u'), MAXU),
  ...binary('PMAXUW', SSE4_1, op('i16x8_max_u'), MAXU),
  ...binary('PMAXUD', SSE4_1, op('i32x4_max_u'), P('PMAXUD/PMAXUQ—Maximum of Packed Unsigned Integers')),
  ...binary('PAVGB', SSE_SSE2, op('i8x16_avgr_u'), AVG),
  ...binary('PAVGW', SSE_SSE2, op('i16x8_avgr_u'), AVG),
  ...unary('PABSB', SSSE3, (e, a) => e.simd('i8x16_abs', [a]), ABS),
  ...unary('PABSW', SSSE3, (e, a) => e.simd('i16x8_abs', [a]), ABS),
  ...unary('PABSD', SSSE3, (e, a) => e.simd('i32x4_abs', [a]), ABS),
  ...binary('PSIGNB', SSSE3, applySign(8), P('PSIGNB/PSIGNW/PSIGND—Packed SIGN')),
  ...binary('PSIGNW', SSSE3, applySign(16), P('PSIGNB/PSIGNW/PSIGND—Packed SIGN')),
  ...binary('PSIGND', SSSE3, applySign(32), P('PSIGNB/PSIGNW/PSIGND—Packed SIGN')),

  ...binary('PMULLW', MMX_SSE2, op('i16x8_mul'), P('PMULLW—Multiply Packed Signed Integers and Store Low Result')),
  ...binary('PMULLD', SSE4_1, op('i32x4_mul'), P('PMULLD/PMULLQ—Multiply Packed Integers and Store Low Result')),
  ...binary('PMULHW', MMX_SSE2, multiplyHigh('s'), P('PMULHW—Multiply Packed Signed Integers and Store High Result')),
  ...binary('PMULHUW', SSE_SSE2, multiplyHigh('u'), P('PMULHUW—Multiply Packed Unsigned Integers and Store High Result')),
  ...binary('PMULHRSW', SSSE3, multiplyRounded, P('PMULHRSW—Packed Multiply High With Round and Scale')),
  ...binary('PMULUDQ', SSE2_SSE2, multiplyEven('u'), P('PMULUDQ—Multiply Packed Unsigned Doubleword Integers')),
  ...binary('PMULDQ', SSE4_1, multiplyEven('s'), P('PMULDQ—Multiply Packed Doubleword Integers')),
  ...binary('PMADDWD', MMX_SSE2, op('i32x4_dot_i16x8_s'), P('PMADDWD—Multiply and Add Packed Integers')),
  ...binary('PMADDUBSW', SSSE3, multiplyAddBytes, P('PMADDUBSW—Multiply and Add Packed Signed and Unsigned Bytes')),
  ...binary('PSADBW', SSE_SSE2, sumOfDifferences, P('PSADBW—Compute Sum of Absolute Differences')),
  ...binary('PHADDW', SSSE3, horizontal('i16x8_add', 2), P('PHADDW/PHADDD—Packed Horizontal Add')),
  ...binary('PHADDD', SSSE3, horizontal('i32x4_add', 4), P('PHADDW/PHADDD—Packed Horizontal Add')),
  ...binary('PHADDSW', SSSE3, horizontal('i16x8_add_sat_s', 2), P('PHADDSW—Packed Horizontal Add and Saturate')),
  ...binary('PHSUBW', SSSE3, horizontal('i16x8_sub', 2), P('PHSUBW/PHSUBD—Packed Horizontal Subtract')),
  ...binary('PHSUBD', SSSE3, horizontal('i32x4_sub', 4), P('PHSUBW/PHSUBD—Packed Horizontal Subtract')),
  ...binary('PHSUBSW', SSSE3, horizontal('i16x8_sub_sat_s', 2), P('PHSUBSW—Packed Horizontal Subtract and Saturate')),

  ...binary('PACKSSWB', MMX_SSE2, pack('i8x16_narrow_i16x8_s'), P('PACKSSWB/PACKSSDW—Pack With Signed Saturation')),
  ...binary('PACKSSDW', MMX_SSE2, pack('i16x8_narrow_i32x4_s'), P('PACKSSWB/PACKSSDW—Pack With Signed Saturation')),
  ...binary('PACKUSWB', MMX_SSE2, pack('i8x16_narrow_i16x8_u'), P('PACKUSWB—Pack With Unsigned Saturation')),
  ...binary('PACKUSDW', SSE4_1, pack('i16x8_narrow_i32x4_u'), P('PACKUSDW—Pack With Unsigned Saturation')),
  ...binary('PUNPCKLBW', MMX_SSE2, interleave(1, false), UNPACKL, halfMmx),
  ...binary('PUNPCKLWD', MMX_SSE2, interleave(2, false), UNPACKL, halfMmx),
  ...binary('PUNPCKLDQ', MMX_SSE2, interleave(4, false), UNPACKL, halfMmx),
  ...binary('PUNPCKLQDQ', SSE2, interleave(8, false), UNPACKL),
  ...binary('PUNPCKHBW', MMX_SSE2, interleave(1, true), UNPACKH),
  ...binary('PUNPCKHWD', MMX_SSE2, interleave(2, true), UNPACKH),
  ...binary('PUNPCKHDQ', MMX_SSE2, interleave(4, true), UNPACKH),
  ...binary('PUNPCKHQDQ', SSE2, interleave(8, true), UNPACKH),
  ...binary('UNPCKLPS', LOGIC_FEATURES, interleave(4, false), P('UNPCKLPS—Unpack and Interleave Low Packed Single Precision Floating-Point Values')),
  ...binary('UNPCKHPS', LOGIC_FEATURES, interleave(4, true), P('UNPCKHPS—Unpack and Interleave High Packed Single Precision Floating-Point Values')),
  ...binary('UNPCKLPD', LOGIC2_FEATURES, interleave(8, false), P('UNPCKLPD—Unpack and Interleave Low Packed Double Precision Floating-Point Values')),
  ...binary('UNPCKHPD', LOGIC2_FEATURES, interleave(8, true), P('UNPCKHPD—Unpack and Interleave High Packed Double Precision Floating-Point Values')),
  ...binary('PSHUFB', SSSE3, shuffleBytes, P('PSHUFB—Packed Shuffle Bytes')),

  ...shift('PSLLW', 'shl', 16, 'PSLLW/PSLLD/PSLLQ—Shift Packed Data Left Logical'),
  ...shift('PSLLD', 'shl', 32, 'PSLLW/PSLLD/PSLLQ—Shift Packed Data Left Logical'),
  ...shift('PSLLQ', 'shl', 64, 'PSLLW/PSLLD/PSLLQ—Shift Packed Data Left Logical'),
  ...shift('PSRLW', 'shr_u', 16, 'PSRLW/PSRLD/PSRLQ—Shift Packed Data Right Logical'),
  ...shift('PSRLD', 'shr_u', 32, 'PSRLW/PSRLD/PSRLQ—Shift Packed Data Right Logical'),
  ...shift('PSRLQ', 'shr_u', 64, 'PSRLW/PSRLD/PSRLQ—Shift Packed Data Right Logical'),
  ...shift('PSRAW', 'shr_s', 16, 'PSRAW/PSRAD/PSRAQ—Shift Packed Data Right Arithmetic'),
  ...shift('PSRAD', 'shr_s', 32, 'PSRAW/PSRAD/PSRAQ—Shift Packed Data Right Arithmetic'),
  ...shiftBytes('PSLLDQ', 1, 'PSLLDQ—Shift Double Quadword Left Logical'),
  ...shiftBytes('PSRLDQ', -1, 'PSRLDQ—Shift Double Quadword Right Logical'),

  ...EXTENSIONS.flatMap(([suffix, from, to]) => [
    ...extend(`PMOVSX${suffix}`, from, to, 's'),
    ...extend(`PMOVZX${suffix}`, from, to, 'u'),
  ]),
  ...moveMask('PMOVMSKB', 'i8x16_bitmask', SSE_SSE2, 'PMOVMSKB—Move Byte Mask'),
  ...moveMask('MOVMSKPS', 'i32x4_bitmask', LOGIC_FEATURES, 'MOVMSKPS—Extract Packed Single Precision Floating-Point Sign Mask'),
  ...moveMask('MOVMSKPD', 'i64x2_bitmask', LOGIC2_FEATURES, 'MOVMSKPD—Extract Packed Double Precision Floating-Point Sign Mask'),
];
