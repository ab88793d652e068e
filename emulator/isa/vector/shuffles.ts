/**
 * Shuffles, blends and alignment that an immediate byte controls, and the tests of whole vectors. The immediate becomes
 * indexes of bytes or a mask, so that one function serves the interpreter, which reads it, and translations, where it is
 * constant.
 */
import { SDM } from '../../base/reference.ts';
import { FLAG } from '../../state/registers.ts';
import type { Emitter } from '../emitter.ts';
import type { SemanticRow } from '../forms.ts';
import type { Value } from '../ir.ts';
import type { Features } from './forms.ts';
import {
  begin,
  binaryImmediate,
  bytes,
  i32,
  lane64,
  low64,
  repeated,
  rowsOf,
  SSE2,
  SSE4_1,
  SSSE3,
  source,
  unaryImmediate,
} from './forms.ts';

const IOTA = Array.from({ length: 16 }, (_, i) => i);
const BYTES_LOW = 0x0706_0504_0302_0100n;
const BYTES_HIGH = 0x0f0e_0d0c_0b0a_0908n;

/** Byte indexes of the four doublewords that the immediate's two-bit fields name. */
function doublewordIndexes(e: Emitter, immediate: Value): Value {
  const splat = e.simd('i32x4_splat', [i32(e, immediate)]);
  const scaled = e.simd('i32x4_mul', [splat, bytes(e, 64, 0, 0, 0, 16, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0)]);
  const shifted = e.simd('i32x4_shr_u', [scaled, i32(e, e.constant(6))]);
  const element = e.simd('v128_and', [shifted, repeated(e, 3, 0, 0, 0)]);
  const first = e.simd('i32x4_mul', [element, repeated(e, 4, 4, 4, 4)]);
  return e.simd('i32x4_add', [first, repeated(e, 0, 1, 2, 3)]);
}

/** Byte indexes, as an i64, of the four words that the fields name. */
function wordIndexes(e: Emitter, immediate: Value): Value {
  let fields = e.and(immediate, e.constant(3));
  for (let i = 1; i < 4; i++)
    fields = e.or(fields, e.shl(e.and(e.shr(immediate, 2 * i), e.constant(3)), 16 * i));
  return e.add(e.binary('i64_mul', fields, e.constant(0x0202)), e.constant(0x0100_0100_0100_0100n));
}

const quadwords = (e: Emitter, low: Value, high: Value): Value =>
  e.simd('i64x2_replace_lane', [low64(e, low), high], [1]);

const swizzle = (e: Emitter, value: Value, indexes: Value): Value =>
  e.simd('i8x16_swizzle', [value, indexes]);

/** Two doublewords of `a`, then two of `b`. */
function shufps(e: Emitter, a: Value, b: Value, immediate: Value): Value {
  const indexes = doublewordIndexes(e, immediate);
  const parts = [swizzle(e, a, indexes), swizzle(e, b, indexes)];
  return e.simd(
    'i8x16_shuffle',
    parts,
    IOTA.map((i) => (i < 8 ? i : 16 + i)),
  );
}

function shufpd(e: Emitter, a: Value, b: Value, immediate: Value, half: 0 | 1): Value {
  const chosen = (value: Value, bit: number) =>
    e.select(e.isNotZero(e.and(immediate, e.constant(1 << bit))), lane64(e, value, 1), lane64(e, value, 0));
  return quadwords(e, chosen(a, 2 * half), chosen(b, 2 * half + 1));
}

/** @see SDM "PALIGNR—Packed Align Right" */
function palignr(e: Emitter, a: Value, b: Value, immediate: Value, _half: 0 | 1, mmx: boolean): Value {
  const beyond = e.compare('i64_gt_u', immediate, e.constant(32));
  const count = e.select(beyond, e.constant(32), immediate);
  const indexes = e.simd('i8x16_add', [bytes(e, ...IOTA), e.simd('i8x16_splat', [i32(e, count)])]);
  if (mmx) return swizzle(e, quadwords(e, lane64(e, b, 0), lane64(e, a, 0)), indexes);
  const above = e.simd('i8x16_sub', [indexes, repeated(e, 16)]);
  return e.simd('v128_or', [swizzle(e, b, indexes), swizzle(e, a, above)]);
}

/** Elements of `b` where the immediate has a bit, of `a` elsewhere; `shift`: where the upper lane's bits begin. */
function blend(size: 16 | 32 | 64, shift: number) {
  const shape = `i${size}x${128 / size}` as 'i16x8';
  const width = size / 8;
  return (e: Emitter, a: Value, b: Value, immediate: Value, half: 0 | 1): Value => {
    const own = half === 1 && shift > 0 ? e.shr(immediate, shift) : immediate;
    const bits = bytes(e, ...IOTA.map((i) => (i % width === 0 ? 1 << (i / width) : 0)));
    const splat = e.simd(`${shape}_splat`, [size === 64 ? own : i32(e, own)]);
    const mask = e.simd(`${shape}_eq`, [e.simd('v128_and', [splat, bits]), bits]);
    return e.simd('v128_bitselect', [b, a, mask]);
  };
}

/** ZF and CF say whether a AND b, and NOT a AND b, are zero. @see SDM "PTEST—Logical Compare" */
function test(
  op: string,
  features: Features,
  mask: readonly number[] | undefined,
  title: string,
): SemanticRow[] {
  const emit = (e: Emitter): void => {
    begin(e);
    const [b0, b1] = source(e, 1);
    const [a0, a1] = source(e, 0);
    const masked = (value: Value) => (mask ? e.simd('v128_and', [value, repeated(e, ...mask)]) : value);
    const any = (name: 'v128_and' | 'v128_andnot'): Value => {
      const low = masked(e.simd(name, [b0, a0]));
      const all = a1 && b1 ? e.simd('v128_or', [low, masked(e.simd(name, [b1, a1]))]) : low;
      return e.isZero(e.simd('v128_any_true', [all]));
    };
    const zf = e.select(any('v128_and'), e.constant(FLAG.ZF), e.constant(0));
    const cf = e.select(any('v128_andnot'), e.constant(FLAG.CF), e.constant(0));
    e.setFlags(e.or(zf, cf));
  };
  return rowsOf(op, features, { sources: 1 }, emit, SDM(title))
    .filter((row) => row.forms.length > 0)
    .map((row) => ({ ...row, flags: { writes: 'all' } as const }));
}

const AVX_FLOAT = { sse: 'SSE', vex: 'AVX', wide: 'AVX' } as const satisfies Features;
const AVX_FLOAT2 = { sse: 'SSE2', vex: 'AVX', wide: 'AVX' } as const satisfies Features;
const AVX_FLOAT4 = { sse: 'SSE4_1', vex: 'AVX', wide: 'AVX' } as const satisfies Features;

// biome-ignore format: rows are read as a table
export const VECTOR_SHUFFLE_ROWS: readonly SemanticRow[] = [
  ...unaryImmediate('PSHUFD', SSE2, (e, a, immediate) => swizzle(e, a, doublewordIndexes(e, immediate)), SDM('PSHUFD—Shuffle Packed Doublewords')),
  ...unaryImmediate('PSHUFLW', SSE2, (e, a, immediate) => swizzle(e, a, quadwords(e, wordIndexes(e, immediate), e.constant(BYTES_HIGH))), SDM('PSHUFLW—Shuffle Packed Low Words')),
  ...unaryImmediate('PSHUFHW', SSE2, (e, a, immediate) => swizzle(e, a, quadwords(e, e.constant(BYTES_LOW), e.add(wordIndexes(e, immediate), e.constant(0x0808_0808_0808_0808n)))), SDM('PSHUFHW—Shuffle Packed High Words')),
  ...unaryImmediate('PSHUFW', { mmx: 'SSE' }, (e, a, immediate) => swizzle(e, a, low64(e, wordIndexes(e, immediate))), SDM('PSHUFW—Shuffle Packed Words')),
  ...unaryImmediate('PERMILPS', { vex: 'AVX', wide: 'AVX' }, (e, a, immediate) => swizzle(e, a, doublewordIndexes(e, immediate)), SDM('VPERMILPS—Permute In-Lane of Quadruples of Single Precision Floating-Point Values')),
  ...binaryImmediate('SHUFPS', AVX_FLOAT, shufps, SDM('SHUFPS—Packed Interleave Shuffle of Quadruplets of Single Precision Floating-Point Values')),
  ...binaryImmediate('SHUFPD', AVX_FLOAT2, shufpd, SDM('SHUFPD—Packed Interleave Shuffle of Pairs of Double Precision Floating-Point Values')),
  ...binaryImmediate('PALIGNR', SSSE3, palignr, SDM('PALIGNR—Packed Align Right')),
  ...binaryImmediate('PBLENDW', SSE4_1, blend(16, 0), SDM('PBLENDW—Blend Packed Words')),
  ...binaryImmediate('BLENDPS', AVX_FLOAT4, blend(32, 4), SDM('BLENDPS—Blend Packed Single Precision Floating-Point Values')),
  ...binaryImmediate('BLENDPD', AVX_FLOAT4, blend(64, 2), SDM('BLENDPD—Blend Packed Double Precision Floating-Point Values')),
  ...binaryImmediate('PBLENDD', { vex: 'AVX2', wide: 'AVX2' }, blend(32, 4), SDM('VPBLENDD—Blend Packed Dwords')),
  ...test('PTEST', AVX_FLOAT4, undefined, 'PTEST—Logical Compare'),
  ...test('TESTPS', { vex: 'AVX', wide: 'AVX' }, [0, 0, 0, 0x80], 'VTESTPD/VTESTPS—Packed Bit Test'),
  ...test('TESTPD', { vex: 'AVX', wide: 'AVX' }, [0, 0, 0, 0, 0, 0, 0, 0x80], 'VTESTPD/VTESTPS—Packed Bit Test'),
];
