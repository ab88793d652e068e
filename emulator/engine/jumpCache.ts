/** The look-ups of generated code: from RIP to its record, and from a record to its translation. */
import { RECORD } from '../isa/record.ts';
import { JUMP_CACHE, JUMP_CACHE_ENTRIES, OFFSET, RECORD_SIZE, RECORDS, TRANSLATED } from '../state/layout.ts';
import { pushField32, pushField64 } from './lowering.ts';
import type { FunctionBuilder } from './wasm/functionBuilder.ts';

/** Pushes whether the jump cache knows the local's RIP in the present context; sets `entry` to the entry's offset. */
export function pushJumpCacheHit(fn: FunctionBuilder, rip: number, entry: number): void {
  const { code } = fn;
  code.localGet(rip).op('i32_wrap_i64').localTee(entry);
  code.localGet(entry).i32Const(12).op('i32_shr_u').op('i32_xor');
  code
    .i32Const(JUMP_CACHE_ENTRIES - 1)
    .op('i32_and')
    .i32Const(4)
    .op('i32_shl')
    .localTee(entry);
  code.memory('i64_load', JUMP_CACHE).localGet(rip).op('i64_eq');
  code.localGet(entry).memory('i32_load', JUMP_CACHE + 12);
  pushField32(fn, OFFSET.CODE_CONTEXT);
  code.op('i32_eq').op('i32_and');
}

/** Takes a record, pushes what TRANSLATED has for it. */
export function pushTranslated(fn: FunctionBuilder): void {
  const perRecord = RECORD_SIZE / 4;
  fn.code.i32Const(Math.log2(perRecord)).op('i32_shr_u');
  fn.code.memory('i32_load', TRANSLATED - RECORDS / perRecord);
}

/** Pushes the page base (RIP minus the record's offset) that a record stands for at this RIP. */
export function pushPageOf(fn: FunctionBuilder, rip: number, record: number): void {
  fn.code.localGet(rip).localGet(record).memory('i64_load32_s', RECORD.OFFSET).op('i64_sub');
}

/** Pushes the RIP of a record under the present IP_BASE. */
export function pushRipOf(fn: FunctionBuilder, record: number): void {
  pushField64(fn, OFFSET.IP_BASE);
  fn.code.localGet(record).memory('i64_load32_s', RECORD.OFFSET).op('i64_add');
}
