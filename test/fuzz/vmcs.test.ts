import { describe, expect, it } from 'vitest';
import { fuzzVmcss } from './vmcs.ts';

describe('damaged VMCSs', () => {
  it('are refused as their report says, or entered, and the host goes on', { timeout: 120_000 }, () => {
    const { entered, refused, answers } = fuzzVmcss(1, 1500);
    expect(entered).toBeGreaterThan(100);
    expect(refused).toBeGreaterThan(500);
    for (const answer of ['VMfailValid(7)', 'VMfailValid(8)', '(exit reason 33, qualification 0)'])
      expect(answers[answer]).toBeGreaterThan(20);
  });
});
