import { describe, expect, it } from 'vitest';
import { emptyText, type ListState, statusText } from './emptyState.ts';

const state = (change: Partial<ListState> = {}): ListState => ({
  hasSession: true,
  isFiltered: false,
  problem: undefined,
  total: 0,
  kept: 0,
  length: 0,
  isComplete: true,
  searched: 0,
  hypervisor: 'built-in',
  ...change,
});

describe('a list of exits without entries', () => {
  it.each([
    [{ hasSession: false }, 'Start debugging'],
    [{ hypervisor: 'none' }, 'no VT-x'],
    [{ hypervisor: 'program' }, 'VMLAUNCH'],
    [{ hypervisor: 'built-in' }, 'while the guest runs'],
    [{ total: 5, isFiltered: true }, 'No VM exit matches'],
    [{ problem: 'it is gone' }, 'it is gone'],
  ] as const)('%j says why', (change, text) => {
    expect(emptyText(state(change))).toContain(text);
  });

  it('says nothing while it is not known', () => {
    expect(emptyText(state({ hypervisor: undefined }))).toBeUndefined();
    expect(emptyText(state({ total: 5, isFiltered: true, isComplete: false }))).toBeUndefined();
    expect(emptyText(state({ total: 5, length: 5 }))).toBeUndefined();
  });
});

describe('the line above the list', () => {
  it('counts exits, matches and what is no longer kept', () => {
    expect(statusText(state())).toBe('');
    expect(statusText(state({ total: 1, length: 1 }))).toBe('1 exit');
    expect(statusText(state({ total: 2000, length: 2000 }))).toBe('2,000 exits');
    expect(statusText(state({ total: 2000, kept: 1000 }))).toBe(
      '2,000 exits, the first 1,000 are no longer kept',
    );
    expect(statusText(state({ total: 2000, length: 3, isFiltered: true }))).toBe('3 of 2,000 exits match');
    const searching = { total: 2000, length: 3, isFiltered: true, isComplete: false, searched: 500 };
    expect(statusText(state(searching))).toBe('3 of 2,000 exits match (searched 25 %)');
  });
});
