import { describe, expect, it } from 'vitest';
import { EXCEPTION_FILTERS, parseExitReasons } from './exceptions.ts';

const REASONS = [
  { key: 'CPUID', name: 'CPUID', number: 10 },
  { key: 'EPT_VIOLATION', name: 'EPT violation', number: 48 },
];

describe('the condition of the VM-exit filter', () => {
  it('names reasons by key, by name or by number', () => {
    expect(parseExitReasons('cpuid, EPT violation', REASONS)).toEqual({ keys: ['CPUID', 'EPT_VIOLATION'] });
    expect(parseExitReasons('48', REASONS)).toEqual({ keys: ['EPT_VIOLATION'] });
  });

  it('means every exit when it is empty', () => {
    expect(parseExitReasons(' ', REASONS)).toEqual({ keys: [] });
  });

  it('names the word that is no reason', () => {
    expect(parseExitReasons('CPUID, EPT_VIOLATOIN', REASONS)).toEqual({ unknown: 'EPT_VIOLATOIN' });
  });
});

it('there are at most eight filters, because each is a checkbox', () => {
  expect(EXCEPTION_FILTERS.length).toBeLessThanOrEqual(8);
});
