import { describe, expect, it } from 'vitest';
import { missing } from '../support/tools.ts';
import { fuzzSymbols } from './symbols.ts';

describe.skipIf(missing('gcc'))('a damaged program', () => {
  it('gives a result or one clear error for every query, in bounded time', () => {
    const result = fuzzSymbols(1, 4000);
    // Most damage leaves the file open, and most open files still answer.
    expect(result.opened).toBeGreaterThan(2000);
    expect(result.refused).toBeGreaterThan(100);
    expect(result.problems).toBeGreaterThan(1000);
  });
});
