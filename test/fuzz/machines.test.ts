import { describe, expect, it } from 'vitest';
import { fuzzMachines } from './machines.ts';

describe('a machine that boots a damaged kernel', () => {
  it('refuses it, runs it, ends or stops at something unimplemented, in bounded time', () => {
    const { refused, started, ends } = fuzzMachines(1, 150);
    expect(refused).toBeGreaterThan(20);
    expect(started).toBeGreaterThan(20);
    expect(ends['triple-fault']).toBeGreaterThan(5);
    expect(ends.limit).toBeGreaterThan(5);
  });
});
