import { describe, expect, it } from 'vitest';
import { OUTCOME, type Outcome } from '../../core/outcome.ts';
import {
  mem,
  reg,
  st,
  type TestInstructionOptions,
  type TestOperand,
  testInstruction,
} from '../../core/testing/instruction.ts';
import {
  longProcessor,
  protectedProcessor,
  read64,
  type TestProcessor,
  testProcessor,
  unmap,
  virtual8086Processor,
  write64,
} from '../../core/testing/processor.ts';
import { CR0, FLAG, RAX, VECTOR } from '../../state/registers.ts';
import { resetProcessor } from '../../state/reset.ts';
import { findSystemRow } from '../systemRows.ts';
import { X87_ROWS } from './rows.ts';

const DATA = 0x5000n;
const PENDING = 0x8080;

function run(
  machine: TestProcessor,
  op: string,
  operands: readonly TestOperand[] = [],
  options: TestInstructionOptions = {},
): Outcome {
  const row = X87_ROWS.find((candidate) => candidate.op === op);
  if (!row) throw new Error(`no row ${op}`);
  return row.call(machine.cpu, testInstruction(op, operands, options));
}

/** A machine with CR0.NE and an initialized FPU. */
function initialized(machine: TestProcessor = longProcessor()): TestProcessor {
  machine.state.CR0 |= BigInt(CR0.NE);
  run(machine, 'FNINIT');
  return machine;
}

/** Everything that FNSAVE would store, as bytes. */
function fpuState({ state }: TestProcessor): unknown {
  return [
    state.X87_CONTROL,
    state.X87_STATUS,
    state.X87_TAG,
    state.X87_OPCODE,
    state.X87_INSTRUCTION_POINTER,
    state.X87_DATA_POINTER,
  ];
}

function expectFault(machine: TestProcessor, outcome: Outcome, vector: number): void {
  expect(outcome).toBe(OUTCOME.FAULT);
  expect(machine.cpu.fault.vector).toBe(vector);
}

/** 1 / 0 with the zero-divide exception unmasked. */
function divideByZero(machine: TestProcessor, options: TestInstructionOptions = {}): void {
  const { physical } = machine;
  physical.write(Number(DATA), 2, 0x37b, 0);
  run(machine, 'FLDCW', [mem(DATA, 16)]);
  physical.write(Number(DATA), 4, 0, 0);
  run(machine, 'FLD1');
  run(machine, 'FDIV', [mem(DATA, 32)], options);
}

describe('the x87 FPU', () => {
  it('is after RESET with all exceptions unmasked and registers that hold +0.0', () => {
    const { state } = testProcessor();
    resetProcessor(state);
    expect([state.X87_CONTROL, state.X87_STATUS, state.X87_TAG]).toEqual([0x40, 0, 0x5555]);
  });

  it('is after FNINIT with all exceptions masked, 64-bit precision and an empty stack', () => {
    const { state } = initialized();
    expect([state.X87_CONTROL, state.X87_STATUS, state.X87_TAG]).toEqual([0x37f, 0, 0xffff]);
  });

  it('has unique rows with a reference', () => {
    expect(new Set(X87_ROWS.map((row) => row.op)).size).toBe(X87_ROWS.length);
    for (const row of X87_ROWS) expect(row.ref.title).not.toBe('');
  });

  it('makes instructions #UD when the processor does not offer it', () => {
    const { cpu } = longProcessor(0, { changes: [{ feature: 'FPU', offered: false }] });
    expect(findSystemRow(cpu, testInstruction('FLD1'))?.op).toBe('INVALID');
    expect(findSystemRow(longProcessor().cpu, testInstruction('FLD1'))?.op).toBe('FLD1');
  });
});

describe('#NM', () => {
  it.each([
    ['EM', 'FLD1'],
    ['TS', 'FLD1'],
    ['EM', 'FNINIT'],
    ['TS', 'FNCLEX'],
    ['TS', 'FNOP'],
  ] as const)('is raised with CR0.%s set by %s', (bit, op) => {
    const machine = initialized();
    machine.state.CR0 |= BigInt(CR0[bit]);
    expectFault(machine, run(machine, op), VECTOR.NM);
  });

  it.each([
    [CR0.MP | CR0.TS, OUTCOME.FAULT],
    [CR0.TS, OUTCOME.NEXT],
    [CR0.MP, OUTCOME.NEXT],
    [CR0.EM, OUTCOME.NEXT],
  ])('is raised by WAIT with MP and TS alone (CR0 bits %i)', (bits, outcome) => {
    const machine = initialized();
    machine.state.CR0 = (machine.state.CR0 & ~0xen) | BigInt(bits);
    expect(run(machine, 'WAIT')).toBe(outcome);
    if (outcome === OUTCOME.FAULT) expect(machine.cpu.fault.vector).toBe(VECTOR.NM);
  });

  it('comes before #MF', () => {
    const machine = initialized();
    divideByZero(machine);
    machine.state.CR0 |= BigInt(CR0.TS);
    expectFault(machine, run(machine, 'FLD1'), VECTOR.NM);
  });
});

describe('an unmasked exception', () => {
  it('leaves operands and stack, and waits for the next waiting instruction', () => {
    const machine = initialized();
    divideByZero(machine);
    const { state } = machine;
    expect(state.X87_STATUS).toBe(PENDING | 4 | (7 << 11));
    expect([run(machine, 'FNSTSW', [reg(RAX, 16)]), state.gpr(RAX)]).toEqual([
      OUTCOME.NEXT,
      BigInt(PENDING | 4 | (7 << 11)),
    ]);
    for (const op of ['FLD1', 'WAIT', 'FNOP', 'FINCSTP']) expectFault(machine, run(machine, op), VECTOR.MF);
    expectFault(machine, run(machine, 'FLDCW', [mem(DATA, 16)]), VECTOR.MF);
  });

  it('comes before the memory operand is looked at', () => {
    const machine = initialized();
    divideByZero(machine);
    unmap(machine, 0x6000n);
    expectFault(machine, run(machine, 'FLD', [mem(0x6000n, 32)]), VECTOR.MF);
  });

  it('is gone after FNCLEX, FNINIT and FNSAVE, and masked by FNSTENV', () => {
    for (const [op, operands] of [
      ['FNCLEX', []],
      ['FNINIT', []],
      ['FNSAVE', [mem(DATA, 864)]],
      ['FNSTENV', [mem(DATA, 224)]],
    ] as const) {
      const machine = initialized();
      divideByZero(machine);
      expect(run(machine, op, operands)).toBe(OUTCOME.NEXT);
      expect(run(machine, 'WAIT')).toBe(OUTCOME.NEXT);
      expect(machine.state.X87_STATUS & PENDING).toBe(0);
    }
  });

  it('becomes pending when FLDCW unmasks its flag', () => {
    const machine = initialized();
    machine.physical.write(Number(DATA), 2, 0x300, 0);
    run(machine, 'FLDZ');
    run(machine, 'FLDZ');
    run(machine, 'FDIVP', [st(1), st(0)]);
    expect(run(machine, 'FLDCW', [mem(DATA, 16)])).toBe(OUTCOME.NEXT);
    expectFault(machine, run(machine, 'WAIT'), VECTOR.MF);
  });

  it('with CR0.NE clear and IGNNE# asserted, waiting instructions go on; FERR# ends with the error', () => {
    const machine = initialized();
    const levels: boolean[] = [];
    divideByZero(machine);
    machine.cpu.coprocessorError = { ignne: true, setFerr: (asserted) => void levels.push(asserted) };
    machine.state.CR0 &= ~BigInt(CR0.NE);
    expect(run(machine, 'FLD1')).toBe(OUTCOME.NEXT);
    expect(levels).toEqual([]);
    expect(run(machine, 'FNCLEX')).toBe(OUTCOME.NEXT);
    expect(levels).toEqual([false]);
  });
});

describe('the stack', () => {
  it('overflows with C1 = 1 and gives the indefinite', () => {
    const machine = initialized();
    for (let i = 0; i < 9; i++) run(machine, 'FLD1');
    expect(machine.state.X87_STATUS).toBe(0x241 | (7 << 11));
    run(machine, 'FSTP', [mem(DATA, 80)]);
    expect([read64(machine, DATA), read64(machine, DATA + 8n)]).toEqual([0xc000_0000_0000_0000n, 0xffffn]);
  });

  it('underflows with C1 = 0', () => {
    const machine = initialized();
    run(machine, 'FCHS');
    expect(machine.state.X87_STATUS).toBe(0x41);
  });
});

describe('a fault of the memory operand', () => {
  it('leaves everything as it was', () => {
    const machine = initialized();
    run(machine, 'FLD1');
    unmap(machine, 0x6000n);
    const before = fpuState(machine);
    for (const [op, bits] of [
      ['FLD', 32],
      ['FLD', 80],
      ['FADD', 64],
      ['FST', 64],
      ['FSTP', 80],
      ['FISTP', 16],
      ['FBSTP', 80],
      ['FNSAVE', 864],
      ['FRSTOR', 864],
      ['FNSTENV', 224],
      ['FLDENV', 224],
      ['FLDCW', 16],
      ['FNSTCW', 16],
      ['FNSTSW', 16],
    ] as const) {
      expectFault(machine, run(machine, op, [mem(0x6000n, bits)]), VECTOR.PF);
    }
    expect(fpuState(machine)).toEqual(before);
  });

  it('in its second page leaves the first page unwritten', () => {
    const machine = initialized();
    run(machine, 'FLD1');
    write64(machine, 0x5ff8n, 0x1122_3344_5566_7788n);
    unmap(machine, 0x6000n);
    expectFault(machine, run(machine, 'FSTP', [mem(0x5ff8n, 80)]), VECTOR.PF);
    expectFault(machine, run(machine, 'FNSAVE', [mem(0x5ff0n, 864)]), VECTOR.PF);
    expect(read64(machine, 0x5ff8n)).toBe(0x1122_3344_5566_7788n);
  });

  it('is #AC for an operand that is not aligned at CPL 3: 8 bytes for 80-bit ones', () => {
    const machine = initialized(longProcessor(3));
    machine.state.CR0 |= BigInt(CR0.AM);
    machine.state.systemFlags |= FLAG.AC;
    expectFault(machine, run(machine, 'FLD', [mem(DATA + 4n, 80)]), VECTOR.AC);
    expectFault(machine, run(machine, 'FNSTENV', [mem(DATA + 2n, 224)]), VECTOR.AC);
    expect(run(machine, 'FNSTENV', [mem(DATA + 2n, 112)])).toBe(OUTCOME.NEXT);
  });
});

describe('the pointers to the last instruction', () => {
  it('follow instructions that do not control the FPU; data and opcode only unmasked exceptions', () => {
    const machine = initialized();
    const { state } = machine;
    state.RIP = 0x1234n;
    run(machine, 'FLD1', [], { x87Opcode: 0x1e8 });
    expect([state.X87_INSTRUCTION_POINTER, state.X87_OPCODE]).toEqual([0x1234n, 0]);
    state.RIP = 0x1300n;
    run(machine, 'FST', [mem(DATA, 32)], { x87Opcode: 0x110 });
    state.RIP = 0x1400n;
    for (const op of ['FNCLEX', 'WAIT']) run(machine, op);
    run(machine, 'FNSTCW', [mem(DATA, 16)]);
    expect([state.X87_INSTRUCTION_POINTER, state.X87_DATA_POINTER]).toEqual([0x1300n, 0n]);
    state.RIP = 0x1500n;
    divideByZero(machine, { x87Opcode: 0x030 });
    expect([state.X87_INSTRUCTION_POINTER, state.X87_DATA_POINTER, state.X87_OPCODE]).toEqual([
      0x1500n,
      DATA,
      0x030,
    ]);
  });

  it('include the data pointer of every instruction without FDP_EXCPTN_ONLY', () => {
    const machine = initialized(
      longProcessor(0, { changes: [{ feature: 'FDP_EXCPTN_ONLY', offered: false }] }),
    );
    run(machine, 'FLD', [mem(DATA, 32)]);
    expect(machine.state.X87_DATA_POINTER).toBe(DATA);
  });

  /** FNSTENV's items after an exception at CS:RIP with a data operand. */
  function environment(machine: TestProcessor, bits: 112 | 224): bigint[] {
    initialized(machine);
    divideByZero(machine, { x87Opcode: 0x7ab });
    run(machine, 'FNSTENV', [mem(0x800n, bits)]);
    const base = machine.state.segmentBase(3) + 0x800n;
    const width = bits === 224 ? 4 : 2;
    return Array.from({ length: 7 }, (_, i) => {
      const at = Number(base) + i * width;
      return BigInt(width === 4 ? machine.physical.read32(at) >>> 0 : machine.physical.read16(at));
    });
  }
  const protectedMode = (deprecated: boolean) => {
    const machine = protectedProcessor(0, {
      changes: [{ feature: 'FPU_CS_DS_DEPRECATED', offered: deprecated }],
    });
    machine.state.RIP = 0x12_3456n;
    return machine;
  };
  const STATUS = 0xb884n;

  it('are stored as offsets and selectors in protected mode', () => {
    const high = 0xffff_0000n;
    expect(environment(protectedMode(false), 224)).toEqual([
      high | 0x37bn,
      high | STATUS,
      high | 0x3fffn,
      0x12_3456n,
      0x07ab_0008n,
      DATA,
      high | 0x10n,
    ]);
    expect(environment(protectedMode(false), 112)).toEqual([
      0x37bn,
      STATUS,
      0x3fffn,
      0x3456n,
      8n,
      DATA,
      0x10n,
    ]);
  });

  it('have selectors of 0 where FCS and FDS are deprecated', () => {
    const items = environment(protectedMode(true), 224);
    expect([items[4], items[6]]).toEqual([0x07ab_0000n, 0xffff_0000n]);
  });

  it('are stored as linear addresses in virtual-8086 mode', () => {
    const machine = virtual8086Processor();
    machine.state.RIP = 0xfff0n;
    const instruction = 0x201n * 16n + 0xfff0n;
    const data = 0x203n * 16n + DATA;
    expect(environment(machine, 112).slice(3)).toEqual([
      instruction & 0xffffn,
      ((instruction >> 16n) << 12n) | 0x7abn,
      data & 0xffffn,
      (data >> 16n) << 12n,
    ]);
    const wide = virtual8086Processor();
    wide.state.RIP = 0xfff0n;
    expect(environment(wide, 224).slice(3)).toEqual([
      0xffff_0000n | (instruction & 0xffffn),
      ((instruction >> 16n) << 12n) | 0x7abn,
      0xffff_0000n | (data & 0xffffn),
      (data >> 16n) << 12n,
    ]);
  });

  it('survive FLDENV in every format', () => {
    for (const bits of [112, 224] as const) {
      for (const machine of [protectedMode(false), virtual8086Processor()]) {
        const stored = environment(machine, bits);
        run(machine, 'FNINIT');
        run(machine, 'FLDENV', [mem(0x800n, bits)]);
        run(machine, 'FNSTENV', [mem(0x800n, bits)]);
        run(machine, 'FNINIT');
        run(machine, 'FLDENV', [mem(0x800n, bits)]);
        const again = Number(machine.state.segmentBase(3)) + 0x800 + 3 * (bits / 56);
        const pointer = bits === 224 ? machine.physical.read32(again) >>> 0 : machine.physical.read16(again);
        expect(BigInt(pointer)).toBe(stored[3]);
      }
    }
  });
});
