/**
 * Flag control, and instructions that change no state.
 *
 * @see SDM "Flag Control (EFLAG) Instructions", 5.1.11, and "Miscellaneous Instructions", 5.1.13 of volume 1
 */
import { SDM } from '../../base/reference.ts';
import { FLAG, RAX, RBX } from '../../state/registers.ts';
import type { Emitter } from '../emitter.ts';
import type { Form, SemanticRow } from '../forms.ts';

const NO_OPERANDS: readonly Form[] = [{ operands: [], bits: [8] }];
const SAHF_MASK = FLAG.SF | FLAG.ZF | FLAG.AF | FLAG.PF | FLAG.CF;

function lahf(e: Emitter): void {
  e.setRegister(RAX, e.or(e.and(e.flags(), e.constant(SAHF_MASK)), e.constant(FLAG.FIXED)), 8, true);
}

function sahf(e: Emitter): void {
  const overflow = e.and(e.flags(), e.constant(FLAG.OF));
  e.setFlags(e.or(overflow, e.and(e.register(RAX, 8, true), e.constant(SAHF_MASK))));
}

function setCarry(change: 'set' | 'clear' | 'complement') {
  return (e: Emitter): void => {
    const cf = e.constant(FLAG.CF);
    if (change === 'complement') e.setFlags(e.xor(e.flags(), cf));
    else if (change === 'set') e.setFlags(e.or(e.flags(), cf));
    else e.setFlags(e.and(e.flags(), e.constant(~FLAG.CF)));
  };
}

/** XLAT reads DS:[RBX + AL] (the segment may be overridden). */
function xlat(e: Emitter): void {
  const offset = e.and(e.add(e.register(RBX, 64), e.register(RAX, 8)), e.addressMask());
  e.setRegister(RAX, e.load(e.inSegment('operand', offset), 8), 8);
}

const nothing = (): void => {};
const CARRY = { reads: true, writes: 'partial' } as const;
const HINT_FORMS: readonly Form[] = [
  { operands: [], bits: [8] },
  { operands: ['rm'], bits: [16, 32, 64] },
  { operands: ['rm', 'r'], bits: [16, 32, 64] },
];
const MEMORY_HINT: readonly Form[] = [{ operands: ['m'], bits: [8] }];

export const FLAG_ROWS: readonly SemanticRow[] = [
  {
    op: 'CLC',
    forms: NO_OPERANDS,
    emit: setCarry('clear'),
    flags: CARRY,
    ref: SDM('CLC—Clear Carry Flag', 'vol. 2A'),
  },
  {
    op: 'STC',
    forms: NO_OPERANDS,
    emit: setCarry('set'),
    flags: CARRY,
    ref: SDM('STC—Set Carry Flag', 'vol. 2B'),
  },
  {
    op: 'CMC',
    forms: NO_OPERANDS,
    emit: setCarry('complement'),
    flags: CARRY,
    ref: SDM('CMC—Complement Carry Flag', 'vol. 2A'),
  },
  {
    op: 'CLD',
    forms: NO_OPERANDS,
    emit: (e) => e.setSystemFlag(FLAG.DF, false),
    ref: SDM('CLD—Clear Direction Flag', 'vol. 2A'),
  },
  {
    op: 'STD',
    forms: NO_OPERANDS,
    emit: (e) => e.setSystemFlag(FLAG.DF, true),
    ref: SDM('STD—Set Direction Flag', 'vol. 2B'),
  },
  {
    op: 'LAHF',
    forms: NO_OPERANDS,
    emit: lahf,
    flags: { reads: true },
    ref: SDM('LAHF—Load Status Flags Into AH Register', 'vol. 2A'),
  },
  {
    op: 'SAHF',
    forms: NO_OPERANDS,
    emit: sahf,
    flags: CARRY,
    ref: SDM('SAHF—Store AH Into Flags', 'vol. 2B'),
  },
  {
    op: 'XLATB',
    forms: NO_OPERANDS,
    emit: xlat,
    variants: 'string',
    ref: SDM('XLAT/XLATB—Table Look-up Translation', 'vol. 2D'),
  },
  // The operand of the long form is decoded, never accessed; ENDBR is a NOP where CET is not offered.
  { op: 'NOP', forms: HINT_FORMS, emit: nothing, ref: SDM('NOP—No Operation', 'vol. 2B') },
  { op: 'LFENCE', forms: NO_OPERANDS, emit: nothing, ref: SDM('LFENCE—Load Fence', 'vol. 2A') },
  { op: 'MFENCE', forms: NO_OPERANDS, emit: nothing, ref: SDM('MFENCE—Memory Fence', 'vol. 2B') },
  { op: 'SFENCE', forms: NO_OPERANDS, emit: nothing, ref: SDM('SFENCE—Store Fence', 'vol. 2B') },
  {
    op: 'PREFETCH',
    forms: MEMORY_HINT,
    emit: nothing,
    ref: SDM('PREFETCHh—Prefetch Data Into Caches', 'vol. 2B'),
  },
];
