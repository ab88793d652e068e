import { describe, expect, it } from 'vitest';
import { CpuState } from './cpuState.ts';
import { arithmeticFlags, CC_ADD, CC_RESULT, CC_SUB } from './flags.ts';
import { ARITHMETIC_FLAGS, FLAG } from './registers.ts';

const EDGES = [0n, 1n, 2n, 0xfn, 0x10n, 0x7fn, 0x80n, 0xffn, 0x1234_5678_9abc_def0n];
const state = new CpuState(new WebAssembly.Memory({ initial: 16 }));

/** The flags by the manual's words, for operands of `size` bits. */
function expected(kind: number, a: bigint, b: bigint, size: number): number {
  const wide = kind === CC_SUB ? a - b : a + b;
  const result = BigInt.asUintN(size, wide);
  const signed = (value: bigint) => BigInt.asIntN(size, value);
  const exact = kind === CC_SUB ? signed(a) - signed(b) : signed(a) + signed(b);
  const low = kind === CC_SUB ? (a & 15n) - (b & 15n) : (a & 15n) + (b & 15n);
  let ones = 0;
  for (let bit = 0n; bit < 8n; bit++) ones += Number((result >> bit) & 1n);
  return (
    (wide === result ? 0 : FLAG.CF) |
    (ones % 2 === 0 ? FLAG.PF : 0) |
    (low < 0n || low > 15n ? FLAG.AF : 0) |
    (result === 0n ? FLAG.ZF : 0) |
    (signed(result) < 0n ? FLAG.SF : 0) |
    (signed(result) === exact ? 0 : FLAG.OF)
  );
}

describe('the arithmetic flags', () => {
  const values = (size: number): bigint[] => {
    const top = 1n << BigInt(size - 1);
    const all = [...EDGES, top, top - 1n, top + 1n, -1n, -2n, top >> 16n, 0xffff_ffffn, 0x1_0000_0000n];
    return [...new Set(all.map((value) => BigInt.asUintN(size, value)))];
  };

  it.each([8, 16, 32, 64])("of additions and subtractions of %d bits are the manual's", (size) => {
    const shift = BigInt(64 - size);
    for (const kind of [CC_ADD, CC_SUB]) {
      for (const a of values(size)) {
        for (const b of values(size)) {
          state.CC_OP = kind | (size << 4);
          state.CC_A = a << shift;
          state.CC_B = b << shift;
          expect([kind, a, b, arithmeticFlags(state)]).toEqual([kind, a, b, expected(kind, a, b, size)]);
        }
      }
    }
  });

  it.each([8, 16, 32, 64])('of a result of %d bits: ZF, SF and PF follow, the others are given', (size) => {
    for (const a of values(size)) {
      state.CC_OP = CC_RESULT | (size << 4);
      state.CC_A = a << BigInt(64 - size);
      state.CC_B = BigInt(ARITHMETIC_FLAGS);
      const following = FLAG.ZF | FLAG.SF | FLAG.PF;
      const given = FLAG.CF | FLAG.AF | FLAG.OF;
      expect(arithmeticFlags(state)).toBe((expected(CC_ADD, a, 0n, size) & following) | given);
    }
  });
});
