/** The look-ups of generated code: from RIP to its record, and from a record to its translation. */
import { RECORD } from '../isa/record.ts';
import { JUMP_CACHE, JUMP_CACHE_ENTRIES, OFFSET, RECORD_SIZE, RECORDS, TRANSLATED } from '../state/layout.ts';
import { pushField32, pushField64 } from './stateFields.ts';
import type { FunctionBuilder } from './wasm/functionBuilder.ts';

/** Spreads addresses, those of functions at multiples of 16 too. */
const HASH = 0x9e37_79b1 | 0;
const HASH_SHIFT = 32 - Math.log2(JUMP_CACHE_ENTRIES * 16);

/** In the context of an entry that does not stand for RIP: see {@link CodeCache.rememberCrossing}. */
export const CROSSING = 0x8000_0000 | 0;

/** Offset in the jump cache of the first of the two places for the RIP with these low 32 bits. */
export function jumpCachePlace(low: number): number {
  return (Math.imul(low, HASH) >>> HASH_SHIFT) & -16;
}

/** What the offsets of the two places for this RIP differ by (exclusive OR): RIPs with one place in common differ there. */
export function jumpCacheWay(low: number): number {
  return (Math.imul(low, HASH) & WAY_BITS) | 16;
}

const WAY_BITS = (JUMP_CACHE_ENTRIES - 1) * 16;

/**
 * Pushes whether the jump cache knows the local's RIP in the present context, with the bits `kind` besides; sets `entry` to
 * the entry's offset.
 */
export function pushJumpCacheHit(fn: FunctionBuilder, rip: number, entry: number, kind = 0): void {
  const { code } = fn;
  const hash = fn.allocate('i32');
  code.localGet(rip).op('i32_wrap_i64').i32Const(HASH).op('i32_mul').localTee(hash);
  code.i32Const(HASH_SHIFT).op('i32_shr_u').i32Const(-16).op('i32_and').localTee(entry);
  // The second of the two places for this RIP, unless the first is right.
  code.localGet(hash).i32Const(WAY_BITS).op('i32_and').i32Const(16).op('i32_or').i32Const(0);
  code.localGet(entry).memory('i64_load', JUMP_CACHE).localGet(rip).op('i64_ne');
  code.op('select').op('i32_xor').localTee(entry);
  fn.release('i32', hash);
  code.memory('i64_load', JUMP_CACHE).localGet(rip).op('i64_eq');
  code.localGet(entry).memory('i32_load', JUMP_CACHE + 12);
  pushField32(fn, OFFSET.CODE_CONTEXT);
  if (kind !== 0) code.i32Const(kind).op('i32_or');
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
