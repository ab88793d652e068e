/** Code that is written between runs: a processor that executed what stood there before does as one that did not. */
import { describe, expect, it } from 'vitest';
import { writeRflags } from '../../emulator/state/flags.ts';
import { Random } from '../support/random.ts';
import { CODE, prepare, TIERS } from './tiersSupport.ts';

const REGISTERS = 8;
const STACK_POINTER = 4;
const STACK = 0x30_0000;
const BYTES = 900;
const PATCHES = 150;

type Pick = (below: number) => number;

/** One instruction of 1 to 10 bytes. */
function instruction(below: Pick): number[] {
  // What is harmless where a jump ends in it: NOP, CLC, STC, CMC, a REX prefix.
  const byte = () => [0x90, 0xf8, 0xf9, 0xf5, 0x41][below(5)];
  const register = () => [0, 1, 2, 3, 6, 7][below(6)];
  const modRm = () => 0xc0 | (register() << 3) | register();
  switch (below(10)) {
    case 0:
      return [0xb8 + register(), byte(), byte(), byte(), byte()]; // mov $imm32, r32
    case 1:
      return [0x48, 0xb8 + register(), ...Array.from({ length: 8 }, byte)]; // mov $imm64, r64
    case 2:
      return [0x48, 0x01, modRm()]; // add
    case 3:
      return [0x31, modRm()]; // xor
    case 4:
      return [0x48, 0x81, 0xc0 | register(), byte(), byte(), byte(), below(128)]; // add $imm32
    case 5:
      return [0x75, below(40)]; // jnz, forward
    case 6:
      return [0xeb, below(30)]; // jmp, forward
    case 7:
      return [0x0f, 0x84, below(100), 0, 0, 0]; // jz, forward
    case 8:
      return [0x90];
    default:
      return [0x0f, 0xa2]; // cpuid, which is a function in TypeScript
  }
}

describe('code in lines of a page that were written', () => {
  for (const tier of TIERS) {
    it(`is decoded again, and the rest stays right: ${tier}`, () => {
      const random = new Random(tier.length);
      const below: Pick = (limit) => random.below(limit);
      // What jumps lead to behind the code is HLT.
      const code = new Uint8Array(BYTES + 512).fill(0xf4);
      for (let at = 0; at < BYTES; ) {
        const bytes = instruction(below);
        code.set(bytes, at);
        at += bytes.length;
      }
      const old = prepare(code, 1, tier);
      const run = ({ state, engine }: typeof old): readonly unknown[] => {
        for (let register = 0; register < REGISTERS; register++)
          state.setGpr(register, BigInt(register === STACK_POINTER ? STACK : register * 0x1234_5678));
        writeRflags(state, 2);
        state.ACTIVITY_STATE = 0;
        state.RIP = BigInt(CODE);
        const before = engine.retired;
        engine.run(400);
        const registers = Array.from({ length: REGISTERS }, (_, register) => state.gpr(register));
        return [engine.retired - before, state.RIP, ...registers];
      };
      for (let patch = 0; patch < PATCHES; patch++) {
        for (let i = below(3); i >= 0; i--) {
          const at = below(BYTES);
          const bytes = instruction(below);
          code.set(bytes, at);
          old.physical.copyIn(CODE + at, Uint8Array.from(bytes));
        }
        const fresh = prepare(code, 1, tier);
        expect(run(old), `after patch ${patch}`).toEqual(run(fresh));
      }
    });
  }
});
