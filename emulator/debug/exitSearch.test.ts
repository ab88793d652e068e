import { describe, expect, it } from 'vitest';
import { processorInGuest } from '../../test/support/vmxProcessor.ts';
import { RAX } from '../state/registers.ts';
import { ExitLog } from '../vmx/exitLog.ts';
import { ExitSearch } from './exitSearch.ts';

const CPUID = 10;
const HLT = 12;
const NONE = new BigUint64Array();

/** A log of CPUID (leaf = number) and, every third, HLT; ten instructions apart, from four addresses. */
function logOf(count: number, capacity?: number): { log: ExitLog; add: (count: number) => void } {
  const { state, vmx } = processorInGuest();
  const log = new ExitLog(state, capacity);
  const { vmcs, transfers } = vmx.processor;
  const add = (more: number): void => {
    for (let end = log.total + more; log.total < end; ) {
      const number = log.total;
      vmx.vmwrite('VM_EXIT_REASON', BigInt(number % 3 === 2 ? HLT : CPUID));
      vmx.vmwrite('GUEST_RIP', 0xffff_ffff_8000_0000n + BigInt(number % 4));
      state.setGpr(RAX, BigInt(number));
      transfers.recordExit(4 * vmcs.word);
      log.add(number * 10, 1, 100);
    }
  };
  add(count);
  return { log, add };
}

const timeless = (log: ExitLog): ExitSearch => new ExitSearch(log, () => 0);

describe('a search for VM exits', () => {
  it('finds exits by reason and counts the other reasons too', () => {
    const search = timeless(logOf(9).log);
    const result = search.find({ reasons: [HLT] }, NONE, 0, 100);
    expect([...result.numbers]).toEqual([2, 5, 8]);
    expect(result).toMatchObject({ total: 9, first: 0, end: 3, isComplete: true });
    expect(result.reasons.map(({ key, count, cost }) => [key, count, cost])).toEqual([
      ['cpuid', 6, 600],
      ['hlt', 3, 300],
    ]);
  });

  it('gives the part of the matches that is asked for', () => {
    const search = timeless(logOf(9).log);
    expect([...search.find({ reasons: [HLT] }, NONE, 1, 1).numbers]).toEqual([5]);
    expect([...search.find({ reasons: [HLT] }, NONE, 7, 5).numbers]).toEqual([]);
  });

  it('finds exits in a range of numbers and of positions', () => {
    const search = timeless(logOf(20).log);
    expect([...search.find({ from: 3, to: 5 }, NONE, 0, 100).numbers]).toEqual([3, 4, 5]);
    const found = search.find({ positionFrom: 31, positionTo: 60, reasons: [CPUID] }, NONE, 0, 100);
    expect([...found.numbers]).toEqual([4, 6]);
    expect(found.isComplete).toBe(true);
  });

  it('finds a text in what the exit says', () => {
    const search = timeless(logOf(40).log);
    search.addresses(0);
    expect([...search.find({ text: 'LEAF 0x1f' }, NONE, 0, 100).numbers]).toEqual([31]);
    expect(search.find({ text: 'hlt' }, NONE, 0, 100).end).toBe(13);
  });

  it('tells the addresses of the exits, and finds those whose address is said to match', () => {
    const search = timeless(logOf(8).log);
    const { addresses, isComplete } = search.addresses(0);
    expect([...addresses].map((address) => address & 0xffn)).toEqual([0n, 1n, 2n, 3n]);
    expect(isComplete).toBe(true);
    expect([...search.addresses(3).addresses]).toEqual([0xffff_ffff_8000_0003n]);
    const found = search.find({ text: 'no text has this' }, addresses.slice(1, 2), 0, 100);
    expect([...found.numbers]).toEqual([1, 5]);
  });

  it('does not take exits whose addresses nobody has been asked about', () => {
    const { log, add } = logOf(8);
    const search = timeless(log);
    search.addresses(0);
    add(8);
    const text = 'no text has this';
    const known = new BigUint64Array([0xffff_ffff_8000_0001n]);
    expect(search.find({ text }, known, 0, 100)).toMatchObject({ end: 2, isComplete: false });
    search.addresses(4);
    expect(search.find({ text }, known, 0, 100)).toMatchObject({ end: 4, isComplete: true });
  });

  it('goes on with the exits that have come since', () => {
    const { log, add } = logOf(6);
    const search = timeless(log);
    expect(search.find({ reasons: [HLT] }, NONE, 0, 100).end).toBe(2);
    add(3);
    expect([...search.find({ reasons: [HLT] }, NONE, 0, 100).numbers]).toEqual([2, 5, 8]);
  });

  it('counts matches on when the oldest are no longer kept', () => {
    const { log, add } = logOf(9, 9);
    const search = timeless(log);
    expect(search.find({ reasons: [HLT] }, NONE, 0, 100)).toMatchObject({ first: 0, end: 3 });
    add(6);
    const result = search.find({ reasons: [HLT] }, NONE, 0, 100);
    expect(result).toMatchObject({ kept: 6, first: 2, end: 5 });
    expect([...result.numbers]).toEqual([8, 11, 14]);
    expect([...search.find({ reasons: [HLT] }, NONE, 3, 1).numbers]).toEqual([11]);
  });

  it('stops after its time and goes on with the next call', () => {
    let now = 0;
    const { log } = logOf(30_000, 30_000);
    const search = new ExitSearch(log, () => (now += 50));
    expect(search.find({ reasons: [HLT] }, NONE, 0, 1)).toMatchObject({ isComplete: false, searched: 8192 });
    while (!search.find({ reasons: [HLT] }, NONE, 0, 1).isComplete);
    expect(search.find({ reasons: [HLT] }, NONE, 0, 1).end).toBe(10_000);
  });

  it('is right about more texts than it remembers', () => {
    const { log } = logOf(20_000, 20_000);
    const search = timeless(log);
    search.addresses(0);
    const found = search.find({ text: 'leaf 0x4e1' }, NONE, 0, 100);
    // 0x4e1 and 0x4e10 to 0x4e1f, without every third.
    const expected = [0x4e1, ...Array.from({ length: 16 }, (_, low) => 0x4e10 + low)];
    expect([...found.numbers]).toEqual(expected.filter((leaf) => leaf % 3 !== 2 && leaf < 20_000));
  });
});
