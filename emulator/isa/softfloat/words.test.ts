import { describe, expect, it } from 'vitest';
import { add, divide, multiply, subtract } from './arithmetic.ts';
import { type Float80, float80, type Sign } from './float80.ts';
import { EXCEPTION, ROUNDING } from './rounding.ts';
import { addWords, divideWords, multiplyWords, type NormalWords, subtractWords } from './words.ts';

const CASES = 40_000;
const CONTROL = { precision: 64, rounding: ROUNDING.NEAREST, masks: 0x3f } as const;
const OPERATIONS = [
  { name: 'sums', words: addWords, exact: add },
  { name: 'differences', words: subtractWords, exact: subtract },
  { name: 'products', words: multiplyWords, exact: multiply },
  { name: 'quotients', words: divideWords, exact: divide },
];
/** Words that carry, borrow and round to even. */
const EDGES = [0, 1, 2, 0x7fff_ffff, 0x8000_0000, 0x8000_0001, 0xffff_fffe, 0xffff_ffff];

function numbers(seed: number) {
  let state = seed;
  const word = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (state ^ (state >>> 15)) >>> 0;
  };
  const edge = () => (word() % 3 === 0 ? word() : (EDGES[word() % EDGES.length] as number));
  return (near: number): NormalWords => ({
    sign: (word() >>> 7) & 1,
    exponent: near + (word() % 3 === 0 ? (word() % 280) - 140 : (word() % 5) - 2),
    high: (edge() | 0x8000_0000) >>> 0,
    low: edge(),
  });
}

const asFloat = ({ sign, exponent, high, low }: NormalWords): Float80 =>
  float80(sign as Sign, exponent, (BigInt(high) << 32n) | BigInt(low));

describe('arithmetic in words', () => {
  for (const { name, words, exact } of OPERATIONS) {
    it(`gives the ${name} of arithmetic with big integers, or leaves them to it`, () => {
      const next = numbers(name.length);
      let left = 0;
      for (let i = 0; i < CASES; i++) {
        const exponent = i % 50 === 0 ? 150 : i % 50 === 1 ? 32_600 : 16_383;
        const a = next(exponent);
        const b = next(exponent);
        const result = words(a, b);
        if (result === undefined) {
          left++;
          continue;
        }
        const { value, flags, roundedUp } = exact(asFloat(a), asFloat(b), CONTROL);
        const got = {
          value: asFloat(result),
          flags: result.inexact ? EXCEPTION.PRECISION : 0,
          up: result.up,
        };
        expect(got, `${JSON.stringify(a)} and ${JSON.stringify(b)}`).toEqual({ value, flags, up: roundedUp });
      }
      expect(left).toBeLessThan(CASES / 10);
    });
  }
});
