/**
 * The transcendental instructions.
 *
 * Intel SDM Vol. 1, "Trigonometric Instructions", 8.3.7; "Logarithmic, Exponential, and Scale", 8.3.9.
 */
import { SDM } from '../../base/reference.ts';
import type { SystemRow } from '../forms.ts';
import type { BinaryOperation } from '../softfloat/arithmetic.ts';
import { type Float80, INDEFINITE, INTEGER_BIT, MAX_EXPONENT, ONE } from '../softfloat/float80.ts';
import type { FloatControl, FloatResult } from '../softfloat/rounding.ts';
import {
  atan2,
  cos,
  exponential,
  logarithm,
  logarithmPlus1,
  sin,
  type Trigonometric,
  tan,
} from '../softfloat/transcendental.ts';
import { unary } from './arithmetic.ts';
import { type Body, waiting } from './execute.ts';
import { STATUS, type X87 } from './fpu.ts';

/** C2 says that the argument is out of range, and then nothing else happens. */
function isInRange(fpu: X87, { outOfRange }: Trigonometric): boolean {
  fpu.setStatus(STATUS.C1 | STATUS.C2, outOfRange ? STATUS.C2 : 0);
  return outOfRange !== true;
}

function trigonometric(operation: (a: Float80, control: FloatControl) => Trigonometric): Body {
  return (fpu): undefined => {
    fpu.setStatus(STATUS.C1 | STATUS.C2, 0);
    if (fpu.isEmpty(0)) {
      if (fpu.stackUnderflow()) fpu.write(0, INDEFINITE);
      return;
    }
    const result = operation(fpu.read(0), fpu.control);
    if (!isInRange(fpu, result)) return;
    if (fpu.signal(result.flags, result.roundedUp)) fpu.write(0, result.value);
  };
}

/** FPTAN and FSINCOS: a result in place of ST(0), then a second one is pushed. */
function trigonometricPair(
  operation: (a: Float80, control: FloatControl) => Trigonometric,
  second: (first: FloatResult, a: Float80, control: FloatControl) => FloatResult,
): Body {
  return (fpu): undefined => {
    fpu.setStatus(STATUS.C1 | STATUS.C2, 0);
    const fault = fpu.isEmpty(0) ? fpu.stackUnderflow() : fpu.isFull ? fpu.stackOverflow() : undefined;
    if (fault === false) return;
    if (fault) {
      fpu.write(0, INDEFINITE);
      fpu.push(INDEFINITE);
      return;
    }
    const argument = fpu.read(0);
    const result = operation(argument, fpu.control);
    if (!isInRange(fpu, result)) return;
    const pushed = second(result, argument, fpu.control);
    if (!fpu.signal(result.flags | pushed.flags, pushed.roundedUp)) return;
    fpu.write(0, result.value);
    fpu.push(pushed.value);
  };
}

const cosineBesides = (_sine: FloatResult, a: Float80, control: FloatControl): FloatResult => cos(a, control);

/** FPTAN pushes 1, as earlier coprocessors did; a NaN is pushed like the result. */
function oneBesides(tangent: FloatResult): FloatResult {
  const isNumber = tangent.value.exponent !== MAX_EXPONENT || tangent.value.significand === INTEGER_BIT;
  return isNumber ? { ...tangent, value: ONE } : tangent;
}

/** FPATAN, FYL2X and FYL2XP1: the result of ST(1) and ST(0) replaces both. */
function binary(operation: BinaryOperation): Body {
  return (fpu): undefined => {
    fpu.clearC1();
    if (fpu.isEmpty(0) || fpu.isEmpty(1)) {
      if (!fpu.stackUnderflow()) return;
      fpu.write(1, INDEFINITE);
    } else {
      const { value, flags, roundedUp } = operation(fpu.read(1), fpu.read(0), fpu.control);
      if (!fpu.signal(flags, roundedUp)) return;
      fpu.write(1, value);
    }
    fpu.pop();
  };
}

// biome-ignore format: rows are read as a table
export const X87_TRANSCENDENTAL_ROWS: readonly SystemRow[] = [
  { op: 'FSIN', call: waiting(trigonometric(sin)), feature: 'FPU', ref: SDM('FSIN—Sine') },
  { op: 'FCOS', call: waiting(trigonometric(cos)), feature: 'FPU', ref: SDM('FCOS—Cosine') },
  { op: 'FSINCOS', call: waiting(trigonometricPair(sin, cosineBesides)), feature: 'FPU', ref: SDM('FSINCOS—Sine and Cosine') },
  { op: 'FPTAN', call: waiting(trigonometricPair(tan, oneBesides)), feature: 'FPU', ref: SDM('FPTAN—Partial Tangent') },
  { op: 'FPATAN', call: waiting(binary(atan2)), feature: 'FPU', ref: SDM('FPATAN—Partial Arctangent') },
  { op: 'F2XM1', call: waiting(unary(exponential)), feature: 'FPU', ref: SDM('F2XM1—Compute 2x–1') },
  { op: 'FYL2X', call: waiting(binary(logarithm)), feature: 'FPU', ref: SDM('FYL2X—Compute y ∗ log2x') },
  { op: 'FYL2XP1', call: waiting(binary(logarithmPlus1)), feature: 'FPU', ref: SDM('FYL2XP1—Compute y ∗ log2(x +1)') },
];
