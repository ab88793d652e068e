/**
 * Shifts and rotates. The count is taken modulo 32, or 64 for 64-bit operands; a count of zero changes no flag.
 *
 * @see SDM "Shift and Rotate Instructions", 5.1.5 of volume 1
 */
import { SDM } from '../../base/reference.ts';
import { FLAG } from '../../state/registers.ts';
import type { Emitter } from '../emitter.ts';
import type { Form, SemanticRow, StatusFlag } from '../forms.ts';
import type { Bits, Value } from '../ir.ts';

const ALL = [8, 16, 32, 64] as const;
const WIDE = [16, 32, 64] as const;
const FORMS: readonly Form[] = [
  { operands: ['rm', 'i'], bits: ALL, immediateBits: 8 },
  { operands: ['rm', 'c'], bits: ALL },
];
const CARRY = 2;

function countOf(e: Emitter, operand: number): Value {
  return e.and(
    e.spec.operands[operand] === 'c' ? e.register(1, 8) : e.read(operand),
    e.constant(e.bits === 64 ? 63 : 31),
  );
}

/**
 * `shift` gives the result and CF for a count of at least 1; OF is the change of the sign bit (SHL), the old sign
 * (SHR) or zero (SAR), as processors do for every count.
 */
function shift(op: 'SHL' | 'SHR' | 'SAR') {
  return (e: Emitter): void => {
    const { bits } = e;
    const one = e.constant(1);
    const old = e.readForWrite(0);
    const count = countOf(e, 1);
    const a = op === 'SAR' ? e.signExtend(old, bits) : old;
    const shifted = op === 'SHL' ? e.shl(a, count) : op === 'SHR' ? e.shr(a, count) : e.sar(a, count);
    const result = e.zeroExtend(shifted, bits);
    e.write(0, result);
    let cf: Value;
    if (op === 'SHL') {
      cf = bits === 64 ? e.shr(a, e.sub(e.constant(64), count)) : e.shr(shifted, bits);
    } else {
      const before = e.sub(count, one);
      cf = op === 'SHR' ? e.shr(a, before) : e.sar(a, before);
    }
    cf = e.and(cf, one);
    const sign = (value: Value) => e.and(e.shr(value, bits - 1), one);
    const of = op === 'SHL' ? e.xor(sign(result), cf) : op === 'SHR' ? sign(a) : e.constant(0);
    e.if(e.isNotZero(count), () => e.flagsOfResult(result, { cf, of }));
  };
}

function replaceCarryAndOverflow(e: Emitter, cf: Value, of: Value): void {
  const kept = e.and(e.flags(), e.constant(~(FLAG.CF | FLAG.OF)));
  e.setFlags(e.or(kept, e.or(cf, e.shl(of, 11))));
}

/** ROL and ROR: CF is the bit that moved round; only CF and OF change, and only when the masked count is not zero. */
function rotate(op: 'ROL' | 'ROR') {
  return (e: Emitter): void => {
    const { bits } = e;
    const one = e.constant(1);
    const a = e.readForWrite(0);
    const masked = countOf(e, 1);
    const count = bits >= 32 ? masked : e.and(masked, e.constant(bits - 1));
    const left = op === 'ROL' ? count : e.and(e.sub(e.constant(bits), count), e.constant(bits - 1));
    let result: Value;
    if (bits === 64) {
      result = e.binary('i64_rotl', a, left);
    } else if (bits === 32) {
      result = e.binary('i32_rotl', a, left);
    } else {
      result = e.zeroExtend(e.or(e.shl(a, left), e.shr(a, e.sub(e.constant(bits), left))), bits);
    }
    e.write(0, result);
    const top = e.and(e.shr(result, bits - 1), one);
    const cf = op === 'ROL' ? e.and(result, one) : top;
    const of = op === 'ROL' ? e.xor(top, cf) : e.xor(top, e.and(e.shr(result, bits - 2), one));
    e.if(e.isNotZero(masked), () => replaceCarryAndOverflow(e, cf, of));
  };
}

/**
 * RCL and RCR rotate through CF: bits + 1 positions. The count is reduced modulo bits + 1 for 8 and 16 bits; each part
 * is shifted out of the way in two steps, so that no single shift reaches 64.
 */
function rotateThroughCarry(op: 'RCL' | 'RCR') {
  return (e: Emitter): void => {
    const { bits } = e;
    const one = e.constant(1);
    const carry = e.bit(e.condition(CARRY));
    const a = e.readForWrite(0);
    const masked = countOf(e, 1);
    const count = bits >= 32 ? masked : e.binary('i64_rem_u', masked, e.constant(bits + 1));
    const before = e.sub(count, one);
    let moved: Value;
    let cf: Value;
    if (op === 'RCL') {
      const wrapped = e.shr(e.shr(a, 1), e.sub(e.constant(bits - 1), before));
      moved = e.or(e.or(e.shl(a, count), e.shl(carry, before)), wrapped);
      cf = e.and(e.shr(a, e.sub(e.constant(bits), count)), one);
    } else {
      const wrapped = e.shl(e.shl(a, 1), e.sub(e.constant(bits - 1), before));
      moved = e.or(e.or(e.shr(a, count), e.shl(carry, e.sub(e.constant(bits), count))), wrapped);
      cf = e.and(e.shr(a, before), one);
    }
    const turned = e.isNotZero(count);
    const result = e.zeroExtend(e.select(turned, moved, a), bits);
    e.write(0, result);
    const top = e.and(e.shr(result, bits - 1), one);
    const of = op === 'RCL' ? e.xor(top, cf) : e.xor(top, e.and(e.shr(result, bits - 2), one));
    e.if(turned, () => replaceCarryAndOverflow(e, cf, of));
  };
}

/** SHLD and SHRD. A 16-bit count above 16 shifts in the first operand again, as processors do. */
function doubleShift(op: 'SHLD' | 'SHRD') {
  return (e: Emitter): void => {
    const { bits } = e;
    const one = e.constant(1);
    const a = e.readForWrite(0);
    const b = e.read(1);
    const count = countOf(e, 2);
    const left = op === 'SHLD';
    let shifted: Value;
    let cf: Value;
    if (bits === 64) {
      const rest = e.sub(e.constant(63), count);
      shifted = left
        ? e.or(e.shl(a, count), e.shr(e.shr(b, 1), rest))
        : e.or(e.shr(a, count), e.shl(e.shl(b, 1), rest));
      cf = left ? e.shr(a, e.sub(e.constant(64), count)) : e.shr(a, e.sub(count, one));
    } else if (bits === 32) {
      const both = left ? e.or(e.shl(a, 32), b) : e.or(a, e.shl(b, 32));
      shifted = left ? e.shr(e.shl(both, count), 32) : e.shr(both, count);
      cf = left ? e.shr(a, e.sub(e.constant(32), count)) : e.shr(a, e.sub(count, one));
    } else {
      const three = left
        ? e.or(e.shl(a, 32), e.or(e.shl(b, 16), a))
        : e.or(a, e.or(e.shl(b, 16), e.shl(a, 32)));
      shifted = left ? e.shr(e.shl(three, count), 32) : e.shr(three, count);
      cf = left ? e.shr(e.shl(three, count), 48) : e.shr(three, e.sub(count, one));
    }
    const some = e.isNotZero(count);
    const result = e.zeroExtend(e.select(some, shifted, a), bits);
    e.write(0, result);
    const changed = e.and(e.shr(e.xor(result, a), bits - 1), one);
    e.if(some, () => e.flagsOfResult(result, { cf: e.and(cf, one), of: changed }));
  };
}

const DOUBLE: readonly Form[] = [
  { operands: ['rm', 'r', 'i'], bits: WIDE, immediateBits: 8 },
  { operands: ['rm', 'r', 'c'], bits: WIDE },
];
/** AF always, and OF unless the count is 1. */
const shiftUndefined = (count: number): readonly StatusFlag[] => (count === 1 ? ['AF'] : ['AF', 'OF']);
/** SHL and SHR: CF too from the operand's size on. */
const logicalUndefined = (count: number, bits: Bits): readonly StatusFlag[] =>
  count < bits ? shiftUndefined(count) : ['AF', 'OF', 'CF'];
/** Beyond the operand's size the result and all flags are undefined. */
const doubleUndefined = (count: number, bits: Bits): readonly StatusFlag[] =>
  count > bits ? ['CF', 'OF', 'SF', 'ZF', 'AF', 'PF'] : shiftUndefined(count);
const rotateUndefined = (count: number): readonly StatusFlag[] => (count === 1 ? [] : ['OF']);
const LOGICAL_SHIFT = { writes: 'partial', undefined: logicalUndefined } as const;
const ARITHMETIC_SHIFT = { writes: 'partial', undefined: shiftUndefined } as const;
const DOUBLE_SHIFT = { writes: 'partial', undefined: doubleUndefined } as const;
const ROTATE = { reads: true, writes: 'partial', undefined: rotateUndefined } as const;
const SHIFT_REF = SDM('SAL/SAR/SHL/SHR—Shift', 'vol. 2B');
const ROTATE_REF = SDM('RCL/RCR/ROL/ROR—Rotate', 'vol. 2B');

export const SHIFT_ROWS: readonly SemanticRow[] = [
  { op: 'SHL', forms: FORMS, emit: shift('SHL'), flags: LOGICAL_SHIFT, ref: SHIFT_REF },
  { op: 'SHR', forms: FORMS, emit: shift('SHR'), flags: LOGICAL_SHIFT, ref: SHIFT_REF },
  { op: 'SAR', forms: FORMS, emit: shift('SAR'), flags: ARITHMETIC_SHIFT, ref: SHIFT_REF },
  { op: 'ROL', forms: FORMS, emit: rotate('ROL'), flags: ROTATE, ref: ROTATE_REF },
  { op: 'ROR', forms: FORMS, emit: rotate('ROR'), flags: ROTATE, ref: ROTATE_REF },
  { op: 'RCL', forms: FORMS, emit: rotateThroughCarry('RCL'), flags: ROTATE, ref: ROTATE_REF },
  { op: 'RCR', forms: FORMS, emit: rotateThroughCarry('RCR'), flags: ROTATE, ref: ROTATE_REF },
  {
    op: 'SHLD',
    forms: DOUBLE,
    emit: doubleShift('SHLD'),
    flags: DOUBLE_SHIFT,
    ref: SDM('SHLD—Double Precision Shift Left', 'vol. 2B'),
  },
  {
    op: 'SHRD',
    forms: DOUBLE,
    emit: doubleShift('SHRD'),
    flags: DOUBLE_SHIFT,
    ref: SDM('SHRD—Double Precision Shift Right', 'vol. 2B'),
  },
];
