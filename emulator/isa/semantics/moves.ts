/**
 * Data transfer, sign extension and exchange.
 *
 * @see SDM "Data Transfer Instructions", 5.1.1 of volume 1
 */
import { SDM } from '../../base/reference.ts';
import { RAX, RDX } from '../../state/registers.ts';
import type { Emitter } from '../emitter.ts';
import type { SemanticRow } from '../forms.ts';
import type { Bits, Value } from '../ir.ts';
import { CONDITIONS } from '../ir.ts';

const ALL = [8, 16, 32, 64] as const;
const WIDE = [16, 32, 64] as const;

function mov(e: Emitter): void {
  e.write(0, e.read(1));
}

function movsx(e: Emitter): void {
  e.write(0, e.signExtend(e.read(1), e.spec.operandBits[1] as Bits));
}

function xchg(e: Emitter): void {
  const a = e.readForWrite(0);
  const b = e.read(1);
  e.write(0, b);
  e.write(1, a);
}

function xadd(e: Emitter): void {
  const a = e.readForWrite(0);
  const b = e.read(1);
  const sum = e.add(a, b);
  // A store may fault and comes first; with the same register twice the sum is what stays.
  if (e.isMemory(0)) e.write(0, sum);
  e.write(1, a);
  if (!e.isMemory(0)) e.write(0, sum);
  e.flagsOfAdd(a, b);
}

/** The destination is written in both cases, so that a page that is not writable faults. */
function cmpxchg(e: Emitter): void {
  const destination = e.readForWrite(0);
  const accumulator = e.register(RAX);
  const source = e.read(1);
  const equal = e.compare('i64_eq', accumulator, destination);
  if (e.isMemory(0)) {
    e.write(0, e.select(equal, source, destination));
    e.if(e.isZero(equal), () => e.setRegister(RAX, destination));
  } else {
    e.if(
      equal,
      () => e.write(0, source),
      () => e.setRegister(RAX, destination),
    );
  }
  e.flagsOfSub(accumulator, destination);
}

function reversed(e: Emitter, value: Value): Value {
  const byte = (from: number, to: number) => {
    const only = e.and(value, e.constant(0xffn << BigInt(from)));
    return to >= from ? e.shl(only, to - from) : e.shr(only, from - to);
  };
  let result = byte(0, e.bits - 8);
  for (let from = 8; from < e.bits; from += 8) result = e.or(result, byte(from, e.bits - 8 - from));
  return result;
}

/** With a 16-bit operand the result is undefined: zero, as processors do. */
function bswap(e: Emitter): void {
  e.write(0, e.bits === 16 ? e.constant(0) : reversed(e, e.read(0)));
}

function signExtendAccumulator(from: Bits) {
  return (e: Emitter): void =>
    e.setRegister(RAX, e.signExtend(e.register(RAX, from), from), (from * 2) as Bits);
}

function signToDx(bits: Bits) {
  return (e: Emitter): void => {
    e.setRegister(RDX, e.sar(e.signExtend(e.register(RAX, bits), bits), 63), bits);
  };
}

const conditionalMoves = CONDITIONS.map(
  (name, condition): SemanticRow => ({
    op: `CMOV${name}`,
    forms: [{ operands: ['r', 'rm'], bits: WIDE }],
    // A memory operand is read, and may fault, whether or not the condition holds.
    emit: (e) => {
      const source = e.read(1);
      e.write(0, e.select(e.condition(condition), source, e.read(0)));
    },
    flags: { reads: true },
    feature: 'CMOV',
    ref: SDM('CMOVcc—Conditional Move', 'vol. 2A'),
  }),
);

const conditionalSets = CONDITIONS.map(
  (name, condition): SemanticRow => ({
    op: `SET${name}`,
    forms: [{ operands: ['rm'], bits: [8] }],
    emit: (e) => e.write(0, e.bit(e.condition(condition))),
    flags: { reads: true },
    ref: SDM('SETcc—Set Byte on Condition', 'vol. 2B'),
  }),
);

const NONE = (bits: Bits) => [{ operands: [], bits: [bits] }] as const;

export const MOVE_ROWS: readonly SemanticRow[] = [
  {
    op: 'MOV',
    forms: [
      { operands: ['rm', 'r'], bits: ALL },
      { operands: ['r', 'm'], bits: ALL },
      { operands: ['rm', 'i'], bits: ALL },
    ],
    emit: mov,
    ref: SDM('MOV—Move', 'vol. 2B'),
  },
  {
    op: 'MOVZX',
    forms: [{ operands: ['r', 'rm'], bits: WIDE, sourceBits: [8, 16] }],
    emit: mov,
    ref: SDM('MOVZX—Move With Zero-Extend', 'vol. 2B'),
  },
  {
    op: 'MOVSX',
    forms: [{ operands: ['r', 'rm'], bits: WIDE, sourceBits: [8, 16] }],
    emit: movsx,
    ref: SDM('MOVSX/MOVSXD—Move With Sign-Extension', 'vol. 2B'),
  },
  {
    op: 'MOVSXD',
    forms: [
      { operands: ['r', 'rm'], bits: [64], sourceBits: [32] },
      { operands: ['r', 'rm'], bits: [16, 32] },
    ],
    emit: movsx,
    ref: SDM('MOVSX/MOVSXD—Move With Sign-Extension', 'vol. 2B'),
  },
  {
    op: 'LEA',
    forms: [{ operands: ['r', 'm'], bits: WIDE }],
    emit: (e) => e.write(0, e.address(1)),
    ref: SDM('LEA—Load Effective Address', 'vol. 2A'),
  },
  {
    op: 'XCHG',
    forms: [{ operands: ['rm', 'r'], bits: ALL }],
    emit: xchg,
    ref: SDM('XCHG—Exchange Register/Memory With Register', 'vol. 2D'),
  },
  {
    op: 'XADD',
    forms: [{ operands: ['rm', 'r'], bits: ALL }],
    emit: xadd,
    flags: { writes: 'all' },
    ref: SDM('XADD—Exchange and Add', 'vol. 2D'),
  },
  {
    op: 'CMPXCHG',
    forms: [{ operands: ['rm', 'r'], bits: ALL }],
    emit: cmpxchg,
    flags: { writes: 'all' },
    ref: SDM('CMPXCHG—Compare and Exchange', 'vol. 2A'),
  },
  {
    op: 'MOVBE',
    forms: [
      { operands: ['r', 'm'], bits: WIDE },
      { operands: ['m', 'r'], bits: WIDE },
    ],
    emit: (e) => e.write(0, reversed(e, e.read(1))),
    feature: 'MOVBE',
    ref: SDM('MOVBE—Move Data After Swapping Bytes', 'vol. 2B'),
  },
  {
    op: 'MOVNTI',
    forms: [{ operands: ['m', 'r'], bits: [32, 64] }],
    emit: mov,
    feature: 'SSE2',
    ref: SDM('MOVNTI—Store Doubleword Using Non-Temporal Hint', 'vol. 2B'),
  },
  {
    op: 'BSWAP',
    forms: [{ operands: ['r'], bits: WIDE }],
    emit: bswap,
    ref: SDM('BSWAP—Byte Swap', 'vol. 2A'),
  },
  {
    op: 'CBW',
    forms: NONE(16),
    emit: signExtendAccumulator(8),
    ref: SDM(
      'CBW/CWDE/CDQE—Convert Byte to Word/Convert Word to Doubleword/Convert Doubleword to Quadword',
      'vol. 2A',
    ),
  },
  {
    op: 'CWDE',
    forms: NONE(32),
    emit: signExtendAccumulator(16),
    ref: SDM(
      'CBW/CWDE/CDQE—Convert Byte to Word/Convert Word to Doubleword/Convert Doubleword to Quadword',
      'vol. 2A',
    ),
  },
  {
    op: 'CDQE',
    forms: NONE(64),
    emit: signExtendAccumulator(32),
    ref: SDM(
      'CBW/CWDE/CDQE—Convert Byte to Word/Convert Word to Doubleword/Convert Doubleword to Quadword',
      'vol. 2A',
    ),
  },
  {
    op: 'CWD',
    forms: NONE(16),
    emit: signToDx(16),
    ref: SDM('CWD/CDQ/CQO—Convert Word to Doubleword/Convert Doubleword to Quadword', 'vol. 2A'),
  },
  {
    op: 'CDQ',
    forms: NONE(32),
    emit: signToDx(32),
    ref: SDM('CWD/CDQ/CQO—Convert Word to Doubleword/Convert Doubleword to Quadword', 'vol. 2A'),
  },
  {
    op: 'CQO',
    forms: NONE(64),
    emit: signToDx(64),
    ref: SDM('CWD/CDQ/CQO—Convert Word to Doubleword/Convert Doubleword to Quadword', 'vol. 2A'),
  },
  ...conditionalMoves,
  ...conditionalSets,
];
