/** Where repeated comparisons end: by the flags of the iteration just done. */
import { describe, expect, it } from 'vitest';
import { readRflags } from '../../emulator/state/flags.ts';
import { FLAG, RAX, RCX, RDI, RSI } from '../../emulator/state/registers.ts';
import { assemble } from '../support/assemble.ts';
import { missing } from '../support/tools.ts';
import { CODE, prepare, TIERS } from './tiersSupport.ts';

const LEFT = 0x20_0000;
const RIGHT = 0x20_1000;

describe.skipIf(missing('as', 'ld'))('a repeated comparison', () => {
  for (const tier of TIERS) {
    const run = (instruction: string) => {
      const { state, physical, engine } = prepare(assemble(`${instruction}\nhlt`, CODE), 1, tier);
      physical.copyIn(LEFT, new Uint8Array([1, 1, 1, 2, 1, 1]));
      physical.copyIn(RIGHT, new Uint8Array([1, 1, 1, 1, 1, 1]));
      state.setGpr(RAX, 1n);
      state.setGpr(RCX, 6n);
      state.setGpr(RSI, BigInt(RIGHT));
      state.setGpr(RDI, BigInt(LEFT));
      engine.run(20);
      const equal = (readRflags(state) & FLAG.ZF) !== 0;
      return { left: state.gpr(RCX), at: Number(state.gpr(RDI)) - LEFT, equal };
    };

    it(`REPE SCASB ends after the first byte that differs: ${tier}`, () => {
      expect(run('repe scasb')).toEqual({ left: 2n, at: 4, equal: false });
    });

    it(`REPNE SCASB ends after the first byte that is equal: ${tier}`, () => {
      expect(run('movb $2, %al; repne scasb')).toEqual({ left: 2n, at: 4, equal: true });
    });

    it(`REPE CMPSB ends after the first byte that differs: ${tier}`, () => {
      expect(run('repe cmpsb')).toEqual({ left: 2n, at: 4, equal: false });
    });
  }
});
