import { describe, expect, it } from 'vitest';
import { readRflags, writeRflags } from '../state/flags.ts';
import { AR, BLOCKING, CS, DS, ES, FLAG, R11, RCX, RDX, RSP, SS, VECTOR } from '../state/registers.ts';
import { farCall, farJump, farReturn } from './farTransfers.ts';
import { syscall, sysenter, sysexit, sysret } from './fastSystemCalls.ts';
import { interruptReturn } from './interruptReturn.ts';
import { NO_VIRTUALIZATION } from './noVirtualization.ts';
import { OUTCOME } from './outcome.ts';
import { far, testInstruction } from './testing/instruction.ts';
import {
  AT,
  descriptor,
  gate,
  items,
  longProcessor,
  protectedProcessor,
  SELECTOR,
  setDescriptor,
  type TestProcessor,
  testProcessor,
  virtual8086Processor,
} from './testing/processor.ts';

const { FREE, CODE0, CODE3, DATA0, DATA3, LONG_CODE0, LONG_CODE3 } = SELECTOR;
const TARGET = 0x1_2345n;

const jump = (operandSize: 16 | 32 | 64, length = 7) =>
  testInstruction('JMP FAR', [far(0, 0n)], { operandSize, length });

function expectFault({ cpu }: TestProcessor, outcome: number, vector: number, errorCode: number): void {
  expect(outcome).toBe(OUTCOME.FAULT);
  expect([cpu.fault.vector, cpu.fault.errorCode]).toEqual([vector, errorCode]);
}

/** Puts items on the stack, the first on top. */
function pushAll({ state, physical }: TestProcessor, bytes: 2 | 4 | 8, values: readonly bigint[]): void {
  const top = Number(AT.STACK) - bytes * values.length;
  values.forEach((value, i) => {
    const low = Number(BigInt.asIntN(32, value));
    physical.write(top + i * bytes, bytes, low, Number(BigInt.asIntN(32, value >> 32n)));
  });
  state.setGpr(RSP, BigInt(top));
}

describe('far JMP', () => {
  it('in real-address mode loads CS:IP and refuses an offset beyond the limit', () => {
    const machine = testProcessor();
    const { cpu, state } = machine;
    expect(farJump(cpu, jump(16), 0xf000, 0xfff0n)).toBe(OUTCOME.JUMPED);
    expect([state.segmentBase(CS), state.RIP]).toEqual([0xf_0000n, 0xfff0n]);
    expectFault(machine, farJump(cpu, jump(32), 0xf000, 0x1_0000n), VECTOR.GP, 0);
  });

  it('in protected mode loads a code segment of the same privilege, whatever the RPL below', () => {
    const { cpu, state } = protectedProcessor();
    expect(farJump(cpu, jump(32), CODE0, TARGET)).toBe(OUTCOME.JUMPED);
    expect([state.segmentSelector(CS), state.RIP, state.CPL]).toEqual([CODE0, TARGET, 0]);
  });

  it('keeps the CPL in a conforming segment', () => {
    const machine = protectedProcessor(3);
    setDescriptor(machine, FREE, descriptor(0xc09f));
    expect(farJump(machine.cpu, jump(32), FREE, TARGET)).toBe(OUTCOME.JUMPED);
    expect(machine.state.segmentSelector(CS)).toBe(FREE | 3);
    expect(machine.state.CPL).toBe(3);
  });

  it.each([
    ['a null selector', 0, 0xc09b, VECTOR.GP, 0],
    ['a data segment', FREE, 0xc093, VECTOR.GP, FREE],
    ['a segment of another privilege', FREE, 0xc0fb, VECTOR.GP, FREE],
    ['an RPL above the CPL', FREE | 1, 0xc09b, VECTOR.GP, FREE],
    ['a segment that is not present', FREE, 0xc01b, VECTOR.NP, FREE],
  ])('refuses %s', (_name, selector, rights, vector, errorCode) => {
    const machine = protectedProcessor();
    setDescriptor(machine, FREE, descriptor(rights));
    expectFault(machine, farJump(machine.cpu, jump(32), selector, TARGET), vector, errorCode);
  });

  it('refuses an offset beyond the limit with #GP(0)', () => {
    const machine = protectedProcessor();
    setDescriptor(machine, FREE, descriptor(0x409b, 0xfff));
    expectFault(machine, farJump(machine.cpu, jump(32), FREE, 0x1000n), VECTOR.GP, 0);
  });

  it('in IA-32e mode goes between 64-bit and compatibility mode', () => {
    const machine = longProcessor();
    const { cpu, state } = machine;
    expect(farJump(cpu, jump(32), CODE0, TARGET)).toBe(OUTCOME.JUMPED);
    expect(state.in64BitMode).toBe(false);
    expect(farJump(cpu, jump(32), LONG_CODE0, TARGET)).toBe(OUTCOME.JUMPED);
    expect(state.in64BitMode).toBe(true);
    expectFault(machine, farJump(cpu, jump(64), LONG_CODE0, 0x8000_0000_0000n), VECTOR.GP, 0);
    setDescriptor(machine, FREE, descriptor(0xe09b));
    expectFault(machine, farJump(cpu, jump(32), FREE, TARGET), VECTOR.GP, FREE);
  });

  it('goes through a call gate without a change of privilege', () => {
    const machine = protectedProcessor();
    setDescriptor(machine, FREE, gate(0x8c, CODE0, TARGET));
    expect(farJump(machine.cpu, jump(32), FREE, 0n)).toBe(OUTCOME.JUMPED);
    expect(machine.state.RIP).toBe(TARGET);
  });
});

describe('far CALL', () => {
  it('pushes CS and the next EIP', () => {
    const machine = protectedProcessor();
    const { cpu, state } = machine;
    expect(farCall(cpu, jump(32), CODE0, TARGET)).toBe(OUTCOME.JUMPED);
    expect(items(machine, AT.STACK - 8n, 4, 2)).toEqual([AT.CODE + 7n, BigInt(CODE0)]);
    expect([state.gpr(RSP), state.RIP]).toEqual([AT.STACK - 8n, TARGET]);
  });

  it('through a call gate to an inner level switches stacks and copies the parameters in order', () => {
    const machine = protectedProcessor(3);
    const { cpu, state } = machine;
    setDescriptor(machine, FREE, gate(0xec, CODE0, TARGET, 2));
    pushAll(machine, 4, [0x111n, 0x222n]);
    expect(farCall(cpu, jump(32), FREE | 3, 0n)).toBe(OUTCOME.JUMPED);
    expect(items(machine, AT.INNER_STACK - 24n, 4, 6)).toEqual([
      AT.CODE + 7n,
      BigInt(CODE3),
      0x111n,
      0x222n,
      AT.STACK - 8n,
      BigInt(DATA3),
    ]);
    expect([state.CPL, state.segmentSelector(SS), state.gpr(RSP)]).toEqual([0, DATA0, AT.INNER_STACK - 24n]);
  });

  it('through a 64-bit call gate pushes 8-byte items on RSP0', () => {
    const machine = longProcessor(3);
    setDescriptor(machine, FREE, gate(0xec, LONG_CODE0, TARGET), 0n);
    expect(farCall(machine.cpu, jump(32), FREE | 3, 0n)).toBe(OUTCOME.JUMPED);
    expect(items(machine, AT.INNER_STACK - 32n, 8, 4)).toEqual([
      AT.CODE + 7n,
      BigInt(LONG_CODE3),
      AT.STACK,
      BigInt(DATA3),
    ]);
    expect(machine.state.segmentSelector(SS)).toBe(0);
  });

  it('refuses a gate that is more privileged than the caller', () => {
    const machine = protectedProcessor(3);
    setDescriptor(machine, FREE, gate(0x8c, CODE0, TARGET));
    expectFault(machine, farCall(machine.cpu, jump(32), FREE | 3, 0n), VECTOR.GP, FREE);
  });
});

describe('far RET', () => {
  it('returns to the same level and releases parameters', () => {
    const machine = protectedProcessor();
    pushAll(machine, 4, [TARGET, BigInt(CODE0), 1n, 2n]);
    expect(farReturn(machine.cpu, 32, 8)).toBe(OUTCOME.JUMPED);
    expect([machine.state.RIP, machine.state.gpr(RSP)]).toEqual([TARGET, AT.STACK]);
  });

  it('returns to an outer level with its stack and drops inner data segments', () => {
    const machine = protectedProcessor(0);
    const { cpu, state } = machine;
    pushAll(machine, 4, [TARGET, BigInt(CODE3), 0x9000n, BigInt(DATA3)]);
    expect(farReturn(cpu, 32, 0)).toBe(OUTCOME.JUMPED);
    expect([state.CPL, state.gpr(RSP), state.segmentSelector(SS)]).toEqual([3, 0x9000n, DATA3]);
    expect(state.segmentAccessRights(DS)).toBe(AR.UNUSABLE);
  });

  it('never returns to an inner level', () => {
    const machine = protectedProcessor(3);
    pushAll(machine, 4, [TARGET, BigInt(CODE0)]);
    expectFault(machine, farReturn(machine.cpu, 32, 0), VECTOR.GP, CODE0);
    expect(machine.state.gpr(RSP)).toBe(AT.STACK - 8n);
  });
});

describe('IRET', () => {
  const iret = (operandSize: 16 | 32 | 64) => testInstruction('IRET', [], { operandSize });

  it('in real-address mode pops IP, CS and FLAGS', () => {
    const machine = testProcessor();
    pushAll(machine, 2, [0x1234n, 0x4000n, 0x0f93n]);
    expect(interruptReturn(machine.cpu, iret(16))).toBe(OUTCOME.JUMPED);
    expect(machine.state.RIP).toBe(0x1234n);
    expect(machine.state.segmentBase(CS)).toBe(0x4_0000n);
    expect(readRflags(machine.state)).toBe(0x0f93);
  });

  it('in 64-bit mode pops SS:RSP at the same level too', () => {
    const machine = longProcessor();
    pushAll(machine, 8, [TARGET, BigInt(LONG_CODE0), 0x202n, 0x9008n, 0n]);
    expect(interruptReturn(machine.cpu, iret(64))).toBe(OUTCOME.JUMPED);
    expect([machine.state.RIP, machine.state.gpr(RSP)]).toEqual([TARGET, 0x9008n]);
    expect(machine.state.segmentSelector(SS)).toBe(0);
    expect(readRflags(machine.state)).toBe(0x202);
  });

  it('returns from 64-bit mode to user mode', () => {
    const machine = longProcessor();
    pushAll(machine, 8, [TARGET, BigInt(LONG_CODE3), 0x202n, 0x7ffdn, BigInt(DATA3)]);
    expect(interruptReturn(machine.cpu, iret(64))).toBe(OUTCOME.JUMPED);
    expect([machine.state.CPL, machine.state.gpr(RSP)]).toEqual([3, 0x7ffdn]);
    expect(machine.state.segmentAccessRights(ES)).toBe(AR.UNUSABLE);
  });

  it('refuses a null SS for user mode', () => {
    const machine = longProcessor();
    pushAll(machine, 8, [TARGET, BigInt(LONG_CODE3), 2n, 0n, 3n]);
    expectFault(machine, interruptReturn(machine.cpu, iret(64)), VECTOR.GP, 0);
  });

  it('changes IOPL at CPL 0 only and IF within IOPL only', () => {
    const user = longProcessor(3);
    pushAll(user, 8, [TARGET, BigInt(LONG_CODE3), 0x3202n, 0n, BigInt(DATA3)]);
    expect(interruptReturn(user.cpu, iret(64))).toBe(OUTCOME.JUMPED);
    expect(readRflags(user.state)).toBe(2);
  });

  it('with NT set is #GP(0) in IA-32e mode', () => {
    const machine = longProcessor();
    machine.state.systemFlags |= FLAG.NT;
    expectFault(machine, interruptReturn(machine.cpu, iret(64)), VECTOR.GP, 0);
  });

  it('enters virtual-8086 mode', () => {
    const machine = protectedProcessor();
    const { state } = machine;
    const flags = BigInt(2 | FLAG.VM | FLAG.IF);
    pushAll(machine, 4, [0x100n, 0x1000n, flags, 0x200n, 0x2000n, 0x3000n, 0x4000n, 0x5000n, 0x6000n]);
    expect(interruptReturn(machine.cpu, iret(32))).toBe(OUTCOME.JUMPED);
    expect(state.virtual8086).toBe(true);
    expect([state.CPL, state.RIP, state.gpr(RSP)]).toEqual([3, 0x100n, 0x200n]);
    expect([state.segmentBase(CS), state.segmentBase(SS), state.segmentBase(DS)]).toEqual([
      0x1_0000n,
      0x2_0000n,
      0x4_0000n,
    ]);
    expect(state.segmentAccessRights(DS)).toBe(0xf3);
  });

  it('in virtual-8086 mode needs IOPL 3', () => {
    const machine = virtual8086Processor();
    expectFault(machine, interruptReturn(machine.cpu, iret(16)), VECTOR.GP, 0);
  });

  it('unblocks NMIs even when it faults, and remembers that for the exit', () => {
    const machine = longProcessor();
    machine.state.INTERRUPTIBILITY = BLOCKING.NMI;
    pushAll(machine, 8, [TARGET, 0n, 2n, 0n, 0n]);
    expectFault(machine, interruptReturn(machine.cpu, iret(64)), VECTOR.GP, 0);
    expect(machine.state.INTERRUPTIBILITY).toBe(0);
    expect(machine.cpu.nmiUnblockedByIret).toBe(true);
  });

  it('does not touch NMI blocking with "NMI exiting" and no virtual NMIs', () => {
    const machine = longProcessor();
    machine.cpu.virtualization = { ...NO_VIRTUALIZATION, nmiControl: () => 'exiting' };
    machine.state.INTERRUPTIBILITY = BLOCKING.NMI;
    pushAll(machine, 8, [TARGET, BigInt(LONG_CODE0), 2n, 0n, 0n]);
    expect(interruptReturn(machine.cpu, iret(64))).toBe(OUTCOME.JUMPED);
    expect(machine.state.INTERRUPTIBILITY).toBe(BLOCKING.NMI);
  });
});

describe('fast system calls', () => {
  const instruction = (operandSize: 32 | 64 = 64) => testInstruction('SYSRET', [], { operandSize });

  it('SYSCALL saves RIP and RFLAGS and loads flat segments from IA32_STAR', () => {
    const { cpu, state } = longProcessor(3);
    state.IA32_STAR = 0x0023_0010_0000_0000n;
    state.IA32_LSTAR = 0xffff_8000_0000_1000n;
    state.IA32_FMASK = BigInt(FLAG.IF | FLAG.DF);
    writeRflags(state, 2 | FLAG.IF | FLAG.CF | FLAG.RF);
    expect(syscall(cpu, instruction())).toBe(OUTCOME.JUMPED);
    expect([state.RIP, state.gpr(RCX), state.gpr(R11)]).toEqual([state.IA32_LSTAR, AT.CODE + 2n, 0x203n]);
    expect(readRflags(state)).toBe(3);
    expect([state.segmentSelector(CS), state.segmentSelector(SS), state.CPL]).toEqual([0x10, 0x18, 0]);
    expect([state.segmentAccessRights(CS), state.segmentAccessRights(SS)]).toEqual([0xa09b, 0xc093]);
  });

  it('SYSCALL is #UD without EFER.SCE and outside 64-bit mode', () => {
    const machine = longProcessor();
    machine.state.IA32_EFER &= ~1n;
    expect(syscall(machine.cpu, instruction())).toBe(OUTCOME.FAULT);
    expect(machine.cpu.fault.vector).toBe(VECTOR.UD);
    const compatible = longProcessor();
    compatible.state.setSegmentAccessRights(CS, 0xc09b);
    expect(syscall(compatible.cpu, instruction())).toBe(OUTCOME.FAULT);
  });

  it('SYSCALL of AMD’s processors is there outside of 64-bit mode: RIP from CSTAR, or from STAR', () => {
    const compatible = longProcessor(3, {}, 'zen3-server');
    compatible.state.setSegmentAccessRights(CS, 0xc0fb);
    compatible.state.IA32_STAR = 0x0023_0010_0000_0000n;
    compatible.state.IA32_CSTAR = 0x7777n;
    expect(syscall(compatible.cpu, instruction())).toBe(OUTCOME.JUMPED);
    expect([compatible.state.RIP, compatible.state.in64BitMode]).toEqual([0x7777n, true]);
    expect(sysenter(compatible.cpu)).toBe(OUTCOME.FAULT);
    expect(compatible.cpu.fault.vector).toBe(VECTOR.UD);
    const legacy = protectedProcessor(3, {}, 'zen3-server');
    legacy.state.IA32_EFER = 1n;
    legacy.state.IA32_STAR = 0x0023_0010_0000_6666n;
    expect(syscall(legacy.cpu, instruction())).toBe(OUTCOME.JUMPED);
    expect([legacy.state.RIP, legacy.state.CPL]).toEqual([0x6666n, 0]);
    expect(sysret(legacy.cpu, instruction(32))).toBe(OUTCOME.JUMPED);
    expect([legacy.state.RIP, legacy.state.CPL]).toEqual([AT.CODE + 2n, 3]);
  });

  it('SYSRET returns to 64-bit or compatibility mode', () => {
    const { cpu, state } = longProcessor(0);
    state.IA32_STAR = 0x0023_0010_0000_0000n;
    state.setGpr(RCX, 0x1_0000_1234n);
    state.setGpr(R11, BigInt(2 | FLAG.IF | FLAG.RF | FLAG.VM));
    expect(sysret(cpu, instruction(64))).toBe(OUTCOME.JUMPED);
    expect([state.segmentSelector(CS), state.segmentSelector(SS), state.CPL]).toEqual([0x33, 0x2b, 3]);
    expect([state.RIP, readRflags(state)]).toEqual([0x1_0000_1234n, 0x202]);
    const other = longProcessor(0);
    other.state.IA32_STAR = 0x0023_0010_0000_0000n;
    other.state.setGpr(RCX, 0x1_0000_1234n);
    sysret(other.cpu, instruction(32));
    expect([other.state.segmentSelector(CS), other.state.RIP]).toEqual([0x23, 0x1234n]);
    expect(other.state.in64BitMode).toBe(false);
  });

  it('SYSRET to a non-canonical RIP is #GP(0) at CPL 0', () => {
    const machine = longProcessor(0);
    machine.state.setGpr(RCX, 0x8000_0000_0000n);
    expectFault(machine, sysret(machine.cpu, instruction(64)), VECTOR.GP, 0);
  });

  it('SYSENTER and SYSEXIT go by IA32_SYSENTER_CS', () => {
    const machine = protectedProcessor(3);
    const { cpu, state } = machine;
    expectFault(machine, sysenter(cpu), VECTOR.GP, 0);
    state.IA32_SYSENTER_CS = 0x8n;
    state.IA32_SYSENTER_ESP = 0x9000n;
    state.IA32_SYSENTER_EIP = TARGET;
    writeRflags(state, 2 | FLAG.IF);
    expect(sysenter(cpu)).toBe(OUTCOME.JUMPED);
    expect([state.RIP, state.gpr(RSP), state.CPL, readRflags(state)]).toEqual([TARGET, 0x9000n, 0, 2]);
    expect([state.segmentSelector(CS), state.segmentAccessRights(CS)]).toEqual([8, 0xc09b]);
    state.setGpr(RCX, 0x7000n);
    state.setGpr(RDX, 0x1234n);
    expect(sysexit(cpu, instruction(32))).toBe(OUTCOME.JUMPED);
    expect([state.RIP, state.gpr(RSP), state.CPL]).toEqual([0x1234n, 0x7000n, 3]);
    expect([state.segmentSelector(CS), state.segmentSelector(SS)]).toEqual([0x1b, 0x23]);
  });
});
