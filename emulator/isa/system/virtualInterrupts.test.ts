/** CR4.VME and CR4.PVI: what virtual-8086 and protected-mode programs may do about interrupts with IOPL below them. */
import { describe, expect, it } from 'vitest';
import type { Cpu } from '../../core/cpu.ts';
import { OUTCOME, type Outcome } from '../../core/outcome.ts';
import { imm, type TestOperand, testInstruction } from '../../core/testing/instruction.ts';
import {
  AT,
  gate,
  items,
  protectedProcessor,
  SELECTOR,
  setGate,
  type TestProcessor,
  virtual8086Processor,
} from '../../core/testing/processor.ts';
import { readRflags, writeRflags } from '../../state/flags.ts';
import { CR4, CS, FLAG, RSP, SS, TR, VECTOR } from '../../state/registers.ts';
import { SYSTEM_ROWS } from './rows.ts';

const IO_MAP_BASE = 0x68 + 32;
const STACK_TOP = 0x1000n;

function run(
  cpu: Cpu,
  op: string,
  operands: readonly TestOperand[] = [],
  operandSize: 16 | 32 = 16,
): Outcome {
  const row = SYSTEM_ROWS.find((candidate) => candidate.op === op);
  if (!row) throw new Error(`no row ${op}`);
  return row.call(cpu, testInstruction(op, operands, { operandSize }));
}

/** Virtual-8086 mode with CR4.VME; no interrupt is kept from the program. */
function program(iopl: number, flags = 0): TestProcessor {
  const machine = virtual8086Processor();
  const { state, physical } = machine;
  state.CR4 |= BigInt(CR4.VME);
  writeRflags(state, FLAG.VM | FLAG.FIXED | (iopl << 12) | flags);
  state.setGpr(RSP, STACK_TOP);
  physical.write(Number(AT.TSS) + 102, 2, IO_MAP_BASE, 0);
  physical.copyIn(Number(AT.TSS) + IO_MAP_BASE - 32, new Uint8Array(32));
  state.setSegmentLimit(TR, IO_MAP_BASE + 0x20);
  // INT 21H goes to 1234:0056.
  physical.write(4 * 0x21, 4, 0x1234_0056, 0);
  return machine;
}

const keep = ({ physical }: TestProcessor, vector: number) =>
  physical.copyIn(Number(AT.TSS) + IO_MAP_BASE - 32 + (vector >> 3), new Uint8Array([1 << (vector & 7)]));

const flagsOf = ({ state }: TestProcessor): number => readRflags(state);
const has = (machine: TestProcessor, flag: number): boolean => (flagsOf(machine) & flag) !== 0;
const stackOf = (machine: TestProcessor, words: number) =>
  items(machine, machine.state.segmentBase(SS) + machine.state.gpr(RSP), 2, words);

function expectGp(machine: TestProcessor, outcome: Outcome): void {
  expect(outcome).toBe(OUTCOME.FAULT);
  expect([machine.cpu.fault.vector, machine.cpu.fault.errorCode]).toEqual([VECTOR.GP, 0]);
  expect(machine.state.gpr(RSP)).toBe(STACK_TOP);
}

function push(machine: TestProcessor, ...words: readonly number[]): void {
  const { state, physical } = machine;
  const bottom = STACK_TOP - BigInt(2 * words.length);
  for (const [n, word] of words.entries())
    physical.write(Number(state.segmentBase(SS) + bottom) + 2 * n, 2, word, 0);
  state.setGpr(RSP, bottom);
}

describe('virtual-8086 mode with CR4.VME and IOPL below 3', () => {
  it('CLI and STI change VIF and not IF', () => {
    const machine = program(0, FLAG.IF);
    run(machine.cpu, 'STI');
    expect([has(machine, FLAG.VIF), has(machine, FLAG.IF)]).toEqual([true, true]);
    run(machine.cpu, 'CLI');
    expect([has(machine, FLAG.VIF), has(machine, FLAG.IF)]).toEqual([false, true]);
  });

  it('STI is #GP(0) when an interrupt pends', () => {
    const machine = program(0, FLAG.VIP);
    expectGp(machine, run(machine.cpu, 'STI'));
    expect(has(machine, FLAG.VIF)).toBe(false);
  });

  it.each([
    ['VIF', FLAG.VIF, 0x3202n],
    ['IF alone', FLAG.IF, 0x3002n],
  ])('PUSHF pushes IOPL 3, and IF as VIF is: %s', (_name, flags, pushed) => {
    const machine = program(1, flags);
    run(machine.cpu, 'PUSHF');
    expect(stackOf(machine, 1)).toEqual([pushed]);
  });

  it('POPF takes IF to VIF, and leaves IF and IOPL', () => {
    const machine = program(1, FLAG.IF);
    push(machine, FLAG.IF | FLAG.CF);
    run(machine.cpu, 'POPF');
    expect(flagsOf(machine)).toBe(FLAG.VM | FLAG.VIF | FLAG.IF | FLAG.CF | FLAG.FIXED | (1 << 12));
    push(machine, 0x3000);
    run(machine.cpu, 'POPF');
    expect(flagsOf(machine)).toBe(FLAG.VM | FLAG.IF | FLAG.FIXED | (1 << 12));
  });

  it.each([
    ['TF', 0, FLAG.TF],
    ['IF while an interrupt pends', FLAG.VIP, FLAG.IF],
  ])('POPF and IRET of %s are #GP(0)', (_name, flags, image) => {
    for (const [op, words] of [
      ['POPF', [image]],
      ['IRET', [0, 0, image]],
    ] as const) {
      const machine = program(0, flags);
      push(machine, ...words);
      const before = machine.state.gpr(RSP);
      expect(run(machine.cpu, op)).toBe(OUTCOME.FAULT);
      expect([machine.cpu.fault.vector, machine.state.gpr(RSP)]).toEqual([VECTOR.GP, before]);
    }
  });

  it.each(['PUSHFD', 'POPFD', 'IRETD'])('%s is #GP(0)', (op) => {
    const machine = program(0);
    expectGp(machine, run(machine.cpu, op, [], 32));
  });

  it('IRET takes IF to VIF', () => {
    const machine = program(0);
    push(machine, 0x77, 0x400, FLAG.IF | FLAG.ZF);
    expect(run(machine.cpu, 'IRET')).toBe(OUTCOME.JUMPED);
    expect([machine.state.segmentSelector(CS), machine.state.RIP]).toEqual([0x400, 0x77n]);
    expect(flagsOf(machine)).toBe(FLAG.VM | FLAG.VIF | FLAG.ZF | FLAG.FIXED);
  });

  it('INT n goes to a handler of the program, with VIF pushed as IF and cleared', () => {
    const machine = program(0, FLAG.VIF | FLAG.IF | FLAG.CF);
    const { state } = machine;
    const [cs, ip] = [state.segmentSelector(CS), state.RIP];
    expect(run(machine.cpu, 'INT', [imm(0x21n)])).toBe(OUTCOME.JUMPED);
    expect([state.segmentSelector(CS), state.segmentBase(CS), state.RIP]).toEqual([0x1234, 0x1_2340n, 0x56n]);
    expect(stackOf(machine, 3)).toEqual([ip + 2n, BigInt(cs), 0x3203n]);
    expect(flagsOf(machine)).toBe(FLAG.VM | FLAG.IF | FLAG.CF | FLAG.FIXED);
    expect(state.CPL).toBe(3);
  });

  it('INT n whose bit is 1 in the redirection bit map is #GP(0)', () => {
    const machine = program(0);
    keep(machine, 0x21);
    expectGp(machine, run(machine.cpu, 'INT', [imm(0x21n)]));
    expect(run(machine.cpu, 'INT', [imm(0x20n)])).toBe(OUTCOME.JUMPED);
  });

  it('INT n beyond the limit of the TSS is #GP(0)', () => {
    const machine = program(0);
    machine.state.setSegmentLimit(TR, 0x67);
    expectGp(machine, run(machine.cpu, 'INT', [imm(0x21n)]));
  });
});

describe('virtual-8086 mode with CR4.VME and IOPL 3', () => {
  it('INT n goes to a handler of the program, with IF cleared', () => {
    const machine = program(3, FLAG.VIF | FLAG.IF);
    expect(run(machine.cpu, 'INT', [imm(0x21n)])).toBe(OUTCOME.JUMPED);
    expect(stackOf(machine, 3)[2]).toBe(0x3202n);
    expect(flagsOf(machine)).toBe(FLAG.VM | FLAG.VIF | FLAG.FIXED | FLAG.IOPL);
  });

  it('INT n whose bit is 1 goes through the IDT, as INT3 and exceptions do', () => {
    const machine = program(3);
    keep(machine, 0x21);
    setGate(machine, 0x21, gate(0xee, SELECTOR.CODE0, 0x2_0000n));
    setGate(machine, 3, gate(0xee, SELECTOR.CODE0, 0x3_0000n));
    run(machine.cpu, 'INT', [imm(0x21n)]);
    expect([machine.state.RIP, machine.state.CPL, has(machine, FLAG.VM)]).toEqual([0x2_0000n, 0, false]);
    const other = program(3);
    setGate(other, 3, gate(0xee, SELECTOR.CODE0, 0x3_0000n));
    run(other.cpu, 'INT3');
    expect([other.state.RIP, other.state.CPL]).toEqual([0x3_0000n, 0]);
  });

  it('CLI and STI change IF', () => {
    const machine = program(3, FLAG.VIP);
    run(machine.cpu, 'STI');
    expect([has(machine, FLAG.VIF), has(machine, FLAG.IF)]).toEqual([false, true]);
  });
});

describe('protected mode at CPL 3 with IOPL below 3', () => {
  const enabled = (bits: number): TestProcessor => {
    const machine = protectedProcessor(3);
    machine.state.CR4 |= BigInt(bits);
    return machine;
  };

  it('CLI and STI change VIF with CR4.PVI', () => {
    const machine = enabled(CR4.PVI);
    run(machine.cpu, 'STI');
    expect([has(machine, FLAG.VIF), has(machine, FLAG.IF)]).toEqual([true, false]);
    run(machine.cpu, 'CLI');
    expect(has(machine, FLAG.VIF)).toBe(false);
    machine.state.systemFlags |= FLAG.VIP;
    expect(run(machine.cpu, 'STI')).toBe(OUTCOME.FAULT);
  });

  it('CLI and STI are #GP(0) with CR4.VME alone', () => {
    const machine = enabled(CR4.VME);
    expect(run(machine.cpu, 'STI')).toBe(OUTCOME.FAULT);
    expect(run(machine.cpu, 'CLI')).toBe(OUTCOME.FAULT);
  });
});
