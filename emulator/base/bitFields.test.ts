import { describe, expect, it } from 'vitest';
import { bitFieldMask, bitFieldMasks, decodeBitFields, definedBits, extractBitField } from './bitFields.ts';

const ROWS = [
  { bit: 0, key: 'PE', name: 'Protection enable' },
  { bit: 4, width: 2, key: 'TYPE', name: 'Access type', values: { 0: 'MOV to CR', 2: 'CLTS' } },
  { bit: 12, width: 52, key: 'ADDRESS', name: 'Address' },
] as const;

describe('bit-field rows', () => {
  it('give the mask of a field of one bit when no width is named', () => {
    expect(bitFieldMask(ROWS[0])).toBe(1n);
    expect(bitFieldMask(ROWS[1])).toBe(0x30n);
    expect(bitFieldMask(ROWS[2])).toBe(0xffff_ffff_ffff_f000n);
  });

  it('give masks by key', () => {
    expect(bitFieldMasks(ROWS)).toEqual({ PE: 1n, TYPE: 0x30n, ADDRESS: 0xffff_ffff_ffff_f000n });
  });

  it('extract a field', () => {
    expect(extractBitField(0xabc_d021n, ROWS[1])).toBe(2n);
  });

  it('say which bits are defined', () => {
    expect(definedBits(ROWS)).toBe(0xffff_ffff_ffff_f031n);
  });

  it('decode a value to name, value and meaning', () => {
    expect(decodeBitFields(0xabc_d021n, ROWS)).toEqual([
      { key: 'PE', name: 'Protection enable', value: 1n, meaning: '1', inUse: true },
      { key: 'TYPE', name: 'Access type', value: 2n, meaning: 'CLTS', inUse: true },
      { key: 'ADDRESS', name: 'Address', value: 0xabcdn, meaning: '0xabcd', inUse: true },
    ]);
    expect(decodeBitFields(0x10n, ROWS)[1].meaning).toBe('1');
  });

  it('say that a field is not in use while no bit enables it', () => {
    const rows = [{ bit: 4, width: 2, key: 'LENGTH', name: 'Length', enabledBy: 3n }];
    expect([0x10n, 0x11n, 0x12n].map((value) => decodeBitFields(value, rows)[0].inUse)).toEqual([
      false,
      true,
      true,
    ]);
  });
});
