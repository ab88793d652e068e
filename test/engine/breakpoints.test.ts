/** DR0–DR3 stop the interpreter and forced translations at the same instruction, with the same state. */
import { describe, expect, it } from 'vitest';
import { assemble } from '../support/assemble.ts';
import { Random } from '../support/random.ts';
import { missing } from '../support/tools.ts';
import { randomProgram } from './randomProgram.ts';
import type { Tier } from './tiersSupport.ts';
import { CODE, describeState, prepare, TIERS } from './tiersSupport.ts';

const DATA = 0x20_0000n;
const DR6 = 6;
const DR7 = 7;
const LENGTH_8 = 2n;
const WRITE = 1n;
const ACCESS = 3n;
const HANDLER = 0x50_0000n;

function run(code: Uint8Array, seed: number, tier: Tier, arm: { rw: bigint; offset: bigint }) {
  const processor = prepare(code, seed, tier);
  const { state, engine } = processor;
  // Another enabled breakpoint that never matches: both have to be kept apart.
  state.setDebugRegister(0, 0x7000n);
  state.setDebugRegister(1, DATA + arm.offset);
  state.setDebugRegister(DR7, 0x400n | 0b1001n | (((LENGTH_8 << 2n) | arm.rw) << 20n));
  engine.run(20_000);
  return processor;
}

describe.skipIf(missing('as', 'ld'))('a data breakpoint', () => {
  const random = new Random(77);
  let hit = false;
  for (let seed = 1; seed <= 16; seed++) {
    const rw = seed % 2 ? WRITE : ACCESS;
    const offset = BigInt(0x400 + 8 * random.below(60));
    it(`traps at the same instruction of program ${seed} in all tiers`, () => {
      const code = assemble(
        randomProgram(new Random(seed), { length: 60, iterations: 3, strayOneIn: 1000 }),
        CODE,
      );
      const oracle = run(code, seed, 'interpreted', { rw, offset });
      for (const tier of ['translated', 'auto'] as const)
        expect(describeState(run(code, seed, tier, { rw, offset }))).toEqual(describeState(oracle));
      hit ||= (oracle.state.debugRegister(DR6) & 0xfn) === 2n;
    });
  }

  it('is hit by some of these programs', () => expect(hit).toBe(true));
});

describe.skipIf(missing('as', 'ld'))('an instruction breakpoint', () => {
  const code = assemble('.intel_syntax noprefix\nmov ecx, 3\nagain: inc eax\nloop again\nhlt', CODE);

  it.each(TIERS)('stops before the instruction: %s', (tier) => {
    const { state, engine } = prepare(code, 1, tier);
    state.setGpr(0, 0n);
    engine.run(4);
    state.setDebugRegister(2, BigInt(CODE + 5));
    state.setDebugRegister(DR7, 0x400n | (1n << 4n));
    engine.run(100);
    expect(state.gpr(0)).toBe(2n);
    expect(state.debugRegister(DR6) & 0xfn).toBe(4n);
    expect(state.RIP).toBe(HANDLER + 1n);
  });

  it('lets the debugger stop first, and is not seen by it otherwise', () => {
    const { state, engine } = prepare(code, 1, 'interpreted');
    state.setDebugRegister(0, BigInt(CODE + 5));
    state.setDebugRegister(DR7, 0x401n);
    engine.code.breakpoints = new Set([BigInt(CODE + 5)]);
    expect(engine.run(100)).toBe('breakpoint');
    expect(state.RIP).toBe(BigInt(CODE + 5));
    engine.passBreakpoint();
    expect(engine.run(100)).toBe('inactive');
    expect(state.debugRegister(DR6) & 0xfn).toBe(1n);
  });

  it('costs no decoding when it is enabled and disabled again', () => {
    const { state, engine } = prepare(code, 1, 'interpreted');
    state.setDebugRegister(0, 0x9000n);
    state.setDebugRegister(DR7, 0x401n);
    engine.run(1);
    const { generation } = engine.code;
    for (const dr7 of [0x400n, 0x401n, 0x400n]) {
      state.setDebugRegister(DR7, dr7);
      engine.run(1);
    }
    expect(engine.code.generation).toBe(generation);
  });
});
