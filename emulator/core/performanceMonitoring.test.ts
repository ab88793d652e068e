import { beforeEach, describe, expect, it } from 'vitest';
import { cpuid } from './cpuid.ts';
import { readMsr, writeMsr } from './msrs.ts';
import { longProcessor, type TestProcessor } from './testing/processor.ts';

let machine: TestProcessor;

beforeEach(() => {
  machine = longProcessor();
});

describe('architectural performance monitoring', () => {
  it('is of version 5 with eight counters, and names the events that it cannot count', () => {
    const hex = cpuid(machine.cpu, 0xa, 0).map((register) => (register >>> 0).toString(16));
    expect(hex).toEqual(['8300805', 'f8', '7', '8603']);
  });

  it('is of version 4 with four counters on the Skylake server', () => {
    const { cpu } = longProcessor(0, {}, 'skylake-server');
    expect(cpuid(cpu, 0xa, 0).map((register) => (register >>> 0).toString(16))).toEqual([
      '7300404',
      '78',
      '0',
      '603',
    ]);
    expect(readMsr(cpu, 0xc4)).toBe(0n);
    expect(readMsr(cpu, 0xc5)).toBeUndefined();
    expect(writeMsr(cpu, 0x18a, 0n)).toBe(false);
    expect(writeMsr(cpu, 0x186, 1n << 21n), 'AnyThread').toBe(true);
    expect(readMsr(cpu, 0x38f)).toBe(0xfn);
  });

  it('is not there on a processor that does not say so', () => {
    for (const { cpu } of [
      longProcessor(0, {}, 'zen3-server'),
      longProcessor(0, { changes: [{ feature: 'PERFMON', offered: false }] }),
    ]) {
      expect(cpuid(cpu, 0xa, 0)).toEqual([0, 0, 0, 0]);
      for (const msr of [0xc1, 0x186, 0x309, 0x38d, 0x38e, 0x38f, 0x390])
        expect(readMsr(cpu, msr), msr.toString(16)).toBeUndefined();
      expect((readMsr(cpu, 0x1a0) as bigint) & 0x80n).toBe(0n);
    }
  });

  it('is shown by IA32_MISC_ENABLE, read-only', () => {
    const value = readMsr(machine.cpu, 0x1a0) as bigint;
    expect(value & 0x80n).toBe(0x80n);
    expect(writeMsr(machine.cpu, 0x1a0, value & ~0x80n)).toBe(true);
    expect(readMsr(machine.cpu, 0x1a0)).toBe(value);
  });

  it.each([
    ['AnyThread, which version 5 has no more', 0x186, 1n << 21n],
    ['the upper half of IA32_PERFEVTSEL0', 0x186, 1n << 32n],
    ['more bits than a counter has', 0x4c1, 1n << 48n],
    ['more bits than a fixed counter has', 0x309, 1n << 48n],
    ['a fourth fixed counter', 0x38d, 1n << 12n],
    ['the enable bit of a ninth counter', 0x38f, 1n << 8n],
    ['the enable bit of a fourth fixed counter', 0x38f, 1n << 35n],
    ['IA32_PERF_GLOBAL_STATUS', 0x38e, 0n],
    ['a reserved bit of IA32_PERF_GLOBAL_STATUS_RESET', 0x390, 1n << 8n],
    ['CondChgd in IA32_PERF_GLOBAL_STATUS_SET', 0x391, 1n << 63n],
    ['IA32_PERF_GLOBAL_INUSE', 0x392, 0n],
    ['IA32_PERF_CAPABILITIES', 0x345, 0n],
  ])('gives #GP(0) for a write of %s', (_name, msr, value) => {
    expect(writeMsr(machine.cpu, msr, value)).toBe(false);
  });

  it('extends the sign of what is written to IA32_PMC0', () => {
    writeMsr(machine.cpu, 0xc1, 0x1234_8000_0000n);
    expect(readMsr(machine.cpu, 0xc1)).toBe(0xffff_8000_0000n);
    expect(readMsr(machine.cpu, 0x4c1)).toBe(0xffff_8000_0000n);
  });

  it('tells software which counters are in use', () => {
    writeMsr(machine.cpu, 0x188, 0x3cn);
    writeMsr(machine.cpu, 0x38d, 0x20n);
    expect(readMsr(machine.cpu, 0x392)).toBe(0x2_0000_0004n);
    writeMsr(machine.cpu, 0x189, 1n << 20n);
    expect(readMsr(machine.cpu, 0x392)).toBe(0x8000_0002_0000_0004n);
  });

  it('lets software set status bits', () => {
    writeMsr(machine.cpu, 0x391, 0x1_0000_0003n);
    writeMsr(machine.cpu, 0x390, 1n);
    expect(readMsr(machine.cpu, 0x38e)).toBe(0x1_0000_0002n);
    expect([readMsr(machine.cpu, 0x390), readMsr(machine.cpu, 0x391)]).toEqual([0n, 0n]);
  });

  it('refuses to count edges', () => {
    writeMsr(machine.cpu, 0x187, 0x3cn | (1n << 18n));
    expect(() => writeMsr(machine.cpu, 0x187, 0x3cn | (1n << 18n) | (1n << 22n))).toThrow('edge detection');
  });
});
