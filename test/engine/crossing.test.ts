/** Instructions that lie in two pages. */
import { describe, expect, it } from 'vitest';
import { assemble } from '../support/assemble.ts';
import { missing } from '../support/tools.ts';
import { CODE, prepare, TIERS } from './tiersSupport.ts';

const START = CODE + 0xffe;
/** HLT at the page's begin, and at the target of a branch over it. */
const branching = (branch: string) => `.org 0xffe, 0xf4\n${branch} target\nhlt\ntarget: nop\nhlt`;

describe.skipIf(missing('as', 'ld'))('an instruction in two pages', () => {
  for (const tier of TIERS) {
    for (const branch of ['jmp', 'jz', '{disp32} jmp', 'call', 'loop']) {
      it(`branches to its target: ${branch}, ${tier}`, () => {
        const code = assemble(branching(branch), CODE);
        const { state, engine } = prepare(code, 1, tier);
        state.RIP = BigInt(START);
        state.CC_A = state.CC_B;
        state.CC_OP = 0;
        engine.run(10);
        expect(state.RIP).toBe(BigInt(CODE + code.length));
      });
    }

    it(`is decoded again when its second page is another one: ${tier}`, () => {
      const { state, engine, physical } = prepare(
        assemble('.org 0xffe, 0x90\nmov $1, %eax\nhlt', CODE),
        1,
        tier,
      );
      // 4-KiB pages for the code: the second one is at CODE + 0x1000, then at CODE + 0x2000.
      const table = 0x1_0000;
      for (let i = 0; i < 512; i++) physical.write64(table + 8 * i, BigInt(i * 0x1000 + 7));
      physical.write64(0x3000, BigInt(table + 7));
      physical.copyIn(CODE + 0x2000, new Uint8Array([0, 0, 2, 0xf4]));
      const run = () => {
        state.ACTIVITY_STATE = 0;
        state.RIP = BigInt(CODE + 0xffe);
        engine.run(10);
        return state.gpr(0);
      };
      const map = (page: number) => {
        physical.write64(table + 8 * 0x101, BigInt(CODE + page * 0x1000 + 7));
        engine.cpu.mmu.invalidatePage(BigInt(CODE + 0x1000));
      };
      expect(run()).toBe(1n);
      map(2);
      expect(run()).toBe(0x200_0001n);
      map(1);
      expect(run()).toBe(1n);
    });

    it(`is refused by name when its second page is no RAM: ${tier}`, () => {
      const { state, engine, physical } = prepare(new Uint8Array(), 1, tier);
      const end = physical.ramBytes;
      physical.copyIn(end - 1, new Uint8Array([0xb8]));
      state.RIP = BigInt(end - 1);
      expect(() => engine.run(10)).toThrow(
        `execution of code outside RAM, at host-physical 0x${end.toString(16)}`,
      );
    });
  }
});
