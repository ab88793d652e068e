/** Repeated string instructions that move much at once give what one element after the other gives. */
import { describe, expect, it } from 'vitest';
import { RCX, RDI, RSI } from '../../emulator/state/registers.ts';
import { assemble } from '../support/assemble.ts';
import { Random } from '../support/random.ts';
import { missing } from '../support/tools.ts';
import { CODE, describeState, prepare, TIERS } from './tiersSupport.ts';

const CASES = 80;
const DATA = 0x20_0000;
const BYTES = 0x3c00;
/** Addresses from here on fault. */
const UNMAPPED = 0x80_0000;
/** So few instructions at a time that nothing is done at once. */
const FEW = 1000;
const INSTRUCTIONS = ['movsb', 'movsw', 'movsl', 'movsq', 'stosb', 'stosw', 'stosl', 'stosq'] as const;

interface Case {
  readonly code: string;
  readonly source: number;
  readonly destination: number;
  readonly count: number;
  readonly budget: number;
}

function caseOf(seed: number): Case {
  const random = new Random(seed);
  const instruction = INSTRUCTIONS[seed % INSTRUCTIONS.length];
  const size = { b: 1, w: 2, l: 4, q: 8 }[instruction.at(-1) as 'b' | 'w' | 'l' | 'q'];
  const down = random.below(6) === 0;
  const source = DATA + random.below(BYTES / 2);
  const distance = random.below(3) === 0 ? random.below(40) - 20 : random.below(BYTES / 4);
  // Now and then the last elements fault.
  const destination =
    random.below(6) === 0 ? UNMAPPED - 8 * random.below(300) : Math.max(DATA, source + distance);
  const count = Math.min(random.below(5000), Math.floor(BYTES / 2 / size));
  return {
    code: `1: ${down ? 'std' : 'cld'}\nrep ${instruction}\nmov %r8, %rcx\nmov %r9, %rsi\nmov %r10, %rdi\ndec %r11\njnz 1b\nhlt`,
    source,
    destination,
    count,
    budget: 6000 + random.below(30_000),
  };
}

describe.skipIf(missing('as', 'ld'))('a repeated string instruction', () => {
  for (const tier of TIERS) {
    it(`does as much as one element after the other: ${tier}`, () => {
      for (let seed = 0; seed < CASES; seed++) {
        const { code, source, destination, count, budget } = caseOf(seed);
        const start = () => {
          const processor = prepare(assemble(code, CODE), seed, tier);
          const { state } = processor;
          for (const [register, value] of [
            [RCX, count],
            [8, count],
            [RSI, source],
            [9, source],
            [RDI, destination],
            [10, destination],
            [11, 5],
          ])
            state.setGpr(register, BigInt(value));
          return processor;
        };
        const [atOnce, slowly] = [start(), start()];
        atOnce.engine.run(budget);
        while (slowly.engine.retired < budget)
          if (slowly.engine.run(Math.min(FEW, budget - slowly.engine.retired)) === 'inactive') break;
        expect(describeState(atOnce), `${JSON.stringify(caseOf(seed))} of seed ${seed}`).toEqual(
          describeState(slowly),
        );
      }
    });
  }
});
