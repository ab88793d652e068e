import { describe, expect, it } from 'vitest';
import { formatMemoryReference, parseMemoryReference } from './memoryReference.ts';

describe('memory references', () => {
  it('plain numbers are linear addresses', () => {
    expect(parseMemoryReference('0x1000')).toEqual({ space: 'linear', address: 0x1000n });
    expect(parseMemoryReference('4096')).toEqual({ space: 'linear', address: 0x1000n });
    expect(parseMemoryReference('0xffffffff81000000')).toEqual({
      space: 'linear',
      address: 0xffffffff81000000n,
    });
  });

  it('a prefix names the space, another the level', () => {
    expect(parseMemoryReference('gpa:0x1000')).toEqual({ space: 'guest-physical', address: 0x1000n });
    expect(parseMemoryReference('hpa:0x1000')).toEqual({ space: 'host-physical', address: 0x1000n });
    expect(parseMemoryReference('L1.va:0x1000')).toEqual({ space: 'linear', level: 1, address: 0x1000n });
    expect(parseMemoryReference('L0.0x1000')).toEqual({ space: 'linear', level: 0, address: 0x1000n });
  });

  it('an offset moves the address inside 64 bits', () => {
    expect(parseMemoryReference('gpa:0x1000', -16)).toEqual({ space: 'guest-physical', address: 0xff0n });
    expect(parseMemoryReference('0xffffffffffffffff', 1)).toEqual({ space: 'linear', address: 0n });
  });

  it('what is none gives undefined', () => {
    for (const text of ['', 'rax', 'foo:0x10', '0x1_0000', '0x10000000000000000', '-1', 'gpa:'])
      expect(parseMemoryReference(text)).toBeUndefined();
  });

  it.each(['0x1000', 'gpa:0x1000', 'hpa:0xfee00000', 'L1.va:0x1000', 'io:0x3f8', 'msr:0xc0000080'])(
    '%s is written as it is read',
    (text) => {
      const address = parseMemoryReference(text);
      expect(address && formatMemoryReference(address)).toBe(text);
    },
  );
});
