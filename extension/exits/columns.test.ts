import { describe, expect, it } from 'vitest';
import { COLUMNS, columnTemplate, detailsOf, duration, grouped, narrowest } from './columns.ts';
import { testRow } from './testRow.ts';

describe('the columns', () => {
  it('have everything of an exit', () => {
    expect(COLUMNS.map(({ text }) => text(testRow(1234)))).toEqual([
      '1,234',
      '12,340',
      'L1 · 0',
      '800',
      '0x100040 kmain+0x10',
      'kernel.c:12',
      'CPUID',
      'leaf 0x0, subleaf 0x0',
    ]);
  });

  it('leave out what is not known', () => {
    const { location: _, source: __, ...row } = testRow(0);
    const at = (key: string) => COLUMNS.find((column) => column.key === key)?.text(row);
    expect([at('rip'), at('source')]).toEqual(['0x100040', '']);
  });

  it('repeat the reason only where the text is about something else', () => {
    expect(detailsOf({ ...testRow(0), reason: 'HLT', text: 'HLT' })).toBe('');
    expect(detailsOf({ ...testRow(0), reason: 'HLT', text: 'other' })).toBe('other');
  });

  it('group digits by thousands', () => {
    expect([0, 999, 1000, 1234567].map(grouped)).toEqual(['0', '999', '1,000', '1,234,567']);
  });

  it('show virtual time in a readable unit', () => {
    expect([12, 800_000, 1.5e6, 2e10].map(duration)).toEqual(['12 ns', '800 µs', '1.50 ms', '20.0 s']);
  });

  it('give way in a narrow window, and let the last one take what is left', () => {
    const [number, position, level] = COLUMNS.map((column) => column.narrowest);
    expect(columnTemplate([95, 200, 300])).toBe(
      `minmax(${number}px, 95px) minmax(${position}px, 200px) minmax(${level}px, 1fr)`,
    );
    expect(columnTemplate([40, 50])).toBe('minmax(40px, 40px) minmax(50px, 1fr)');
    expect(narrowest([40, 200])).toBe(40 + COLUMNS[1].narrowest);
  });
});
