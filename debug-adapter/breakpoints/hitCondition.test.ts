import { describe, expect, it } from 'vitest';
import { parseHitCondition, stopsAtHit } from './hitCondition.ts';

function stops(condition: string): number[] {
  const parsed = parseHitCondition(condition);
  return [1, 2, 3, 4, 5, 6].filter((hits) => stopsAtHit(parsed, hits));
}

describe('hit count of a breakpoint', () => {
  it.each([
    ['>4', [5, 6]],
    ['>=4', [4, 5, 6]],
    ['=4', [4]],
    ['==4', [4]],
    ['4', [4]],
    ['<3', [1, 2]],
    ['<=3', [1, 2, 3]],
    ['% 3', [3, 6]],
  ])('%s stops at %j', (condition, expected) => {
    expect(stops(condition)).toEqual(expected);
  });

  it('says what to write when it is not understood', () => {
    expect(() => parseHitCondition('often')).toThrow('the hit count "often" is not understood: write >5');
    expect(() => parseHitCondition('%0')).toThrow('never stops');
  });
});
