import { describe, expect, it } from 'vitest';
import { writeMsr } from '../../core/msrs.ts';
import { NO_VIRTUALIZATION } from '../../core/noVirtualization.ts';
import { OUTCOME, type Outcome } from '../../core/outcome.ts';
import {
  cr,
  dr,
  imm,
  mem,
  reg,
  sreg,
  type TestInstructionOptions,
  type TestOperand,
  testInstruction,
} from '../../core/testing/instruction.ts';
import {
  AT,
  descriptor,
  gate,
  items,
  longProcessor,
  protectedProcessor,
  read64,
  SELECTOR,
  setDescriptor,
  setGate,
  type TestProcessor,
  testProcessor,
  unmap,
  virtual8086Processor,
  write64,
} from '../../core/testing/processor.ts';
import type { InterceptPoint } from '../../core/virtualization.ts';
import { readRflags, setArithmeticFlags, writeRflags } from '../../state/flags.ts';
import {
  ACTIVITY,
  BLOCKING,
  CR4,
  DS,
  FLAG,
  FS,
  GS,
  RAX,
  RBP,
  RBX,
  RCX,
  RDI,
  RDX,
  RSI,
  RSP,
  SS,
  TR,
  VECTOR,
} from '../../state/registers.ts';
import { Mnemonic } from '../iced.ts';
import { SYSTEM_ROWS } from './rows.ts';

function run(
  machine: TestProcessor,
  op: string,
  operands: readonly TestOperand[] = [],
  options: TestInstructionOptions = {},
): Outcome {
  const row = SYSTEM_ROWS.find((candidate) => candidate.op === op);
  if (!row) throw new Error(`no row ${op}`);
  return row.call(machine.cpu, testInstruction(op, operands, options));
}

function expectFault(machine: TestProcessor, outcome: Outcome, vector: number, errorCode?: number): void {
  expect(outcome).toBe(OUTCOME.FAULT);
  expect([machine.cpu.fault.vector, machine.cpu.fault.errorCode]).toEqual([vector, errorCode]);
}

/** Every point is a VM exit; they are recorded. */
function interceptAll({ cpu }: TestProcessor): InterceptPoint[] {
  const points: InterceptPoint[] = [];
  cpu.virtualization = {
    ...NO_VIRTUALIZATION,
    inGuest: true,
    mayInterceptInvlpg: true,
    intercept: (point) => {
      points.push(point);
      return OUTCOME.VM_EXIT;
    },
  };
  return points;
}

describe('the rows of system instructions', () => {
  it('have unique mnemonics and a reference', () => {
    expect(new Set(SYSTEM_ROWS.map((row) => row.op)).size).toBe(SYSTEM_ROWS.length);
    for (const row of SYSTEM_ROWS) expect(row.ref.title).not.toBe('');
  });

  it('are named as the decoder names them', () => {
    const told = new Set([
      'CMPSD XMM',
      'MOV CR',
      'MOV DR',
      'MOV SREG',
      'PUSH SREG',
      'POP SREG',
      'JMP FAR',
      'CALL FAR',
    ]);
    const known = new Set([...told, ...Object.keys(Mnemonic).map((name) => name.toUpperCase())]);
    expect(SYSTEM_ROWS.map((row) => row.op).filter((op) => !known.has(op))).toEqual([]);
  });
});

describe('privilege comes before intercepts', () => {
  const memory = [mem(0x5000n)];
  it.each([
    ['HLT', []],
    ['RDMSR', []],
    ['WRMSR', []],
    ['CLTS', []],
    ['INVD', []],
    ['WBINVD', []],
    ['INVLPG', memory],
    ['INVPCID', [reg(RAX), mem(0x5000n)]],
    ['LGDT', memory],
    ['LIDT', memory],
    ['LLDT', [reg(RAX, 16)]],
    ['LTR', [reg(RAX, 16)]],
    ['LMSW', [reg(RAX, 16)]],
    ['MOV CR', [cr(0), reg(RAX)]],
    ['MOV CR', [reg(RAX), cr(3)]],
    ['MOV DR', [dr(7), reg(RAX)]],
  ] as const)('%s is #GP(0) at CPL 3 and intercepted at CPL 0', (op, operands) => {
    const user = longProcessor(3);
    const points = interceptAll(user);
    expectFault(user, run(user, op, operands), VECTOR.GP, 0);
    expect(points).toEqual([]);
    const kernel = longProcessor(0);
    const kernelPoints = interceptAll(kernel);
    expect(run(kernel, op, operands)).toBe(OUTCOME.VM_EXIT);
    expect(kernelPoints).toHaveLength(1);
  });

  it.each(['SGDT', 'SIDT', 'SLDT', 'STR', 'SMSW'])('%s is #GP(0) at CPL 3 with UMIP', (op) => {
    const machine = longProcessor(3);
    const operands = [mem(0x5000n, 16)];
    expect(run(machine, op, operands)).toBe(OUTCOME.NEXT);
    machine.state.CR4 |= BigInt(CR4.UMIP);
    expectFault(machine, run(machine, op, operands), VECTOR.GP, 0);
  });

  it.each(['LLDT', 'LTR', 'SLDT', 'STR', 'VERR', 'LAR'])('%s is #UD in real-address mode', (op) => {
    const machine = testProcessor();
    expectFault(machine, run(machine, op, [reg(RAX, 16), reg(RBX, 16)]), VECTOR.UD);
  });
});

describe('MOV to and from control registers', () => {
  it('is #UD for a register that does not exist, before privilege', () => {
    const machine = longProcessor(3);
    expectFault(machine, run(machine, 'MOV CR', [cr(1), reg(RAX)]), VECTOR.UD);
  });

  it('reports the source value and shows the read shadow', () => {
    const machine = longProcessor();
    const points = interceptAll(machine);
    machine.state.setGpr(RBX, 0x1234n);
    run(machine, 'MOV CR', [cr(3), reg(RBX)]);
    expect(points).toEqual([{ point: 'MOV_TO_CR', cr: 3, gpr: RBX, value: 0x1234n }]);
    machine.cpu.virtualization = { ...NO_VIRTUALIZATION, readableCr: (number) => BigInt(number) + 0x100n };
    run(machine, 'MOV CR', [reg(RAX), cr(4)]);
    expect(machine.state.gpr(RAX)).toBe(0x104n);
  });

  it('LMSW cannot clear PE, SMSW stores 16 bits to memory', () => {
    const machine = protectedProcessor();
    machine.state.setGpr(RAX, 0x8n);
    expect(run(machine, 'LMSW', [reg(RAX, 16)])).toBe(OUTCOME.NEXT_THEN_CHECK);
    expect(machine.state.CR0).toBe(0x19n);
    write64(machine, 0x5000n, -1n);
    run(machine, 'SMSW', [mem(0x5000n, 16)]);
    expect(read64(machine, 0x5000n)).toBe(0xffff_ffff_ffff_0019n);
  });

  it('CLTS clears TS', () => {
    const machine = longProcessor();
    machine.state.CR0 |= 8n;
    run(machine, 'CLTS');
    expect(machine.state.CR0 & 8n).toBe(0n);
  });
});

describe('MOV to and from debug registers', () => {
  it('is #UD for DR4 with CR4.DE, and means DR6 without', () => {
    const machine = longProcessor();
    machine.state.setGpr(RAX, 0xffff_0ff1n);
    expect(run(machine, 'MOV DR', [dr(4), reg(RAX)])).toBe(OUTCOME.NEXT_THEN_CHECK);
    expect(machine.state.debugRegister(6)).toBe(0xffff_0ff1n);
    machine.state.CR4 |= BigInt(CR4.DE);
    expectFault(machine, run(machine, 'MOV DR', [dr(4), reg(RAX)]), VECTOR.UD);
  });

  it('is #DB with DR7.GD, after the intercept', () => {
    const machine = longProcessor();
    machine.state.setDebugRegister(7, 0x2400n);
    expectFault(machine, run(machine, 'MOV DR', [reg(RAX), dr(0)]), VECTOR.DB);
    expect(machine.cpu.fault.qualification).toBe(0x2000n);
    interceptAll(machine);
    expect(run(machine, 'MOV DR', [reg(RAX), dr(0)])).toBe(OUTCOME.VM_EXIT);
  });

  it('refuses the upper half of DR7', () => {
    const machine = longProcessor();
    machine.state.setGpr(RAX, 1n << 32n);
    expectFault(machine, run(machine, 'MOV DR', [dr(7), reg(RAX)]), VECTOR.GP, 0);
  });
});

describe('the processor', () => {
  it('CPUID writes 32 bits of four registers', () => {
    const machine = longProcessor();
    for (const register of [RAX, RBX, RCX, RDX]) machine.state.setGpr(register, -1n);
    machine.state.setGpr(RAX, 0x8000_0000n);
    run(machine, 'CPUID');
    expect(machine.state.gpr(RAX)).toBe(0x8000_0008n);
    expect(machine.state.gpr(RBX)).toBe(0n);
  });

  it('RDMSR and WRMSR use EDX:EAX', () => {
    const machine = longProcessor();
    const { state } = machine;
    state.setGpr(RCX, 0xc000_0082n);
    state.setGpr(RAX, 0xffff_ffff_8000_0000n);
    state.setGpr(RDX, 0x1_ffff_ffffn);
    expect(run(machine, 'WRMSR')).toBe(OUTCOME.NEXT_THEN_CHECK);
    expect(state.IA32_LSTAR).toBe(0xffff_ffff_8000_0000n);
    expect(run(machine, 'RDMSR')).toBe(OUTCOME.NEXT);
    expect([state.gpr(RAX), state.gpr(RDX)]).toEqual([0x8000_0000n, 0xffff_ffffn]);
    state.setGpr(RCX, 0x1234n);
    expectFault(machine, run(machine, 'RDMSR'), VECTOR.GP, 0);
  });

  it('a VM exit of RDMSR comes before #GP for the address', () => {
    const machine = longProcessor();
    machine.state.setGpr(RCX, 0x1234n);
    expect(interceptAll(machine)).toEqual([]);
    expect(run(machine, 'RDMSR')).toBe(OUTCOME.VM_EXIT);
  });

  it('RDTSC follows CR4.TSD; RDTSCP adds IA32_TSC_AUX', () => {
    const machine = longProcessor(3);
    machine.tick = 0x1_0000_0005;
    machine.state.IA32_TSC_AUX = 9n;
    run(machine, 'RDTSCP');
    expect([RAX, RDX, RCX].map((register) => machine.state.gpr(register))).toEqual([5n, 1n, 9n]);
    machine.state.CR4 |= BigInt(CR4.TSD);
    expectFault(machine, run(machine, 'RDTSC'), VECTOR.GP, 0);
  });

  it('HLT halts', () => {
    const machine = longProcessor();
    expect(run(machine, 'HLT')).toBe(OUTCOME.NEXT_THEN_CHECK);
    expect(machine.state.ACTIVITY_STATE).toBe(ACTIVITY.HLT);
  });

  it('RDPMC reads the counter that ECX names, with #GP(0) for one that is not there', () => {
    const machine = longProcessor();
    writeMsr(machine.cpu, 0x4c8, 0x1234_5678_9abcn);
    writeMsr(machine.cpu, 0x30a, 0x42n);
    const read = (counter: bigint) => {
      machine.state.setGpr(RCX, counter);
      return run(machine, 'RDPMC');
    };
    read(7n);
    expect([machine.state.gpr(RDX), machine.state.gpr(RAX)]).toEqual([0x1234n, 0x5678_9abcn]);
    read(0x4000_0001n);
    expect([machine.state.gpr(RDX), machine.state.gpr(RAX)]).toEqual([0n, 0x42n]);
    for (const counter of [8n, 0x4000_0003n, 0x2000_0000n, 0x8000_0000n])
      expectFault(machine, read(counter), VECTOR.GP, 0);
  });

  it('RDPMC at CPL 3 needs CR4.PCE', () => {
    const machine = longProcessor(3);
    machine.state.setGpr(RCX, 0n);
    expectFault(machine, run(machine, 'RDPMC'), VECTOR.GP, 0);
    machine.state.CR4 |= BigInt(CR4.PCE);
    expect(run(machine, 'RDPMC')).toBe(OUTCOME.NEXT);
  });

  it('RDPMC is #GP(0) without performance monitoring', () => {
    const machine = longProcessor(0, {}, 'zen3-server');
    machine.state.setGpr(RCX, 0n);
    expectFault(machine, run(machine, 'RDPMC'), VECTOR.GP, 0);
  });

  it('STAC lifts SMAP', () => {
    const machine = longProcessor();
    machine.state.CR4 |= BigInt(CR4.SMAP);
    machine.cpu.mmu.updateContext();
    expect(machine.cpu.mmu.readLinear(0x5000n, 8, 'current')).toBeUndefined();
    run(machine, 'STAC');
    expect(machine.cpu.mmu.readLinear(0x5000n, 8, 'current')).toBe(0n);
  });
});

describe('port I/O', () => {
  it('IN zero-extends to RAX through EAX and keeps the rest for AL', () => {
    const machine = longProcessor();
    machine.portValue = 0x12;
    machine.state.setGpr(RAX, -1n);
    expect(run(machine, 'IN', [reg(RAX, 8), imm(-1n)])).toBe(OUTCOME.NEXT_THEN_CHECK);
    expect(machine.state.gpr(RAX)).toBe(0xffff_ffff_ffff_ff12n);
    machine.state.setGpr(RDX, 0xdead_0cfcn);
    run(machine, 'IN', [reg(RAX, 32), reg(RDX, 16)]);
    expect(machine.state.gpr(RAX)).toBe(0x12n);
    expect(machine.reads).toEqual([
      [0xff, 1],
      [0xcfc, 4],
    ]);
  });

  it('OUT is intercepted with what the exit reports', () => {
    const machine = longProcessor();
    const points = interceptAll(machine);
    run(machine, 'OUT', [imm(0x64n), reg(RAX, 16)]);
    expect(points).toEqual([
      {
        point: 'IO',
        port: 0x64,
        size: 2,
        input: false,
        string: false,
        repeat: false,
        immediate: true,
        address: 0n,
      },
    ]);
    expect(machine.writes).toEqual([]);
  });

  it('above IOPL asks the I/O permission bit map, before the intercept', () => {
    const machine = protectedProcessor(3);
    const { state, physical } = machine;
    const out = (port: bigint) => run(machine, 'OUT', [imm(port), reg(RAX, 8)]);
    physical.write(Number(AT.TSS) + 102, 2, 0x68, 0);
    expectFault(machine, out(0x60n), VECTOR.GP, 0);
    state.setSegmentLimit(TR, 0x78);
    physical.write(Number(AT.TSS) + 0x68 + 12, 1, 0xfe, 0);
    expect(out(0x60n)).toBe(OUTCOME.NEXT_THEN_CHECK);
    const points = interceptAll(machine);
    expectFault(machine, out(0x61n), VECTOR.GP, 0);
    expect(points).toEqual([]);
    writeRflags(state, 2 | FLAG.IOPL);
    expect(out(0x61n)).toBe(OUTCOME.VM_EXIT);
  });

  it('a map that ends before the port permits nothing', () => {
    const machine = protectedProcessor(3);
    machine.physical.write(Number(AT.TSS) + 102, 2, 0x68, 0);
    machine.state.setSegmentLimit(TR, 0x74);
    expectFault(machine, run(machine, 'IN', [reg(RAX, 8), imm(0x60n)]), VECTOR.GP, 0);
  });

  it('REP OUTS takes one iteration at a time', () => {
    const machine = longProcessor();
    const { state } = machine;
    write64(machine, 0x5000n, 0x4241n);
    state.setGpr(RSI, 0x5000n);
    state.setGpr(RCX, 2n);
    state.setGpr(RDX, 0x3f8n);
    const outs = () => run(machine, 'OUTSB', [], { repeat: 'rep' });
    expect([outs(), outs(), outs()]).toEqual([OUTCOME.REPEAT, OUTCOME.NEXT_THEN_CHECK, OUTCOME.NEXT]);
    expect(machine.writes).toEqual([
      [0x3f8, 1, 0x41],
      [0x3f8, 1, 0x42],
    ]);
    expect([state.gpr(RSI), state.gpr(RCX)]).toEqual([0x5002n, 0n]);
  });

  it('INS reads the port only when memory can be written', () => {
    const machine = longProcessor();
    const { state } = machine;
    machine.portValue = 0x77;
    state.setGpr(RDI, 0x5000n);
    writeRflags(state, 2 | FLAG.DF);
    expect(run(machine, 'INSD')).toBe(OUTCOME.NEXT_THEN_CHECK);
    expect([read64(machine, 0x5000n), state.gpr(RDI)]).toEqual([0x77n, 0x4ffcn]);
    unmap(machine, 0x4000n);
    expectFault(machine, run(machine, 'INSD'), VECTOR.PF, 2);
    expect(machine.reads).toHaveLength(1);
    expect(state.gpr(RDI)).toBe(0x4ffcn);
  });
});

describe('segment registers', () => {
  it('MOV and POP to SS begin a shadow, LSS does not', () => {
    const machine = longProcessor();
    const { state } = machine;
    state.setGpr(RAX, BigInt(SELECTOR.DATA0));
    run(machine, 'MOV SREG', [sreg(SS), reg(RAX, 16)]);
    expect(state.INTERRUPTIBILITY).toBe(BLOCKING.MOV_SS);
    state.INTERRUPTIBILITY = 0;
    write64(machine, 0x5000n, 0x1234_5678n);
    write64(machine, 0x5004n, BigInt(SELECTOR.DATA0));
    run(machine, 'LSS', [reg(RBX, 32), mem(0x5000n)], { operandSize: 32 });
    expect(state.INTERRUPTIBILITY).toBe(0);
    expect(state.gpr(RBX)).toBe(0x1234_5678n);
  });

  it('MOV to CS is #UD', () => {
    const machine = longProcessor();
    expectFault(machine, run(machine, 'MOV SREG', [sreg(1), reg(RAX, 16)]), VECTOR.UD);
  });

  it('MOV from a segment register zero-extends into a register and stores 16 bits', () => {
    const machine = longProcessor();
    machine.state.setGpr(RAX, -1n);
    run(machine, 'MOV SREG', [reg(RAX, 32), sreg(DS)]);
    expect(machine.state.gpr(RAX)).toBe(BigInt(SELECTOR.DATA0));
    write64(machine, 0x5000n, -1n);
    run(machine, 'MOV SREG', [mem(0x5000n, 16), sreg(DS)]);
    expect(read64(machine, 0x5000n)).toBe(0xffff_ffff_ffff_0010n);
  });

  it('PUSH and POP move RSP by the operand size; a POP that faults does not', () => {
    const machine = longProcessor();
    const { state } = machine;
    run(machine, 'PUSH SREG', [sreg(FS)]);
    expect([state.gpr(RSP), read64(machine, AT.STACK - 8n)]).toEqual([AT.STACK - 8n, BigInt(SELECTOR.DATA0)]);
    run(machine, 'POP SREG', [sreg(GS)]);
    expect(state.gpr(RSP)).toBe(AT.STACK);
    write64(machine, AT.STACK, 0xfff8n);
    expectFault(machine, run(machine, 'POP SREG', [sreg(GS)]), VECTOR.GP, 0xfff8);
    expect(state.gpr(RSP)).toBe(AT.STACK);
  });

  it('LGDT takes 10 bytes in 64-bit mode and 24 bits of base with 16-bit operands', () => {
    const machine = longProcessor();
    write64(machine, 0x5000n, 0x8000_1234_5678_0fffn);
    write64(machine, 0x5008n, 0xffffn);
    expect(run(machine, 'LGDT', [mem(0x5000n)])).toBe(OUTCOME.NEXT);
    expect([machine.state.GDTR_LIMIT, machine.state.GDTR_BASE]).toEqual([0xfff, 0xffff_8000_1234_5678n]);
    write64(machine, 0x5008n, 0x7fffn);
    expectFault(machine, run(machine, 'LGDT', [mem(0x5000n)]), VECTOR.GP, 0);
    const legacy = protectedProcessor();
    write64(legacy, 0x5000n, 0xff12_3456_0fffn);
    run(legacy, 'LIDT', [mem(0x5000n)], { operandSize: 16, addressSize: 32 });
    expect(legacy.state.IDTR_BASE).toBe(0x12_3456n);
  });

  it('SIDT stores nothing when a part cannot be stored', () => {
    const machine = longProcessor();
    unmap(machine, 0x6000n);
    expectFault(machine, run(machine, 'SIDT', [mem(0x5ffcn)]), VECTOR.PF, 2);
    expect(read64(machine, 0x5ff8n)).toBe(0n);
    expect(run(machine, 'SIDT', [mem(0x5ff0n)])).toBe(OUTCOME.NEXT);
    expect(read64(machine, 0x5ff0n)).toBe((AT.IDT << 16n) | 0xfffn);
  });

  it('LAR sets ZF and keeps the other flags', () => {
    const machine = longProcessor();
    setArithmeticFlags(machine.state, FLAG.CF);
    machine.state.setGpr(RBX, BigInt(SELECTOR.DATA0));
    run(machine, 'LAR', [reg(RAX, 32), reg(RBX, 16)], { operandSize: 32 });
    expect(machine.state.gpr(RAX)).toBe(0xcf_9300n);
    expect(readRflags(machine.state)).toBe(2 | FLAG.CF | FLAG.ZF);
    machine.state.setGpr(RBX, 0n);
    run(machine, 'LAR', [reg(RAX, 32), reg(RBX, 16)], { operandSize: 32 });
    expect(readRflags(machine.state)).toBe(2 | FLAG.CF);
  });
});

describe('flags and privilege', () => {
  it('STI begins a shadow only when IF was clear', () => {
    const machine = longProcessor();
    run(machine, 'STI');
    expect(machine.state.INTERRUPTIBILITY).toBe(BLOCKING.STI);
    machine.state.INTERRUPTIBILITY = 0;
    run(machine, 'STI');
    expect(machine.state.INTERRUPTIBILITY).toBe(0);
    run(machine, 'CLI');
    expect(readRflags(machine.state)).toBe(2);
  });

  it('CLI and STI need IOPL', () => {
    const machine = longProcessor(3);
    expectFault(machine, run(machine, 'CLI'), VECTOR.GP, 0);
    expectFault(machine, run(machine, 'STI'), VECTOR.GP, 0);
    machine.state.systemFlags |= FLAG.IOPL;
    expect(run(machine, 'STI')).toBe(OUTCOME.NEXT_THEN_CHECK);
  });

  it('PUSHFQ hides RF and VM', () => {
    const machine = longProcessor();
    writeRflags(machine.state, 2 | FLAG.RF | FLAG.CF | FLAG.AC);
    run(machine, 'PUSHFQ');
    expect(read64(machine, AT.STACK - 8n)).toBe(BigInt(3 | FLAG.AC));
  });

  it('POPF changes IF and IOPL only with the privilege for it', () => {
    const image = BigInt(FLAG.IOPL | FLAG.IF | FLAG.CF | FLAG.RF | FLAG.VM | FLAG.ID);
    const user = longProcessor(3);
    write64(user, AT.STACK, image);
    run(user, 'POPFQ');
    expect(readRflags(user.state)).toBe(3 | FLAG.ID);
    expect(user.state.gpr(RSP)).toBe(AT.STACK + 8n);
    const kernel = longProcessor(0);
    write64(kernel, AT.STACK, image);
    run(kernel, 'POPFQ');
    expect(readRflags(kernel.state)).toBe(3 | FLAG.ID | FLAG.IOPL | FLAG.IF);
  });

  it('PUSHF, POPF and INT n in virtual-8086 mode need IOPL 3', () => {
    const machine = virtual8086Processor();
    for (const op of ['PUSHF', 'POPF', 'INT']) {
      expectFault(
        machine,
        run(machine, op, op === 'INT' ? [imm(0x10n)] : [], { operandSize: 16 }),
        VECTOR.GP,
        0,
      );
    }
  });
});

describe('interrupt instructions', () => {
  it('return behind themselves', () => {
    const machine = longProcessor();
    setGate(machine, 0x80, gate(0xee, SELECTOR.LONG_CODE0, 0x2_0000n));
    expect(run(machine, 'INT', [imm(-128n)])).toBe(OUTCOME.JUMPED);
    expect(machine.state.RIP).toBe(0x2_0000n);
    expect(items(machine, AT.STACK - 40n, 8, 1)).toEqual([AT.CODE + 2n]);
  });

  it('INT3 is a software exception, INT1 a privileged one', () => {
    const machine = longProcessor();
    const kinds: string[] = [];
    machine.cpu.virtualization = {
      ...NO_VIRTUALIZATION,
      interceptEvent: ({ kind, vector, instructionLength }) => {
        kinds.push(`${kind} ${vector} ${instructionLength}`);
        return OUTCOME.VM_EXIT;
      },
    };
    expect(run(machine, 'INT3', [], { length: 1 })).toBe(OUTCOME.VM_EXIT);
    run(machine, 'INT1', [], { length: 1 });
    expect(kinds).toEqual(['software-exception 3 1', 'privileged-software-exception 1 1']);
  });

  it('INTO looks at OF', () => {
    const machine = protectedProcessor();
    setGate(machine, 4, gate(0x8e, SELECTOR.CODE0, 0x2_0000n));
    expect(run(machine, 'INTO')).toBe(OUTCOME.NEXT);
    setArithmeticFlags(machine.state, FLAG.OF);
    expect(run(machine, 'INTO')).toBe(OUTCOME.JUMPED);
  });
});

describe('address spaces', () => {
  it('SWAPGS exchanges the bases', () => {
    const machine = longProcessor();
    machine.state.IA32_KERNEL_GS_BASE = 0x1234n;
    run(machine, 'SWAPGS');
    expect([machine.state.segmentBase(GS), machine.state.IA32_KERNEL_GS_BASE]).toEqual([0x1234n, 0n]);
    const user = longProcessor(3);
    expectFault(user, run(user, 'SWAPGS'), VECTOR.GP, 0);
  });

  it('WRFSBASE needs CR4.FSGSBASE and a canonical address', () => {
    const machine = longProcessor(3);
    const write = () => run(machine, 'WRFSBASE', [reg(RAX)]);
    expectFault(machine, write(), VECTOR.UD);
    machine.state.CR4 |= BigInt(CR4.FSGSBASE);
    machine.state.setGpr(RAX, 0x100_0000_0000_0000n);
    expectFault(machine, write(), VECTOR.GP, 0);
    machine.state.setGpr(RAX, 0x1234n);
    expect(write()).toBe(OUTCOME.NEXT);
    run(machine, 'RDFSBASE', [reg(RBX)]);
    expect(machine.state.gpr(RBX)).toBe(0x1234n);
  });

  it.each([
    ['a type above 3', 4n, 0n, 0n],
    ['a reserved bit', 1n, 1n << 12n, 0n],
    ['a PCID without PCIDE', 1n, 1n, 0n],
    ['a non-canonical address', 0n, 0n, 0x100_0000_0000_0000n],
  ])('INVPCID refuses %s', (_name, type, pcid, address) => {
    const machine = longProcessor();
    machine.state.setGpr(RAX, type);
    write64(machine, 0x5000n, pcid);
    write64(machine, 0x5008n, address);
    expectFault(machine, run(machine, 'INVPCID', [reg(RAX), mem(0x5000n)]), VECTOR.GP, 0);
  });

  it('INVLPG and INVPCID drop what is cached', () => {
    const machine = longProcessor();
    const { cpu } = machine;
    const remap = (page: bigint) => write64(machine, AT.TABLES + 0x3000n + 0x50n * 8n, page | 7n);
    write64(machine, 0x6_0000n, 6n);
    remap(0x6_0000n);
    expect(run(machine, 'INVLPG', [mem(0x5_0000n)])).toBe(OUTCOME.NEXT);
    expect(cpu.mmu.readLinear(0x5_0000n, 8, 'current')).toBe(6n);
    // Code may come from elsewhere now: the run loop looks it up again.
    cpu.mmu.fetchTranslate(0x5_0000n);
    expect(run(machine, 'INVLPG', [mem(0x5_0000n)])).toBe(OUTCOME.NEXT_THEN_CHECK);
    machine.state.setGpr(RAX, 2n);
    remap(0x5_0000n);
    expect(run(machine, 'INVPCID', [reg(RAX), mem(0x5000n)])).toBe(OUTCOME.NEXT_THEN_CHECK);
    expect(cpu.mmu.readLinear(0x5_0000n, 8, 'current')).toBe(0n);
  });
});

describe('ENTER and BOUND', () => {
  it('ENTER makes a frame with a display', () => {
    const machine = longProcessor();
    const { state } = machine;
    state.setGpr(RBP, 0x9000n);
    write64(machine, 0x8ff8n, 0x77n);
    expect(run(machine, 'ENTER', [{ immediate: 0x20n, selector: 2 }])).toBe(OUTCOME.NEXT);
    expect(items(machine, AT.STACK - 24n, 8, 3)).toEqual([AT.STACK - 8n, 0x77n, 0x9000n]);
    expect([state.gpr(RBP), state.gpr(RSP)]).toEqual([AT.STACK - 8n, AT.STACK - 24n - 0x20n]);
  });

  it('ENTER changes nothing when its new top of stack cannot be written', () => {
    const machine = longProcessor();
    unmap(machine, 0x7000n);
    machine.state.setGpr(RSP, 0x8010n);
    expectFault(machine, run(machine, 'ENTER', [{ immediate: 0x20n, selector: 0 }]), VECTOR.PF, 2);
    expect([machine.state.gpr(RSP), read64(machine, 0x8008n)]).toEqual([0x8010n, 0n]);
  });

  it('BOUND is #BR outside the bounds', () => {
    const machine = protectedProcessor();
    write64(machine, 0x5000n, 0x0000_0005_ffff_fffen);
    const bound = (index: bigint): Outcome => {
      machine.state.setGpr(RAX, BigInt.asUintN(32, index));
      return run(machine, 'BOUND', [reg(RAX, 32), mem(0x5000n)], { operandSize: 32 });
    };
    expect([bound(-2n), bound(5n)]).toEqual([OUTCOME.NEXT, OUTCOME.NEXT]);
    expectFault(machine, bound(6n), VECTOR.BR);
    expectFault(machine, bound(-3n), VECTOR.BR);
  });
});

describe('VMX instructions', () => {
  it('are what virtualization makes of them', () => {
    const machine = longProcessor();
    const names: string[] = [];
    machine.cpu.virtualization = {
      ...NO_VIRTUALIZATION,
      execute: ({ name }) => {
        names.push(name);
        return OUTCOME.NEXT;
      },
    };
    run(machine, 'VMCALL');
    run(machine, 'VMREAD', [reg(RAX), reg(RBX)]);
    expect(names).toEqual(['VMCALL', 'VMREAD']);
  });
});

describe('LTR through its row', () => {
  it('reads a 16-bit operand', () => {
    const machine = longProcessor();
    setDescriptor(machine, SELECTOR.TSS, descriptor(0x89, 0x67, AT.TSS), 0n);
    machine.state.setGpr(RAX, 0xffff_0000n | BigInt(SELECTOR.TSS));
    expect(run(machine, 'LTR', [reg(RAX, 16)])).toBe(OUTCOME.NEXT);
    expect(machine.state.segmentSelector(TR)).toBe(SELECTOR.TSS);
  });
});
