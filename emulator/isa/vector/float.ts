/**
 * Packed and scalar floating-point arithmetic of SSE, SSE2, SSE3, SSE4.1 and AVX, by the integer soft float.
 *
 * Intel SDM Vol. 1, "Programming with Intel Streaming SIMD Extensions", chapter 10, and "... SSE2", chapter 11.
 */
import { SDM } from '../../base/reference.ts';
import type { FeatureKey } from '../../core/features.ts';
import { OUTCOME } from '../../core/outcome.ts';
import { setArithmeticFlags } from '../../state/flags.ts';
import { FLAG } from '../../state/registers.ts';
import {
  add,
  type BinaryOperation,
  type BinaryRelation,
  compare,
  DOUBLE,
  divide,
  type Format,
  HALF,
  minimumOrMaximum,
  multiply,
  roundToInteger,
  SINGLE,
  squareRoot,
  subtract,
} from '../softfloat/binary.ts';
import { EXCEPTION, type Rounding } from '../softfloat/rounding.ts';
import { approximateReciprocal, approximateRootReciprocal } from './approximations.ts';
import { Lanes, type VectorBody, type VectorExecution } from './execute.ts';
import { type VectorForm, type VectorSystemRow, vectorRow } from './systemForms.ts';

export function getElement(lanes: Lanes, f: Format, i: number): bigint {
  if (f === DOUBLE) return lanes.u64[i] as bigint;
  return BigInt((f === HALF ? lanes.u16[i] : lanes.u32[i]) as number);
}

export function setElement(lanes: Lanes, f: Format, i: number, bits: bigint): void {
  if (f === DOUBLE) lanes.u64[i] = bits;
  else if (f === HALF) lanes.u16[i] = Number(bits);
  else lanes.u32[i] = Number(bits);
}

interface Shape {
  readonly suffix: 'PS' | 'PD' | 'SS' | 'SD';
  readonly format: Format;
  readonly scalar: boolean;
  readonly feature: FeatureKey;
}

export const SHAPES: readonly Shape[] = [
  { suffix: 'PS', format: SINGLE, scalar: false, feature: 'SSE' },
  { suffix: 'PD', format: DOUBLE, scalar: false, feature: 'SSE2' },
  { suffix: 'SS', format: SINGLE, scalar: true, feature: 'SSE' },
  { suffix: 'SD', format: DOUBLE, scalar: true, feature: 'SSE2' },
];

const VALUES = {
  PS: 'Packed Single Precision Floating-Point Values',
  PD: 'Packed Double Precision Floating-Point Values',
  SS: 'Scalar Single Precision Floating-Point Values',
  SD: 'Scalar Double Precision Floating-Point Values',
} as const;

/** Both rows of an instruction with two sources; `tail` are operands after them. */
function twoSources(
  shape: Shape,
  name: string,
  body: VectorBody,
  title: string,
  feature = shape.feature,
  tail = '',
): VectorSystemRow[] {
  const memory = shape.scalar ? shape.format.size : 128;
  const wide: VectorForm[] = shape.scalar ? [] : [{ operands: `v256 v256 vm256${tail}`, feature: 'AVX' }];
  const ref = SDM(title);
  return [
    vectorRow(legacyName(name), [{ operands: `v128 vm${memory}${tail}`, feature }], body, ref),
    vectorRow(`V${name}`, [{ operands: `v128 v128 vm${memory}${tail}`, feature: 'AVX' }, ...wide], body, ref),
  ];
}

const legacyName = (name: string): string => (name === 'CMPSD' ? 'CMPSD XMM' : name);

/** With one source in packed forms; scalar ones merge into the first of two. */
function oneSource(
  shape: Shape,
  name: string,
  body: VectorBody,
  title: string,
  feature = shape.feature,
  tail = '',
): VectorSystemRow[] {
  if (shape.scalar) return twoSources(shape, name, body, title, feature, tail);
  const ref = SDM(title);
  return [
    vectorRow(name, [{ operands: `v128 vm128${tail}`, feature }], body, ref),
    vectorRow(
      `V${name}`,
      [
        { operands: `v128 vm128${tail}`, feature: 'AVX' },
        { operands: `v256 vm256${tail}`, feature: 'AVX' },
      ],
      body,
      ref,
    ),
  ];
}

const elementBytes = ({ scalar, format }: Shape): number => (scalar ? format.size / 8 : 0);

/** Elements of the first operand, or one. */
function countOf(x: VectorExecution, { scalar, format }: Shape): number {
  return scalar ? 1 : (8 * x.bytes) / format.size;
}

const A = new Lanes();
const B = new Lanes();
const R = new Lanes();

/** The sources into A and B, and A into R: what a scalar instruction does not compute is the first source's. */
function readSources(x: VectorExecution, shape: Shape): boolean {
  if (!x.read(x.vex ? 2 : 1, B, { bytes: elementBytes(shape) })) return false;
  x.read(x.vex ? 1 : 0, A);
  R.copy(A);
  return true;
}

function finish(x: VectorExecution) {
  const outcome = x.finishFlags();
  if (outcome === OUTCOME.NEXT) x.write(0, R);
  return outcome;
}

function arithmetic(shape: Shape, operation: BinaryOperation): VectorBody {
  const { format } = shape;
  return (x) => {
    if (!readSources(x, shape)) return false;
    const count = countOf(x, shape);
    for (let i = 0; i < count; i++) {
      const { bits, flags } = operation(
        getElement(A, format, i),
        getElement(B, format, i),
        format,
        x.control,
      );
      x.note(flags);
      setElement(R, format, i, bits);
    }
    return finish(x);
  };
}

/** The last operand into B, and what a scalar instruction keeps into R. */
function readSource(x: VectorExecution, shape: Shape): boolean {
  const merged = shape.scalar && x.vex;
  if (!x.read(merged ? 2 : 1, B, { bytes: elementBytes(shape) })) return false;
  if (shape.scalar) x.read(x.vex ? 1 : 0, R);
  return true;
}

function unary(
  shape: Shape,
  operation: (x: VectorExecution, bits: bigint, f: Format) => { bits: bigint; flags: number },
): VectorBody {
  const { format } = shape;
  return (x) => {
    if (!readSource(x, shape)) return false;
    const count = countOf(x, shape);
    for (let i = 0; i < count; i++) {
      const { bits, flags } = operation(x, getElement(B, format, i), format);
      x.note(flags);
      setElement(R, format, i, bits);
    }
    return finish(x);
  };
}

/** Whether a predicate holds for less, equal, greater and unordered; `quiet`: only signaling NaNs are invalid. */
const PREDICATES: readonly { readonly holds: string; readonly quiet: boolean }[] = [
  { holds: 'e', quiet: true },
  { holds: 'l', quiet: false },
  { holds: 'le', quiet: false },
  { holds: 'u', quiet: true },
  { holds: 'lgu', quiet: true },
  { holds: 'egu', quiet: false },
  { holds: 'gu', quiet: false },
  { holds: 'leg', quiet: true },
  { holds: 'eu', quiet: true },
  { holds: 'lu', quiet: false },
  { holds: 'leu', quiet: false },
  { holds: '', quiet: true },
  { holds: 'lg', quiet: true },
  { holds: 'eg', quiet: false },
  { holds: 'g', quiet: false },
  { holds: 'legu', quiet: true },
];

/** @see SDM "CMPPS—Compare Packed Single Precision Floating-Point Values", table 3-1 */
function comparison(shape: Shape): VectorBody {
  const { format } = shape;
  const ones = (1n << BigInt(format.size)) - 1n;
  return (x) => {
    if (!readSources(x, shape)) return false;
    const predicate = x.immediate & (x.vex ? 31 : 7);
    const { holds, quiet } = PREDICATES[predicate & 15] as (typeof PREDICATES)[number];
    const isQuiet = predicate >= 16 ? !quiet : quiet;
    const count = countOf(x, shape);
    for (let i = 0; i < count; i++) {
      const { relation, flags } = compare(
        getElement(A, format, i),
        getElement(B, format, i),
        isQuiet,
        format,
        x.control,
      );
      x.note(flags);
      setElement(R, format, i, holds.includes(relation[0] as string) ? ones : 0n);
    }
    return finish(x);
  };
}

const COMPARED: Readonly<Record<BinaryRelation, number>> = {
  greater: 0,
  less: FLAG.CF,
  equal: FLAG.ZF,
  unordered: FLAG.CF | FLAG.PF | FLAG.ZF,
};

/** COMISS and the like. */
function comparisonToFlags(format: Format, quiet: boolean): VectorBody {
  return (x) => {
    if (!x.read(1, B, { bytes: format.size / 8 })) return false;
    x.read(0, A);
    const { relation, flags } = compare(
      getElement(A, format, 0),
      getElement(B, format, 0),
      quiet,
      format,
      x.control,
    );
    x.note(flags);
    const outcome = x.finishFlags();
    if (outcome === OUTCOME.NEXT) setArithmeticFlags(x.cpu.state, COMPARED[relation]);
    return outcome;
  };
}

/** Bits 1:0 of the immediate are a rounding mode unless bit 2 says MXCSR's. */
export function immediateRounding(x: VectorExecution): Rounding {
  return x.immediate & 4 ? x.control.rounding : ((x.immediate & 3) as Rounding);
}

/** Bit 3 of the immediate suppresses the precision exception. */
function rounding(shape: Shape): VectorBody {
  return unary(shape, (x, bits, f) => {
    const result = roundToInteger(bits, immediateRounding(x), f, x.control);
    return x.immediate & 8 ? { bits: result.bits, flags: result.flags & ~EXCEPTION.PRECISION } : result;
  });
}

/** Neighbours with each other, those of the first source in the low half of each 128-bit lane. */
function horizontal(shape: Shape, operation: BinaryOperation): VectorBody {
  const { format } = shape;
  const perLane = 128 / format.size;
  return (x) => {
    if (!readSources(x, shape)) return false;
    const count = countOf(x, shape);
    for (let i = 0; i < count; i++) {
      const lane = i - (i % perLane);
      const within = i % perLane;
      const from = within < perLane / 2 ? A : B;
      const first = lane + (within % (perLane / 2)) * 2;
      const { bits, flags } = operation(
        getElement(from, format, first),
        getElement(from, format, first + 1),
        format,
        x.control,
      );
      x.note(flags);
      setElement(R, format, i, bits);
    }
    return finish(x);
  };
}

/** Even elements are subtracted, odd ones added. */
function addSubtract(shape: Shape): VectorBody {
  const { format } = shape;
  return (x) => {
    if (!readSources(x, shape)) return false;
    const count = countOf(x, shape);
    for (let i = 0; i < count; i++) {
      const operation = i % 2 === 0 ? subtract : add;
      const { bits, flags } = operation(
        getElement(A, format, i),
        getElement(B, format, i),
        format,
        x.control,
      );
      x.note(flags);
      setElement(R, format, i, bits);
    }
    return finish(x);
  };
}

/**
 * Products of the elements that bits 7:4 of the immediate choose, summed by pairs; bits 3:0 say where the sum goes. Each step
 * has exceptions of its own.
 *
 * @see SDM "DPPS—Dot Product of Packed Single Precision Floating-Point Values"
 */
function dotProduct(shape: Shape): VectorBody {
  const { format } = shape;
  const perLane = 128 / format.size;
  return (x) => {
    if (!readSources(x, shape)) return false;
    const imm = x.immediate;
    const lanes = x.bytes / 16;
    const step = (operation: BinaryOperation, a: bigint, b: bigint): bigint => {
      const { bits, flags } = operation(a, b, format, x.control);
      x.note(flags);
      return bits;
    };
    const products: bigint[] = [];
    for (let i = 0; i < lanes * perLane; i++) {
      const chosen = (imm >> (4 + (i % perLane))) & 1;
      products.push(chosen ? step(multiply, getElement(A, format, i), getElement(B, format, i)) : 0n);
    }
    const multiplied = x.finishFlags();
    if (multiplied !== OUTCOME.NEXT) return multiplied;
    const pairs: bigint[] = [];
    for (let i = 0; i < products.length; i += 2)
      pairs.push(step(add, products[i] as bigint, products[i + 1] as bigint));
    const paired = x.finishFlags();
    if (paired !== OUTCOME.NEXT) return paired;
    for (let lane = 0; lane < lanes; lane++) {
      const sum =
        perLane === 2
          ? (pairs[lane] as bigint)
          : step(add, pairs[2 * lane] as bigint, pairs[2 * lane + 1] as bigint);
      for (let i = 0; i < perLane; i++) setElement(R, format, lane * perLane + i, (imm >> i) & 1 ? sum : 0n);
    }
    return finish(x);
  };
}

/** RCPPS and RSQRTPS, which raise nothing. */
function approximation(shape: Shape, approximate: (bits: number) => number): VectorBody {
  return unary(shape, (_x, bits) => ({ bits: BigInt(approximate(Number(bits))), flags: 0 }));
}

const ARITHMETIC = [
  ['ADD', 'Add', add],
  ['SUB', 'Subtract', subtract],
  ['MUL', 'Multiply', multiply],
  ['DIV', 'Divide', divide],
] as const;

const rows: VectorSystemRow[] = [];
for (const shape of SHAPES) {
  const { suffix, format, scalar } = shape;
  const values = VALUES[suffix];
  for (const [name, verb, operation] of ARITHMETIC)
    rows.push(
      ...twoSources(shape, name + suffix, arithmetic(shape, operation), `${name}${suffix}—${verb} ${values}`),
    );
  const extreme = (maximum: boolean): VectorBody =>
    arithmetic(shape, (a, b, f, control) => minimumOrMaximum(a, b, maximum, f, control));
  rows.push(...twoSources(shape, `MIN${suffix}`, extreme(false), `MIN${suffix}—Minimum of ${values}`));
  rows.push(...twoSources(shape, `MAX${suffix}`, extreme(true), `MAX${suffix}—Maximum of ${values}`));
  rows.push(
    ...twoSources(
      shape,
      `CMP${suffix}`,
      comparison(shape),
      `CMP${suffix}—Compare ${values}`,
      shape.feature,
      ' i8',
    ),
  );
  rows.push(
    ...oneSource(
      shape,
      `SQRT${suffix}`,
      unary(shape, (x, bits, f) => squareRoot(bits, f, x.control)),
      `SQRT${suffix}—Square Root of ${values}`,
    ),
  );
  rows.push(
    ...oneSource(shape, `ROUND${suffix}`, rounding(shape), `ROUND${suffix}—Round ${values}`, 'SSE4_1', ' i8'),
  );
  if (scalar) {
    const ordered = `COMI${suffix}—Compare Scalar Ordered Floating-Point Values and Set EFLAGS`;
    for (const [name, quiet] of [
      ['COMI', false],
      ['UCOMI', true],
    ] as const) {
      const body = comparisonToFlags(format, quiet);
      const operands = `v128 vm${format.size}`;
      rows.push(vectorRow(`${name}${suffix}`, [{ operands, feature: shape.feature }], body, SDM(ordered)));
      rows.push(vectorRow(`V${name}${suffix}`, [{ operands, feature: 'AVX' }], body, SDM(ordered)));
    }
  } else {
    rows.push(
      ...twoSources(
        shape,
        `HADD${suffix}`,
        horizontal(shape, add),
        `HADD${suffix}—Packed Floating-Point Horizontal Add`,
        'SSE3',
      ),
    );
    rows.push(
      ...twoSources(
        shape,
        `HSUB${suffix}`,
        horizontal(shape, subtract),
        `HSUB${suffix}—Packed Floating-Point Horizontal Subtract`,
        'SSE3',
      ),
    );
    rows.push(
      ...twoSources(
        shape,
        `ADDSUB${suffix}`,
        addSubtract(shape),
        `ADDSUB${suffix}—Packed Floating-Point Add/Subtract`,
        'SSE3',
      ),
    );
    const dot = twoSources(
      shape,
      `DP${suffix}`,
      dotProduct(shape),
      `DP${suffix}—Dot Product of ${values}`,
      'SSE4_1',
      ' i8',
    );
    // There is no VDPPD with 256 bits.
    rows.push(...(suffix === 'PD' ? dot.map((row) => ({ ...row, forms: row.forms.slice(0, 1) })) : dot));
  }
  if (format === SINGLE) {
    rows.push(
      ...oneSource(
        shape,
        `RCP${suffix}`,
        approximation(shape, approximateReciprocal),
        `RCP${suffix}—Compute Reciprocals of ${values}`,
      ),
    );
    rows.push(
      ...oneSource(
        shape,
        `RSQRT${suffix}`,
        approximation(shape, approximateRootReciprocal),
        `RSQRT${suffix}—Compute Reciprocals of Square Roots of ${values}`,
      ),
    );
  }
}

export const FLOAT_ROWS: readonly VectorSystemRow[] = rows;
