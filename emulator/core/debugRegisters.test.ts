import { beforeEach, describe, expect, it } from 'vitest';
import { CR4 } from '../state/registers.ts';
import {
  BREAKPOINT,
  checkIoBreakpoints,
  matchingBreakpoints,
  PENDING_DEBUG,
  pendBreakpoints,
  writeDebugRegister,
} from './debugRegisters.ts';
import { longProcessor, type TestProcessor } from './testing/processor.ts';

let machine: TestProcessor;

beforeEach(() => {
  machine = longProcessor();
});

/** Enables DRn locally with an R/W and a LEN field. */
function watch(n: number, address: bigint, readWrite: number, len: number): void {
  const { state } = machine;
  state.setDebugRegister(n, address);
  const bits = (1n << BigInt(2 * n)) | (BigInt(readWrite | (len << 2)) << BigInt(16 + 4 * n));
  state.setDebugRegister(7, state.debugRegister(7) | bits);
}

describe('breakpoint registers', () => {
  it.each([
    ['the first byte', 0x1000n, 1, 1n],
    ['the last byte', 0x1003n, 1, 1n],
    ['an access that begins below', 0xffdn, 4, 1n],
    ['the byte below', 0xfffn, 1, 0n],
    ['the byte above', 0x1004n, 1, 0n],
  ])('watch aligned ranges: %s', (_name, address, size, matches) => {
    watch(0, 0x1002n, BREAKPOINT.WRITE, 3);
    expect(matchingBreakpoints(machine.state, BREAKPOINT.WRITE, address, size)).toBe(matches);
  });

  it('distinguish kinds and say which of the four matched', () => {
    watch(1, 0x1000n, BREAKPOINT.ACCESS, 2);
    watch(3, 0x1007n, BREAKPOINT.ACCESS, 0);
    const { state } = machine;
    expect(matchingBreakpoints(state, BREAKPOINT.ACCESS, 0x1007n, 1)).toBe(0b1010n);
    expect(matchingBreakpoints(state, BREAKPOINT.EXECUTE, 0x1007n, 1)).toBe(0n);
    state.setDebugRegister(7, 0x400n);
    expect(matchingBreakpoints(state, BREAKPOINT.ACCESS, 0x1007n, 1)).toBe(0n);
  });

  it('pend with their enabled flag', () => {
    pendBreakpoints(machine.state, 0n);
    expect(machine.state.PENDING_DEBUG).toBe(0n);
    pendBreakpoints(machine.state, 4n);
    expect(machine.state.PENDING_DEBUG).toBe(PENDING_DEBUG.ENABLED_BREAKPOINT | 4n);
  });

  it('watch ports with CR4.DE only', () => {
    const { state } = machine;
    watch(2, 0x3f8n, BREAKPOINT.IO, 0);
    checkIoBreakpoints(state, 0x3f8, 1);
    expect(state.PENDING_DEBUG).toBe(0n);
    state.CR4 |= BigInt(CR4.DE);
    checkIoBreakpoints(state, 0x3f6, 4);
    expect(state.PENDING_DEBUG).toBe(PENDING_DEBUG.ENABLED_BREAKPOINT | 4n);
  });
});

describe('DR6 and DR7', () => {
  it('have bits that read as 1 and bits that read as 0', () => {
    const { cpu, state } = machine;
    writeDebugRegister(cpu, 6, 0n);
    writeDebugRegister(cpu, 7, 0n);
    expect([state.debugRegister(6), state.debugRegister(7)]).toEqual([0xffff_0ff0n, 0x400n]);
    writeDebugRegister(cpu, 6, 0xffff_ffffn);
    writeDebugRegister(cpu, 7, 0xffff_ffffn);
    expect([state.debugRegister(6), state.debugRegister(7)]).toEqual([0xffff_efffn, 0xffff_27ffn]);
  });
});
