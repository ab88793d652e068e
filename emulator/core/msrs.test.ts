import { beforeEach, describe, expect, it } from 'vitest';
import { FS } from '../state/registers.ts';
import { CPU_MODELS } from './model.ts';
import { MSRS, msrName, readMsr, resetMsrs, writeMsr } from './msrs.ts';
import { NO_VIRTUALIZATION } from './noVirtualization.ts';
import { longProcessor, type TestProcessor } from './testing/processor.ts';

let machine: TestProcessor;
/** With 57 bits. */
const NON_CANONICAL = 0x100_0000_0000_0000n;

beforeEach(() => {
  machine = longProcessor(0, {
    virtualization: 'vt-x',
    vmxCapability: (msr) => (msr === 0x480 ? 0x77n : undefined),
  });
});

describe('MSR rows', () => {
  it('have unique names, and in each model unique addresses', () => {
    expect(new Set(MSRS.map((row) => row.name)).size).toBe(MSRS.length);
    for (const { name } of CPU_MODELS) {
      const { cpu } = longProcessor(0, {}, name);
      const offered = MSRS.filter(
        ({ feature, exists }) => (!feature || cpu.has(feature)) && exists?.(cpu) !== false,
      );
      expect(new Set(offered.map((row) => row.address)).size, name).toBe(offered.length);
    }
  });

  it('can write back what they read', () => {
    const { cpu } = machine;
    const writable = MSRS.filter(({ exists }) => exists?.(cpu) !== false).filter((row) =>
      'field' in row ? row.name !== 'IA32_FEATURE_CONTROL' : row.read && row.write,
    );
    for (const { address, name } of writable) {
      const value = readMsr(cpu, address);
      expect(value, name).toBeDefined();
      expect(writeMsr(cpu, address, value as bigint), name).toBe(true);
    }
  });
});

describe('RDMSR and WRMSR', () => {
  it.each([
    ['an address that does not exist', 0x1234, 0n],
    ['a read-only MSR', 0xfe, 0n],
    ['a non-canonical address in IA32_LSTAR', 0xc000_0082, NON_CANONICAL],
    ['a non-canonical address in IA32_SYSENTER_EIP', 0x176, NON_CANONICAL],
    ['a non-canonical FS base', 0xc000_0100, NON_CANONICAL],
    ['a reserved bit of IA32_FMASK', 0xc000_0084, 1n << 32n],
    ['memory type 2 in IA32_PAT', 0x277, 2n],
    ['memory type 7 in IA32_MTRR_DEF_TYPE', 0x2ff, 7n],
    ['a reserved bit of IA32_MTRR_PHYSMASK0', 0x201, 0x400n],
    ['an address above MAXPHYADDR in IA32_MTRR_PHYSBASE3', 0x206, 1n << 46n],
    ['memory type 3 in a fixed-range MTRR', 0x250, 3n << 56n],
    ['an upper half in IA32_TSC_AUX', 0xc000_0103, 1n << 32n],
    ['the locked IA32_FEATURE_CONTROL', 0x3a, 5n],
    ['an x2APIC register in xAPIC mode', 0x808, 0n],
    ['a VMX capability', 0x480, 0n],
  ])('give #GP(0) for %s', (_name, msr, value) => {
    expect(writeMsr(machine.cpu, msr, value)).toBe(false);
  });

  it('know what the model offers', () => {
    expect(readMsr(machine.cpu, 0x480)).toBe(0x77n);
    expect(readMsr(machine.cpu, 0x481)).toBeUndefined();
    expect(readMsr(machine.cpu, 0x3a)).toBe(5n);
    expect(msrName(machine.cpu, 0x480)).toBe('IA32_VMX_BASIC');
    const plain = longProcessor();
    expect(readMsr(plain.cpu, 0x480)).toBeUndefined();
    expect(readMsr(plain.cpu, 0x3a)).toBeUndefined();
  });

  it('cannot read command registers', () => {
    expect(readMsr(machine.cpu, 0x49)).toBeUndefined();
    expect(writeMsr(machine.cpu, 0x49, 1n)).toBe(true);
    expect(writeMsr(machine.cpu, 0x49, 2n)).toBe(false);
  });

  it('give the value after reset', () => {
    const { cpu, state } = machine;
    writeMsr(cpu, 0x277, 0n);
    resetMsrs(cpu);
    expect(state.IA32_PAT).toBe(0x0007_0406_0007_0406n);
  });

  it('reach the bases of FS and GS', () => {
    const { cpu, state } = machine;
    expect(writeMsr(cpu, 0xc000_0100, 0xffff_8000_0000_0000n)).toBe(true);
    expect(state.segmentBase(FS)).toBe(0xffff_8000_0000_0000n);
  });

  it('know LBR, BTF and what freezes of IA32_DEBUGCTL alone', () => {
    expect(writeMsr(machine.cpu, 0x1d9, 0n)).toBe(true);
    expect(writeMsr(machine.cpu, 0x1d9, 0x1803n)).toBe(true);
    expect(writeMsr(machine.cpu, 0x1d9, 4n)).toBe(false);
  });
});

describe('the time-stamp counter', () => {
  it('counts ticks; a write to it is seen in IA32_TSC_ADJUST and the other way round', () => {
    const { cpu } = machine;
    machine.tick = 1000;
    expect(readMsr(cpu, 0x10)).toBe(1000n);
    writeMsr(cpu, 0x10, 5000n);
    expect(readMsr(cpu, 0x3b)).toBe(4000n);
    machine.tick = 1500;
    expect(readMsr(cpu, 0x10)).toBe(5500n);
    writeMsr(cpu, 0x3b, 0n);
    expect(readMsr(cpu, 0x10)).toBe(1500n);
  });

  it('is offset by virtualization', () => {
    machine.cpu.virtualization = { ...NO_VIRTUALIZATION, guestTsc: (tsc) => tsc + 7n };
    expect(readMsr(machine.cpu, 0x10)).toBe(7n);
  });
});

describe('IA32_APIC_BASE', () => {
  const BASE = 0xfee0_0000n;
  const EN = 0x800n;
  const EXTD = 0x400n;

  it('takes the transitions of the manual and no others', () => {
    const { cpu, state } = machine;
    const move = (from: bigint, to: bigint): boolean => {
      state.IA32_APIC_BASE = BASE | from;
      return writeMsr(cpu, 0x1b, BASE | to);
    };
    expect([move(EN, EN | EXTD), move(EN, 0n), move(0n, EN), move(EN | EXTD, 0n)]).toEqual([
      true,
      true,
      true,
      true,
    ]);
    expect([move(EN | EXTD, EN), move(0n, EN | EXTD), move(EN, EXTD), move(0n, EXTD)]).toEqual([
      false,
      false,
      false,
      false,
    ]);
  });

  it('refuses reserved bits and tells the APIC', () => {
    const { cpu } = machine;
    expect(writeMsr(cpu, 0x1b, BASE | EN | 1n)).toBe(false);
    expect(writeMsr(cpu, 0x1b, EN | (1n << 46n))).toBe(false);
    expect(writeMsr(cpu, 0x1b, BASE | EN | 0x100n)).toBe(true);
    expect(machine.apic.base).toBe(BASE | EN | 0x100n);
  });

  it('opens the x2APIC registers', () => {
    const { cpu, state } = machine;
    state.IA32_APIC_BASE = BASE | EN | EXTD;
    expect(readMsr(cpu, 0x802)).toBe(3n);
    expect(writeMsr(cpu, 0x808, 0n)).toBe(true);
    expect(writeMsr(cpu, 0x802, 0n)).toBe(false);
  });
});
