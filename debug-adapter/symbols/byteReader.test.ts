import { describe, expect, it } from 'vitest';
import { ByteReader } from './byteReader.ts';
import { SymbolsError } from './errors.ts';

const reader = (...bytes: number[]) => new ByteReader('test', Uint8Array.from(bytes));

describe('numbers in a section', () => {
  it('are little-endian', () => {
    expect(reader(0x12, 0x34).u16()).toBe(0x3412);
    expect(reader(1, 2, 3).u24()).toBe(0x030201);
    expect(reader(0xfe, 0xff, 0xff, 0xff).i32()).toBe(-2);
    expect(reader(1, 0, 0, 0, 0, 0, 0, 0x80).bigU64()).toBe(0x8000_0000_0000_0001n);
  });

  it('in LEB128 are those of the examples of DWARF 5, appendix C', () => {
    expect(reader(2).uleb()).toBe(2);
    expect(reader(0x80, 1).uleb()).toBe(128);
    expect(reader(0xb9, 0x64).uleb()).toBe(12857);
    expect(reader(0x7e).sleb()).toBe(-2);
    expect(reader(0xff, 0).sleb()).toBe(127);
    expect(reader(0x81, 0x7f).sleb()).toBe(-127);
    expect(reader(0x80, 0x7f).sleb()).toBe(-128);
    expect(reader(0xff, 0x7e).bigSleb()).toBe(-129n);
    expect(reader(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1).bigUleb()).toBe(2n ** 64n - 1n);
  });

  it('in LEB128 of any length end', () => {
    const long = reader(...new Array(1000).fill(0x80), 1);
    expect(long.uleb()).toBe(0);
    expect(long.done).toBe(true);
    expect(reader(...new Array(1000).fill(0xff), 0x7f).bigSleb()).toBe(-1n);
  });

  it('that are kernel addresses are exact', () => {
    const address = reader(0x34, 0x12, 0x10, 0x81, 0xff, 0xff, 0xff, 0xff).address(8);
    expect(BigInt.asUintN(64, BigInt(address))).toBe(0xffff_ffff_8110_1234n);
    expect(reader(0, 0, 0, 0, 0, 0, 0, 0x40).address(8)).toBeNaN();
  });

  it('beyond the end are an error that names the section', () => {
    const error = (read: () => unknown) => {
      try {
        return String(read());
      } catch (caught) {
        expect(caught).toBeInstanceOf(SymbolsError);
        return (caught as SymbolsError).message;
      }
    };
    expect(error(() => reader(1, 2, 3).u32())).toBe(
      'test ends before 0x0 can be read. The file is incomplete or damaged: build or copy it again.',
    );
    expect(error(() => reader().u8())).toMatch(/^test is missing or empty/);
    expect(error(() => reader(0x80).uleb())).toMatch(/^test ends/);
    expect(error(() => reader(0x41, 0x42).string())).toMatch(/^test ends/);
    expect(error(() => reader(1).seek(-1))).toMatch(/^test ends/);
    expect(error(() => reader(1).seek(Number.NaN))).toMatch(/^test ends/);
  });
});
