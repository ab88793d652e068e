import { describe, expect, it } from 'vitest';
import { UserError } from '../base/errors.ts';
import { MemoryPlan } from './memoryPlan.ts';

const MIB = 0x10_0000;
const bytes = (length: number) => new Uint8Array(length);

describe('a memory plan', () => {
  it('places from 4 KiB on, aligned, around what is claimed', () => {
    const plan = new MemoryPlan('kernel', 4 * MIB);
    expect(plan.place('a', bytes(0x11))).toBe(0x1000);
    expect(plan.place('b', bytes(0x10))).toBe(0x1020);
    expect(plan.place('c', bytes(0x10), { align: 0x1000 })).toBe(0x2000);
    expect(plan.place('d', bytes(0x20))).toBe(0x1030);
  });

  it('leaves the firmware areas alone', () => {
    const plan = new MemoryPlan('kernel', 4 * MIB);
    expect(plan.place('fits below', bytes(0x9_ec00))).toBe(0x1000);
    expect(plan.place('does not', bytes(0x10))).toBe(MIB);
  });

  it('places at the top when asked to', () => {
    const plan = new MemoryPlan('kernel', 4 * MIB);
    expect(plan.place('top', bytes(0x1800), { align: 0x1000, high: true })).toBe(4 * MIB - 0x2000);
    expect(plan.place('below a limit', bytes(0x1000), { align: 0x1000, high: true, to: 3 * MIB })).toBe(
      3 * MIB - 0x1000,
    );
  });

  it('knows the end of what is placed above 1 MiB', () => {
    const plan = new MemoryPlan('kernel', 4 * MIB);
    expect(plan.highestEnd).toBe(MIB);
    plan.claim('kernel', MIB, bytes(16), 0x5000);
    expect(plan.highestEnd).toBe(MIB + 0x5000);
  });

  it('gives the segments in order of address; those without length are left out', () => {
    const plan = new MemoryPlan('kernel', 4 * MIB);
    plan.claim('second', 2 * MIB, bytes(1), 1);
    plan.claim('first', MIB, bytes(1), 1);
    plan.claim('empty', 0, bytes(0), 0);
    expect(plan.segments.map(({ name }) => name)).toEqual(['first', 'second']);
  });

  it('fills what was reserved', () => {
    const plan = new MemoryPlan('kernel', 4 * MIB);
    const address = plan.reserve('tables', 0x1000);
    plan.place('other', bytes(8));
    plan.fill(address, Uint8Array.of(1, 2));
    expect(plan.segments[0]).toEqual({ name: 'tables', address, length: 0x1000, bytes: Uint8Array.of(1, 2) });
  });

  it.each([
    ['outside memory', 4 * MIB - 1, 2, 'kernel: code at 0x3fffff-0x400000 does not fit into 4 MiB'],
    ['over the interrupt vectors', 0x4ff, 1, 'interrupt vectors and BIOS data (0x0-0x4ff)'],
    ['into the EBDA', 0x9_fbff, 2, 'extended BIOS data, adapters and BIOS (0x9fc00-0xfffff)'],
  ])('refuses a claim %s', (_, address, length, message) => {
    const claim = () => new MemoryPlan('kernel', 4 * MIB).claim('code', address, bytes(1), length);
    expect(claim).toThrow(UserError);
    expect(claim).toThrow(message);
  });
});
