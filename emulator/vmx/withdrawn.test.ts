import { describe, expect, it } from 'vitest';
import { createModel, parseCpu } from '../core/model.ts';
import { DEFAULT_VMX_MODEL, vmxCapabilities } from './capabilities.ts';
import { SUPPORTED_CONTROLS } from './controls.ts';
import { capabilitiesOf, readCapabilityMsr } from './model.ts';
import { withdrawnCapabilities } from './withdrawn.ts';

function processor(text: string) {
  const { name, changes } = parseCpu(text);
  return createModel(name, { virtualization: 'vt-x', changes });
}

const msr = (text: string, address: number): bigint | undefined =>
  readCapabilityMsr(capabilitiesOf(processor(text)), address);
const secondary = (text: string): bigint => (msr(text, 0x48b) ?? 0n) >> 32n;

describe('a processor without a control', () => {
  it('does not report it', () => {
    const whole = secondary('sapphire-rapids');
    expect(secondary('sapphire-rapids,-vmx-vpid')).toBe(whole & ~(1n << 5n));
    expect(secondary('sapphire-rapids,-vmx-wbinvd-exiting,-vpid')).toBe(whole & ~(1n << 5n) & ~(1n << 6n));
    expect((msr('sapphire-rapids,-vmx-monitor-trap-flag', 0x48e) ?? 0n) & (1n << 59n)).toBe(0n);
  });

  it('has nothing of what needs it: without EPT no unrestricted guest, PML, #VE and EPTP switching', () => {
    const lost = [1n, 7n, 13n, 17n, 18n, 22n, 23n].reduce((bits, bit) => bits | (1n << bit), 0n);
    expect(secondary('sapphire-rapids,-ept')).toBe(secondary('sapphire-rapids') & ~lost);
    expect(msr('sapphire-rapids,-ept', 0x48c)).toBe(0xf01n << 32n);
    expect(msr('sapphire-rapids,-ept,-vpid', 0x48c)).toBeUndefined();
    expect(msr('sapphire-rapids,-ept', 0x491)).toBeUndefined();
  });

  it('can have EPT without some of its capabilities', () => {
    const both = (1n << 17n) | (1n << 21n);
    const whole = msr('sapphire-rapids', 0x48c) ?? 0n;
    expect(msr('sapphire-rapids,-vmx-ept-page-1g,-vmx-ept-accessed-dirty', 0x48c)).toBe(whole & ~both);
  });

  it('without secondary controls has none of them', () => {
    expect(msr('sapphire-rapids,-vmx-activate-secondary-controls', 0x48b)).toBeUndefined();
    // HLAT, paging-write and guest-paging verification need EPT.
    expect(msr('sapphire-rapids,-ept', 0x492)).toBe(0x90n);
    expect(msr('sapphire-rapids,-vmx-activate-tertiary-controls', 0x492)).toBeUndefined();
  });
});

describe('the names of controls', () => {
  it('reach every control that is offered', () => {
    for (const key of SUPPORTED_CONTROLS) {
      const kebab = key
        .replace(/^enable(?=[A-Z])/, '')
        .replace(/([a-z])([A-Z0-9])/g, '$1-$2')
        .toLowerCase();
      const name = `vmx-${kebab.replace(/([0-9])([A-Z][a-z])/g, '$1-$2')}`;
      const candidates = [name, name.replace(/([0-9])([a-z])/g, '$1-$2')];
      const found = candidates.some((candidate) => {
        try {
          return withdrawnCapabilities([candidate]).has(key);
        } catch {
          return false;
        }
      });
      expect([key, found]).toEqual([key, true]);
    }
  });

  it('that mean nothing are refused with those that do', () => {
    expect(() => capabilitiesOf(processor('sapphire-rapids,-vmx-nothing'))).toThrow(
      /"vmx-nothing" is no VT-x control that can be taken away: there are vmx-external-interrupt-exiting, /,
    );
    expect(() => parseCpu('sapphire-rapids,ept')).toThrow(/begins neither with \+ nor with -/);
  });

  it('that mean nothing are answered with those that share most words', () => {
    expect(() => capabilitiesOf(processor('sapphire-rapids,-vmx-page-1g'))).toThrow(
      '"vmx-page-1g" is no VT-x control that can be taken away: did you mean vmx-ept-page-1g?',
    );
    expect(() => capabilitiesOf(processor('sapphire-rapids,-vmx-window-exiting'))).toThrow(
      'did you mean vmx-interrupt-window-exiting or vmx-nmi-window-exiting?',
    );
  });

  it('are told from features of CPUID', () => {
    expect(processor('sapphire-rapids,-smep,-sse4.1').features.has('SMEP')).toBe(false);
    expect(processor('sapphire-rapids,-vmx-ept,+vmx-ept').withdrawnVmx.size).toBe(0);
  });
});

describe('the default model', () => {
  it('offers everything that is implemented', () => {
    expect(vmxCapabilities(DEFAULT_VMX_MODEL).offered).toEqual(SUPPORTED_CONTROLS);
  });
});
