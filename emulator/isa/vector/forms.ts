/**
 * What rows of vector instructions share: their forms in the MMX, legacy SSE and VEX encodings, how operands are read, and
 * the rule of what a write does to the rest of the register: legacy SSE keeps bits 255:128, VEX clears them.
 *
 * Intel SDM Vol. 1, "Programming with Intel AVX, FMA, and Intel AVX2", 14.1 to 14.3; Vol. 2A, "Exceptions Type", 2.4.
 */
import type { Reference } from '../../base/reference.ts';
import type { FeatureKey } from '../../core/features.ts';
import { OFFSET } from '../../state/layout.ts';
import type { Emitter } from '../emitter.ts';
import type { Form, OperandBits, RowOperand, SemanticRow } from '../forms.ts';
import type { Value } from '../ir.ts';

/** TOP in the x87 status word: MMX instructions clear it and make all registers valid. */
const TOP = 7n << 11n;

export interface Features {
  readonly mmx?: FeatureKey;
  readonly sse?: FeatureKey;
  /** Of the VEX encoding with 128 and 256 bits. */
  readonly vex?: FeatureKey;
  readonly wide?: FeatureKey;
}

/** The combinations of features in which packed integer instructions come. */
export const MMX_SSE2: Features = { mmx: 'MMX', sse: 'SSE2', vex: 'AVX', wide: 'AVX2' };
export const SSE_SSE2: Features = { mmx: 'SSE', sse: 'SSE2', vex: 'AVX', wide: 'AVX2' };
export const SSE2_SSE2: Features = { mmx: 'SSE2', sse: 'SSE2', vex: 'AVX', wide: 'AVX2' };
export const SSSE3: Features = { mmx: 'SSSE3', sse: 'SSSE3', vex: 'AVX', wide: 'AVX2' };
export const SSE2: Features = { sse: 'SSE2', vex: 'AVX', wide: 'AVX2' };
export const SSE4_1: Features = { sse: 'SSE4_1', vex: 'AVX', wide: 'AVX2' };
export const SSE4_2: Features = { sse: 'SSE4_2', vex: 'AVX', wide: 'AVX2' };

export function isVex(e: Emitter): boolean {
  return e.spec.row.op.startsWith('V');
}

export function isMmx(e: Emitter): boolean {
  return e.spec.operands.includes('q');
}

/** The checks that come first. */
export function begin(e: Emitter): void {
  e.require(isVex(e) ? 'avx' : isMmx(e) ? 'mmx' : 'sse');
}

/** An MMX instruction's effect on the x87 state, which comes last. */
export function end(e: Emitter): void {
  if (!isMmx(e)) return;
  e.setField(OFFSET.X87_TAG, 32, e.constant(0));
  e.setField(OFFSET.X87_STATUS, 32, e.and(e.field(OFFSET.X87_STATUS, 32), e.constant(~TOP)));
}

export function bytes(e: Emitter, ...values: readonly number[]): Value {
  return e.simd('v128_const', [], values);
}

/** A constant with 16 bytes made of the given ones again and again. */
export function repeated(e: Emitter, ...values: readonly number[]): Value {
  return bytes(e, ...Array.from({ length: 16 }, (_, i) => values[i % values.length] as number));
}

export function zero(e: Emitter): Value {
  return repeated(e, 0);
}

/** An i64 in bits 63:0, zeros above. */
export function low64(e: Emitter, value: Value): Value {
  return e.simd('i64x2_replace_lane', [zero(e), value], [0]);
}

export function lane64(e: Emitter, value: Value, lane: 0 | 1): Value {
  return e.simd('i64x2_extract_lane', [value], [lane]);
}

export function i32(e: Emitter, value: Value): Value {
  return e.unary('i32_wrap_i64', value);
}

type Halves = readonly [low: Value, high: Value | undefined];

/** Operand `n`: a register's or memory's 16 or 32 bytes; less than 16 bytes of memory with zeros above. */
export function source(e: Emitter, n: number): Halves {
  const bits = e.spec.operandBits[n] as OperandBits;
  if (e.isMemory(n)) return bits >= 128 ? e.loadVector(n, !isVex(e)) : [low64(e, e.read(n)), undefined];
  return [e.vector(n), bits === 256 ? e.vector(n, 1) : undefined];
}

/** Writes a vector register by the rule of the encoding. */
export function result(e: Emitter, low: Value, high?: Value, n = 0): void {
  e.setVector(n, 0, low);
  if (isVex(e)) e.setVector(n, 1, high ?? zero(e));
  end(e);
}

/** What happens in each 128-bit lane; with MMX operands bits 63:0 count. */
export type Lane2 = (e: Emitter, a: Value, b: Value, mmx: boolean) => Value;
export type Lane1 = (e: Emitter, a: Value, mmx: boolean) => Value;

interface FormParts {
  /** Operands of the destination's size, then an immediate byte if `immediate`. */
  readonly sources: 1 | 2;
  readonly immediate?: boolean;
  /** Size of the memory or last register operand where it is not the destination's, by the latter. */
  readonly narrow?: (bits: number) => OperandBits;
  /** All memory forms get handlers of their own. */
  readonly quick?: boolean;
}

function form(
  kinds: readonly RowOperand[],
  bits: OperandBits,
  feature: FeatureKey,
  { immediate = false, narrow, quick = false }: FormParts,
): Form {
  const operands: RowOperand[] = immediate ? [...kinds, 'i'] : [...kinds];
  const last = kinds.length - 1;
  const operandBits = operands.map(
    (kind, i): OperandBits => (kind === 'i' ? 8 : i === last && narrow ? narrow(bits) : bits),
  );
  return { operands, bits: [bits], operandBits, feature, ...(quick ? {} : { general: true }) };
}

/** The rows of an instruction, legacy and VEX: the destination is also the first of two sources in legacy encodings. */
export function rowsOf(
  op: string,
  features: Features,
  parts: FormParts,
  emit: (e: Emitter) => void,
  ref: Reference,
): SemanticRow[] {
  const { mmx, sse, vex, wide } = features;
  const legacy: Form[] = [];
  if (mmx) legacy.push(form(['q', 'qm'], 64, mmx, parts));
  if (sse) legacy.push(form(['v', 'vm'], 128, sse, parts));
  const kinds: RowOperand[] = parts.sources === 2 ? ['v', 'v', 'vm'] : ['v', 'vm'];
  const modern: Form[] = [];
  if (vex) modern.push(form(kinds, 128, vex, parts));
  if (wide) modern.push(form(kinds, 256, wide, parts));
  const rows: SemanticRow[] = [];
  const first = mmx ?? sse;
  if (legacy.length > 0 && first) rows.push({ op, forms: legacy, emit, feature: first, ref });
  const firstVex = vex ?? wide;
  if (modern.length > 0 && firstVex) rows.push({ op: `V${op}`, forms: modern, emit, feature: firstVex, ref });
  return rows;
}

/** An instruction with two sources that does the same in every lane. */
export function binary(
  op: string,
  features: Features,
  lane: Lane2,
  ref: Reference,
  narrow: (bits: number) => OperandBits = (bits) => bits as OperandBits,
): SemanticRow[] {
  const emit = (e: Emitter): void => {
    begin(e);
    const [left, right] = isVex(e) ? [1, 2] : [0, 1];
    const [b0, b1] = source(e, right);
    const [a0, a1] = source(e, left);
    const mmx = isMmx(e);
    result(e, lane(e, a0, b0, mmx), a1 && b1 && lane(e, a1, b1, mmx));
  };
  return rowsOf(op, features, { sources: 2, narrow }, emit, ref);
}

/** An instruction with one source that does the same in every lane. */
export function unary(op: string, features: Features, lane: Lane1, ref: Reference): SemanticRow[] {
  const emit = (e: Emitter): void => {
    begin(e);
    const [a0, a1] = source(e, 1);
    const mmx = isMmx(e);
    result(e, lane(e, a0, mmx), a1 && lane(e, a1, mmx));
  };
  return rowsOf(op, features, { sources: 1 }, emit, ref);
}

/** With one source and an immediate byte, given as an i64. */
export function unaryImmediate(
  op: string,
  features: Features,
  lane: (e: Emitter, a: Value, immediate: Value, mmx: boolean) => Value,
  ref: Reference,
): SemanticRow[] {
  const emit = (e: Emitter): void => {
    begin(e);
    const [a0, a1] = source(e, 1);
    const immediate = e.read(2);
    const mmx = isMmx(e);
    result(e, lane(e, a0, immediate, mmx), a1 && lane(e, a1, immediate, mmx));
  };
  return rowsOf(op, features, { sources: 1, immediate: true }, emit, ref);
}

/** With two sources and an immediate byte; `half` says which lane it is. */
export function binaryImmediate(
  op: string,
  features: Features,
  lane: (e: Emitter, a: Value, b: Value, immediate: Value, half: 0 | 1, mmx: boolean) => Value,
  ref: Reference,
): SemanticRow[] {
  const emit = (e: Emitter): void => {
    begin(e);
    const [left, right] = isVex(e) ? [1, 2] : [0, 1];
    const [b0, b1] = source(e, right);
    const [a0, a1] = source(e, left);
    const immediate = e.read(right + 1);
    const mmx = isMmx(e);
    result(e, lane(e, a0, b0, immediate, 0, mmx), a1 && b1 && lane(e, a1, b1, immediate, 1, mmx));
  };
  return rowsOf(op, features, { sources: 2, immediate: true }, emit, ref);
}
