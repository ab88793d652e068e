import { describe, expect, it } from 'vitest';
import type { DisassembledLine } from '../../emulator/index.ts';
import { instructionsBefore } from './disassembly.ts';

/** Code in which an instruction is as long as its first byte says; 0 is no instruction. Mapped from 0x1000 on. */
function codeAt(bytes: readonly number[]) {
  return async (address: bigint, count: number): Promise<DisassembledLine[]> => {
    const lines: DisassembledLine[] = [];
    let offset = Number(address - 0x1000n);
    while (lines.length < count && offset >= 0 && offset < bytes.length) {
      const length = Math.max(1, bytes[offset]);
      lines.push({
        address: 0x1000n + BigInt(offset),
        bytes: Uint8Array.from(bytes.slice(offset, offset + length)),
        text: `op${bytes[offset]}`,
        target: undefined,
        valid: bytes[offset] !== 0,
      });
      offset += length;
    }
    return lines;
  };
}

const CODE = [3, 1, 1, 2, 5, 1, 4, 4, 4, 4, 1, 2, 2, 1];
const startsBefore = (address: bigint, count: number, functionStart?: bigint) =>
  instructionsBefore(address, count, { functionStart }, codeAt(CODE)).then((lines) =>
    lines.map((line) => Number(line.address - 0x1000n)),
  );

describe('disassembly before an address', () => {
  it('arrives exactly at the address', async () => {
    expect(await startsBefore(0x100dn, 2)).toEqual([10, 11]);
  });

  it('uses the start of the function, where decoding is right', async () => {
    expect(await startsBefore(0x100an, 2, 0x1000n)).toEqual([5, 6]);
  });

  it('gives what there is when memory begins in between', async () => {
    expect(await startsBefore(0x1005n, 100, 0x1000n)).toEqual([0, 3]);
  });

  it('gives nothing where nothing can be decoded', async () => {
    expect(await startsBefore(0x1000n, 4)).toEqual([]);
  });
});
