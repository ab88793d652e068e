import { beforeEach, describe, expect, it } from 'vitest';
import { CR0, CR4, CS, EFER, TR, VECTOR } from '../state/registers.ts';
import {
  supportedCr4,
  writeCr0,
  writeCr3,
  writeCr4,
  writeCr8,
  writeEfer,
  writeXcr,
} from './controlRegisters.ts';
import { NO_VIRTUALIZATION } from './noVirtualization.ts';
import { OUTCOME, type Outcome } from './outcome.ts';
import { AT, longProcessor, protectedProcessor, type TestProcessor, write64 } from './testing/processor.ts';

let machine: TestProcessor;
const CR0_PG = 1n << 31n;

function expectGp(outcome: Outcome): void {
  expect(outcome).toBe(OUTCOME.FAULT);
  expect([machine.cpu.fault.vector, machine.cpu.fault.errorCode]).toEqual([VECTOR.GP, 0]);
}

describe('MOV to CR0', () => {
  beforeEach(() => {
    machine = protectedProcessor();
  });

  it.each([
    ['a bit of the upper half', 1n << 32n],
    ['NW without CD', BigInt(CR0.PE | CR0.NW)],
    ['PG without PE', CR0_PG],
  ])('refuses %s', (_name, value) => {
    expectGp(writeCr0(machine.cpu, value));
  });

  it('drops reserved bits and keeps ET', () => {
    expect(writeCr0(machine.cpu, 0x1000_ffc1n)).toBe(OUTCOME.NEXT_THEN_CHECK);
    expect(machine.state.CR0).toBe(BigInt(CR0.PE | CR0.ET));
  });

  it('activates IA-32e mode with LME, and deactivates it', () => {
    const { cpu, state } = machine;
    state.IA32_EFER = BigInt(EFER.LME);
    state.CR4 = BigInt(CR4.PAE);
    state.CR3 = AT.TABLES;
    expect(writeCr0(cpu, BigInt(CR0.PE) | CR0_PG)).toBe(OUTCOME.NEXT_THEN_CHECK);
    expect(state.efer).toBe(EFER.LME | EFER.LMA);
    expect(writeCr0(cpu, BigInt(CR0.PE))).toBe(OUTCOME.NEXT_THEN_CHECK);
    expect(state.efer).toBe(EFER.LME);
  });

  it('refuses to activate IA-32e mode without PAE, from a code segment with L, or with a 16-bit TSS', () => {
    const { cpu, state } = machine;
    const value = BigInt(CR0.PE) | CR0_PG;
    state.IA32_EFER = BigInt(EFER.LME);
    expectGp(writeCr0(cpu, value));
    state.CR4 = BigInt(CR4.PAE);
    state.setSegmentAccessRights(TR, 0x83);
    expectGp(writeCr0(cpu, value));
    state.setSegmentAccessRights(TR, 0x8b);
    state.setSegmentAccessRights(CS, 0xa09b);
    expectGp(writeCr0(cpu, value));
    expect(state.efer).toBe(EFER.LME);
  });

  it('refuses to disable paging in 64-bit mode and with CR4.PCIDE', () => {
    machine = longProcessor();
    expectGp(writeCr0(machine.cpu, BigInt(CR0.PE)));
    machine.state.setSegmentAccessRights(CS, 0xc09b);
    machine.state.CR4 |= BigInt(CR4.PCIDE);
    expectGp(writeCr0(machine.cpu, BigInt(CR0.PE)));
  });

  it('keeps the bits that virtualization owns and refuses those it fixes', () => {
    const { cpu, state } = machine;
    cpu.virtualization = {
      ...NO_VIRTUALIZATION,
      writableCr: (_cr, value, current) => (value & ~8n) | (current & 8n),
      permitsCr: (cr, value) => cr !== 0 || (value & 0x20n) !== 0n,
    };
    expectGp(writeCr0(cpu, 0x11n));
    expect(writeCr0(cpu, 0x39n)).toBe(OUTCOME.NEXT_THEN_CHECK);
    expect(state.CR0).toBe(0x31n);
  });
});

describe('the PDPTE registers', () => {
  const PAE_PAGING = BigInt(CR0.PE) | CR0_PG;

  beforeEach(() => {
    machine = protectedProcessor();
    machine.state.CR4 = BigInt(CR4.PAE);
    machine.state.CR3 = AT.TABLES + 0x20n;
    for (let i = 0n; i < 4n; i++)
      write64(machine, AT.TABLES + 0x20n + i * 8n, AT.TABLES + 0x1001n + i * 0x1000n);
  });

  it('are loaded when PAE paging is enabled and when CR3 is written', () => {
    const { cpu, state } = machine;
    expect(writeCr0(cpu, PAE_PAGING)).toBe(OUTCOME.NEXT_THEN_CHECK);
    expect(state.pdpte(3)).toBe(AT.TABLES + 0x4001n);
    write64(machine, AT.TABLES + 0x40n, AT.TABLES + 0x9001n);
    expect(state.pdpte(0)).toBe(AT.TABLES + 0x1001n);
    expect(writeCr3(cpu, AT.TABLES + 0x40n)).toBe(OUTCOME.NEXT_THEN_CHECK);
    expect(state.pdpte(0)).toBe(AT.TABLES + 0x9001n);
  });

  it('refuse a present entry with a reserved bit, and keep their values', () => {
    const { cpu, state } = machine;
    write64(machine, AT.TABLES + 0x28n, AT.TABLES | 3n);
    expectGp(writeCr0(cpu, PAE_PAGING));
    expect([state.pdpte(0), state.CR0 & CR0_PG]).toEqual([0n, 0n]);
    write64(machine, AT.TABLES + 0x28n, 2n);
    expect(writeCr0(cpu, PAE_PAGING)).toBe(OUTCOME.NEXT_THEN_CHECK);
  });
});

describe('MOV to CR3', () => {
  beforeEach(() => {
    machine = longProcessor();
  });

  it('refuses bits from MAXPHYADDR up', () => {
    expectGp(writeCr3(machine.cpu, 1n << 46n));
    expectGp(writeCr3(machine.cpu, (1n << 63n) | AT.TABLES));
  });

  it('with PCIDE does not store bit 63', () => {
    machine.state.CR4 |= BigInt(CR4.PCIDE);
    expect(writeCr3(machine.cpu, (1n << 63n) | AT.TABLES | 5n)).toBe(OUTCOME.NEXT_THEN_CHECK);
    expect(machine.state.CR3).toBe(AT.TABLES | 5n);
  });

  it('drops cached translations', () => {
    const { cpu, physical } = machine;
    write64(machine, AT.TABLES + 0x3000n + 0x50n * 8n, 0x6_0007n);
    physical.write64(0x6_0000, 0x1234n);
    expect(writeCr3(cpu, AT.TABLES)).toBe(OUTCOME.NEXT_THEN_CHECK);
    expect(cpu.mmu.readLinear(0x5_0000n, 8, 'current')).toBe(0x1234n);
  });
});

describe('MOV to CR4', () => {
  beforeEach(() => {
    machine = longProcessor();
  });

  it.each([
    ['a bit no processor defines', 1n << 15n],
    ['a bit of a feature that is not offered', BigInt(CR4.LA57)],
    ['the upper half', 1n << 32n],
  ])('refuses %s', (_name, bit) => {
    expectGp(writeCr4(machine.cpu, machine.state.CR4 | bit));
  });

  it('follows the CPU model', () => {
    expect(supportedCr4((feature) => feature === 'SMEP')).toBe(BigInt(CR4.SMEP));
    machine = longProcessor(0, { changes: [{ feature: 'SMEP', offered: false }] });
    expectGp(writeCr4(machine.cpu, machine.state.CR4 | BigInt(CR4.SMEP)));
  });

  it('refuses to clear PAE in IA-32e mode', () => {
    expectGp(writeCr4(machine.cpu, 0n));
  });

  it('takes PCIDE in IA-32e mode with PCID 0 only', () => {
    const { cpu, state } = machine;
    const value = state.CR4 | BigInt(CR4.PCIDE);
    state.CR3 = AT.TABLES | 1n;
    expectGp(writeCr4(cpu, value));
    state.CR3 = AT.TABLES;
    expect(writeCr4(cpu, value)).toBe(OUTCOME.NEXT_THEN_CHECK);
    machine = protectedProcessor();
    expectGp(writeCr4(machine.cpu, BigInt(CR4.PAE | CR4.PCIDE)));
  });
});

describe('MOV to CR8', () => {
  it('is the task priority; more than four bits are #GP(0)', () => {
    machine = longProcessor();
    expect(writeCr8(machine.cpu, 9n)).toBe(OUTCOME.NEXT_THEN_CHECK);
    expect(machine.apic.cr8).toBe(9);
    expectGp(writeCr8(machine.cpu, 16n));
  });
});

describe('IA32_EFER', () => {
  beforeEach(() => {
    machine = protectedProcessor();
  });

  it('keeps LMA and refuses reserved bits', () => {
    const { cpu, state } = machine;
    expect(writeEfer(cpu, BigInt(EFER.SCE | EFER.LMA | EFER.NXE))).toBe(true);
    expect(state.efer).toBe(EFER.SCE | EFER.NXE);
    expect(writeEfer(cpu, 2n)).toBe(false);
    expect(writeEfer(cpu, BigInt(EFER.SVME))).toBe(false);
  });

  it('does not let LME change while paging is on', () => {
    machine = longProcessor();
    expect(writeEfer(machine.cpu, BigInt(EFER.LMA | EFER.NXE))).toBe(false);
  });
});

describe('XSETBV', () => {
  it('demands x87 state and refuses what is not offered', () => {
    machine = longProcessor();
    expect(writeXcr(machine.cpu, 0, 1n)).toBe(OUTCOME.NEXT_THEN_CHECK);
    expectGp(writeXcr(machine.cpu, 0, 0n));
    expectGp(writeXcr(machine.cpu, 1, 1n));
    expectGp(writeXcr(machine.cpu, 0, 1n | (1n << 62n)));
  });
});
