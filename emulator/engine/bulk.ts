/**
 * Many iterations of REP MOVS or REP STOS at once: what lies in one page each that the TLB knows is copied or filled, and every
 * iteration counts as the instruction that it is.
 */
import type { Bits, Effect, Value, ValueType } from '../isa/ir.ts';
import { OFFSET } from '../state/layout.ts';
import { pushField64, storeField64 } from './stateFields.ts';
import type { FunctionBuilder } from './wasm/functionBuilder.ts';

type Bulk = Extract<Effect, { kind: 'bulk' }>;

/** The lowering of the instruction. */
interface BulkHost {
  readonly fn: FunctionBuilder;
  temporary(type: ValueType): number;
  push(value: Value): void;
  /** Pushes whether the TLB knows the page of a linear address, which is in the local. */
  pushTlbHit(linear: number, write: boolean): void;
  /** Pushes where that address is in memory, after a hit. */
  pushOffset(linear: number, write: boolean): void;
  /** Pushes the instructions that are left after the current one. */
  pushBudget(): void;
  /** Counts so many instructions (a local) besides the current one. */
  takeBudget(count: number): void;
}

const SPLAT = { 8: 'i8x16_splat', 16: 'i16x8_splat', 32: 'i32x4_splat', 64: 'i64x2_splat' } as const;
/** No way through a translation to the next comparison of the budget is as long: a page has no more instructions. */
const BULK_RESERVE = 4096;

export function lowerBulk(effect: Bulk, host: BulkHost): void {
  const { into, bits, count, destination, source, value } = effect;
  const { fn } = host;
  const { code } = fn;
  const shift = Math.log2(bits / 8);
  const elements = host.temporary('i32');
  into.local = host.temporary('i64');
  const inLocal = (of: Value) => {
    const local = host.temporary('i64');
    host.push(of);
    code.localSet(local);
    return local;
  };
  const most = (push: () => void) => {
    const limit = host.temporary('i32');
    push();
    code.localSet(limit).localGet(limit).localGet(elements).localGet(limit).localGet(elements);
    code.op('i32_lt_s').op('select').localSet(elements);
  };
  const toEndOfPage = (linear: number) => () => {
    code.i32Const(0x1000).localGet(linear).op('i32_wrap_i64').i32Const(0xfff).op('i32_and').op('i32_sub');
    if (shift > 0) code.i32Const(shift).op('i32_shr_u');
  };
  const wanted = inLocal(count);
  const to = inLocal(destination);
  const from = source && inLocal(source);
  const filling = value && inLocal(value);
  code.i64Const(0n).localSet(into.local);
  code.localGet(wanted).i64Const(0x1000n).localGet(wanted).i64Const(0x1000n).op('i64_lt_u').op('select');
  code.op('i32_wrap_i64').localSet(elements);
  most(() => {
    host.pushBudget();
    code.i32Const(BULK_RESERVE).op('i32_sub');
  });
  most(toEndOfPage(to));
  if (from !== undefined) most(toEndOfPage(from));
  // What is filled is filled by vectors.
  if (filling !== undefined)
    code
      .localGet(elements)
      .i32Const(-16 >> shift)
      .op('i32_and')
      .localSet(elements);

  const place = host.temporary('i32');
  const origin = host.temporary('i32');
  const bytes = host.temporary('i32');
  const done = fn.block();
  const unless = () => {
    code.op('i32_eqz');
    fn.brIf(done);
  };
  code.localGet(elements).i32Const(0).op('i32_gt_s');
  unless();
  code.localGet(elements);
  if (shift > 0) code.i32Const(shift).op('i32_shl');
  code.localSet(bytes);
  host.pushTlbHit(to, true);
  unless();
  host.pushOffset(to, true);
  code.localSet(place);
  if (from !== undefined) {
    host.pushTlbHit(from, false);
    unless();
    host.pushOffset(from, false);
    code.localSet(origin);
    // An element that was written and is read again later: one after the other.
    code.localGet(place).localGet(origin).op('i32_sub').localGet(bytes).op('i32_lt_u');
    fn.brIf(done);
    code.localGet(place).localGet(origin).localGet(bytes).memoryCopy();
  } else fill(host, place, bytes, filling as number, bits);
  host.takeBudget(elements);
  storeField64(fn, OFFSET.REPETITIONS, () => {
    pushField64(fn, OFFSET.REPETITIONS);
    code.localGet(elements).op('i64_extend_i32_u').op('i64_add');
  });
  code.localGet(elements).op('i64_extend_i32_u').localSet(into.local);
  fn.end();
}

/** Fills so many bytes, a multiple of 16. */
function fill(host: BulkHost, place: number, bytes: number, value: number, bits: Bits): void {
  const { fn } = host;
  const { code } = fn;
  const vector = host.temporary('v128');
  code.localGet(value);
  if (bits < 64) code.op('i32_wrap_i64');
  code.simd(SPLAT[bits]).localSet(vector);
  code.localGet(bytes).localGet(place).op('i32_add').localSet(bytes);
  const next = fn.loop();
  code.localGet(place).localGet(vector).simdMemory('v128_store', 0);
  code.localGet(place).i32Const(16).op('i32_add').localTee(place);
  code.localGet(bytes).op('i32_lt_u');
  fn.brIf(next);
  fn.end();
}
