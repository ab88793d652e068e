import { describe, expect, it } from 'vitest';
import { EXPORT_TEXTS } from './exportFormat.ts';
import { testRow } from './testRow.ts';

describe('exits as CSV', () => {
  const { beginning, rows } = EXPORT_TEXTS.csv;

  it('have a heading and a line each', () => {
    expect(beginning).toMatch(/^number,position,vcpu,level,reason,rip,location,source,/);
    expect(rows([testRow(7)], true)).toBe(
      '7,70,0,1,CPUID,0x0000000000100040,kmain+0x10,kernel.c:12,0x0,0x0,2,0x0,"CPUID: leaf 0x0, subleaf 0x0",800\r\n',
    );
  });

  it('quote what would end a value', () => {
    expect(rows([{ ...testRow(0), location: 'a"b,\nc' }], true)).toContain(',"a""b,\nc",');
  });

  it('do not let a symbol become a formula', () => {
    expect(rows([{ ...testRow(0), location: '=HYPERLINK("x")' }], true)).toContain(`,"'=HYPERLINK(""x"")",`);
  });
});

describe('exits as JSON', () => {
  it('are one list, whatever the pieces', () => {
    const { beginning, end, rows } = EXPORT_TEXTS.json;
    const text = `${beginning}${rows([testRow(0), testRow(1)], true)}${rows([testRow(2)], false)}${rows([], false)}${end}`;
    expect(JSON.parse(text)).toEqual([testRow(0), testRow(1), testRow(2)]);
    expect(text.trim().split('\n')).toHaveLength(5);
  });
});
