/**
 * Binary arithmetic and logic.
 *
 * @see SDM "Binary Arithmetic Instructions", 5.1.2, and "Logical Instructions", 5.1.4 of volume 1
 */
import { SDM } from '../../base/reference.ts';
import type { Emitter } from '../emitter.ts';
import type { Form, SemanticRow } from '../forms.ts';
import type { Value } from '../ir.ts';

const ALL = [8, 16, 32, 64] as const;
const RM_R_I: readonly Form[] = [
  { operands: ['rm', 'r'], bits: ALL },
  { operands: ['r', 'm'], bits: ALL },
  { operands: ['rm', 'i'], bits: ALL },
];
const RM: readonly Form[] = [{ operands: ['rm'], bits: ALL }];
const CARRY = 2;

function add(e: Emitter): void {
  const a = e.readForWrite(0);
  const b = e.read(1);
  e.write(0, e.add(a, b));
  e.flagsOfAdd(a, b);
}

function sub(e: Emitter): void {
  const a = e.readForWrite(0);
  const b = e.read(1);
  e.write(0, e.sub(a, b));
  e.flagsOfSub(a, b);
}

function cmp(e: Emitter): void {
  e.flagsOfSub(e.read(0), e.read(1));
}

/** The carries (or borrows) out of every bit: CF is the top one, AF the one out of bit 3. */
function withCarryFlags(e: Emitter, carries: Value, result: Value, overflow: Value): void {
  const top = e.bits - 1;
  e.flagsOfResult(result, {
    cf: e.and(e.shr(carries, top), e.constant(1)),
    af: e.and(e.shr(carries, 3), e.constant(1)),
    of: e.and(e.shr(overflow, top), e.constant(1)),
  });
}

function adc(e: Emitter): void {
  const carry = e.bit(e.condition(CARRY));
  const a = e.readForWrite(0);
  const b = e.read(1);
  const result = e.zeroExtend(e.add(e.add(a, b), carry), e.bits);
  const notResult = e.xor(result, e.constant(-1n));
  const carries = e.or(e.and(a, b), e.and(e.or(a, b), notResult));
  e.write(0, result);
  withCarryFlags(e, carries, result, e.and(e.xor(a, result), e.xor(b, result)));
}

function sbb(e: Emitter): void {
  const borrow = e.bit(e.condition(CARRY));
  const a = e.readForWrite(0);
  const b = e.read(1);
  const result = e.zeroExtend(e.sub(e.sub(a, b), borrow), e.bits);
  const notA = e.xor(a, e.constant(-1n));
  const borrows = e.or(e.and(notA, b), e.and(e.or(notA, b), result));
  e.write(0, result);
  withCarryFlags(e, borrows, result, e.and(e.xor(a, b), e.xor(a, result)));
}

/** INC and DEC leave CF as it was. */
function step(e: Emitter, by: 1 | -1): void {
  const carry = e.bit(e.condition(CARRY));
  const a = e.readForWrite(0);
  const result = e.zeroExtend(e.add(a, e.constant(by)), e.bits);
  e.write(0, result);
  const sign = 1n << BigInt(e.bits - 1);
  const overflowed = by === 1 ? sign : sign - 1n;
  const low = e.constant(by === 1 ? 0 : 15);
  e.flagsOfResult(result, {
    cf: carry,
    of: e.bit(e.compare('i64_eq', result, e.constant(overflowed))),
    af: e.bit(e.compare('i64_eq', e.and(result, e.constant(15)), low)),
  });
}

function neg(e: Emitter): void {
  const a = e.readForWrite(0);
  const zero = e.constant(0);
  e.write(0, e.sub(zero, a));
  e.flagsOfSub(zero, a);
}

function not(e: Emitter): void {
  e.write(0, e.xor(e.readForWrite(0), e.constant(-1n)));
}

function logic(op: 'and' | 'or' | 'xor') {
  return (e: Emitter): void => {
    const a = e.readForWrite(0);
    const b = e.read(1);
    const result = e[op](a, b);
    e.write(0, result);
    e.flagsOfLogic(result);
  };
}

function test(e: Emitter): void {
  e.flagsOfLogic(e.and(e.read(0), e.read(1)));
}

const WRITES = { writes: 'all' } as const;
const READS_AND_WRITES = { reads: true, writes: 'all' } as const;
/** AND, OR, XOR, TEST: AF is undefined (and cleared by every processor). */
const LOGIC = { writes: 'all', undefined: ['AF'] } as const;

export const ARITHMETIC_ROWS: readonly SemanticRow[] = [
  { op: 'ADD', forms: RM_R_I, emit: add, flags: WRITES, ref: SDM('ADD—Add', 'vol. 2A') },
  { op: 'SUB', forms: RM_R_I, emit: sub, flags: WRITES, ref: SDM('SUB—Subtract', 'vol. 2B') },
  { op: 'CMP', forms: RM_R_I, emit: cmp, flags: WRITES, ref: SDM('CMP—Compare Two Operands', 'vol. 2A') },
  { op: 'ADC', forms: RM_R_I, emit: adc, flags: READS_AND_WRITES, ref: SDM('ADC—Add With Carry', 'vol. 2A') },
  {
    op: 'SBB',
    forms: RM_R_I,
    emit: sbb,
    flags: READS_AND_WRITES,
    ref: SDM('SBB—Integer Subtraction With Borrow', 'vol. 2B'),
  },
  {
    op: 'INC',
    forms: RM,
    emit: (e) => step(e, 1),
    flags: READS_AND_WRITES,
    ref: SDM('INC—Increment by 1', 'vol. 2A'),
  },
  {
    op: 'DEC',
    forms: RM,
    emit: (e) => step(e, -1),
    flags: READS_AND_WRITES,
    ref: SDM('DEC—Decrement by 1', 'vol. 2A'),
  },
  { op: 'NEG', forms: RM, emit: neg, flags: WRITES, ref: SDM("NEG—Two's Complement Negation", 'vol. 2B') },
  { op: 'NOT', forms: RM, emit: not, ref: SDM("NOT—One's Complement Negation", 'vol. 2B') },
  { op: 'AND', forms: RM_R_I, emit: logic('and'), flags: LOGIC, ref: SDM('AND—Logical AND', 'vol. 2A') },
  {
    op: 'OR',
    forms: RM_R_I,
    emit: logic('or'),
    flags: LOGIC,
    ref: SDM('OR—Logical Inclusive OR', 'vol. 2B'),
  },
  {
    op: 'XOR',
    forms: RM_R_I,
    emit: logic('xor'),
    flags: LOGIC,
    ref: SDM('XOR—Logical Exclusive OR', 'vol. 2D'),
  },
  {
    op: 'TEST',
    forms: [
      { operands: ['rm', 'r'], bits: ALL },
      { operands: ['rm', 'i'], bits: ALL },
    ],
    emit: test,
    flags: LOGIC,
    ref: SDM('TEST—Logical Compare', 'vol. 2B'),
  },
];
