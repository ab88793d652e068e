/**
 * WebAssembly functions that interpreter handlers (and, as imports, translations) call: slow memory accesses, general
 * addressing, flags out of lazy state, 128-bit products.
 */
import type { VectorState, X87Function } from '../isa/ir.ts';
import { CONDITIONS } from '../isa/ir.ts';
import { RECORD, RECORD_FLAG } from '../isa/record.ts';
import { CC_ADD, CC_FLAGS, CC_RESULT, CC_SUB } from '../state/flags.ts';
import { OFFSET } from '../state/layout.ts';
import { AR, FLAG, FS, SS } from '../state/registers.ts';
import { writeCrc32, writeDepositBits, writeExtractBits } from './bitFunctions.ts';
import { pushField32, pushField64, storeField32, storeField64 } from './stateFields.ts';
import { writeVectorFault } from './vectorFunctions.ts';
import { FunctionBuilder } from './wasm/functionBuilder.ts';
import type { ModuleBuilder } from './wasm/moduleBuilder.ts';
import type { ValueType } from './wasm/opcodes.ts';
import { addX87Functions } from './x87Functions.ts';

/** Imports from TypeScript: i32 in, i32 out, 64-bit operands in ACCESS_*. */
export const HOST_IMPORTS = {
  /** Loads ACCESS_SIZE bytes at ACCESS_ADDRESS (for writing: 1) into ACCESS_VALUE: 0 done, 1 fault, 2 done and cut. */
  load: { parameters: ['i32'], results: ['i32'] },
  /** Stores ACCESS_VALUE: 0 done, 1 fault, 2 done and cut. */
  store: { parameters: [], results: ['i32'] },
  /** Loads so many bytes at ACCESS_ADDRESS into ACCESS_VECTOR: 0 done, 1 fault, 2 done and cut. */
  loadVector: { parameters: ['i32'], results: ['i32'] },
  /** Stores them from there. */
  storeVector: { parameters: ['i32'], results: ['i32'] },
  /** Checks a segmented access (segment, bytes, write; offset in ACCESS_ADDRESS): 0 fine, 1 fault. */
  checkSegment: { parameters: ['i32', 'i32', 'i32'], results: ['i32'] },
  /** Executes the system instruction at RECORD: gives the record where execution goes on, 0 to leave. */
  system: { parameters: [], results: ['i32'] },
  /** Executes IN or OUT at a record (also RECORD): gives the budget that is left, -1 when `system` has to do it. */
  port: { parameters: ['i32'], results: ['i32'] },
} as const satisfies Record<string, { parameters: readonly ValueType[]; results: readonly ValueType[] }>;

export interface CoreIndexes {
  /** (record, budget, ipBase, reason) -> reason: spills RIP and the rest. */
  readonly leave: number;
  /** () -> the record where execution goes on after the system instruction at RECORD, 0 to leave. */
  readonly system: number;
  /** (record, which is also RECORD) -> the budget left after IN or OUT, -1 when it is for {@link system}. */
  readonly port: number;
  /** (record, budget, ipBase, linear, bytes, write) -> 1 when it faulted; the value is in ACCESS_VALUE. */
  readonly slowLoad: number;
  /** (record, budget, ipBase, linear, value, bytes) -> 1 when it faulted. */
  readonly slowStore: number;
  /** (record, ipBase) -> offset of the general memory operand, cut to the address size. */
  readonly offset: number;
  /** (record) -> ones up to the address size. */
  readonly addressMask: number;
  /** () -> ones up to the legacy stack pointer's size. */
  readonly stackMask: number;
  /** (record, segment or -1 for the record's, offset, bytes, write) -> linear address, -1 in legacy modes on a fault. */
  readonly segmentLinear: number;
  /** () -> the six flags at their RFLAGS positions. */
  readonly flags: number;
  /** () -> 0 or 1, by even condition code / 2. */
  readonly conditions: readonly number[];
  readonly multiplyHighUnsigned: number;
  readonly multiplyHighSigned: number;
  readonly depositBits: number;
  readonly extractBits: number;
  readonly crc32: number;
  /** (record, budget, ipBase, linear, bytes) -> 1 when it faulted; the bytes are in ACCESS_VECTOR. */
  readonly slowLoadVector: number;
  readonly slowStoreVector: number;
  /** () -> vector of the exception that an instruction on this state is now, or 0. */
  readonly vectorFault: Readonly<Record<VectorState, number>>;
  readonly x87: Readonly<Record<X87Function, number>>;
}

export function addCoreFunctions(module: ModuleBuilder): CoreIndexes {
  const host = Object.fromEntries(
    Object.entries(HOST_IMPORTS).map(([name, { parameters, results }]) => [
      name,
      module.importFunction(name, parameters, results),
    ]),
  ) as Record<keyof typeof HOST_IMPORTS, number>;
  const add = (
    name: string,
    parameters: readonly ValueType[],
    results: readonly ValueType[],
    write: (fn: FunctionBuilder) => void,
  ): number => {
    const fn = new FunctionBuilder(parameters, results);
    write(fn);
    return module.add(fn, name);
  };

  const leave = add('leave', ['i32', 'i32', 'i64', 'i32'], ['i32'], (fn) => {
    spill(fn, 0, 1, 2);
    storeField64(fn, OFFSET.IP_BASE, () => fn.code.localGet(2));
    fn.code.localGet(3);
  });
  const slowLoad = add('slowLoad', ['i32', 'i32', 'i64', 'i64', 'i32', 'i32'], ['i32'], (fn) => {
    spill(fn, 0, 1, 2);
    storeField64(fn, OFFSET.ACCESS_ADDRESS, () => fn.code.localGet(3));
    storeField32(fn, OFFSET.ACCESS_SIZE, () => fn.code.localGet(4));
    fn.code.localGet(5).call(host.load);
    endAccess(fn, 1);
  });
  const slowStore = add('slowStore', ['i32', 'i32', 'i64', 'i64', 'i64', 'i32'], ['i32'], (fn) => {
    spill(fn, 0, 1, 2);
    storeField64(fn, OFFSET.ACCESS_ADDRESS, () => fn.code.localGet(3));
    storeField64(fn, OFFSET.ACCESS_VALUE, () => fn.code.localGet(4));
    storeField32(fn, OFFSET.ACCESS_SIZE, () => fn.code.localGet(5));
    fn.code.call(host.store);
    endAccess(fn, 1);
  });
  const slowVector = (name: string, access: number) =>
    add(name, ['i32', 'i32', 'i64', 'i64', 'i32'], ['i32'], (fn) => {
      spill(fn, 0, 1, 2);
      storeField64(fn, OFFSET.ACCESS_ADDRESS, () => fn.code.localGet(3));
      fn.code.localGet(4).call(access);
      endAccess(fn, 1);
    });
  const slowLoadVector = slowVector('slowLoadVector', host.loadVector);
  const slowStoreVector = slowVector('slowStoreVector', host.storeVector);
  const addressMask = add('addressMask', ['i32'], ['i64'], (fn) => {
    pushFlag(fn, 0, RECORD_FLAG.ADDRESS_16);
    fn.if('i64');
    fn.code.i64Const(0xffffn);
    fn.else();
    pushFlag(fn, 0, RECORD_FLAG.ADDRESS_32);
    fn.if('i64');
    fn.code.i64Const(0xffff_ffffn);
    fn.else();
    fn.code.i64Const(-1n);
    fn.end();
    fn.end();
  });
  const stackMask = add('stackMask', [], ['i64'], (fn) => {
    fn.code.i64Const(0xffff_ffffn).i64Const(0xffffn);
    pushField32(fn, OFFSET.SEG_ACCESS_RIGHTS + 4 * SS);
    fn.code.i32Const(AR.DB).op('i32_and').op('select');
  });
  const offset = add('offset', ['i32', 'i64'], ['i64'], (fn) => {
    pushGpr(fn, 0, RECORD.BASE);
    pushGpr(fn, 0, RECORD.INDEX);
    fn.code.localGet(0).memory('i64_load8_u', RECORD.SCALE).op('i64_shl').op('i64_add');
    fn.code.localGet(0).memory('i64_load32_s', RECORD.DISPLACEMENT).op('i64_add');
    pushFlag(fn, 0, RECORD_FLAG.RIP_RELATIVE);
    fn.if('i64');
    fn.code.localGet(1);
    fn.else();
    fn.code.i64Const(0n);
    fn.end();
    fn.code.op('i64_add').localGet(0).call(addressMask).op('i64_and');
  });
  const segmentLinear = add('segmentLinear', ['i32', 'i32', 'i64', 'i32', 'i32'], ['i64'], (fn) =>
    writeSegmentLinear(fn, host.checkSegment),
  );
  const flags = add('flags', [], ['i64'], writeFlags);
  const conditions = Array.from({ length: 8 }, (_, pair) =>
    add(`condition${CONDITIONS[pair * 2]}`, [], ['i32'], (fn) => writeCondition(fn, pair * 2, flags)),
  );
  const multiplyHighUnsigned = add('multiplyHighUnsigned', ['i64', 'i64'], ['i64'], writeMultiplyHigh);
  const multiplyHighSigned = add('multiplyHighSigned', ['i64', 'i64'], ['i64'], (fn) => {
    // high(signed) = high(unsigned) - (a < 0 ? b : 0) - (b < 0 ? a : 0)
    fn.code.localGet(0).localGet(1).call(multiplyHighUnsigned);
    fn.code.localGet(0).i64Const(63n).op('i64_shr_s').localGet(1).op('i64_and').op('i64_sub');
    fn.code.localGet(1).i64Const(63n).op('i64_shr_s').localGet(0).op('i64_and').op('i64_sub');
  });
  return {
    leave,
    system: host.system,
    port: host.port,
    slowLoad,
    slowStore,
    offset,
    addressMask,
    stackMask,
    segmentLinear,
    flags,
    conditions,
    multiplyHighUnsigned,
    multiplyHighSigned,
    depositBits: add('depositBits', ['i64', 'i64'], ['i64'], writeDepositBits),
    extractBits: add('extractBits', ['i64', 'i64'], ['i64'], writeExtractBits),
    crc32: add('crc32', ['i64', 'i64', 'i64'], ['i64'], writeCrc32),
    slowLoadVector,
    slowStoreVector,
    vectorFault: {
      mmx: add('mmxFault', [], ['i32'], (fn) => writeVectorFault(fn, 'mmx')),
      sse: add('sseFault', [], ['i32'], (fn) => writeVectorFault(fn, 'sse')),
      avx: add('avxFault', [], ['i32'], (fn) => writeVectorFault(fn, 'avx')),
    },
    x87: addX87Functions(module, multiplyHighUnsigned),
  };
}

function pushFlag(fn: FunctionBuilder, record: number, flag: number): void {
  fn.code.localGet(record).memory('i32_load8_u', RECORD.FLAGS).i32Const(flag).op('i32_and');
}

/** Pushes the 64-bit register whose byte offset is in a record's byte. */
export function pushGpr(fn: FunctionBuilder, record: number, where: number): void {
  fn.code.localGet(record).memory('i32_load8_u', where).memory('i64_load', OFFSET.GPR);
}

function spill(fn: FunctionBuilder, record: number, budget: number, ipBase: number): void {
  storeField64(fn, OFFSET.RIP, () =>
    fn.code.localGet(ipBase).localGet(record).memory('i64_load32_s', RECORD.OFFSET).op('i64_add'),
  );
  storeField32(fn, OFFSET.REMAINING, () => fn.code.localGet(budget));
  storeField32(fn, OFFSET.RECORD, () => fn.code.localGet(record));
}

/** The host's outcome is on the stack: 2 takes the rest of the budget away; gives whether it was 1. */
function endAccess(fn: FunctionBuilder, budget: number): void {
  const outcome = fn.allocate('i32');
  fn.code.localTee(outcome).i32Const(2).op('i32_eq');
  fn.if();
  storeField32(fn, OFFSET.CUT, () => {
    pushField32(fn, OFFSET.CUT);
    fn.code.localGet(budget).op('i32_add');
  });
  fn.end();
  fn.code.localGet(outcome).i32Const(1).op('i32_eq');
}

/** A present, writable, expand-up data segment needs the limit check alone; everything else asks TypeScript. */
const PLAIN_MASK = AR.UNUSABLE | AR.P | AR.S | 0b1110;
const PLAIN = AR.P | AR.S | 0b0010;

function writeSegmentLinear(fn: FunctionBuilder, checkSegment: number): void {
  const [record, segment, offset, bytes, write] = [0, 1, 2, 3, 4];
  fn.code.localGet(segment).i32Const(0).op('i32_lt_s');
  fn.if();
  fn.code.localGet(record).memory('i32_load8_u', RECORD.SEGMENT).localSet(segment);
  fn.end();
  const pushBase = () =>
    fn.code.localGet(segment).i32Const(3).op('i32_shl').memory('i64_load', OFFSET.SEG_BASE);
  pushFlag(fn, record, RECORD_FLAG.LEGACY);
  fn.op('i32_eqz');
  fn.if();
  fn.code.localGet(offset);
  pushBase();
  fn.code.i64Const(0n).localGet(segment).i32Const(FS).op('i32_ge_s').op('select').op('i64_add').op('return');
  fn.end();
  const pushAccessRights = () =>
    fn.code.localGet(segment).i32Const(2).op('i32_shl').memory('i32_load', OFFSET.SEG_ACCESS_RIGHTS);
  pushAccessRights();
  fn.code.i32Const(PLAIN_MASK).op('i32_and').i32Const(PLAIN).op('i32_ne');
  fn.code.localGet(offset).localGet(bytes).op('i64_extend_i32_u').op('i64_add').i64Const(1n).op('i64_sub');
  fn.code.localGet(segment).i32Const(2).op('i32_shl').memory('i64_load32_u', OFFSET.SEG_LIMIT).op('i64_gt_u');
  fn.code.op('i32_or');
  fn.if();
  storeField64(fn, OFFSET.ACCESS_ADDRESS, () => fn.code.localGet(offset));
  fn.code.localGet(segment).localGet(bytes).localGet(write).call(checkSegment);
  fn.if();
  fn.code.i64Const(-1n).op('return');
  fn.end();
  fn.end();
  pushBase();
  fn.code.localGet(offset).op('i64_add').i64Const(0xffff_ffffn).op('i64_and');
}

/** All six flags from the lazy state; the twin in TypeScript is state/flags.ts. */
function writeFlags(fn: FunctionBuilder): void {
  const { code } = fn;
  const op = fn.allocate('i32');
  const a = fn.allocate('i64');
  const b = fn.allocate('i64');
  const result = fn.allocate('i64');
  const flags = fn.allocate('i64');
  const shift = fn.allocate('i64');
  pushField32(fn, OFFSET.CC_OP);
  code.localSet(op);
  pushField64(fn, OFFSET.CC_B);
  code.localSet(b);
  const kindIs = (kind: number) => code.localGet(op).i32Const(3).op('i32_and').i32Const(kind).op('i32_eq');
  kindIs(CC_FLAGS);
  fn.if();
  code.localGet(b).op('return');
  fn.end();
  pushField64(fn, OFFSET.CC_A);
  code.localSet(a);
  code
    .i64Const(64n)
    .localGet(op)
    .i32Const(4)
    .op('i32_shr_u')
    .op('i64_extend_i32_u')
    .op('i64_sub')
    .localSet(shift);
  kindIs(CC_RESULT);
  fn.if();
  code.localGet(a).localSet(result).localGet(b).localSet(flags);
  fn.else();
  kindIs(CC_SUB);
  fn.if();
  code.localGet(a).localGet(b).op('i64_sub').localSet(result);
  code.localGet(a).localGet(b).op('i64_lt_u').op('i64_extend_i32_u').localSet(flags);
  // (a ^ b) & (a ^ result): the sign is OF.
  code.localGet(a).localGet(b).op('i64_xor').localGet(a).localGet(result).op('i64_xor').op('i64_and');
  fn.code
    .i64Const(63n)
    .op('i64_shr_u')
    .i64Const(11n)
    .op('i64_shl')
    .localGet(flags)
    .op('i64_or')
    .localSet(flags);
  fn.else();
  code.localGet(a).localGet(b).op('i64_add').localSet(result);
  code.localGet(result).localGet(a).op('i64_lt_u').op('i64_extend_i32_u').localSet(flags);
  code.localGet(a).localGet(result).op('i64_xor').localGet(b).localGet(result).op('i64_xor').op('i64_and');
  code.i64Const(63n).op('i64_shr_u').i64Const(11n).op('i64_shl').localGet(flags).op('i64_or').localSet(flags);
  fn.end();
  code.localGet(a).localGet(b).op('i64_xor').localGet(result).op('i64_xor').localGet(shift).op('i64_shr_u');
  code.i64Const(BigInt(FLAG.AF)).op('i64_and').localGet(flags).op('i64_or').localSet(flags);
  fn.end();
  code.localGet(flags);
  code.localGet(result).op('i64_eqz').op('i64_extend_i32_u').i64Const(6n).op('i64_shl').op('i64_or');
  code.localGet(result).i64Const(63n).op('i64_shr_u').i64Const(7n).op('i64_shl').op('i64_or');
  // PF is set when the low byte has an even number of ones.
  code.localGet(result).localGet(shift).op('i64_shr_u').i64Const(0xffn).op('i64_and').op('i64_popcnt');
  code
    .i64Const(1n)
    .op('i64_and')
    .op('i64_eqz')
    .op('i64_extend_i32_u')
    .i64Const(2n)
    .op('i64_shl')
    .op('i64_or');
}

/** The flags that an even condition code tests; LE and L compare SF with OF. */
const TESTED: Record<number, { mask: number; signed: boolean }> = {
  0: { mask: FLAG.OF, signed: false },
  2: { mask: FLAG.CF, signed: false },
  4: { mask: FLAG.ZF, signed: false },
  6: { mask: FLAG.CF | FLAG.ZF, signed: false },
  8: { mask: FLAG.SF, signed: false },
  10: { mask: FLAG.PF, signed: false },
  12: { mask: 0, signed: true },
  14: { mask: FLAG.ZF, signed: true },
};

/** Whether an even condition code holds, for any kind of lazy flags; E and S have short cuts. */
function writeCondition(fn: FunctionBuilder, condition: number, flags: number): void {
  const { code } = fn;
  if (condition === 4 || condition === 8) {
    // Where a result is kept, it answers directly.
    pushField32(fn, OFFSET.CC_OP);
    code.i32Const(3).op('i32_and').i32Const(CC_RESULT).op('i32_eq');
    fn.if();
    pushField64(fn, OFFSET.CC_A);
    if (condition === 4) code.op('i64_eqz');
    else code.i64Const(0n).op('i64_lt_s');
    code.op('return');
    fn.end();
  }
  const { mask, signed } = TESTED[condition] as { mask: number; signed: boolean };
  const value = fn.allocate('i64');
  code.call(flags).localSet(value);
  if (mask !== 0) code.localGet(value).i64Const(BigInt(mask)).op('i64_and').i64Const(0n).op('i64_ne');
  if (signed) {
    // SF is bit 7 and OF bit 11.
    code.localGet(value).i64Const(4n).op('i64_shl').localGet(value).op('i64_xor');
    code.i64Const(BigInt(FLAG.OF)).op('i64_and').i64Const(0n).op('i64_ne');
    if (mask !== 0) code.op('i32_or');
  }
}

/**
 * Pushes whether an even condition code holds after `a - b` (kind SUB) or `a + b` (ADD), operands at the top; false
 * when there is no short formula (the caller then computes the flags).
 */
export function pushKnownCondition(
  fn: FunctionBuilder,
  kind: number,
  condition: number,
  a: () => void,
  b: () => void,
): boolean {
  const { code } = fn;
  if (kind === CC_SUB) {
    const compare = { 2: 'i64_lt_u', 4: 'i64_eq', 6: 'i64_le_u', 12: 'i64_lt_s', 14: 'i64_le_s' } as const;
    const op = compare[condition as keyof typeof compare];
    if (op !== undefined) {
      a();
      b();
      code.op(op);
      return true;
    }
    if (condition === 8) {
      a();
      b();
      code.op('i64_sub').i64Const(0n).op('i64_lt_s');
      return true;
    }
    return false;
  }
  if (kind === CC_ADD) {
    if (condition !== 2 && condition !== 4 && condition !== 8) return false;
    a();
    b();
    code.op('i64_add');
    if (condition === 4) code.op('i64_eqz');
    else if (condition === 8) code.i64Const(0n).op('i64_lt_s');
    else {
      a();
      code.op('i64_lt_u');
    }
    return true;
  }
  return false;
}

/** High 64 bits of the 128-bit product, by 32-bit halves. */
function writeMultiplyHigh(fn: FunctionBuilder): void {
  const { code } = fn;
  const low = (local: number) => code.localGet(local).i64Const(0xffff_ffffn).op('i64_and');
  const high = (local: number) => code.localGet(local).i64Const(32n).op('i64_shr_u');
  const middle = fn.allocate('i64');
  const cross = fn.allocate('i64');
  // middle = aHigh * bLow + (aLow * bLow >> 32), at most 2^64 - 2^32.
  high(0);
  low(1);
  code.op('i64_mul');
  low(0);
  low(1);
  code.op('i64_mul').i64Const(32n).op('i64_shr_u').op('i64_add').localSet(middle);
  low(0);
  high(1);
  code.op('i64_mul');
  low(middle);
  code.op('i64_add').localSet(cross);
  high(0);
  high(1);
  code.op('i64_mul');
  high(middle);
  code.op('i64_add');
  high(cross);
  code.op('i64_add');
}
