import { describe, expect, it } from 'vitest';
import { CpuState } from '../state/cpuState.ts';
import { AR, CS, EFER } from '../state/registers.ts';
import { IcedDecoder } from './iced.ts';
import { decodeSystemInstruction } from './systemInstruction.ts';

/** INVLPG with every kind of 64-bit memory operand, and two of 32 bits. */
const OPERANDS = {
  '(%rax)': [0x0f, 0x01, 0x38],
  '-16(%r9)': [0x41, 0x0f, 0x01, 0x79, 0xf0],
  '-0x80000000(%rax,%rcx,8)': [0x0f, 0x01, 0xbc, 0xc8, 0, 0, 0, 0x80],
  '0x7ffffff0(,%r10,4)': [0x42, 0x0f, 0x01, 0x3c, 0x95, 0xf0, 0xff, 0xff, 0x7f],
  '0xfff(%rip)': [0x0f, 0x01, 0x3d, 0xff, 0x0f, 0, 0],
  '-1': [0x0f, 0x01, 0x3c, 0x25, 0xff, 0xff, 0xff, 0xff],
  '-16(%eax,%ecx,2)': [0x67, 0x0f, 0x01, 0x7c, 0x48, 0xf0],
  '(%r9d)': [0x67, 0x41, 0x0f, 0x01, 0x39],
};

const VALUES = [0n, 1n, 0x10n, 0xffff_fff0n, 0x1_0000_0000n, 0x7fff_ffff_ffffn, 0xffff_8000_0000_0000n, -1n];

describe('the effective address of a system instruction', () => {
  const state = new CpuState(new WebAssembly.Memory({ initial: 1 }));
  state.IA32_EFER = BigInt(EFER.LMA);
  state.setSegmentAccessRights(CS, AR.L);
  state.RIP = 0xffff_ffff_fff0_1234n;

  for (const [operand, bytes] of Object.entries(OPERANDS)) {
    it(`is the same in two halves: ${operand}`, () => {
      const decoder = new IcedDecoder(64, Uint8Array.from(bytes), 0);
      decoder.ip = 0x234n;
      const instruction = decodeSystemInstruction(state, decoder.decode(), 64);
      expect(instruction.name).toBe('INVLPG');
      for (const base of VALUES) {
        for (const index of VALUES) {
          for (const register of [0, 9]) state.setGpr(register, BigInt.asUintN(64, base));
          for (const register of [1, 10]) state.setGpr(register, BigInt.asUintN(64, index));
          const [low, high] = instruction.effectiveAddressHalves();
          const address = (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
          expect(address).toBe(instruction.effectiveAddress());
        }
      }
    });
  }
});
