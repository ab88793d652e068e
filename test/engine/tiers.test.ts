/**
 * The interpreter is the oracle: after any number of instructions a run with translations has the same state to the bit,
 * faults in the middle of blocks included.
 */
import { describe, expect, it } from 'vitest';
import { assemble } from '../support/assemble.ts';
import { Random } from '../support/random.ts';
import { missing } from '../support/tools.ts';
import { randomJumps } from './randomJumps.ts';
import { randomProgram } from './randomProgram.ts';
import { CODE, describeState, prepare } from './tiersSupport.ts';

const ALL = 100_000;
/** Modules made for all programs together: some programs end, or change themselves, before any is made. */
const modules = { translated: 0, auto: 0 };

function differences(found: readonly string[], wanted: readonly string[]): string[] {
  return found
    .flatMap((line, i) => (line === wanted[i] ? [] : [`${line} instead of ${wanted[i]}`]))
    .slice(0, 12);
}

/** Compares the tiers after these numbers of instructions, which they reach by runs of up to so many. */
function compare(code: Uint8Array, seed: number, counts: readonly number[], most: number): void {
  const random = new Random(seed);
  for (const count of counts) {
    const oracle = prepare(code, seed, 'interpreted');
    oracle.engine.run(count);
    const wanted = describeState(oracle);
    for (const tier of ['translated', 'auto'] as const) {
      const translated = prepare(code, seed, tier);
      while (translated.engine.retired < count) {
        const before = translated.engine.retired;
        if (translated.engine.run(Math.min(count - before, 1 + random.below(most))) === 'inactive') break;
      }
      expect(differences(describeState(translated), wanted), `${tier}, ${count} instructions`).toEqual([]);
      modules[tier] += translated.engine.translations;
    }
  }
}

describe.skipIf(missing('as', 'ld'))('the tiers give the same state after any number of instructions', () => {
  for (let seed = 1; seed <= 40; seed++) {
    it(`of instructions of all kinds: program ${seed}`, () => {
      const random = new Random(seed);
      const strayOneIn = seed % 2 ? 1000 : 15;
      const code = assemble(randomProgram(random, { length: 60, iterations: 5, strayOneIn }), CODE);
      compare(code, seed, [random.below(40), random.below(300), ALL], 200);
    });
  }

  for (let seed = 1; seed <= 40; seed++) {
    it(`of jumps, calls and loops: program ${seed}`, () => {
      const random = new Random(seed);
      const text = randomJumps(random, {
        functions: 1 + random.below(8),
        blocks: 2 + random.below(30),
        fuel: 3000,
        modifyOneIn: seed % 3 ? 0 : 20,
      });
      const counts = [random.below(300), random.below(3000), ALL];
      compare(assemble(text, CODE), seed, counts, random.pick([20, 500, 5000]));
    });
  }

  it('and most programs are translated in part', () => {
    expect(modules.translated).toBeGreaterThan(200);
    expect(modules.auto).toBeGreaterThan(100);
  });
});
