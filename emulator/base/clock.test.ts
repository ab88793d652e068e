import { describe, expect, it } from 'vitest';
import { periodsInTicks, ticksForPeriods } from './clock.ts';

describe('virtual clock arithmetic', () => {
  it('one second of the PIT is 1,193,182 periods', () => {
    expect(periodsInTicks(1_000_000_000, 1_193_182)).toBe(1_193_182);
    expect(ticksForPeriods(1_193_182, 1_193_182)).toBe(1_000_000_000);
  });

  it('the tick of a period is the first at which that period has elapsed', () => {
    for (const periods of [1, 2, 3, 1000, 65_536, 1_193_181, 987_654_321]) {
      const tick = ticksForPeriods(periods, 1_193_182);
      expect(periodsInTicks(tick, 1_193_182)).toBe(periods);
      expect(periodsInTicks(tick - 1, 1_193_182)).toBe(periods - 1);
    }
  });
});
