import { beforeEach, describe, expect, it } from 'vitest';
import { readRflags } from '../state/flags.ts';
import { CR0, CS, DS, ES, FLAG, FS, GS, LDTR, RAX, RDI, RSP, SS, TR, VECTOR } from '../state/registers.ts';
import { checkEvents } from './eventCheck.ts';
import { deliverEvent } from './events.ts';
import { farCall, farJump } from './farTransfers.ts';
import { interruptReturn } from './interruptReturn.ts';
import { NO_VIRTUALIZATION } from './noVirtualization.ts';
import { OUTCOME } from './outcome.ts';
import { far, testInstruction } from './testing/instruction.ts';
import {
  AT,
  descriptor,
  gate,
  protectedProcessor,
  SELECTOR,
  setDescriptor,
  setGate,
  type TestProcessor,
} from './testing/processor.ts';
import type { GuestEvent } from './virtualization.ts';

const { FREE, CODE0, CODE3, DATA0, DATA3 } = SELECTOR;
const NEW_TSS = 0x5000n;
const NEW_EIP = 0x1_2340n;
const NEW_ESP = 0x9000n;
const GATE = 0x60;
const LDT = 0x48;

const call = testInstruction('CALL FAR', [far(0, 0n)], { operandSize: 32, length: 7 });
const iret = testInstruction('IRETD', [], { operandSize: 32, length: 1 });

let machine: TestProcessor;

const read = (at: bigint, bytes: 2 | 4): number =>
  bytes === 2 ? machine.physical.read16(Number(at)) : machine.physical.read32(Number(at)) >>> 0;
const write = (at: bigint, bytes: 2 | 4, value: number): void =>
  machine.physical.write(Number(at), bytes, value, 0);

/** The access-rights byte of a descriptor in the GDT. */
const accessByte = (selector: number): number => machine.physical.read8(Number(AT.GDT) + selector + 5);

interface NewTask {
  readonly cs?: number;
  readonly ss?: number;
  readonly data?: number;
  readonly ldtr?: number;
  readonly flags?: number;
  readonly trap?: boolean;
}

/** A 32-bit TSS at NEW_TSS, and its descriptor in FREE. */
function newTask(task: NewTask = {}): void {
  const { cs = CODE0, ss = DATA0, data = DATA0, ldtr = 0, flags = 2, trap = false } = task;
  setDescriptor(machine, FREE, descriptor(0x89, 0x67, NEW_TSS));
  write(NEW_TSS + 32n, 4, Number(NEW_EIP));
  write(NEW_TSS + 36n, 4, flags);
  for (let n = 0n; n < 8n; n++) write(NEW_TSS + 40n + 4n * n, 4, 0x1111_0000 + Number(n));
  write(NEW_TSS + 56n, 4, Number(NEW_ESP));
  for (const [n, selector] of [data, cs, ss, data, data, data].entries()) {
    write(NEW_TSS + 72n + 4n * BigInt(n), 2, selector);
  }
  write(NEW_TSS + 96n, 2, ldtr);
  write(NEW_TSS + 100n, 2, trap ? 1 : 0);
}

function newTask16(task: NewTask = {}): void {
  const { cs = CODE0, ss = DATA0, data = DATA0, flags = 2 } = task;
  setDescriptor(machine, FREE, descriptor(0x81, 0x2b, NEW_TSS));
  write(NEW_TSS + 14n, 2, 0x4321);
  write(NEW_TSS + 16n, 2, flags);
  for (let n = 0n; n < 8n; n++) write(NEW_TSS + 18n + 2n * n, 2, 0x8000 + Number(n));
  for (const [n, selector] of [data, cs, ss, data].entries())
    write(NEW_TSS + 34n + 2n * BigInt(n), 2, selector);
  write(NEW_TSS + 42n, 2, 0);
}

const jump = (selector: number = FREE): number => farJump(machine.cpu, call, selector, 0n);
const callTask = (selector: number = FREE): number => farCall(machine.cpu, call, selector, 0n);

function event(kind: GuestEvent['kind'], vector: number, errorCode?: number): GuestEvent {
  return {
    kind,
    vector,
    errorCode,
    qualification: 0n,
    instructionLength: kind === 'software-interrupt' ? 2 : 0,
  };
}

function expectFault(outcome: number, vector: number, errorCode: number): void {
  const { fault } = machine.cpu;
  expect([outcome, fault.vector, fault.errorCode]).toEqual([OUTCOME.FAULT, vector, errorCode]);
}

beforeEach(() => {
  machine = protectedProcessor();
  // The current task: a busy 32-bit TSS.
  setDescriptor(machine, SELECTOR.TSS, descriptor(0x8b, 0x67, AT.TSS));
});

describe('a task switch by JMP', () => {
  it('saves the registers of the old task in its TSS, and not CR3 or the LDT selector', () => {
    newTask();
    const { state } = machine;
    state.setGpr(RAX, 0xaaaa_0001n);
    state.setGpr(RDI, 0xdddd_0002n);
    write(AT.TSS + 28n, 4, 0x77);
    write(AT.TSS + 96n, 2, 0x88);
    expect(jump()).toBe(OUTCOME.JUMPED);
    expect(read(AT.TSS + 32n, 4)).toBe(Number(AT.CODE) + 7);
    expect(read(AT.TSS + 36n, 4)).toBe(2);
    expect(read(AT.TSS + 40n, 4)).toBe(0xaaaa_0001);
    expect(read(AT.TSS + 68n, 4)).toBe(0xdddd_0002);
    expect([72n, 76n, 80n, 84n, 88n, 92n].map((at) => read(AT.TSS + at, 2))).toEqual([
      DATA0,
      CODE0,
      DATA0,
      DATA0,
      DATA0,
      DATA0,
    ]);
    expect([read(AT.TSS + 28n, 4), read(AT.TSS + 96n, 2)]).toEqual([0x77, 0x88]);
  });

  it('loads the registers of the new task and sets CR0.TS', () => {
    newTask({ flags: 2 | FLAG.CF | FLAG.IF });
    expect(jump()).toBe(OUTCOME.JUMPED);
    const { state } = machine;
    expect([state.RIP, state.gpr(RSP), state.gpr(RAX)]).toEqual([NEW_EIP, NEW_ESP, 0x1111_0000n]);
    expect(readRflags(state)).toBe(2 | FLAG.CF | FLAG.IF);
    expect(state.segmentSelector(TR)).toBe(FREE);
    expect(state.segmentBase(TR)).toBe(NEW_TSS);
    expect(state.segmentAccessRights(TR)).toBe(0x8b);
    expect(state.CR0 & BigInt(CR0.TS)).not.toBe(0n);
  });

  it('moves the busy flag from the old TSS descriptor to the new one and links nothing', () => {
    newTask();
    write(NEW_TSS, 2, 0x1234);
    jump();
    expect([accessByte(SELECTOR.TSS), accessByte(FREE)]).toEqual([0x89, 0x8b]);
    expect(read(NEW_TSS, 2)).toBe(0x1234);
    expect(readRflags(machine.state) & FLAG.NT).toBe(0);
  });

  it('does not load CR3 without paging and ends local breakpoints', () => {
    newTask();
    write(NEW_TSS + 28n, 4, 0x6000);
    machine.state.setDebugRegister(7, 0x4ffn);
    jump();
    expect(machine.state.CR3).toBe(0n);
    expect(machine.state.debugRegister(7)).toBe(0x4aan);
  });

  it('goes to user mode when the new CS has an RPL of 3', () => {
    newTask({ cs: CODE3, ss: DATA3, data: DATA3 });
    jump();
    expect(machine.state.CPL).toBe(3);
    expect(machine.state.segmentSelector(CS)).toBe(CODE3);
  });

  it('goes to virtual-8086 mode when the new EFLAGS has VM', () => {
    newTask({ cs: 0x1000, ss: 0x2000, data: 0x3000, flags: 2 | FLAG.VM });
    write(NEW_TSS + 32n, 4, 0x100);
    expect(jump()).toBe(OUTCOME.JUMPED);
    const { state } = machine;
    expect([state.CPL, state.segmentBase(CS), state.segmentBase(SS)]).toEqual([3, 0x1_0000n, 0x2_0000n]);
    expect([ES, DS, FS, GS].map((segment) => state.segmentBase(segment))).toEqual(Array(4).fill(0x3_0000n));
  });

  it('loads LDTR', () => {
    setDescriptor(machine, LDT, descriptor(0x82, 0xff, AT.LDT));
    newTask({ ldtr: LDT });
    jump();
    expect(machine.state.segmentBase(LDTR)).toBe(AT.LDT);
  });

  it('with the T flag raises #DB with DR6.BT before the first instruction of the new task', () => {
    setGate(machine, VECTOR.DB, gate(0x8e, CODE0, 0x6666n));
    newTask({ trap: true });
    jump();
    expect(checkEvents(machine.cpu)).toBe(OUTCOME.JUMPED);
    expect(machine.state.RIP).toBe(0x6666n);
    expect(machine.state.debugRegister(6) & 0xe000n).toBe(0x8000n);
    expect(read(NEW_ESP - 12n, 4)).toBe(Number(NEW_EIP));
  });

  it('goes through a task gate', () => {
    newTask();
    setDescriptor(machine, GATE, gate(0x85, FREE, 0n));
    expect(jump(GATE)).toBe(OUTCOME.JUMPED);
    expect(machine.state.segmentSelector(TR)).toBe(FREE);
  });

  it('through a gate for level 3 ignores the privilege of the TSS descriptor', () => {
    machine = protectedProcessor(3);
    setDescriptor(machine, SELECTOR.TSS, descriptor(0x8b, 0x67, AT.TSS));
    newTask();
    expectFault(jump(FREE | 3), VECTOR.GP, FREE);
    setDescriptor(machine, GATE, gate(0xe5, FREE, 0n));
    expect(jump(GATE | 3)).toBe(OUTCOME.JUMPED);
    expect(machine.state.CPL).toBe(0);
  });
});

describe('a 16-bit TSS', () => {
  it('gives 16-bit registers and leaves FS and GS null', () => {
    newTask16({ flags: 2 | FLAG.ZF });
    expect(jump()).toBe(OUTCOME.JUMPED);
    const { state } = machine;
    expect([state.RIP, state.gpr(RAX), state.gpr(RSP)]).toEqual([0x4321n, 0x8000n, 0x8004n]);
    expect([state.segmentSelector(DS), state.segmentSelector(FS), state.segmentSelector(GS)]).toEqual([
      DATA0,
      0,
      0,
    ]);
    expect(accessByte(FREE)).toBe(0x83);
  });

  it('takes the low half of the registers of a task that is left', () => {
    newTask16();
    jump();
    machine.state.setGpr(RAX, 0x1234_5678n);
    setDescriptor(machine, GATE, descriptor(0x89, 0x67, 0x6000n));
    for (const [at, value] of [
      [0x6020n, 0x100],
      [0x6024n, 2],
      [0x604cn, CODE0],
      [0x6050n, DATA0],
    ] as const) {
      write(at, 4, value);
    }
    expect(jump(GATE)).toBe(OUTCOME.JUMPED);
    expect([read(NEW_TSS + 18n, 2), read(NEW_TSS + 20n, 2)]).toEqual([0x5678, 0x8001]);
    expect(read(NEW_TSS + 14n, 2)).toBe(0x4328);
  });
});

describe('a nested task', () => {
  it('entered by CALL links to the old one, which stays busy, and has NT set', () => {
    newTask();
    expect(callTask()).toBe(OUTCOME.JUMPED);
    expect(read(NEW_TSS, 2)).toBe(SELECTOR.TSS);
    expect([accessByte(SELECTOR.TSS), accessByte(FREE)]).toEqual([0x8b, 0x8b]);
    expect(readRflags(machine.state) & FLAG.NT).toBe(FLAG.NT);
  });

  it('returns by IRET: NT is cleared in the image it leaves, its busy flag as well', () => {
    newTask();
    callTask();
    expect(interruptReturn(machine.cpu, iret)).toBe(OUTCOME.JUMPED);
    const { state } = machine;
    expect([state.RIP, state.segmentSelector(TR)]).toEqual([AT.CODE + 7n, SELECTOR.TSS]);
    expect(read(NEW_TSS + 36n, 4) & FLAG.NT).toBe(0);
    expect(read(NEW_TSS + 32n, 4)).toBe(Number(NEW_EIP) + 1);
    expect([accessByte(SELECTOR.TSS), accessByte(FREE)]).toEqual([0x8b, 0x89]);
    expect(readRflags(state) & FLAG.NT).toBe(0);
  });

  it('entered by an exception has the error code on its stack, and the return address of the fault', () => {
    newTask();
    setGate(machine, VECTOR.GP, gate(0x85, FREE, 0n));
    machine.cpu.raiseGp(0x1230);
    expect(deliverEvent(machine.cpu, event('hardware-exception', VECTOR.GP, 0x1230))).toBe(OUTCOME.JUMPED);
    expect(machine.state.gpr(RSP)).toBe(NEW_ESP - 4n);
    expect(read(NEW_ESP - 4n, 4)).toBe(0x1230);
    expect(read(AT.TSS + 32n, 4)).toBe(Number(AT.CODE));
    expect(read(AT.TSS + 36n, 4) & FLAG.RF).toBe(FLAG.RF);
    expect(read(NEW_TSS, 2)).toBe(SELECTOR.TSS);
  });

  it('entered by INT n returns behind the instruction; the gate must allow the CPL', () => {
    newTask();
    setGate(machine, 0x40, gate(0x85, FREE, 0n));
    expect(deliverEvent(machine.cpu, event('software-interrupt', 0x40))).toBe(OUTCOME.JUMPED);
    expect(read(AT.TSS + 32n, 4)).toBe(Number(AT.CODE) + 2);
  });
});

describe('the checks of a task switch', () => {
  it.each([
    ['a TSS that is busy', 0x8b, 0x67, VECTOR.GP],
    ['a TSS that is not present', 0x09, 0x67, VECTOR.NP],
    ['a TSS that is too short', 0x89, 0x66, VECTOR.TS],
    ['a 16-bit TSS that is too short', 0x81, 0x2a, VECTOR.TS],
  ])('refuse %s', (_name, rights, limit, vector) => {
    newTask();
    setDescriptor(machine, FREE, descriptor(rights, limit, NEW_TSS));
    expectFault(jump(), vector, FREE);
    expect(machine.state.RIP).toBe(AT.CODE);
  });

  it('refuse a task gate to an LDT, a null selector or a segment that is no TSS', () => {
    for (const selector of [0, FREE | 4, DATA0]) {
      setDescriptor(machine, GATE, gate(0x85, selector, 0n));
      expectFault(jump(GATE), VECTOR.GP, selector & 0xfffc);
    }
  });

  it('give #TS when IRET goes back to a task that is not busy', () => {
    newTask();
    write(AT.TSS, 2, FREE);
    machine.state.systemFlags |= FLAG.NT;
    expectFault(interruptReturn(machine.cpu, iret), VECTOR.TS, FREE);
  });

  it.each([
    ['a null CS', { cs: 0 }, VECTOR.TS, 0],
    ['a CS that is data', { cs: DATA0 }, VECTOR.TS, DATA0],
    ['a CS whose DPL is not its RPL', { cs: CODE0 | 3 }, VECTOR.TS, CODE0],
    ['a null SS', { ss: 0 }, VECTOR.TS, 0],
    ['an SS of another privilege', { ss: DATA3 }, VECTOR.TS, DATA3 & ~3],
    ['an SS that is code', { ss: CODE0 }, VECTOR.TS, CODE0],
    ['a data segment above the CPL', { cs: CODE3, ss: DATA3, data: DATA0 }, VECTOR.TS, DATA0],
    ['a selector beyond the GDT', { data: 0x1000 }, VECTOR.TS, 0x1000],
    ['an LDT that is none', { ldtr: DATA0 }, VECTOR.TS, DATA0],
  ])('find %s in the new task', (_name, task, vector, errorCode) => {
    newTask(task);
    expectFault(jump(), vector, errorCode);
    // The new task is the one that faults.
    expect([machine.state.RIP, machine.state.segmentSelector(TR)]).toEqual([NEW_EIP, FREE]);
    expect(machine.state.gpr(RSP)).toBe(NEW_ESP);
  });

  it('find an EIP beyond the limit of the new code segment', () => {
    setDescriptor(machine, GATE, descriptor(0x409b, 0xfff));
    newTask({ cs: GATE });
    expectFault(jump(), VECTOR.GP, 0);
  });

  it('find a TSS that is not mapped before anything has changed', () => {
    newTask();
    const { state, cpu } = machine;
    // Pages of 4 MiB by PSE; the first one only.
    write(0x3f_f000n, 4, 0x83);
    state.CR3 = 0x3f_f000n;
    state.CR4 = 0x10n;
    state.CR0 |= BigInt(CR0.PG >>> 0);
    cpu.mmu.updateContext();
    setDescriptor(machine, FREE, descriptor(0x89, 0x67, 0x50_0000n));
    expect(jump()).toBe(OUTCOME.FAULT);
    expect([cpu.fault.vector, cpu.fault.qualification]).toEqual([VECTOR.PF, 0x50_0000n]);
    expect([state.RIP, accessByte(SELECTOR.TSS)]).toEqual([AT.CODE, 0x8b]);
  });
});

describe('in a guest', () => {
  it('every task switch is a VM exit, after the checks of the TSS descriptor', () => {
    const points: unknown[] = [];
    machine.cpu.virtualization = {
      ...NO_VIRTUALIZATION,
      intercept: (point) => {
        points.push(point);
        return OUTCOME.VM_EXIT;
      },
    };
    setDescriptor(machine, FREE, descriptor(0x8b, 0x67, NEW_TSS));
    expectFault(jump(), VECTOR.GP, FREE);
    newTask();
    expect(jump()).toBe(OUTCOME.VM_EXIT);
    write(AT.TSS, 2, FREE);
    setDescriptor(machine, FREE, descriptor(0x8b, 0x67, NEW_TSS));
    machine.state.systemFlags |= FLAG.NT;
    expect(interruptReturn(machine.cpu, iret)).toBe(OUTCOME.VM_EXIT);
    expect(points).toEqual([
      { point: 'TASK_SWITCH', selector: FREE, source: 'JMP' },
      { point: 'TASK_SWITCH', selector: FREE, source: 'IRET' },
    ]);
    expect(machine.state.RIP).toBe(AT.CODE);
  });
});
