import { describe, expect, it } from 'vitest';
import { hexDump } from './hexDump.ts';

describe('memory as text', () => {
  it('has 16 bytes in a row, with their characters', () => {
    const bytes = Uint8Array.from({ length: 18 }, (_, index) => 0x3e + index);
    expect(hexDump(0x1000n, bytes, 18)).toBe(
      '0000000000001000  3e 3f 40 41 42 43 44 45  46 47 48 49 4a 4b 4c 4d  |>?@ABCDEFGHIJKLM|\n' +
        '0000000000001010  4e 4f                                             |NO|\n',
    );
  });

  it('shows as a point what is no character', () => {
    expect(hexDump(0n, Uint8Array.of(0, 0x1b, 0x7f, 0xff), 4)).toContain('|....|');
  });

  it('says where memory ends', () => {
    expect(hexDump(0xffff_ffff_ffff_fffen, Uint8Array.of(1, 2), 16)).toMatch(
      /\n0000000000000000 {2}nothing is mapped from here on\n$/,
    );
  });
});
