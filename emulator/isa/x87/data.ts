/** Loads, stores, constants and moves. Intel SDM Vol. 1, "Data Transfer Instructions", 8.3.3, and "Load Constant Instructions", 8.3.4. */
import { SDM } from '../../base/reference.ts';
import type { Cpu } from '../../core/cpu.ts';
import type { Instruction } from '../../core/instruction.ts';
import type { Outcome } from '../../core/outcome.ts';
import { arithmeticFlags } from '../../state/flags.ts';
import { FLAG } from '../../state/registers.ts';
import type { SystemRow } from '../forms.ts';
import {
  BCD_INDEFINITE,
  fromBcd,
  fromNarrow,
  fromSigned,
  type Stored,
  signedIndefinite,
  toBcd,
  toNarrow,
  toSigned,
} from '../softfloat/convert.ts';
import {
  classify,
  type Float80,
  float80,
  INDEFINITE,
  ONE,
  quieted,
  type Sign,
  zero,
} from '../softfloat/float80.ts';
import { EXCEPTION, type FloatControl, ROUNDING, type Rounding } from '../softfloat/rounding.ts';
import { waiting } from './execute.ts';
import type { X87 } from './fpu.ts';
import { alignmentOf, operandBytes, readMemory, writeMemory } from './memory.ts';

export function unpack80(bits: bigint): Float80 {
  const high = Number(bits >> 64n) & 0xffff;
  return float80((high >> 15) as Sign, high & 0x7fff, BigInt.asUintN(64, bits));
}

export function pack80({ sign, exponent, significand }: Float80): bigint {
  return (BigInt((sign << 15) | exponent) << 64n) | significand;
}

/** FLD ST(i). */
function loadRegister(fpu: X87, instruction: Instruction): void {
  const source = instruction.register(0);
  fpu.clearC1();
  // Underflow has the higher priority.
  if (fpu.isEmpty(source)) {
    if (fpu.stackUnderflow()) fpu.push(INDEFINITE);
  } else {
    const normal = fpu.isFull ? undefined : fpu.readNormal(source);
    if (normal === undefined) {
      fpu.load(fpu.read(source));
    } else {
      fpu.top--;
      fpu.writeNormal(0, normal);
    }
  }
}

/** FLD m32fp and m64fp convert, and so look at what they load; m80fp does not. */
function loadFloat(fpu: X87, instruction: Instruction, cpu: Cpu): Outcome | undefined {
  if (instruction.operandKind(0) === 'register') return void loadRegister(fpu, instruction);
  const bytes = operandBytes(instruction) as 4 | 8 | 10;
  const bits = readMemory(cpu, instruction, bytes, alignmentOf(bytes));
  if (bits === undefined) return cpu.failed;
  if (bytes === 10) return void fpu.load(unpack80(bits));
  fpu.clearC1();
  if (fpu.isFull) return void fpu.load(INDEFINITE);
  const { narrowDenormal, ...value } = fromNarrow(bits, (bytes * 8) as 32 | 64);
  const signaling = classify(value) === 'signaling';
  const flags = (signaling ? EXCEPTION.INVALID : 0) | (narrowDenormal ? EXCEPTION.DENORMAL : 0);
  fpu.signal(flags);
  // A denormal operand is loaded whether or not the exception is masked.
  if (!(flags & fpu.unmasked & EXCEPTION.INVALID)) fpu.push(signaling ? quieted(value) : value);
  return undefined;
}

function loadInteger(fpu: X87, instruction: Instruction, cpu: Cpu): Outcome | undefined {
  const bytes = operandBytes(instruction) as 2 | 4 | 8;
  const bits = readMemory(cpu, instruction, bytes, bytes);
  if (bits === undefined) return cpu.failed;
  return void fpu.load(fromSigned(bits, (bytes * 8) as 16 | 32 | 64));
}

function loadBcd(fpu: X87, instruction: Instruction, cpu: Cpu): Outcome | undefined {
  const bits = readMemory(cpu, instruction, 10, 8);
  if (bits === undefined) return cpu.failed;
  return void fpu.load(fromBcd(bits));
}

/** Constants to 66 bits, as magnitudes truncated to 64 and whether the rest rounds up to nearest. */
export const CONSTANTS = {
  FLDL2T: [16384, 0xd49a784bcd1b8afen, false],
  FLDL2E: [16383, 0xb8aa3b295c17f0bbn, true],
  FLDPI: [16384, 0xc90fdaa22168c234n, true],
  FLDLG2: [16381, 0x9a209a84fbcff798n, true],
  FLDLN2: [16382, 0xb17217f7d1cf79abn, true],
} as const;

function loadConstant(name: keyof typeof CONSTANTS) {
  const [exponent, truncated, up] = CONSTANTS[name];
  return (fpu: X87): void => {
    const { rounding } = fpu.control;
    const larger = rounding === ROUNDING.UP || (rounding === ROUNDING.NEAREST && up);
    fpu.load(float80(0, exponent, larger ? truncated + 1n : truncated));
  };
}

/** What an instruction stores: the value's image, and the image for an empty register. */
interface Storing {
  readonly convert: (value: Float80, control: FloatControl, bytes: number) => Stored;
  readonly indefinite: (bytes: number) => bigint;
}

const FLOAT: Storing = {
  convert: (value, control, bytes) =>
    bytes === 10
      ? { bits: pack80(value), flags: 0, roundedUp: false }
      : toNarrow(value, (bytes * 8) as 32 | 64, control),
  indefinite: (bytes) => (bytes === 10 ? pack80(INDEFINITE) : bytes === 8 ? 0xfff8n << 48n : 0xffc0_0000n),
};
const integer = (rounding?: Rounding): Storing => ({
  convert: (value, control, bytes) =>
    toSigned(value, (bytes * 8) as 16 | 32 | 64, rounding ?? control.rounding),
  indefinite: (bytes) => signedIndefinite((bytes * 8) as 16 | 32 | 64),
});
const INTEGER = integer();
const TRUNCATED = integer(ROUNDING.ZERO);
const BCD: Storing = {
  convert: (value, control) => toBcd(value, control.rounding),
  indefinite: () => BCD_INDEFINITE,
};

/** Exceptions that, unmasked, keep a store to memory from happening: there is no register for an adjusted result. */
const NO_STORE = EXCEPTION.INVALID | EXCEPTION.OVERFLOW | EXCEPTION.UNDERFLOW;

/** The store comes before the status word changes: it may fault. */
function store({ convert, indefinite }: Storing, pops: boolean) {
  return (fpu: X87, instruction: Instruction, cpu: Cpu): Outcome | undefined => {
    const bytes = operandBytes(instruction);
    const write = (bits: bigint) => writeMemory(cpu, instruction, bytes, alignmentOf(bytes), bits);
    const { control } = fpu;
    if (fpu.isEmpty(0)) {
      if (control.masks & EXCEPTION.INVALID && !write(indefinite(bytes))) return cpu.failed;
      if (fpu.stackUnderflow() && pops) fpu.pop();
      return undefined;
    }
    const { bits, flags, roundedUp } = convert(fpu.read(0), control, bytes);
    const forbidding = flags & ~control.masks & NO_STORE;
    // Together with an unmasked overflow or underflow, the loss of precision is ignored.
    if (forbidding !== 0) return void fpu.signal(forbidding);
    if (!write(bits)) return cpu.failed;
    fpu.signal(flags, roundedUp);
    if (pops) fpu.pop();
    return undefined;
  };
}

/** FST ST(i) and FSTP ST(i): the content is not looked at. */
function storeRegister(fpu: X87, instruction: Instruction, pops: boolean): void {
  fpu.clearC1();
  if (fpu.isEmpty(0)) {
    if (!fpu.stackUnderflow()) return;
    fpu.write(instruction.register(0), INDEFINITE);
  } else {
    fpu.write(instruction.register(0), fpu.read(0));
  }
  if (pops) fpu.pop();
}

function storeFloat(pops: boolean) {
  const toMemory = store(FLOAT, pops);
  return (fpu: X87, instruction: Instruction, cpu: Cpu): Outcome | undefined => {
    if (instruction.operandKind(0) === 'memory') return toMemory(fpu, instruction, cpu);
    return void storeRegister(fpu, instruction, pops);
  };
}

function exchange(fpu: X87, instruction: Instruction): void {
  const other = instruction.register(1);
  fpu.clearC1();
  const empty = [0, other].filter((i) => fpu.isEmpty(i));
  if (empty.length > 0) {
    if (!fpu.stackUnderflow()) return;
    for (const i of empty) fpu.write(i, INDEFINITE);
  }
  const value = fpu.read(0);
  fpu.write(0, fpu.read(other));
  fpu.write(other, value);
}

/** Conditions of FCMOVcc on CF, ZF and PF. */
const CONDITIONS: Readonly<Record<string, { readonly flags: number; readonly set: boolean }>> = {
  FCMOVB: { flags: FLAG.CF, set: true },
  FCMOVE: { flags: FLAG.ZF, set: true },
  FCMOVBE: { flags: FLAG.CF | FLAG.ZF, set: true },
  FCMOVU: { flags: FLAG.PF, set: true },
  FCMOVNB: { flags: FLAG.CF, set: false },
  FCMOVNE: { flags: FLAG.ZF, set: false },
  FCMOVNBE: { flags: FLAG.CF | FLAG.ZF, set: false },
  FCMOVNU: { flags: FLAG.PF, set: false },
};

function conditionalMove({ flags, set }: { flags: number; set: boolean }) {
  return (fpu: X87, instruction: Instruction, cpu: Cpu): void => {
    const source = instruction.register(1);
    if (fpu.isEmpty(0) || fpu.isEmpty(source)) {
      if (fpu.stackUnderflow()) fpu.write(0, INDEFINITE);
    } else if (((arithmeticFlags(cpu.state) & flags) !== 0) === set) {
      fpu.write(0, fpu.read(source));
    }
  };
}

const FLD = SDM('FLD—Load Floating-Point Value');
const FST = SDM('FST/FSTP—Store Floating-Point Value');
const FIST = SDM('FIST/FISTP—Store Integer');
const CONSTANT = SDM('FLD1/FLDL2T/FLDL2E/FLDPI/FLDLG2/FLDLN2/FLDZ—Load Constant');
const FCMOV = SDM('FCMOVcc—Floating-Point Conditional Move');

// biome-ignore format: rows are read as a table
export const X87_DATA_ROWS: readonly SystemRow[] = [
  { op: 'FLD', call: waiting(loadFloat), feature: 'FPU', ref: FLD },
  { op: 'FILD', call: waiting(loadInteger), feature: 'FPU', ref: SDM('FILD—Load Integer') },
  { op: 'FBLD', call: waiting(loadBcd), feature: 'FPU', ref: SDM('FBLD—Load Binary Coded Decimal') },
  { op: 'FLD1', call: waiting((fpu) => void fpu.load(ONE)), feature: 'FPU', ref: CONSTANT },
  { op: 'FLDZ', call: waiting((fpu) => void fpu.load(zero(0))), feature: 'FPU', ref: CONSTANT },
  ...Object.keys(CONSTANTS).map((op): SystemRow => ({ op, call: waiting((fpu) => void loadConstant(op as keyof typeof CONSTANTS)(fpu)), feature: 'FPU', ref: CONSTANT })),
  { op: 'FST', call: waiting(storeFloat(false)), feature: 'FPU', ref: FST },
  { op: 'FSTP', call: waiting(storeFloat(true)), feature: 'FPU', ref: FST },
  // D9 D8+i, not documented.
  { op: 'FSTPNCE', call: waiting(storeFloat(true)), feature: 'FPU', ref: FST },
  { op: 'FIST', call: waiting(store(INTEGER, false)), feature: 'FPU', ref: FIST },
  { op: 'FISTP', call: waiting(store(INTEGER, true)), feature: 'FPU', ref: FIST },
  { op: 'FISTTP', call: waiting(store(TRUNCATED, true)), feature: 'SSE3', ref: SDM('FISTTP—Store Integer With Truncation') },
  { op: 'FBSTP', call: waiting(store(BCD, true)), feature: 'FPU', ref: SDM('FBSTP—Store BCD Integer and Pop') },
  { op: 'FXCH', call: waiting((fpu, instruction) => void exchange(fpu, instruction)), feature: 'FPU', ref: SDM('FXCH—Exchange Register Contents') },
  ...Object.entries(CONDITIONS).map(([op, condition]): SystemRow => ({ op, call: waiting((fpu, instruction, cpu) => void conditionalMove(condition)(fpu, instruction, cpu)), feature: 'FPU', ref: FCMOV })),
];
