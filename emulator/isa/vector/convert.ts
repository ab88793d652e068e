/**
 * Conversions between floating-point formats and integers, in vector, MMX and general registers.
 *
 * Intel SDM Vol. 1, "SSE2 Conversion Instructions", 11.4.1.6; "Half Precision Floating-Point Conversion", 14.4.
 */
import { SDM } from '../../base/reference.ts';
import type { FeatureKey } from '../../core/features.ts';
import { OUTCOME } from '../../core/outcome.ts';
import { convert, DOUBLE, type Format, fromInteger, HALF, SINGLE, toInteger } from '../softfloat/binary.ts';
import { EXCEPTION, ROUNDING } from '../softfloat/rounding.ts';
import { Lanes, type VectorBody, type VectorExecution } from './execute.ts';
import { getElement, immediateRounding, setElement } from './float.ts';
import { type VectorSystemRow, vectorRow } from './systemForms.ts';

const A = new Lanes();
const R = new Lanes();

type Convert = (x: VectorExecution, bits: bigint) => { bits: bigint; flags: number };

/** An element's place: signed integers are read and written by size alone. */
type Element = Format | 'int32' | 'int64';

function get(lanes: Lanes, element: Element, i: number): bigint {
  if (element === 'int32') return BigInt(lanes.u32[i] as number);
  return element === 'int64' ? (lanes.u64[i] as bigint) : getElement(lanes, element, i);
}

function set(lanes: Lanes, element: Element, i: number, bits: bigint): void {
  if (element === 'int32') lanes.u32[i] = Number(bits);
  else if (element === 'int64') lanes.u64[i] = bits;
  else setElement(lanes, element, i, bits);
}

const sizeOf = (element: Element): number =>
  element === 'int32' ? 32 : element === 'int64' ? 64 : element.size;

function converter(from: Element, to: Element, truncate: boolean): Convert {
  if (from === 'int32' || from === 'int64')
    return (x, bits) => fromInteger(BigInt.asIntN(sizeOf(from), bits), to as Format, x.control);
  if (to === 'int32' || to === 'int64')
    return (x, bits) =>
      toInteger(bits, sizeOf(to) as 32 | 64, truncate ? ROUNDING.ZERO : x.control.rounding, from, x.control);
  return (x, bits) => convert(bits, from, to, x.control);
}

/** As many elements as both operands have room for; the rest of the destination is cleared. */
function packed(from: Element, to: Element, truncate = false): VectorBody {
  const body = converter(from, to, truncate);
  return (x) => {
    const narrow = Math.min(sizeOf(from), sizeOf(to));
    const wide = Math.max(sizeOf(from), sizeOf(to));
    const sourceBits = x.instruction.operandBits(1);
    const count = x.isMemory(1)
      ? sourceBits / sizeOf(from)
      : Math.max(x.bytes * 8, x.instruction.operandBits(1)) / (x.vex || narrow !== wide ? wide : narrow);
    if (!x.read(1, A, { bytes: (count * sizeOf(from)) / 8 })) return false;
    R.u8.fill(0);
    for (let i = 0; i < count; i++) {
      const { bits, flags } = body(x, get(A, from, i));
      x.note(flags);
      set(R, to, i, bits);
    }
    const outcome = x.finishFlags();
    if (outcome === OUTCOME.NEXT) x.write(0, R);
    return outcome;
  };
}

/** The element 0 of the last operand; the rest is the first source's. */
function scalar(from: Element, to: Element): VectorBody {
  const body = converter(from, to, false);
  return (x) => {
    const last = x.vex ? 2 : 1;
    if (!x.read(last, A, { bytes: sizeOf(from) / 8 })) return false;
    x.read(x.vex ? 1 : 0, R);
    const { bits, flags } = body(x, get(A, from, 0));
    x.note(flags);
    set(R, to, 0, bits);
    const outcome = x.finishFlags();
    if (outcome === OUTCOME.NEXT) x.write(0, R);
    return outcome;
  };
}

/** From a general register or memory, signed, of the operand's size. */
function fromGeneral(to: Format): VectorBody {
  return (x) => {
    const last = x.vex ? 2 : 1;
    const size = x.instruction.operandBits(last) as 32 | 64;
    if (!x.read(last, A)) return false;
    x.read(x.vex ? 1 : 0, R);
    const { bits, flags } = fromInteger(BigInt.asIntN(size, A.u64[0] as bigint), to, x.control);
    x.note(flags);
    setElement(R, to, 0, bits);
    const outcome = x.finishFlags();
    if (outcome === OUTCOME.NEXT) x.write(0, R);
    return outcome;
  };
}

function toGeneral(from: Format, truncate: boolean): VectorBody {
  return (x) => {
    if (!x.read(1, A, { bytes: from.size / 8 })) return false;
    const size = x.instruction.operandBits(0) as 32 | 64;
    const rounding = truncate ? ROUNDING.ZERO : x.control.rounding;
    const { bits, flags } = toInteger(getElement(A, from, 0), size, rounding, from, x.control);
    x.note(flags);
    const outcome = x.finishFlags();
    if (outcome === OUTCOME.NEXT) x.cpu.state.setGpr(x.instruction.register(0), bits);
    return outcome;
  };
}

/** Two elements between an MMX and an XMM register; of the latter the rest stays where only half is written. */
function mmx(from: Element, to: Element, truncate = false): VectorBody {
  const body = converter(from, to, truncate);
  return (x) => {
    if (!x.read(1, A, { bytes: (2 * sizeOf(from)) / 8 })) return false;
    x.read(0, R);
    // The transition to MMX comes before SIMD floating-point exceptions.
    if (x.usesMmx) x.enterMmx();
    for (let i = 0; i < 2; i++) {
      const { bits, flags } = body(x, get(A, from, i));
      x.note(flags);
      set(R, to, i, bits);
    }
    const outcome = x.finishFlags();
    if (outcome === OUTCOME.NEXT) x.write(0, R);
    return outcome;
  };
}

/** DAZ does not matter, and denormals raise nothing. @see SDM "VCVTPH2PS—Convert Packed FP16 Values to Single Precision" */
const fromHalf: VectorBody = (x) => {
  const count = x.bytes / 4;
  if (!x.read(1, A, { bytes: 2 * count })) return false;
  R.u8.fill(0);
  const control = { ...x.control, denormalsAreZeros: false, masks: x.control.masks | EXCEPTION.DENORMAL };
  for (let i = 0; i < count; i++) {
    const { bits, flags } = convert(getElement(A, HALF, i), HALF, SINGLE, control);
    x.note(flags & ~EXCEPTION.DENORMAL);
    setElement(R, SINGLE, i, bits);
  }
  const outcome = x.finishFlags();
  if (outcome === OUTCOME.NEXT) x.write(0, R);
  return outcome;
};

/** FTZ does not matter. @see SDM "VCVTPS2PH—Convert Single Precision FP Value to 16-bit FP Value" */
const toHalf: VectorBody = (x) => {
  x.read(1, A);
  R.u8.fill(0);
  const count = x.instruction.operandBits(1) / 32;
  const control = { ...x.control, rounding: immediateRounding(x), flushToZero: false };
  for (let i = 0; i < count; i++) {
    const { bits, flags } = convert(getElement(A, SINGLE, i), SINGLE, HALF, control);
    x.note(flags);
    setElement(R, HALF, i, bits);
  }
  // Exceptions of the access come first.
  if (!x.probe(0, 2 * count)) return false;
  const outcome = x.finishFlags();
  if (outcome === OUTCOME.NEXT) x.write(0, R, { bytes: 2 * count });
  return outcome;
};

/** Both encodings of a packed conversion: sizes of the source for 128 and 256 bits. */
function packedRows(
  name: string,
  feature: FeatureKey,
  shapes: readonly [string, string],
  body: VectorBody,
  title: string,
): VectorSystemRow[] {
  const ref = SDM(title);
  const [narrow, wide] = shapes;
  return [
    vectorRow(name, [{ operands: narrow, feature }], body, ref),
    vectorRow(
      `V${name}`,
      [
        { operands: narrow, feature: 'AVX' },
        { operands: wide, feature: 'AVX' },
      ],
      body,
      ref,
    ),
  ];
}

function scalarRows(
  name: string,
  feature: FeatureKey,
  memory: number,
  body: VectorBody,
  title: string,
): VectorSystemRow[] {
  const ref = SDM(title);
  return [
    vectorRow(name, [{ operands: `v128 vm${memory}`, feature }], body, ref),
    vectorRow(`V${name}`, [{ operands: `v128 v128 vm${memory}`, feature: 'AVX' }], body, ref),
  ];
}

function fromGeneralRows(name: string, feature: FeatureKey, to: Format, title: string): VectorSystemRow[] {
  const ref = SDM(title);
  const body = fromGeneral(to);
  const forms = (head: string, needs: FeatureKey) =>
    [32, 64].map((size) => ({ operands: `${head} rm${size}`, feature: needs }));
  return [
    vectorRow(name, forms('v128', feature), body, ref),
    vectorRow(`V${name}`, forms('v128 v128', 'AVX'), body, ref),
  ];
}

function toGeneralRows(
  name: string,
  feature: FeatureKey,
  from: Format,
  truncate: boolean,
  title: string,
): VectorSystemRow[] {
  const ref = SDM(title);
  const body = toGeneral(from, truncate);
  const forms = (needs: FeatureKey) =>
    [32, 64].map((size) => ({ operands: `r${size} vm${from.size}`, feature: needs }));
  return [vectorRow(name, forms(feature), body, ref), vectorRow(`V${name}`, forms('AVX'), body, ref)];
}

const SAME = ['v128 vm128', 'v256 vm256'] as const;
const WIDEN = ['v128 vm64', 'v256 vm128'] as const;
const NARROW = ['v128 vm128', 'v128 vm256'] as const;

// biome-ignore format: rows are read as a table
export const CONVERT_ROWS: readonly VectorSystemRow[] = [
  ...packedRows('CVTDQ2PS', 'SSE2', SAME, packed('int32', SINGLE), 'CVTDQ2PS—Convert Packed Doubleword Integers to Packed Single Precision Floating-Point Values'),
  ...packedRows('CVTPS2DQ', 'SSE2', SAME, packed(SINGLE, 'int32'), 'CVTPS2DQ—Convert Packed Single Precision Floating-Point Values to Packed Signed Doubleword Integer Values'),
  ...packedRows('CVTTPS2DQ', 'SSE2', SAME, packed(SINGLE, 'int32', true), 'CVTTPS2DQ—Convert With Truncation Packed Single Precision Floating-Point Values to Packed Signed Doubleword Integer Values'),
  ...packedRows('CVTDQ2PD', 'SSE2', WIDEN, packed('int32', DOUBLE), 'CVTDQ2PD—Convert Packed Doubleword Integers to Packed Double Precision Floating-Point Values'),
  ...packedRows('CVTPS2PD', 'SSE2', WIDEN, packed(SINGLE, DOUBLE), 'CVTPS2PD—Convert Packed Single Precision Floating-Point Values to Packed Double Precision Floating-Point Values'),
  ...packedRows('CVTPD2PS', 'SSE2', NARROW, packed(DOUBLE, SINGLE), 'CVTPD2PS—Convert Packed Double Precision Floating-Point Values to Packed Single Precision Floating-Point Values'),
  ...packedRows('CVTPD2DQ', 'SSE2', NARROW, packed(DOUBLE, 'int32'), 'CVTPD2DQ—Convert Packed Double Precision Floating-Point Values to Packed Doubleword Integers'),
  ...packedRows('CVTTPD2DQ', 'SSE2', NARROW, packed(DOUBLE, 'int32', true), 'CVTTPD2DQ—Convert with Truncation Packed Double Precision Floating-Point Values to Packed Doubleword Integers'),
  ...scalarRows('CVTSS2SD', 'SSE2', 32, scalar(SINGLE, DOUBLE), 'CVTSS2SD—Convert Scalar Single Precision Floating-Point Value to Scalar Double Precision Floating-Point Value'),
  ...scalarRows('CVTSD2SS', 'SSE2', 64, scalar(DOUBLE, SINGLE), 'CVTSD2SS—Convert Scalar Double Precision Floating-Point Value to Scalar Single Precision Floating-Point Value'),
  ...fromGeneralRows('CVTSI2SS', 'SSE', SINGLE, 'CVTSI2SS—Convert Doubleword Integer to Scalar Single Precision Floating-Point Value'),
  ...fromGeneralRows('CVTSI2SD', 'SSE2', DOUBLE, 'CVTSI2SD—Convert Doubleword Integer to Scalar Double Precision Floating-Point Value'),
  ...toGeneralRows('CVTSS2SI', 'SSE', SINGLE, false, 'CVTSS2SI—Convert Scalar Single Precision Floating-Point Value to Doubleword Integer'),
  ...toGeneralRows('CVTTSS2SI', 'SSE', SINGLE, true, 'CVTTSS2SI—Convert With Truncation Scalar Single Precision Floating-Point Value to Integer'),
  ...toGeneralRows('CVTSD2SI', 'SSE2', DOUBLE, false, 'CVTSD2SI—Convert Scalar Double Precision Floating-Point Value to Doubleword Integer'),
  ...toGeneralRows('CVTTSD2SI', 'SSE2', DOUBLE, true, 'CVTTSD2SI—Convert With Truncation Scalar Double Precision Floating-Point Value to Signed Integer'),
  vectorRow('CVTPI2PS', [{ operands: 'v128 qm64', feature: 'SSE' }], mmx('int32', SINGLE), SDM('CVTPI2PS—Convert Packed Dword Integers to Packed Single Precision Floating-Point Values')),
  vectorRow('CVTPI2PD', [{ operands: 'v128 qm64', feature: 'SSE2' }], mmx('int32', DOUBLE), SDM('CVTPI2PD—Convert Packed Dword Integers to Packed Double Precision Floating-Point Values')),
  vectorRow('CVTPS2PI', [{ operands: 'q64 vm64', feature: 'SSE' }], mmx(SINGLE, 'int32'), SDM('CVTPS2PI—Convert Packed Single Precision Floating-Point Values to Packed Dword Integers')),
  vectorRow('CVTTPS2PI', [{ operands: 'q64 vm64', feature: 'SSE' }], mmx(SINGLE, 'int32', true), SDM('CVTTPS2PI—Convert With Truncation Packed Single Precision Floating-Point Values to Packed Dword Integers')),
  vectorRow('CVTPD2PI', [{ operands: 'q64 vm128', feature: 'SSE2' }], mmx(DOUBLE, 'int32'), SDM('CVTPD2PI—Convert Packed Double Precision Floating-Point Values to Packed Dword Integers')),
  vectorRow('CVTTPD2PI', [{ operands: 'q64 vm128', feature: 'SSE2' }], mmx(DOUBLE, 'int32', true), SDM('CVTTPD2PI—Convert With Truncation Packed Double Precision Floating-Point Values to Packed Dword Integers')),
  vectorRow('VCVTPH2PS', [{ operands: 'v128 vm64', feature: 'F16C' }, { operands: 'v256 vm128', feature: 'F16C' }], fromHalf, SDM('VCVTPH2PS—Convert Packed FP16 Values to Single Precision Floating-Point Values')),
  vectorRow('VCVTPS2PH', [{ operands: 'vm64 v128 i8', feature: 'F16C' }, { operands: 'vm128 v256 i8', feature: 'F16C' }], toHalf, SDM('VCVTPS2PH—Convert Single-Precision FP Value to 16-bit FP Value')),
];
