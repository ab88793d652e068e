import { describe, expect, it } from 'vitest';
import { Random } from '../../test/support/random.ts';
import { NOWHERE } from './address.ts';
import { RangeList } from './rangeIndex.ts';

describe('an index of ranges', () => {
  it('finds the range that starts last, where they nest', () => {
    const list = new RangeList();
    list.add(0, 100, 1);
    list.add(10, 20, 2);
    list.add(12, 14, 3);
    list.add(30, 30, 4);
    list.add(200, 150, 5);
    list.add(NOWHERE, 10, 6);
    const index = list.index();
    expect([5, 10, 13, 14, 20, 99, 100, -1, NOWHERE].map((address) => index.find(address))).toEqual([
      1, 2, 3, 2, 1, 1, -1, -1, -1,
    ]);
    expect(index.length).toBe(3);
  });

  it('finds what a search through all ranges finds', () => {
    const random = new Random(7);
    for (let round = 0; round < 50; round++) {
      const list = new RangeList();
      const ranges: [number, number][] = [];
      for (let i = 0; i < 30; i++) {
        const start = random.below(100) - 50;
        ranges.push([start, start + 1 + random.below(30)]);
        list.add(start, ranges[i][1], i);
      }
      const index = list.index();
      for (let address = -60; address < 90; address++) {
        const holding = ranges.filter(([start, end]) => address >= start && address < end);
        const latest = Math.max(...holding.map(([start]) => start));
        const found = index.find(address);
        if (holding.length === 0) expect(found).toBe(-1);
        else {
          expect(ranges[found][0]).toBe(latest);
          expect(ranges[found][1]).toBeGreaterThan(address);
        }
      }
    }
  });
});
