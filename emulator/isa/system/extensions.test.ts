import { describe, expect, it } from 'vitest';
import { writeXcr } from '../../core/controlRegisters.ts';
import { writeMsr } from '../../core/msrs.ts';
import { NO_VIRTUALIZATION } from '../../core/noVirtualization.ts';
import { OUTCOME, type Outcome } from '../../core/outcome.ts';
import { mem, reg, type TestOperand, testInstruction } from '../../core/testing/instruction.ts';
import { longProcessor, read64, type TestProcessor, write64 } from '../../core/testing/processor.ts';
import { readRflags, setArithmeticFlags } from '../../state/flags.ts';
import { OFFSET } from '../../state/layout.ts';
import { ARITHMETIC_FLAGS, CR4, FLAG, RAX, RBX, RCX, RDX, VECTOR } from '../../state/registers.ts';
import { SYSTEM_ROWS } from './rows.ts';

const AREA = 0x9000n;

function run(machine: TestProcessor, op: string, operands: readonly TestOperand[] = []): Outcome {
  const row = SYSTEM_ROWS.find((candidate) => candidate.op === op);
  if (!row) throw new Error(`no row ${op}`);
  return row.call(machine.cpu, testInstruction(op, operands));
}

function expectFault(machine: TestProcessor, outcome: Outcome, vector: number): void {
  expect([outcome, machine.cpu.fault.vector]).toEqual([OUTCOME.FAULT, vector]);
}

describe('RDRAND and RDSEED', () => {
  it('give the same numbers in every run, with CF set and the other flags clear', () => {
    const numbers = () => {
      const machine = longProcessor();
      setArithmeticFlags(machine.state, ARITHMETIC_FLAGS);
      return ['RDRAND', 'RDSEED', 'RDRAND'].map((op) => {
        expect(run(machine, op, [reg(RBX)])).toBe(OUTCOME.NEXT);
        expect(readRflags(machine.state) & ARITHMETIC_FLAGS).toBe(FLAG.CF);
        return machine.state.gpr(RBX);
      });
    };
    const first = numbers();
    expect(new Set(first).size).toBe(3);
    expect(numbers()).toEqual(first);
  });

  it('write as many bits as the operand has', () => {
    const { state, ...rest } = longProcessor();
    state.setGpr(RBX, 0xffff_ffff_ffff_0000n);
    run({ state, ...rest }, 'RDRAND', [reg(RBX, 16)]);
    expect(state.gpr(RBX) >> 16n).toBe(0xffff_ffff_ffffn);
  });
});

describe('waiting', () => {
  it('MONITOR reads its address and takes no extensions; MWAIT takes one', () => {
    const machine = longProcessor();
    const { state } = machine;
    state.setGpr(RAX, 0x5000n);
    expect(run(machine, 'MONITOR')).toBe(OUTCOME.NEXT);
    expect(state.MONITOR_ARMED).toBe(1);
    expect(run(machine, 'MWAIT')).toBe(OUTCOME.NEXT_THEN_CHECK);
    expect(state.MONITOR_ARMED).toBe(0);
    state.setGpr(RCX, 1n);
    expectFault(machine, run(machine, 'MONITOR'), VECTOR.GP);
    expect(run(machine, 'MWAIT')).toBe(OUTCOME.NEXT_THEN_CHECK);
    state.setGpr(RCX, 2n);
    expectFault(machine, run(machine, 'MWAIT'), VECTOR.GP);
    state.setGpr(RCX, 0n);
    state.setGpr(RAX, 0x40_0000n);
    expectFault(machine, run(machine, 'MONITOR'), VECTOR.PF);
  });

  it('MONITOR and MWAIT are #UD at CPL 3, TPAUSE is not', () => {
    const machine = longProcessor(3);
    expectFault(machine, run(machine, 'MONITOR'), VECTOR.UD);
    expectFault(machine, run(machine, 'MWAIT'), VECTOR.UD);
    machine.state.setGpr(RDX, 1n);
    expect(run(machine, 'TPAUSE', [reg(RBX, 32)])).toBe(OUTCOME.NEXT_THEN_CHECK);
  });

  it('UMWAIT and TPAUSE take bit 0 alone, obey CR4.TSD and go on when the deadline has passed', () => {
    const machine = longProcessor(3);
    const { state } = machine;
    machine.tick = 1000;
    state.setGpr(RAX, 1000n);
    setArithmeticFlags(state, FLAG.CF | FLAG.ZF);
    expect(run(machine, 'UMWAIT', [reg(RBX, 32)])).toBe(OUTCOME.NEXT);
    expect(readRflags(state) & ARITHMETIC_FLAGS).toBe(0);
    state.setGpr(RBX, 2n);
    expectFault(machine, run(machine, 'TPAUSE', [reg(RBX, 32)]), VECTOR.GP);
    state.setGpr(RBX, 0n);
    state.CR4 |= BigInt(CR4.TSD);
    expectFault(machine, run(machine, 'TPAUSE', [reg(RBX, 32)]), VECTOR.GP);
  });
});

describe('direct stores', () => {
  it('MOVDIRI stores a register, MOVDIR64B copies 64 bytes to an aligned address', () => {
    const machine = longProcessor();
    const { state } = machine;
    state.setGpr(RAX, 0x1122_3344_5566_7788n);
    expect(run(machine, 'MOVDIRI', [mem(AREA, 32), reg(RAX, 32)])).toBe(OUTCOME.NEXT);
    expect(read64(machine, AREA)).toBe(0x5566_7788n);
    for (let i = 0n; i < 8n; i++) write64(machine, 0xa008n + 8n * i, 0x100n + i);
    state.setGpr(RBX, AREA);
    expect(run(machine, 'MOVDIR64B', [reg(RBX), mem(0xa008n)])).toBe(OUTCOME.NEXT);
    expect([read64(machine, AREA), read64(machine, AREA + 56n)]).toEqual([0x100n, 0x107n]);
    state.setGpr(RBX, AREA + 8n);
    expectFault(machine, run(machine, 'MOVDIR64B', [reg(RBX), mem(0xa008n)]), VECTOR.GP);
  });
});

describe('RDPID', () => {
  it('gives IA32_TSC_AUX', () => {
    const machine = longProcessor(3);
    machine.state.IA32_TSC_AUX = 0x1234n;
    run(machine, 'RDPID', [reg(RBX)]);
    expect(machine.state.gpr(RBX)).toBe(0x1234n);
  });
});

describe('XSAVES, XRSTORS and the state of PKRU', () => {
  function xsaveProcessor(cpl: 0 | 3 = 0): TestProcessor {
    const machine = longProcessor(cpl);
    const { cpu, state } = machine;
    state.CR4 |= BigInt(CR4.OSXSAVE | CR4.OSFXSR);
    expect(writeXcr(cpu, 0, 0x207n)).toBe(OUTCOME.NEXT_THEN_CHECK);
    state.setGpr(RAX, 0xffff_ffffn);
    state.setGpr(RDX, 0n);
    return machine;
  }

  it('compact PKRU behind AVX, and restore both', () => {
    const machine = xsaveProcessor();
    const { state } = machine;
    state.PKRU = 0x5555_5554;
    state.u64[(OFFSET.YMM >> 3) + 2] = 0x1234n;
    expect(run(machine, 'XSAVES64', [mem(AREA)])).toBe(OUTCOME.NEXT);
    expect(read64(machine, AREA + 520n)).toBe((1n << 63n) | 0x207n);
    expect(read64(machine, AREA + 512n) & 0x204n).toBe(0x204n);
    expect(read64(machine, AREA + 576n)).toBe(0x1234n);
    expect(read64(machine, AREA + 832n)).toBe(0x5555_5554n);
    state.PKRU = 0;
    state.u64[(OFFSET.YMM >> 3) + 2] = 0n;
    expect(run(machine, 'XRSTORS64', [mem(AREA)])).toBe(OUTCOME.NEXT_THEN_CHECK);
    expect([state.PKRU >>> 0, state.u64[(OFFSET.YMM >> 3) + 2]]).toEqual([0x5555_5554, 0x1234n]);
  });

  it('without AVX have PKRU right behind the header', () => {
    const machine = xsaveProcessor();
    machine.state.PKRU = 8;
    machine.state.setGpr(RAX, 0x200n);
    expect(run(machine, 'XSAVEC64', [mem(AREA)])).toBe(OUTCOME.NEXT);
    expect(read64(machine, AREA + 576n)).toBe(8n);
    expect(run(machine, 'XSAVE64', [mem(AREA)])).toBe(OUTCOME.NEXT);
    expect(read64(machine, AREA + 2688n)).toBe(8n);
  });

  it('initialize PKRU that the image does not have', () => {
    const machine = xsaveProcessor();
    run(machine, 'XSAVEC64', [mem(AREA)]);
    machine.state.PKRU = 8;
    run(machine, 'XRSTOR64', [mem(AREA)]);
    expect(machine.state.PKRU).toBe(0);
  });

  it('are for CPL 0; XRSTORS wants the compacted format; IA32_XSS has no components', () => {
    const user = xsaveProcessor(3);
    expectFault(user, run(user, 'XSAVES', [mem(AREA)]), VECTOR.GP);
    const machine = xsaveProcessor();
    run(machine, 'XSAVE64', [mem(AREA)]);
    expectFault(machine, run(machine, 'XRSTORS', [mem(AREA)]), VECTOR.GP);
    expect(writeMsr(machine.cpu, 0xda0, 1n)).toBe(false);
    expect(writeMsr(machine.cpu, 0xda0, 0n)).toBe(true);
  });

  it('ask virtualization with the components of IA32_XSS', () => {
    const machine = xsaveProcessor();
    const points: unknown[] = [];
    machine.cpu.virtualization = {
      ...NO_VIRTUALIZATION,
      intercept: (point) => {
        points.push(point);
        return OUTCOME.VM_EXIT;
      },
    };
    expect(run(machine, 'XSAVES', [mem(AREA)])).toBe(OUTCOME.VM_EXIT);
    expect(points).toEqual([{ point: 'XSAVES', components: 0n }]);
  });
});
