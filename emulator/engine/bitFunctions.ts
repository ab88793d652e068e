/** WebAssembly functions of bit manipulation that need a loop: PDEP, PEXT and CRC32. */
import type { FunctionBuilder } from './wasm/functionBuilder.ts';

/** The polynomial 11EDC6F41H, bits reversed. */
const CRC32C = 0x82f6_3b78n;

/** Calls `body` for every 1 bit of parameter 1, the lowest first; it is then the lowest 1 bit there. */
function forEachBit(fn: FunctionBuilder, mask: number, body: () => void): void {
  const { code } = fn;
  const done = fn.block();
  const next = fn.loop();
  code.localGet(mask).op('i64_eqz');
  fn.brIf(done);
  body();
  code.localGet(mask).localGet(mask).i64Const(1n).op('i64_sub').op('i64_and').localSet(mask);
  fn.br(next);
  fn.end();
  fn.end();
}

/** (source, mask): the low bits of the source, in order, at the places of the mask's 1 bits. */
export function writeDepositBits(fn: FunctionBuilder): void {
  const { code } = fn;
  const [source, mask] = [0, 1];
  const result = fn.allocate('i64');
  code.i64Const(0n).localSet(result);
  forEachBit(fn, mask, () => {
    // The mask's lowest 1 bit, if the source's bit 0 is set.
    code.i64Const(0n).localGet(mask).op('i64_sub').localGet(mask).op('i64_and');
    code.i64Const(0n).localGet(source).i64Const(1n).op('i64_and').op('i64_sub').op('i64_and');
    code.localGet(result).op('i64_or').localSet(result);
    code.localGet(source).i64Const(1n).op('i64_shr_u').localSet(source);
  });
  code.localGet(result);
}

/** (source, mask): the source's bits at the places of the mask's 1 bits, side by side from bit 0 on. */
export function writeExtractBits(fn: FunctionBuilder): void {
  const { code } = fn;
  const [source, mask] = [0, 1];
  const result = fn.allocate('i64');
  const place = fn.allocate('i64');
  code.i64Const(0n).localTee(place).localSet(result);
  forEachBit(fn, mask, () => {
    code.localGet(source).localGet(mask).op('i64_ctz').op('i64_shr_u').i64Const(1n).op('i64_and');
    code.localGet(place).op('i64_shl').localGet(result).op('i64_or').localSet(result);
    code.localGet(place).i64Const(1n).op('i64_add').localSet(place);
  });
  code.localGet(result);
}

/** (crc, data, bits): the remainder after so many low bits of the data. */
export function writeCrc32(fn: FunctionBuilder): void {
  const { code } = fn;
  const [crc, data, bits] = [0, 1, 2];
  const next = fn.loop();
  code.i64Const(0n).localGet(crc).localGet(data).op('i64_xor').i64Const(1n).op('i64_and').op('i64_sub');
  code.i64Const(CRC32C).op('i64_and');
  code.localGet(crc).i64Const(1n).op('i64_shr_u').op('i64_xor').localSet(crc);
  code.localGet(data).i64Const(1n).op('i64_shr_u').localSet(data);
  code.localGet(bits).i64Const(1n).op('i64_sub').localTee(bits).op('i64_eqz').op('i32_eqz');
  fn.brIf(next);
  fn.end();
  code.localGet(crc);
}
