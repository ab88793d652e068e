/**
 * BMI1, BMI2 and ADX, and CRC32. The rows of VEX encodings are #UD in real-address and virtual-8086 mode.
 *
 * @see SDM "BMI1, BMI2", 5.1.16 and 5.1.17 of volume 1; "VEX-Encoded GPR Instructions", 2.6 of volume 2
 */
import { SDM } from '../../base/reference.ts';
import type { FeatureKey } from '../../core/features.ts';
import { CR0, FLAG, RDX, VECTOR } from '../../state/registers.ts';
import type { Emitter } from '../emitter.ts';
import type { Form, SemanticRow } from '../forms.ts';
import type { Bits, Value } from '../ir.ts';

const WIDE = [32, 64] as const;

/** #UD outside protected mode. */
function requireProtectedMode(e: Emitter): void {
  if (e.spec.flat) return;
  e.raiseIf(e.isZero(e.and(e.cr0(), e.constant(CR0.PE))), VECTOR.UD);
  e.raiseIf(e.isNotZero(e.and(e.systemFlags(), e.constant(FLAG.VM))), VECTOR.UD);
}

function andn(e: Emitter): void {
  const result = e.and(e.xor(e.read(1), e.constant(-1n)), e.read(2));
  e.write(0, result);
  e.flagsOfLogic(result);
}

/** BLSI, BLSR and BLSMSK: the lowest 1 bit alone, without it, and all bits up to it. */
function lowestBit(op: 'BLSI' | 'BLSR' | 'BLSMSK') {
  return (e: Emitter): void => {
    const source = e.read(1);
    const below = e.sub(source, e.constant(1));
    let result: Value;
    if (op === 'BLSI') result = e.and(e.sub(e.constant(0), source), source);
    else result = op === 'BLSR' ? e.and(below, source) : e.xor(below, source);
    result = e.zeroExtend(result, e.bits);
    e.write(0, result);
    e.flagsOfResult(result, { cf: e.bit(op === 'BLSI' ? e.isNotZero(source) : e.isZero(source)) });
  };
}

/** The low `count` bits of a value; all of it from the operand size on. */
function lowBits(e: Emitter, value: Value, count: Value): Value {
  const some = e.and(value, e.sub(e.shl(e.constant(1), count), e.constant(1)));
  return e.select(e.compare('i64_lt_u', count, e.constant(64)), some, value);
}

/** The control operand has the start in bits 7:0 and the length in bits 15:8. */
function bextr(e: Emitter): void {
  const source = e.read(1);
  const control = e.read(2);
  const start = e.and(control, e.constant(0xff));
  const length = e.and(e.shr(control, 8), e.constant(0xff));
  const shifted = e.select(e.compare('i64_lt_u', start, e.constant(64)), e.shr(source, start), e.constant(0));
  const result = lowBits(e, shifted, length);
  e.write(0, result);
  e.flagsOfLogic(result);
}

function bzhi(e: Emitter): void {
  const source = e.read(1);
  const index = e.and(e.read(2), e.constant(0xff));
  const result = lowBits(e, source, index);
  e.write(0, result);
  e.flagsOfResult(result, { cf: e.bit(e.compare('i64_ge_u', index, e.constant(e.bits))) });
}

function shift(op: 'SARX' | 'SHLX' | 'SHRX') {
  return (e: Emitter): void => {
    const source = e.read(1);
    const count = e.and(e.read(2), e.constant(e.bits - 1));
    if (op === 'SARX') e.write(0, e.sar(e.signExtend(source, e.bits), count));
    else e.write(0, op === 'SHLX' ? e.shl(source, count) : e.shr(source, count));
  };
}

function rorx(e: Emitter): void {
  const source = e.read(1);
  const left = e.and(e.sub(e.constant(e.bits), e.read(2)), e.constant(e.bits - 1));
  if (e.bits === 64) e.write(0, e.binary('i64_rotl', source, left));
  else e.write(0, e.or(e.shl(source, left), e.shr(source, e.sub(e.constant(32), left))));
}

/** The low half goes first, so that the high half stays when both destinations are one register. */
function mulx(e: Emitter): void {
  const a = e.register(RDX);
  const b = e.read(2);
  const product = e.binary('i64_mul', a, b);
  const high = e.bits === 64 ? e.call('multiplyHighUnsigned', a, b) : e.shr(product, 32);
  e.write(1, product);
  e.write(0, high);
}

function scatter(op: 'depositBits' | 'extractBits') {
  return (e: Emitter): void => e.write(0, e.call(op, e.read(1), e.read(2)));
}

/** ADCX and ADOX: carry in and out through CF or OF alone. */
function addWithFlag(flag: number, position: number) {
  return (e: Emitter): void => {
    const flags = e.flags();
    const carry = e.and(e.shr(flags, position), e.constant(1));
    const a = e.read(0);
    const b = e.read(1);
    const sum = e.add(e.add(a, b), carry);
    const carries = e.or(e.and(a, b), e.and(e.or(a, b), e.xor(sum, e.constant(-1n))));
    const carried = e.and(e.shr(carries, e.bits - 1), e.constant(1));
    e.write(0, sum);
    e.setFlags(e.or(e.and(flags, e.constant(~flag)), e.shl(carried, position)));
  };
}

function crc32(e: Emitter): void {
  const crc = e.zeroExtend(e.read(0), 32);
  e.write(0, e.call('crc32', crc, e.read(1), e.constant(e.spec.operandBits[1] as Bits)));
}

const R_R_RM: readonly Form[] = [{ operands: ['r', 'r', 'rm'], bits: [32], in64: WIDE }];
const R_RM_R: readonly Form[] = [{ operands: ['r', 'rm', 'r'], bits: [32], in64: WIDE }];
const R_RM: readonly Form[] = [{ operands: ['r', 'rm'], bits: [32], in64: WIDE }];
const LOGIC = { writes: 'all', undefined: ['AF', 'PF'] } as const;
const EXTRACT = { writes: 'all', undefined: ['AF', 'SF', 'PF'] } as const;
const ONE_FLAG = { reads: true, writes: 'partial' } as const;

function vex(
  op: string,
  feature: FeatureKey,
  forms: readonly Form[],
  emit: (e: Emitter) => void,
  title: string,
  flags?: SemanticRow['flags'],
): SemanticRow {
  const checked = (e: Emitter): void => {
    requireProtectedMode(e);
    emit(e);
  };
  return {
    op,
    forms,
    emit: checked,
    variants: 'mode',
    feature,
    ...(flags ? { flags } : {}),
    ref: SDM(title, 'vol. 2'),
  };
}

const SHIFTS = 'SARX/SHLX/SHRX—Shift Without Affecting Flags';

// biome-ignore format: rows are read as a table
export const BIT_MANIPULATION_ROWS: readonly SemanticRow[] = [
  vex('ANDN', 'BMI1', R_R_RM, andn, 'ANDN—Logical AND NOT', LOGIC),
  vex('BEXTR', 'BMI1', R_RM_R, bextr, 'BEXTR—Bit Field Extract', EXTRACT),
  vex('BLSI', 'BMI1', R_RM, lowestBit('BLSI'), 'BLSI—Extract Lowest Set Isolated Bit', LOGIC),
  vex('BLSMSK', 'BMI1', R_RM, lowestBit('BLSMSK'), 'BLSMSK—Get Mask Up to Lowest Set Bit', LOGIC),
  vex('BLSR', 'BMI1', R_RM, lowestBit('BLSR'), 'BLSR—Reset Lowest Set Bit', LOGIC),
  vex('BZHI', 'BMI2', R_RM_R, bzhi, 'BZHI—Zero High Bits Starting with Specified Bit Position', LOGIC),
  vex('MULX', 'BMI2', R_R_RM, mulx, 'MULX—Unsigned Multiply Without Affecting Flags'),
  vex('PDEP', 'BMI2', R_R_RM, scatter('depositBits'), 'PDEP—Parallel Bits Deposit'),
  vex('PEXT', 'BMI2', R_R_RM, scatter('extractBits'), 'PEXT—Parallel Bits Extract'),
  vex('RORX', 'BMI2', [{ operands: ['r', 'rm', 'i'], bits: [32], in64: WIDE, immediateBits: 8 }], rorx, 'RORX—Rotate Right Logical Without Affecting Flags'),
  vex('SARX', 'BMI2', R_RM_R, shift('SARX'), SHIFTS),
  vex('SHLX', 'BMI2', R_RM_R, shift('SHLX'), SHIFTS),
  vex('SHRX', 'BMI2', R_RM_R, shift('SHRX'), SHIFTS),
  { op: 'ADCX', forms: [{ operands: ['r', 'rm'], bits: WIDE }], emit: addWithFlag(FLAG.CF, 0), feature: 'ADX', flags: ONE_FLAG, ref: SDM('ADCX—Unsigned Integer Addition of Two Operands With Carry Flag', 'vol. 2A') },
  { op: 'ADOX', forms: [{ operands: ['r', 'rm'], bits: WIDE }], emit: addWithFlag(FLAG.OF, 11), feature: 'ADX', flags: ONE_FLAG, ref: SDM('ADOX—Unsigned Integer Addition of Two Operands With Overflow Flag', 'vol. 2A') },
  {
    op: 'CRC32',
    forms: [{ operands: ['r', 'rm'], bits: [32], sourceBits: [8, 16, 32] }, { operands: ['r', 'rm'], bits: [64], sourceBits: [8, 64] }],
    emit: crc32,
    feature: 'SSE4_2',
    ref: SDM('CRC32—Accumulate CRC32 Value', 'vol. 2A'),
  },
];
