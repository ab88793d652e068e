/** Arithmetic on the register stack. Intel SDM Vol. 1, "Basic Arithmetic Instructions", 8.3.5. */
import { SDM } from '../../base/reference.ts';
import type { Cpu } from '../../core/cpu.ts';
import type { Instruction } from '../../core/instruction.ts';
import type { Outcome } from '../../core/outcome.ts';
import type { SystemRow } from '../forms.ts';
import {
  add,
  type BinaryOperation,
  divide,
  multiply,
  squareRoot,
  subtract,
  type UnaryOperation,
} from '../softfloat/arithmetic.ts';
import { fromNarrow, fromSigned } from '../softfloat/convert.ts';
import { type Float80, INDEFINITE, negate } from '../softfloat/float80.ts';
import { extract, remainder, roundToInteger, scaleBy } from '../softfloat/functions.ts';
import {
  addWords,
  divideWords,
  multiplyWords,
  subtractWords,
  type WordOperation,
} from '../softfloat/words.ts';
import { type Body, waiting } from './execute.ts';
import { STATUS, type X87 } from './fpu.ts';
import { operandBytes, readMemory } from './memory.ts';

/** A memory operand of 16 to 64 bits as a value; undefined when the access failed. */
export function readSource(cpu: Cpu, instruction: Instruction, isInteger: boolean): Float80 | undefined {
  const bytes = operandBytes(instruction) as 2 | 4 | 8;
  const bits = readMemory(cpu, instruction, bytes, bytes);
  if (bits === undefined) return undefined;
  return isInteger ? fromSigned(bits, (bytes * 8) as 16 | 32) : fromNarrow(bits, (bytes * 8) as 32 | 64);
}

interface ArithmeticForm {
  readonly operation: BinaryOperation;
  /** The same of normal numbers in registers. */
  readonly words: WordOperation;
  readonly reversed: boolean;
  readonly pops: boolean;
  readonly isInteger: boolean;
}

/** The first operand is the destination, ST(0) where the only operand is in memory. */
function arithmetic({ operation, words, reversed, pops, isInteger }: ArithmeticForm): Body {
  return (fpu, instruction, cpu): Outcome | undefined => {
    let destination = 0;
    let source: Float80 | undefined;
    if (instruction.operandKind(0) === 'memory') {
      source = readSource(cpu, instruction, isInteger);
      if (source === undefined) return cpu.failed;
    } else {
      destination = instruction.register(0);
      const register = instruction.register(1);
      const [first, second] = reversed ? [register, destination] : [destination, register];
      if (fpu.computeNormal(words, first, second, destination)) {
        if (pops) fpu.pop();
        return undefined;
      }
      if (!fpu.isEmpty(register)) source = fpu.read(register);
    }
    fpu.clearC1();
    if (source === undefined || fpu.isEmpty(destination)) {
      if (!fpu.stackUnderflow()) return undefined;
      fpu.write(destination, INDEFINITE);
    } else {
      const target = fpu.read(destination);
      const [a, b] = reversed ? [source, target] : [target, source];
      const { value, flags, roundedUp } = operation(a, b, fpu.control);
      if (!fpu.signal(flags, roundedUp)) return undefined;
      fpu.write(destination, value);
    }
    if (pops) fpu.pop();
    return undefined;
  };
}

/** An operation on ST(0) alone. */
export function unary(operation: UnaryOperation): Body {
  return (fpu): undefined => {
    fpu.clearC1();
    if (fpu.isEmpty(0)) {
      if (fpu.stackUnderflow()) fpu.write(0, INDEFINITE);
      return;
    }
    const { value, flags, roundedUp } = operation(fpu.read(0), fpu.control);
    if (fpu.signal(flags, roundedUp)) fpu.write(0, value);
  };
}

/** FCHS and FABS look at nothing but the sign. */
function changeSign(change: (value: Float80) => Float80): Body {
  return unary((value) => ({ value: change(value), flags: 0, roundedUp: false }));
}

/** FSCALE, FPREM and FPREM1: ST(0) with ST(1), which stays. */
function withSecond(cleared: number, body: (fpu: X87, a: Float80, b: Float80) => void): Body {
  return (fpu): undefined => {
    fpu.setStatus(cleared, 0);
    if (!fpu.isEmpty(0) && !fpu.isEmpty(1)) body(fpu, fpu.read(0), fpu.read(1));
    else if (fpu.stackUnderflow()) fpu.write(0, INDEFINITE);
  };
}

const scale = withSecond(STATUS.C1, (fpu, a, b) => {
  const { value, flags, roundedUp } = scaleBy(a, b, fpu.control);
  if (fpu.signal(flags, roundedUp)) fpu.write(0, value);
});

/** C0, C3 and C1 are the quotient's bits 2, 1 and 0; C2 says that the reduction is partial. */
function partialRemainder(nearest: boolean): Body {
  return withSecond(STATUS.C1 | STATUS.C2, (fpu, a, b) => {
    const { value, flags, quotient, partial } = remainder(a, b, nearest, fpu.control);
    if (!fpu.signal(flags)) return;
    fpu.write(0, value);
    if (partial) {
      fpu.setStatus(STATUS.C0 | STATUS.C1 | STATUS.C3, STATUS.C2);
    } else if (quotient !== undefined) {
      const bits =
        (quotient & 4 ? STATUS.C0 : 0) | (quotient & 2 ? STATUS.C3 : 0) | (quotient & 1 ? STATUS.C1 : 0);
      fpu.setStatus(STATUS.C0 | STATUS.C1 | STATUS.C2 | STATUS.C3, bits);
    }
  });
}

/** The exponent replaces ST(0), then the significand is pushed. */
const extractParts: Body = (fpu): undefined => {
  fpu.clearC1();
  const fault = fpu.isEmpty(0) ? fpu.stackUnderflow() : fpu.isFull ? fpu.stackOverflow() : undefined;
  if (fault === false) return;
  if (fault) {
    fpu.write(0, INDEFINITE);
    fpu.push(INDEFINITE);
    return;
  }
  const { exponent, significand, flags } = extract(fpu.read(0), fpu.control);
  if (!fpu.signal(flags)) return;
  fpu.write(0, exponent);
  fpu.push(significand);
};

const OPERATIONS = [
  { name: 'ADD', operation: add, words: addWords, reversed: false, title: 'FADD/FADDP/FIADD—Add' },
  {
    name: 'MUL',
    operation: multiply,
    words: multiplyWords,
    reversed: false,
    title: 'FMUL/FMULP/FIMUL—Multiply',
  },
  {
    name: 'SUB',
    operation: subtract,
    words: subtractWords,
    reversed: false,
    title: 'FSUB/FSUBP/FISUB—Subtract',
  },
  {
    name: 'SUBR',
    operation: subtract,
    words: subtractWords,
    reversed: true,
    title: 'FSUBR/FSUBRP/FISUBR—Reverse Subtract',
  },
  { name: 'DIV', operation: divide, words: divideWords, reversed: false, title: 'FDIV/FDIVP/FIDIV—Divide' },
  {
    name: 'DIVR',
    operation: divide,
    words: divideWords,
    reversed: true,
    title: 'FDIVR/FDIVRP/FIDIVR—Reverse Divide',
  },
] as const;

const BASIC_ROWS = OPERATIONS.flatMap(({ name, operation, words, reversed, title }): SystemRow[] => {
  const row = (op: string, pops: boolean, isInteger: boolean): SystemRow => ({
    op,
    call: waiting(arithmetic({ operation, words, reversed, pops, isInteger })),
    feature: 'FPU',
    ref: SDM(title),
  });
  return [row(`F${name}`, false, false), row(`F${name}P`, true, false), row(`FI${name}`, false, true)];
});

// biome-ignore format: rows are read as a table
export const X87_ARITHMETIC_ROWS: readonly SystemRow[] = [
  ...BASIC_ROWS,
  { op: 'FCHS', call: waiting(changeSign(negate)), feature: 'FPU', ref: SDM('FCHS—Change Sign') },
  { op: 'FABS', call: waiting(changeSign((value) => ({ ...value, sign: 0 }))), feature: 'FPU', ref: SDM('FABS—Absolute Value') },
  { op: 'FSQRT', call: waiting(unary(squareRoot)), feature: 'FPU', ref: SDM('FSQRT—Square Root') },
  { op: 'FRNDINT', call: waiting(unary(roundToInteger)), feature: 'FPU', ref: SDM('FRNDINT—Round to Integer') },
  { op: 'FSCALE', call: waiting(scale), feature: 'FPU', ref: SDM('FSCALE—Scale') },
  { op: 'FPREM', call: waiting(partialRemainder(false)), feature: 'FPU', ref: SDM('FPREM—Partial Remainder') },
  { op: 'FPREM1', call: waiting(partialRemainder(true)), feature: 'FPU', ref: SDM('FPREM1—Partial Remainder') },
  { op: 'FXTRACT', call: waiting(extractParts), feature: 'FPU', ref: SDM('FXTRACT—Extract Exponent and Significand') },
];
