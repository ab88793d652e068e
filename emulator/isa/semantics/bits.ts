/**
 * Bit test and scan.
 *
 * @see SDM "Bit and Byte Instructions", 5.1.6 of volume 1
 */
import { SDM } from '../../base/reference.ts';
import { FLAG } from '../../state/registers.ts';
import type { Emitter } from '../emitter.ts';
import type { Form, SemanticRow } from '../forms.ts';
import type { Value, Where } from '../ir.ts';

const WIDE = [16, 32, 64] as const;

type BitOperation = 'BT' | 'BTS' | 'BTR' | 'BTC';

function changed(e: Emitter, op: BitOperation, value: Value, mask: Value): Value {
  switch (op) {
    case 'BTS':
      return e.or(value, mask);
    case 'BTR':
      return e.and(value, e.xor(mask, e.constant(-1n)));
    default:
      return e.xor(value, mask);
  }
}

/** CF is the bit; ZF stays, the rest is undefined and stays too. */
function setCarry(e: Emitter, bit: Value): void {
  e.setFlags(e.or(e.and(e.flags(), e.constant(~FLAG.CF)), bit));
}

/**
 * A register bit offset on a memory operand reaches outside it: the signed offset selects an operand-sized unit before
 * or after the effective address.
 */
function bitTest(op: BitOperation) {
  return (e: Emitter): void => {
    const { bits } = e;
    const offset = e.read(1);
    const position = e.and(offset, e.constant(bits - 1));
    const mask = e.shl(e.constant(1), position);
    const take = (value: Value) => e.and(e.shr(value, position), e.constant(1));
    if (!e.isMemory(0) || e.spec.operands[1] === 'i') {
      if (op === 'BT') {
        setCarry(e, take(e.read(0)));
        return;
      }
      const value = e.readForWrite(0);
      e.write(0, changed(e, op, value, mask));
      setCarry(e, take(value));
      return;
    }
    const unit = e.shl(e.sar(e.signExtend(offset, bits), Math.log2(bits)), Math.log2(bits / 8));
    const address = e.add(e.address(0), unit);
    const general = e.spec.operands[0] === 's';
    const where: Where = general
      ? { kind: 'segment', segment: 'operand', offset: e.and(address, e.addressMask()) }
      : { kind: 'linear', address };
    if (op === 'BT') {
      setCarry(e, take(e.load(where, bits)));
      return;
    }
    const { value, access } = e.loadForWrite(where, bits);
    e.storeAfter(access, where, bits, changed(e, op, value, mask));
    setCarry(e, take(value));
  };
}

/** A zero source sets ZF and leaves the destination as it was (undefined for Intel, so on every processor). */
function scan(direction: 'forward' | 'reverse') {
  return (e: Emitter): void => {
    const source = e.read(1);
    const found =
      direction === 'forward'
        ? e.unary('i64_ctz', source)
        : e.sub(e.constant(63), e.unary('i64_clz', source));
    e.if(e.isNotZero(source), () => e.write(0, found));
    e.flagsOfLogic(source);
  };
}

/** TZCNT and LZCNT: CF when the source is zero, ZF when the result is. */
function count(direction: 'trailing' | 'leading') {
  return (e: Emitter): void => {
    const { bits } = e;
    const source = e.read(1);
    const found =
      direction === 'trailing'
        ? bits === 64
          ? e.unary('i64_ctz', source)
          : e.unary('i64_ctz', e.or(source, e.constant(1n << BigInt(bits))))
        : e.sub(e.unary('i64_clz', source), e.constant(64 - bits));
    e.write(0, found);
    e.flagsOfResult(found, { cf: e.bit(e.isZero(source)) });
  };
}

function popcnt(e: Emitter): void {
  const result = e.unary('i64_popcnt', e.read(1));
  e.write(0, result);
  e.setFlags(e.shl(e.bit(e.isZero(result)), 6));
}

const BIT_FORMS: readonly Form[] = [
  { operands: ['rm', 'r'], bits: WIDE },
  { operands: ['rm', 'i'], bits: WIDE, immediateBits: 8 },
];
const R_RM: readonly Form[] = [{ operands: ['r', 'rm'], bits: WIDE }];
const CARRY_ONLY = { reads: true, writes: 'partial', undefined: ['OF', 'SF', 'AF', 'PF'] } as const;
const SCAN = { writes: 'all', undefined: ['CF', 'OF', 'SF', 'AF', 'PF'] } as const;
const COUNT = { writes: 'all', undefined: ['OF', 'SF', 'AF', 'PF'] } as const;
const WRITES = { writes: 'all' } as const;

export const BIT_ROWS: readonly SemanticRow[] = [
  { op: 'BT', forms: BIT_FORMS, emit: bitTest('BT'), flags: CARRY_ONLY, ref: SDM('BT—Bit Test', 'vol. 2A') },
  {
    op: 'BTS',
    forms: BIT_FORMS,
    emit: bitTest('BTS'),
    flags: CARRY_ONLY,
    ref: SDM('BTS—Bit Test and Set', 'vol. 2A'),
  },
  {
    op: 'BTR',
    forms: BIT_FORMS,
    emit: bitTest('BTR'),
    flags: CARRY_ONLY,
    ref: SDM('BTR—Bit Test and Reset', 'vol. 2A'),
  },
  {
    op: 'BTC',
    forms: BIT_FORMS,
    emit: bitTest('BTC'),
    flags: CARRY_ONLY,
    ref: SDM('BTC—Bit Test and Complement', 'vol. 2A'),
  },
  { op: 'BSF', forms: R_RM, emit: scan('forward'), flags: SCAN, ref: SDM('BSF—Bit Scan Forward', 'vol. 2A') },
  { op: 'BSR', forms: R_RM, emit: scan('reverse'), flags: SCAN, ref: SDM('BSR—Bit Scan Reverse', 'vol. 2A') },
  {
    op: 'TZCNT',
    forms: R_RM,
    emit: count('trailing'),
    flags: COUNT,
    feature: 'BMI1',
    without: 'BSF',
    ref: SDM('TZCNT—Count the Number of Trailing Zero Bits', 'vol. 2B'),
  },
  {
    op: 'LZCNT',
    forms: R_RM,
    emit: count('leading'),
    flags: COUNT,
    feature: 'LZCNT',
    without: 'BSR',
    ref: SDM('LZCNT—Count the Number of Leading Zero Bits', 'vol. 2A'),
  },
  {
    op: 'POPCNT',
    forms: R_RM,
    emit: popcnt,
    flags: WRITES,
    feature: 'POPCNT',
    ref: SDM('POPCNT—Return the Count of Number of Bits Set to 1', 'vol. 2B'),
  },
];
