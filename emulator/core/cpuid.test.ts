import { describe, expect, it } from 'vitest';
import { CPUID_LEAVES, cpuid } from './cpuid.ts';
import { FEATURES, type FeatureRow, featureRow } from './features.ts';
import { CPU_MODELS, createModel } from './model.ts';
import { longProcessor, protectedProcessor } from './testing/processor.ts';

const hex = (value: number): number => value >>> 0;

function text(...registers: number[]): string {
  return registers
    .map((value) => String.fromCharCode(...[0, 8, 16, 24].map((shift) => (value >>> shift) & 255)))
    .join('');
}

describe('CPUID', () => {
  it('rows are unique and features have unique places', () => {
    expect(new Set(CPUID_LEAVES.map((row) => row.leaf)).size).toBe(CPUID_LEAVES.length);
    const places = FEATURES.map(({ leaf, register, bit }) => `${leaf}.${register}.${bit}`);
    expect(new Set(places).size).toBe(FEATURES.length);
    expect(new Set(FEATURES.map(({ key }) => key)).size).toBe(FEATURES.length);
  });

  it('leaf 0 has the vendor and the last leaf', () => {
    const [max, ebx, ecx, edx] = cpuid(longProcessor().cpu, 0, 0);
    expect(text(ebx, edx, ecx)).toBe('GenuineIntel');
    expect(max).toBe(0x1c);
  });

  it('leaf 1 has signature, APIC ID and what is implemented', () => {
    const { cpu, state } = longProcessor();
    state.IA32_APIC_BASE = 0xfee0_0800n;
    const [eax, ebx, ecx, edx] = cpuid(cpu, 1, 0);
    expect(eax).toBe(0x806f8);
    expect(ebx >>> 24).toBe(3);
    expect([ecx & (1 << 5), ecx & (1 << 31)]).toEqual([0, 0]);
    expect(edx & (1 << 9)).not.toBe(0);
    expect(state.IA32_BIOS_SIGN_ID >> 32n).toBe(0x2b00_0603n);
  });

  it('hides the APIC while it is globally disabled', () => {
    const { cpu, state } = longProcessor();
    state.IA32_APIC_BASE = 0xfee0_0000n;
    expect(cpuid(cpu, 1, 0)[3] & (1 << 9)).toBe(0);
  });

  it('never shows a feature that is not implemented', () => {
    const { cpu } = longProcessor(0, { virtualization: 'vt-x' }, 'max');
    cpu.state.IA32_APIC_BASE = 0xfee0_0800n;
    const order = ['EAX', 'EBX', 'ECX', 'EDX'];
    for (const row of FEATURES as readonly FeatureRow[]) {
      const { key, leaf, subleaf = 0, register, bit, implemented } = row;
      const shown = ((cpuid(cpu, leaf, subleaf)[order.indexOf(register)] as number) >>> bit) & 1;
      // One processor alone, of a vendor with VT-x.
      expect([key, shown]).toEqual([key, implemented && key !== 'HTT' && key !== 'SVM' ? 1 : 0]);
    }
  });

  it('shows SYSCALL in 64-bit mode only', () => {
    expect(cpuid(protectedProcessor().cpu, 0x8000_0001, 0)[3] & (1 << 11)).toBe(0);
    expect(cpuid(longProcessor().cpu, 0x8000_0001, 0)[3] & (1 << 11)).not.toBe(0);
  });

  it('gives the last basic leaf for one that does not exist', () => {
    const { cpu } = longProcessor();
    expect(cpuid(cpu, 0x1d, 0)).toEqual(cpuid(cpu, 0x1c, 0));
    expect(cpuid(cpu, 0x4000_0000, 0)).toEqual(cpuid(cpu, 0x1c, 0));
  });

  it('leaf 15H makes the TSC 1 GHz', () => {
    const [denominator, numerator, crystal] = cpuid(longProcessor().cpu, 0x15, 0);
    expect((crystal * numerator) / denominator).toBe(1_000_000_000);
  });

  it('leaf 0BH numbers the processors of the package', () => {
    const { cpu } = longProcessor(0, { processors: 4 });
    expect(cpuid(cpu, 0xb, 0)).toEqual([0, 1, 0x100, 3]);
    expect(cpuid(cpu, 0xb, 1)).toEqual([2, 4, 0x201, 3]);
    expect(cpuid(cpu, 0xb, 2)).toEqual([0, 0, 2, 3]);
    expect(cpuid(cpu, 1, 0)[3] & (1 << 28)).not.toBe(0);
  });

  it('leaf 4 describes 48 KBytes of L1 data cache', () => {
    const [, ebx, ecx] = cpuid(longProcessor().cpu, 4, 0);
    expect(((ebx >>> 22) + 1) * ((ebx & 0xfff) + 1) * (ecx + 1)).toBe(48 * 1024);
  });

  it('has the brand string and the address sizes', () => {
    const { cpu } = longProcessor();
    const brand = [2, 3, 4].map((leaf) => text(...cpuid(cpu, 0x8000_0000 + leaf, 0))).join('');
    expect(brand.replace(/\0+$/, '')).toBe(cpu.model.brand);
    expect(cpuid(cpu, 0x8000_0008, 0)[0]).toBe(0x392e);
  });

  it('has hypervisor leaves only when the VMM shows itself', () => {
    const leaves = [[1, 2, 3, 4]] as const;
    const { cpu } = longProcessor(0, { hypervisor: { signature: 'KVMKVMKVM\0\0\0', leaves } });
    expect(hex(cpuid(cpu, 1, 0)[2]) >>> 31).toBe(1);
    const [max, ebx, ecx, edx] = cpuid(cpu, 0x4000_0000, 0);
    expect([max, text(ebx, ecx, edx)]).toEqual([0x4000_0001, 'KVMKVMKVM\0\0\0']);
    expect(cpuid(cpu, 0x4000_0001, 0)).toEqual([1, 2, 3, 4]);
  });
});

describe('a CPU model', () => {
  it('of AMD identifies itself as one and has its leaves', () => {
    const { cpu } = longProcessor(0, {}, 'zen3-server');
    const [, ebx, ecx, edx] = cpuid(cpu, 0, 0);
    expect(text(ebx, edx, ecx)).toBe('AuthenticAMD');
    expect(cpuid(cpu, 4, 0)).toEqual([0, 0, 0, 0]);
    expect(cpuid(cpu, 0x8000_0000, 0)[0] >>> 0).toBe(0x8000_001e);
    expect(cpuid(cpu, 0x8000_0001, 0)[0]).toBe(0xa00f11);
    expect(cpuid(cpu, 0x8000_001d, 3)[0] & 0xff).toBe((3 << 5) | 3);
  });

  it.each(CPU_MODELS.map(({ name }) => name))('%s advertises only what is implemented', (name) => {
    const { features } = createModel(name, { virtualization: 'none' });
    for (const feature of features) expect(featureRow(feature).implemented).toBe(true);
  });

  it('without VT-x is refused where VT-x is needed', () => {
    expect(() => createModel('zen3-server', { virtualization: 'vt-x' })).toThrow('has no VT-x');
  });

  it('offers VMX with VT-x only', () => {
    expect(createModel('sapphire-rapids', { virtualization: 'vt-x' }).features.has('VMX')).toBe(true);
    expect(createModel('sapphire-rapids', { virtualization: 'none' }).features.has('VMX')).toBe(false);
  });

  it.each([
    ['unknown CPU model "pentium"', 'pentium', []],
    ['unknown CPU feature "WARP"', 'sapphire-rapids', [{ feature: 'WARP', offered: true }]],
    ['RTM is not implemented', 'sapphire-rapids', [{ feature: 'RTM', offered: true }]],
    ['VMX needs --virtualization vt-x', 'sapphire-rapids', [{ feature: 'VMX', offered: true }]],
  ])('refuses with one clear error: %s', (message, name, changes) => {
    expect(() => createModel(name, { virtualization: 'none', changes })).toThrow(message);
  });

  it('leaves out a feature on request', () => {
    const changes = [{ feature: 'PCID', offered: false }];
    expect(createModel('sapphire-rapids', { virtualization: 'none', changes }).features.has('PCID')).toBe(
      false,
    );
  });
});
