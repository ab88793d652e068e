/**
 * The x87 instructions that programs execute most, as WebAssembly: zeros and normal numbers with all exceptions masked, where
 * nothing but a loss of precision can come about (engine/x87Functions.ts). Everything else goes to the row's function.
 */
import type { FeatureKey } from '../../core/features.ts';
import { OFFSET } from '../../state/layout.ts';
import { CR0, FLAG } from '../../state/registers.ts';
import type { Emitter } from '../emitter.ts';
import type { Form, SemanticRow } from '../forms.ts';
import { type Bits, NARROW_KIND, type Value, type X87Function } from '../ir.ts';
import { BIAS, INTEGER_BIT } from '../softfloat/float80.ts';
import { CONSTANTS } from './data.ts';
import { CONTROL_FIXED, CONTROL_WRITABLE, STATUS } from './fpu.ts';
import { X87_ROWS } from './rows.ts';

type Emit = (e: Emitter) => void;

/** Without it every instruction with a memory operand records its address, as the functions do. */
const DATA_POINTER: FeatureKey = 'FDP_EXCPTN_ONLY';

const REGISTER: Form = { operands: ['t'], bits: [80] };
const REGISTERS: Form = { operands: ['t', 't'], bits: [80] };
const NONE: Form = { operands: [], bits: [8] };
const memory = (...bits: (Bits | 80)[]): Form => ({ operands: ['m'], bits, onlyWith: DATA_POINTER });
/** Of control instructions, which record nothing. */
const WORD: Form = { operands: ['m'], bits: [16] };

const FLOAT_KIND: Readonly<Record<number, number>> = {
  32: NARROW_KIND.FLOAT32,
  64: NARROW_KIND.FLOAT64,
  80: NARROW_KIND.FLOAT80,
};
const INTEGER_KIND: Readonly<Record<number, number>> = {
  16: NARROW_KIND.INTEGER16,
  32: NARROW_KIND.INTEGER32,
  64: NARROW_KIND.INTEGER64,
};
const TRUNCATED_KIND: Readonly<Record<number, number>> = {
  16: NARROW_KIND.TRUNCATED16,
  32: NARROW_KIND.TRUNCATED32,
  64: NARROW_KIND.TRUNCATED64,
};

function handOverIf(e: Emitter, condition: Value): void {
  e.if(condition, () => e.system());
}

/** The FPU is not there, or an exception waits: that comes before faults of the memory operand. */
function requireReady(e: Emitter, waits = true): void {
  const missing = e.and(e.field(OFFSET.CR0, 32), e.constant(CR0.EM | CR0.TS));
  const pending = e.and(e.field(OFFSET.X87_STATUS, 32), e.constant(STATUS.SUMMARY));
  handOverIf(e, e.isNotZero(waits ? e.or(missing, pending) : missing));
}

/** The usual of the instruction, which becomes the FPU's last one; else hands it over. */
function usual(e: Emitter, callee: X87Function, ...args: (Value | number)[]): Value {
  const values = args.map((argument) => (typeof argument === 'number' ? e.constant(argument) : argument));
  const done = e.x87(callee, ...values, e.rip());
  handOverIf(e, e.isZero(done));
  return done;
}

/** A memory operand of at most 64 bits; integers sign-extended. */
function source(e: Emitter, isInteger: boolean): [bits: Value, kind: number] {
  requireReady(e);
  const bits = e.read(0);
  if (!isInteger) return [bits, FLOAT_KIND[e.bits] as number];
  return [e.signExtend(bits, e.bits), INTEGER_KIND[e.bits] as number];
}

/** The two parts of an 80-bit operand, which lies in one page: one cannot fault after the other. */
function wide(e: Emitter): readonly [low: Value, high: Value] {
  const address = e.address(0);
  const inPage = e.and(address, e.constant(0xfff));
  handOverIf(e, e.compare('i64_gt_u', inPage, e.constant(0x1000 - 10)));
  return [address, e.add(address, e.constant(8))];
}

/** With segments, and addresses that wrap, it is more than that. */
function isFlat(e: Emitter): boolean {
  return e.spec.operands[0] !== 's';
}

const load: Emit = (e) => {
  if (!e.isMemory(0)) {
    usual(e, 'x87PushRegister', e.stackRegister(0));
  } else if (e.spec.bits !== 80) {
    const [bits, kind] = source(e, false);
    usual(e, 'x87PushNarrow', bits, kind);
  } else if (isFlat(e)) {
    requireReady(e);
    const [low, high] = wide(e);
    const significand = e.load({ kind: 'linear', address: low }, 64);
    const top = e.load({ kind: 'linear', address: high }, 16);
    // What is neither zero nor normal has another tag.
    const exponent = e.and(top, e.constant(0x7fff));
    const others = e.compare('i64_ge_u', e.sub(exponent, e.constant(1)), e.constant(0x7ffe));
    const unnormal = e.isZero(e.shr(significand, 63));
    const isZero = e.logic('i32_and', e.isZero(exponent), e.isZero(significand));
    const odd = e.logic('i32_and', e.logic('i32_or', others, unnormal), e.isZero(e.bit(isZero)));
    handOverIf(e, odd);
    usual(e, 'x87Push', top, significand);
  } else {
    e.system();
  }
};

const loadInteger: Emit = (e) => {
  const [bits, kind] = source(e, true);
  usual(e, 'x87PushNarrow', bits, kind);
};

function loadConstant(exponent: number, significand: bigint): Emit {
  return (e) => void usual(e, 'x87Push', exponent, e.constant(significand));
}

/** To nearest; other roundings have other constants. */
function loadIrrational([exponent, truncated, up]: readonly [number, bigint, boolean]): Emit {
  return (e) => {
    handOverIf(e, e.isNotZero(e.and(e.field(OFFSET.X87_CONTROL, 32), e.constant(0xc00))));
    loadConstant(exponent, truncated + (up ? 1n : 0n))(e);
  };
}

function store(kinds: Readonly<Record<number, number>>, pops: number): Emit {
  return (e) => {
    if (!e.isMemory(0)) {
      usual(e, 'x87Copy', e.stackRegister(0), pops);
      return;
    }
    if (e.spec.bits === 80 && !isFlat(e)) {
      e.system();
      return;
    }
    requireReady(e);
    const places = e.spec.bits === 80 ? wide(e) : undefined;
    const converted = e.x87('x87Convert', e.constant(kinds[e.spec.bits] as number));
    handOverIf(e, e.isZero(converted));
    if (places) {
      e.store({ kind: 'linear', address: places[0] }, 64, e.field(OFFSET.ACCESS_VALUE, 64));
      e.store({ kind: 'linear', address: places[1] }, 16, e.field(OFFSET.ACCESS_VECTOR, 64));
    } else {
      e.write(0, e.field(OFFSET.ACCESS_VALUE, 64));
    }
    e.x87('x87Stored', converted, e.constant(pops), e.rip());
  };
}

function arithmetic(name: X87Function, reversed: boolean, pops: number, isInteger: boolean): Emit {
  return (e) => {
    if (e.isMemory(0)) {
      const [bits, kind] = source(e, isInteger);
      usual(e, `${name}Narrow` as X87Function, bits, kind, reversed ? 1 : 0);
      return;
    }
    const destination = e.stackRegister(0);
    const operands = [destination, e.stackRegister(1)];
    if (reversed) operands.reverse();
    usual(e, name, ...operands, destination, pops);
  };
}

function compare(pops: number, isInteger = false): Emit {
  return (e) => {
    if (e.spec.operands.length === 0) usual(e, 'x87Compare', 8, pops, 0);
    else if (!e.isMemory(0)) usual(e, 'x87Compare', e.stackRegister(1), pops, 0);
    else usual(e, 'x87CompareNarrow', ...source(e, isInteger), pops);
  };
}

function compareToFlags(pops: number): Emit {
  return (e) => {
    const flags = usual(e, 'x87Compare', e.stackRegister(1), pops, 1);
    e.setFlags(e.and(flags, e.constant(FLAG.CF | FLAG.PF | FLAG.ZF)));
  };
}

const storeStatus: Emit = (e) => {
  requireReady(e, false);
  e.write(0, e.field(OFFSET.X87_STATUS, 32));
};

const storeControl: Emit = (e) => {
  requireReady(e, false);
  e.write(0, e.field(OFFSET.X87_CONTROL, 32));
};

/** With all exceptions masked none can be pending. */
const loadControl: Emit = (e) => {
  requireReady(e);
  const word = e.read(0);
  const masks = e.constant(STATUS.EXCEPTIONS);
  handOverIf(e, e.compare('i64_ne', e.and(word, masks), masks));
  const summary = STATUS.SUMMARY | STATUS.BUSY;
  e.setField(OFFSET.X87_STATUS, 32, e.and(e.field(OFFSET.X87_STATUS, 32), e.constant(0xffff_ffff - summary)));
  e.setField(
    OFFSET.X87_CONTROL,
    32,
    e.or(e.and(word, e.constant(CONTROL_WRITABLE)), e.constant(CONTROL_FIXED)),
  );
};

const wait: Emit = (e) => {
  const both = CR0.MP | CR0.TS;
  const missing = e.compare('i64_eq', e.and(e.field(OFFSET.CR0, 32), e.constant(both)), e.constant(both));
  const pending = e.isNotZero(e.and(e.field(OFFSET.X87_STATUS, 32), e.constant(STATUS.SUMMARY)));
  handOverIf(e, e.logic('i32_or', missing, pending));
};

const changeSign =
  (kept: number, changed: number): Emit =>
  (e) =>
    void usual(e, 'x87ChangeSign', kept, changed);

/** Of FCMOVcc, as of Jcc. */
const MOVES = { B: 2, NB: 3, E: 4, NE: 5, BE: 6, NBE: 7, U: 10, NU: 11 } as const;

function conditionalMove(condition: number): Emit {
  return (e) => void usual(e, 'x87Move', e.stackRegister(1), e.bit(e.condition(condition)));
}

function row(op: string, forms: readonly Form[], emit: Emit): SemanticRow {
  const system = X87_ROWS.find((candidate) => candidate.op === op);
  if (!system) throw new Error(`no row ${op}`);
  const comparison = /^FU?COMI/.test(op) ? { flags: { writes: 'all' as const } } : {};
  const flags = op.startsWith('FCMOV') ? { flags: { reads: true } } : comparison;
  return { op, forms, emit, feature: system.feature as FeatureKey, ref: system.ref, ...flags };
}

const OPERATIONS = [
  ['ADD', 'x87Add', false],
  ['MUL', 'x87Multiply', false],
  ['SUB', 'x87Subtract', false],
  ['SUBR', 'x87Subtract', true],
  ['DIV', 'x87Divide', false],
  ['DIVR', 'x87Divide', true],
] as const;

export const FAST_X87_ROWS: readonly SemanticRow[] = [
  ...OPERATIONS.flatMap(([op, name, reversed]) => [
    row(`F${op}`, [REGISTERS, memory(32, 64)], arithmetic(name, reversed, 0, false)),
    row(`F${op}P`, [REGISTERS], arithmetic(name, reversed, 1, false)),
    row(`FI${op}`, [memory(16, 32)], arithmetic(name, reversed, 0, true)),
  ]),
  row('FLD', [REGISTER, memory(32, 64, 80)], load),
  row('FILD', [memory(16, 32, 64)], loadInteger),
  row('FLD1', [NONE], loadConstant(BIAS, INTEGER_BIT)),
  row('FLDZ', [NONE], loadConstant(0, 0n)),
  ...Object.entries(CONSTANTS).map(([op, constant]) => row(op, [NONE], loadIrrational(constant))),
  row('FST', [REGISTER, memory(32, 64)], store(FLOAT_KIND, 0)),
  row('FSTP', [REGISTER, memory(32, 64, 80)], store(FLOAT_KIND, 1)),
  row('FIST', [memory(16, 32)], store(INTEGER_KIND, 0)),
  row('FISTP', [memory(16, 32, 64)], store(INTEGER_KIND, 1)),
  row('FISTTP', [memory(16, 32, 64)], store(TRUNCATED_KIND, 1)),
  row('FXCH', [REGISTERS], (e) => void usual(e, 'x87Exchange', e.stackRegister(1))),
  row('FCHS', [NONE], changeSign(0xffff, 0x8000)),
  row('FABS', [NONE], changeSign(0x7fff, 0)),
  ...Object.entries(MOVES).map(([name, condition]) =>
    row(`FCMOV${name}`, [REGISTERS], conditionalMove(condition)),
  ),
  row('FRNDINT', [NONE], (e) => void usual(e, 'x87RoundToInteger')),
  row('FCOM', [REGISTERS, memory(32, 64)], compare(0)),
  row('FCOMP', [REGISTERS, memory(32, 64)], compare(1)),
  row('FCOMPP', [NONE], compare(2)),
  row('FUCOM', [REGISTERS], compare(0)),
  row('FUCOMP', [REGISTERS], compare(1)),
  row('FUCOMPP', [NONE], compare(2)),
  row('FICOM', [memory(16, 32)], compare(0, true)),
  row('FICOMP', [memory(16, 32)], compare(1, true)),
  row('FCOMI', [REGISTERS], compareToFlags(0)),
  row('FCOMIP', [REGISTERS], compareToFlags(1)),
  row('FUCOMI', [REGISTERS], compareToFlags(0)),
  row('FUCOMIP', [REGISTERS], compareToFlags(1)),
  row('FTST', [NONE], (e) => void usual(e, 'x87CompareNarrow', 0, NARROW_KIND.INTEGER16, 0)),
  row('FNSTSW', [{ operands: ['r'], bits: [16] }, WORD], storeStatus),
  row('FNSTCW', [WORD], storeControl),
  row('FLDCW', [WORD], loadControl),
  row('WAIT', [NONE], wait),
];
