/**
 * The interpreter is the oracle: after any number of instructions a translated run has the same state to the bit,
 * faults in the middle of blocks included.
 */
import { describe, expect, it } from 'vitest';
import { assemble } from '../support/assemble.ts';
import { Random } from '../support/random.ts';
import { missing } from '../support/tools.ts';
import { randomProgram } from './randomProgram.ts';
import { CODE, describeState, prepare } from './tiersSupport.ts';

function differences(found: readonly string[], wanted: readonly string[]): string[] {
  return found
    .flatMap((line, i) => (line === wanted[i] ? [] : [`${line} instead of ${wanted[i]}`]))
    .slice(0, 12);
}

describe.skipIf(missing('as', 'ld'))('the interpreter and forced translations', () => {
  for (let seed = 1; seed <= 40; seed++) {
    it(`give the same state after any number of instructions: program ${seed}`, () => {
      const random = new Random(seed);
      const code = assemble(
        randomProgram(random, { length: 60, iterations: 5, strayOneIn: seed % 2 ? 1000 : 15 }),
        CODE,
      );
      for (const count of [random.below(40), random.below(300), 100_000]) {
        const oracle = prepare(code, seed, false);
        const translated = prepare(code, seed, true);
        oracle.engine.run(count);
        while (translated.engine.retired < count) {
          const before = translated.engine.retired;
          if (translated.engine.run(Math.min(count - before, 1 + random.below(200))) === 'inactive') break;
        }
        expect(differences(describeState(translated), describeState(oracle))).toEqual([]);
        if (count === 100_000) expect(translated.engine.translations).toBeGreaterThan(0);
      }
    });
  }
});
