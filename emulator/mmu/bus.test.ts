import { describe, expect, it } from 'vitest';
import { readCycles, writeCycles } from './bus.ts';

/** Byte at address n reads as n, and what is written is noted. */
function recorder() {
  const cycles: string[] = [];
  const byteAt = (address: number) => address & 0xff;
  return {
    cycles,
    read: (address: number, size: number) => {
      cycles.push(`r${address}/${size}`);
      let value = 0;
      for (let byte = 0; byte < size; byte++) value += byteAt(address + byte) * 2 ** (8 * byte);
      return value;
    },
    write: (address: number, size: number, value: number) => {
      cycles.push(`w${address}/${size}`);
      for (let byte = 0; byte < size; byte++) {
        expect(Math.floor(value / 2 ** (8 * byte)) & 0xff).toBe(byteAt(address + byte));
      }
    },
  };
}

const EXPECTED: Record<string, string[]> = {
  '4+8': ['4/4', '8/4'],
  '6+4': ['6/2', '8/2'],
  '5+4': ['5/1', '6/2', '8/1'],
  '5+8': ['5/1', '6/2', '8/4', '12/1'],
  '6+8': ['6/2', '8/4', '12/2'],
  '7+8': ['7/1', '8/4', '12/2', '14/1'],
  '3+2': ['3/1', '4/1'],
};

describe('an access wider than a bus cycle', () => {
  for (const [access, expected] of Object.entries(EXPECTED)) {
    const [address, size] = access.split('+').map(Number);
    it(`of ${size} bytes at ${address} is ${expected.join(', ')}`, () => {
      const bus = recorder();
      const value = { lo: 0, hi: 0 };
      readCycles(bus, address, size, value);
      const bytes = Array.from({ length: size }, (_, byte) =>
        byte < 4 ? (value.lo >>> (8 * byte)) & 0xff : (value.hi >>> (8 * (byte - 4))) & 0xff,
      );
      expect(bytes).toEqual(bytes.map((_, byte) => address + byte));
      writeCycles(bus, address, size, value.lo, value.hi);
      expect(bus.cycles).toEqual([
        ...expected.map((cycle) => `r${cycle}`),
        ...expected.map((cycle) => `w${cycle}`),
      ]);
    });
  }
});
