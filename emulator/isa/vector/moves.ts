/**
 * Data movement between vector registers, general registers and memory.
 *
 * Intel SDM Vol. 1, "SSE Data Transfer Instructions", 5.5.1.1; "SSE2 Data Movement Instructions", 5.6.1.1.
 */
import { type Reference, SDM } from '../../base/reference.ts';
import type { FeatureKey } from '../../core/features.ts';
import { OFFSET } from '../../state/layout.ts';
import type { Emitter } from '../emitter.ts';
import type { Form, OperandBits, RowOperand, SemanticRow } from '../forms.ts';
import type { Value } from '../ir.ts';
import { begin, end, isVex, lane64, low64, result, source, zero } from './forms.ts';

/** Operands of one form, each with its size: `v128`, `m64`, `r32`. */
export function formOf(operands: string, feature: FeatureKey, general = true): Form {
  const parts = operands.split(' ').filter((part) => part.length > 0);
  const kinds = parts.map((part) => part.replace(/\d+$/, '') as RowOperand);
  const sizes = parts.map((part) => Number(/\d+$/.exec(part)?.[0]) as OperandBits);
  return {
    operands: kinds,
    bits: [sizes[0] as OperandBits],
    operandBits: sizes,
    feature,
    ...(general ? { general: true as const } : {}),
  };
}

function rowOf(op: string, forms: readonly Form[], emit: (e: Emitter) => void, ref: Reference): SemanticRow {
  return { op, forms, emit, feature: forms[0]?.feature as FeatureKey, ref };
}

/** A move of whole registers; memory is the destination, the source, or either. */
function wholeMove(
  op: string,
  feature: FeatureKey,
  aligned: boolean,
  directions: 'both' | 'load' | 'store',
  title: string,
  wide: FeatureKey = 'AVX',
): SemanticRow[] {
  const emit = (e: Emitter): void => {
    begin(e);
    if (e.isMemory(0)) {
      e.storeVector(0, e.vector(1), e.spec.operandBits[1] === 256 ? e.vector(1, 1) : undefined, aligned);
      end(e);
      return;
    }
    const memory = e.isMemory(1);
    const [low, high] = memory ? e.loadVector(1, aligned) : source(e, 1);
    result(e, low, high);
  };
  const forms = (size: number, needs: FeatureKey): Form[] => [
    ...(directions === 'store'
      ? []
      : [formOf(`v${size} ${directions === 'both' ? 'vm' : 'm'}${size}`, needs, false)]),
    ...(directions === 'load' ? [] : [formOf(`m${size} v${size}`, needs, false)]),
  ];
  const ref = SDM(title);
  return [
    rowOf(op, forms(128, feature), emit, ref),
    rowOf(`V${op}`, [...forms(128, 'AVX'), ...forms(256, wide)], emit, ref),
  ];
}

/** MOVD and MOVQ between a vector register and a general register or memory, MOVQ between vector registers too. */
function narrowMove(op: 'MOVD' | 'MOVQ', size: 32 | 64): SemanticRow[] {
  const emit = (e: Emitter): void => {
    begin(e);
    const [to, from] = e.spec.operands;
    const toVector = to === 'v' || to === 'q';
    if (!toVector) {
      const [low] = source(e, 1);
      e.write(0, lane64(e, low, 0));
      end(e);
      return;
    }
    if (from === 'v' || from === 'q') result(e, low64(e, lane64(e, source(e, 1)[0], 0)));
    else result(e, low64(e, e.read(1)));
  };
  const ref = SDM('MOVD/MOVQ—Move Doubleword/Quadword');
  const pairs = (vector: string, feature: FeatureKey) => [
    formOf(`${vector} rm${size}`, feature),
    formOf(`rm${size} ${vector}`, feature),
  ];
  const own = size === 64;
  return [
    rowOf(
      op,
      [
        ...pairs('q64', 'MMX'),
        ...pairs('v128', 'SSE2'),
        ...(own ? [formOf('q64 q64', 'MMX'), formOf('v128 v128', 'SSE2')] : []),
      ],
      emit,
      ref,
    ),
    rowOf(`V${op}`, [...pairs('v128', 'AVX'), ...(own ? [formOf('v128 v128', 'AVX')] : [])], emit, ref),
  ];
}

/** Bytes of `a`, but the first `count` from `b`. */
function mergeLow(e: Emitter, a: Value, b: Value, count: number): Value {
  return e.simd(
    'i8x16_shuffle',
    [a, b],
    Array.from({ length: 16 }, (_, i) => (i < count ? 16 + i : i)),
  );
}

/** MOVSS and MOVSD: loads clear the rest of the register, moves between registers keep it. */
function scalarMove(
  op: string,
  vexOp: string,
  size: 32 | 64,
  feature: FeatureKey,
  title: string,
): SemanticRow[] {
  const emit = (e: Emitter): void => {
    begin(e);
    const last = e.spec.operands.length - 1;
    if (e.isMemory(0)) {
      e.write(0, lane64(e, source(e, 1)[0], 0));
      return;
    }
    if (e.isMemory(1)) {
      const value = low64(e, e.read(1));
      // A legacy load keeps bits 255:128.
      e.setVector(0, 0, value);
      if (isVex(e)) e.setVector(0, 1, zero(e));
      return;
    }
    result(e, mergeLow(e, e.vector(isVex(e) ? 1 : 0), e.vector(last), size / 8));
  };
  const memory = (needs: FeatureKey) => [
    formOf(`v128 m${size}`, needs, false),
    formOf(`m${size} v128`, needs, false),
  ];
  const ref = SDM(title);
  return [
    rowOf(op, [...memory(feature), formOf('v128 v128', feature)], emit, ref),
    rowOf(vexOp, [...memory('AVX'), formOf('v128 v128 v128', 'AVX')], emit, ref),
  ];
}

/** MOVLPS, MOVHPS and the like: eight bytes between memory and one half of an XMM register. */
function halfMove(op: string, half: 0 | 1, feature: FeatureKey, title: string): SemanticRow[] {
  const emit = (e: Emitter): void => {
    begin(e);
    if (e.isMemory(0)) {
      e.write(0, lane64(e, e.vector(1), half));
      return;
    }
    const value = e.read(isVex(e) ? 2 : 1);
    result(e, e.simd('i64x2_replace_lane', [e.vector(isVex(e) ? 1 : 0), value], [half]));
  };
  const ref = SDM(title);
  return [
    rowOf(op, [formOf('v128 m64', feature), formOf('m64 v128', feature)], emit, ref),
    rowOf(`V${op}`, [formOf('v128 v128 m64', 'AVX'), formOf('m64 v128', 'AVX')], emit, ref),
  ];
}

/** MOVHLPS and MOVLHPS: one half of the second source to the other half of the first. */
function crossMove(op: string, from: 0 | 1, title: string): SemanticRow[] {
  const emit = (e: Emitter): void => {
    begin(e);
    const [left, right] = isVex(e) ? [1, 2] : [0, 1];
    const value = lane64(e, e.vector(right), from);
    result(e, e.simd('i64x2_replace_lane', [e.vector(left), value], [1 - from]));
  };
  const ref = SDM(title);
  return [
    rowOf(op, [formOf('v128 v128', 'SSE')], emit, ref),
    rowOf(`V${op}`, [formOf('v128 v128 v128', 'AVX')], emit, ref),
  ];
}

/** The same bytes of every lane, some of them twice. */
function duplicate(op: string, indexes: readonly number[], title: string): SemanticRow[] {
  const lane = (e: Emitter, value: Value) => e.simd('i8x16_shuffle', [value, value], indexes);
  const emit = (e: Emitter): void => {
    begin(e);
    const [low, high] = source(e, 1);
    result(e, lane(e, low), high && lane(e, high));
  };
  // MOVDDUP reads 8 bytes of memory for 16.
  const narrow = op === 'MOVDDUP' ? 64 : 128;
  const ref = SDM(title);
  return [
    rowOf(op, [formOf(`v128 vm${narrow}`, 'SSE3')], emit, ref),
    rowOf(`V${op}`, [formOf(`v128 vm${narrow}`, 'AVX'), formOf('v256 vm256', 'AVX')], emit, ref),
  ];
}

const elements = (size: number, ...order: readonly number[]): number[] =>
  order.flatMap((element) => Array.from({ length: size }, (_, i) => element * size + i));

/** An element in every place. */
function broadcast(
  op: string,
  size: 8 | 16 | 32 | 64,
  feature: FeatureKey,
  fromRegister: FeatureKey,
  title: string,
): SemanticRow {
  const emit = (e: Emitter): void => {
    begin(e);
    const [value] = source(e, 1);
    const all = e.simd(
      'i8x16_shuffle',
      [value, value],
      Array.from({ length: 16 }, (_, i) => i % (size / 8)),
    );
    result(e, all, e.spec.operandBits[0] === 256 ? all : undefined);
  };
  // There is no VBROADCASTSD to an XMM register.
  const sizes = op === 'VBROADCASTSD' ? [256] : [128, 256];
  const forms = sizes.flatMap((bits) => [
    formOf(`v${bits} m${size}`, feature),
    formOf(`v${bits} v128`, fromRegister),
  ]);
  return rowOf(op, forms, emit, SDM(title));
}

function broadcastLane(op: string, feature: FeatureKey): SemanticRow {
  const emit = (e: Emitter): void => {
    begin(e);
    const [value] = source(e, 1);
    result(e, value, value);
  };
  return rowOf(
    op,
    [formOf('v256 m128', feature)],
    emit,
    SDM('VBROADCAST—Load with Broadcast Floating-Point Data'),
  );
}

/** Sets the low bit of an immediate against zero. */
const bitOf = (e: Emitter, immediate: Value, bit: number): Value =>
  e.isNotZero(e.and(immediate, e.constant(1 << bit)));

function extractLane(op: string, feature: FeatureKey, title: string): SemanticRow {
  const emit = (e: Emitter): void => {
    begin(e);
    const value = e.select(bitOf(e, e.read(2), 0), e.vector(1, 1), e.vector(1, 0));
    if (e.isMemory(0)) e.storeVector(0, value, undefined, false);
    else result(e, value);
  };
  return rowOf(op, [formOf('vm128 v256 i8', feature)], emit, SDM(title));
}

function insertLane(op: string, feature: FeatureKey, title: string): SemanticRow {
  const emit = (e: Emitter): void => {
    begin(e);
    const [value] = source(e, 2);
    const upper = bitOf(e, e.read(3), 0);
    result(e, e.select(upper, e.vector(1, 0), value), e.select(upper, value, e.vector(1, 1)));
  };
  return rowOf(op, [formOf('v256 v256 vm128 i8', feature)], emit, SDM(title));
}

/** Each half of the result is one of four lanes, or zero. */
function permuteLanes(op: string, feature: FeatureKey, title: string): SemanticRow {
  const emit = (e: Emitter): void => {
    begin(e);
    const [b0, b1] = source(e, 2);
    const immediate = e.read(3);
    const half = (shift: number): Value => {
      const bit = (n: number) => bitOf(e, immediate, shift + n);
      const fromA = e.select(bit(0), e.vector(1, 1), e.vector(1, 0));
      const chosen = e.select(bit(1), e.select(bit(0), b1 as Value, b0), fromA);
      return e.select(bit(3), zero(e), chosen);
    };
    result(e, half(0), half(4));
  };
  return rowOf(op, [formOf('v256 v256 vm256 i8', feature)], emit, SDM(title));
}

/** Four quadwords in the order that the immediate says. */
function permuteQuadwords(op: string, title: string): SemanticRow {
  const emit = (e: Emitter): void => {
    begin(e);
    const [low, high] = source(e, 1);
    const immediate = e.read(2);
    const quadwords = [
      lane64(e, low, 0),
      lane64(e, low, 1),
      lane64(e, high as Value, 0),
      lane64(e, high as Value, 1),
    ] as const;
    const chosen = (place: number): Value => {
      const bit = (n: number) => bitOf(e, immediate, 2 * place + n);
      const [q0, q1, q2, q3] = quadwords;
      return e.select(bit(1), e.select(bit(0), q3, q2), e.select(bit(0), q1, q0));
    };
    const half = (first: number) =>
      e.simd('i64x2_replace_lane', [low64(e, chosen(first)), chosen(first + 1)], [1]);
    result(e, half(0), half(2));
  };
  return rowOf(op, [formOf('v256 vm256 i8', 'AVX2')], emit, SDM(title));
}

/** Clears all registers that the mode can name, from a half on. */
function clearAll(op: string, from: 0 | 1, title: string): SemanticRow {
  const emit = (e: Emitter): void => {
    begin(e);
    for (let register = 0; register < (e.spec.flat ? 16 : 8); register++) {
      for (let word = 2 * from; word < 4; word++)
        e.setField(OFFSET.YMM + 32 * register + 8 * word, 64, e.constant(0));
    }
  };
  const form: Form = { operands: [], bits: [8], feature: 'AVX' };
  return { op, forms: [form], variants: 'mode', emit, feature: 'AVX', ref: SDM(title) };
}

const movq2dq: SemanticRow = rowOf(
  'MOVQ2DQ',
  [formOf('v128 q64', 'SSE2')],
  (e) => {
    begin(e);
    e.setVector(0, 0, e.vector(1));
    end(e);
  },
  SDM('MOVQ2DQ—Move Quadword from MMX Technology to XMM Register'),
);

const movdq2q: SemanticRow = rowOf(
  'MOVDQ2Q',
  [formOf('q64 v128', 'SSE2')],
  (e) => {
    begin(e);
    e.setVector(0, 0, e.vector(1));
    end(e);
  },
  SDM('MOVDQ2Q—Move Quadword from XMM to MMX Technology Register'),
);

const movntq: SemanticRow = rowOf(
  'MOVNTQ',
  [formOf('m64 q64', 'SSE')],
  (e) => {
    begin(e);
    e.write(0, lane64(e, e.vector(1), 0));
    end(e);
  },
  SDM('MOVNTQ—Store of Quadword Using Non-Temporal Hint'),
);

// biome-ignore format: rows are read as a table
export const VECTOR_MOVE_ROWS: readonly SemanticRow[] = [
  ...wholeMove('MOVAPS', 'SSE', true, 'both', 'MOVAPS—Move Aligned Packed Single Precision Floating-Point Values'),
  ...wholeMove('MOVAPD', 'SSE2', true, 'both', 'MOVAPD—Move Aligned Packed Double Precision Floating-Point Values'),
  ...wholeMove('MOVDQA', 'SSE2', true, 'both', 'MOVDQA,VMOVDQA32/64—Move Aligned Packed Integer Values'),
  ...wholeMove('MOVUPS', 'SSE', false, 'both', 'MOVUPS—Move Unaligned Packed Single Precision Floating-Point Values'),
  ...wholeMove('MOVUPD', 'SSE2', false, 'both', 'MOVUPD—Move Unaligned Packed Double Precision Floating-Point Values'),
  ...wholeMove('MOVDQU', 'SSE2', false, 'both', 'MOVDQU,VMOVDQU8/16/32/64—Move Unaligned Packed Integer Values'),
  ...wholeMove('LDDQU', 'SSE3', false, 'load', 'LDDQU—Load Unaligned Integer 128 Bits'),
  ...wholeMove('MOVNTDQA', 'SSE4_1', true, 'load', 'MOVNTDQA—Load Double Quadword Non-Temporal Aligned Hint', 'AVX2'),
  ...wholeMove('MOVNTPS', 'SSE', true, 'store', 'MOVNTPS—Store Packed Single Precision Floating-Point Values Using Non-Temporal Hint'),
  ...wholeMove('MOVNTPD', 'SSE2', true, 'store', 'MOVNTPD—Store Packed Double Precision Floating-Point Values Using Non-Temporal Hint'),
  ...wholeMove('MOVNTDQ', 'SSE2', true, 'store', 'MOVNTDQ—Store Packed Integers Using Non-Temporal Hint'),
  movntq,
  movq2dq,
  movdq2q,
  ...narrowMove('MOVD', 32),
  ...narrowMove('MOVQ', 64),
  ...scalarMove('MOVSS', 'VMOVSS', 32, 'SSE', 'MOVSS—Move or Merge Scalar Single Precision Floating-Point Value'),
  ...scalarMove('MOVSD XMM', 'VMOVSD', 64, 'SSE2', 'MOVSD—Move or Merge Scalar Double Precision Floating-Point Value'),
  ...halfMove('MOVLPS', 0, 'SSE', 'MOVLPS—Move Low Packed Single Precision Floating-Point Values'),
  ...halfMove('MOVLPD', 0, 'SSE2', 'MOVLPD—Move Low Packed Double Precision Floating-Point Value'),
  ...halfMove('MOVHPS', 1, 'SSE', 'MOVHPS—Move High Packed Single Precision Floating-Point Values'),
  ...halfMove('MOVHPD', 1, 'SSE2', 'MOVHPD—Move High Packed Double Precision Floating-Point Value'),
  ...crossMove('MOVHLPS', 1, 'MOVHLPS—Move Packed Single Precision Floating-Point Values High to Low'),
  ...crossMove('MOVLHPS', 0, 'MOVLHPS—Move Packed Single Precision Floating-Point Values Low to High'),
  ...duplicate('MOVDDUP', elements(8, 0, 0), 'MOVDDUP—Replicate Double Precision Floating-Point Values'),
  ...duplicate('MOVSLDUP', elements(4, 0, 0, 2, 2), 'MOVSLDUP—Replicate Single Precision Floating-Point Values'),
  ...duplicate('MOVSHDUP', elements(4, 1, 1, 3, 3), 'MOVSHDUP—Replicate Single Precision Floating-Point Values'),
  broadcast('VBROADCASTSS', 32, 'AVX', 'AVX2', 'VBROADCAST—Load with Broadcast Floating-Point Data'),
  broadcast('VBROADCASTSD', 64, 'AVX', 'AVX2', 'VBROADCAST—Load with Broadcast Floating-Point Data'),
  broadcastLane('VBROADCASTF128', 'AVX'),
  broadcastLane('VBROADCASTI128', 'AVX2'),
  broadcast('VPBROADCASTB', 8, 'AVX2', 'AVX2', 'VPBROADCAST—Load Integer and Broadcast'),
  broadcast('VPBROADCASTW', 16, 'AVX2', 'AVX2', 'VPBROADCAST—Load Integer and Broadcast'),
  broadcast('VPBROADCASTD', 32, 'AVX2', 'AVX2', 'VPBROADCAST—Load Integer and Broadcast'),
  broadcast('VPBROADCASTQ', 64, 'AVX2', 'AVX2', 'VPBROADCAST—Load Integer and Broadcast'),
  extractLane('VEXTRACTF128', 'AVX', 'VEXTRACTF128/VEXTRACTF32x4/VEXTRACTF64x2/VEXTRACTF32x8/VEXTRACTF64x4—Extract Packed Floating-Point Values'),
  extractLane('VEXTRACTI128', 'AVX2', 'VEXTRACTI128/VEXTRACTI32x4/VEXTRACTI64x2/VEXTRACTI32x8/VEXTRACTI64x4—Extract Packed Integer Values'),
  insertLane('VINSERTF128', 'AVX', 'VINSERTF128/VINSERTF32x4/VINSERTF64x2/VINSERTF32x8/VINSERTF64x4—Insert Packed Floating-Point Values'),
  insertLane('VINSERTI128', 'AVX2', 'VINSERTI128/VINSERTI32x4/VINSERTI64x2/VINSERTI32x8/VINSERTI64x4—Insert Packed Integer Values'),
  permuteLanes('VPERM2F128', 'AVX', 'VPERM2F128—Permute Floating-Point Values'),
  permuteLanes('VPERM2I128', 'AVX2', 'VPERM2I128—Permute Integer Values'),
  permuteQuadwords('VPERMQ', 'VPERMQ—Qwords Element Permutation'),
  clearAll('VZEROUPPER', 1, 'VZEROUPPER—Zero Upper Bits of YMM Registers'),
  clearAll('VZEROALL', 0, 'VZEROALL—Zero XMM, YMM, and ZMM Registers'),
  permuteQuadwords('VPERMPD', 'VPERMPD—Permute Double Precision Floating-Point Elements'),
];
