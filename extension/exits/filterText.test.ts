import { describe, expect, it } from 'vitest';
import { parseFilter } from './filterText.ts';

describe('the typed filter', () => {
  it.each([
    ['', {}],
    ['  ', {}],
    ['kmain', { text: 'kmain' }],
    ['OUT 0x3f8', { text: 'OUT 0x3f8' }],
    ['#12', { from: 12, to: 12 }],
    ['#100..200', { from: 100, to: 200 }],
    ['#1_000..', { from: 1000 }],
    ['#..1,000', { to: 1000 }],
    ['@5000..9000', { positionFrom: 5000, positionTo: 9000 }],
    ['#..9 @4.. cpuid leaf', { to: 9, positionFrom: 4, text: 'cpuid leaf' }],
    ['#PF', { text: '#PF' }],
    ['@plt', { text: '@plt' }],
    ['#', { text: '#' }],
  ])('%j', (typed, filter) => {
    expect(parseFilter(typed)).toEqual({ filter });
  });

  it.each(['#9..1', '#..', '@1..2..3', '#99999999999999999999'])('%j is refused', (typed) => {
    expect(parseFilter(typed).problem).toContain('is not a range');
  });
});
