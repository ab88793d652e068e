import { describe, expect, it } from 'vitest';
import { RecordSet } from './recordSet.ts';

/** Records in whose numbers the offsets can be read. */
const reader = { offset: (record: number) => record % 4096 };
const BASE = 0x10_0000;

describe('a set of records', () => {
  it('has what was added', () => {
    const set = new RecordSet(reader);
    for (const offset of [0, 31, 32, 4095]) set.add(BASE + offset);
    const found = Array.from({ length: 4096 }, (_, offset) => offset).filter((offset) =>
      set.has(BASE + offset),
    );
    expect(found).toEqual([0, 31, 32, 4095]);
  });

  it('loses the lines of 128 bytes that were written', () => {
    const set = new RecordSet(reader);
    const offsets = [0, 127, 128, 255, 256, 3967, 3968, 4095];
    for (const offset of offsets) set.add(BASE + offset);
    set.removeLines((1 << 1) | (1 << 31));
    expect(offsets.filter((offset) => set.has(BASE + offset))).toEqual([0, 127, 256, 3967]);
    set.removeLines(-1);
    expect(offsets.filter((offset) => set.has(BASE + offset))).toEqual([]);
  });
});
