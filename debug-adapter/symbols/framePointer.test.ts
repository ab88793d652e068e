import { describe, expect, it } from 'vitest';
import { unwindByFramePointer } from './framePointer.ts';
import { RBP, RIP, RSP, registersOf } from './registers.ts';

const CODE = 0xffff_ffff_8100_0000n;
const STACK = 0xffff_c900_0000_1000n;

/** Memory with code and a stack of words. */
function memoryOf(code: readonly number[], words: readonly bigint[], wordSize = 8) {
  const stack = new Uint8Array(words.length * wordSize);
  words.forEach((word, i) => {
    for (let j = 0; j < wordSize; j++) stack[i * wordSize + j] = Number((word >> BigInt(8 * j)) & 0xffn);
  });
  const parts: [bigint, Uint8Array][] = [
    [CODE, Uint8Array.from([...code, ...new Array(16).fill(0x90)])],
    [STACK, stack],
  ];
  return (address: bigint, size: number) => {
    for (const [start, bytes] of parts) {
      const offset = Number(address - start);
      if (offset >= 0 && offset + size <= bytes.length) return bytes.subarray(offset, offset + size);
    }
    return undefined;
  };
}

const ENDBR64 = [0xf3, 0x0f, 0x1e, 0xfa];
const PUSH_RBP = 0x55;
const RET = 0xc3;

describe('the frame pointer', () => {
  it('of a function body leads to the caller', () => {
    const memory = memoryOf([], [1n, 2n, STACK + 0x100n, CODE + 0x50n]);
    const caller = unwindByFramePointer(
      registersOf({ rip: CODE + 8n, rsp: STACK, rbp: STACK + 16n }),
      memory,
      8,
    );
    expect(caller?.values[RIP]).toBe(CODE + 0x50n);
    expect(caller?.values[RSP]).toBe(STACK + 32n);
    expect(caller?.values[RBP]).toBe(STACK + 0x100n);
    expect(caller?.isReturnAddress).toBe(true);
  });

  it('is still that of the caller before it is set up, and again at the return', () => {
    const memory = memoryOf(
      [...ENDBR64, PUSH_RBP, 0x48, 0x89, 0xe5, 0xc9, RET],
      [CODE + 0x50n, CODE + 0x60n],
    );
    const at = (offset: bigint) =>
      unwindByFramePointer(registersOf({ rip: CODE + offset, rsp: STACK, rbp: 0x1234n }), memory, 8, CODE);
    for (const offset of [0n, 4n, 9n]) {
      expect(at(offset)?.values[RIP]).toBe(CODE + 0x50n);
      expect(at(offset)?.values[RBP]).toBe(0x1234n);
      expect(at(offset)?.values[RSP]).toBe(STACK + 8n);
    }
    expect(at(5n)?.values[RIP]).toBe(CODE + 0x60n);
  });

  it('of 32-bit code has words of 4 bytes', () => {
    const memory = memoryOf([], [STACK + 0x40n, 0xc010_0050n], 4);
    // The stack is read at 32-bit addresses.
    const reader = (address: bigint, size: number) => memory(STACK + (address & 0xfffn), size);
    const caller = unwindByFramePointer(registersOf({ rip: 0xc010_0000n, rsp: 0n, rbp: 0n }), reader, 4);
    expect(caller?.values[RIP]).toBe(0xc010_0050n);
    expect(caller?.values[RSP]).toBe(8n);
  });

  it('that cannot be right gives no caller', () => {
    const memory = memoryOf([], [0n, 0n, 0n]);
    const from = (rbp: bigint) =>
      unwindByFramePointer(registersOf({ rip: CODE + 8n, rsp: STACK + 8n, rbp }), memory, 8);
    expect(from(STACK)).toBeUndefined();
    expect(from(STACK + 9n)).toBeUndefined();
    expect(from(STACK + 0x10000n)).toBeUndefined();
    expect(from(STACK + 8n)).toBeUndefined();
  });
});
