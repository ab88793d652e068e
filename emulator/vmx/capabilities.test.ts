import { describe, expect, it } from 'vitest';
import {
  capabilityMsrExists,
  DEFAULT_VMX_MODEL,
  VMCS_REVISION_IDENTIFIER,
  VMX_CAPABILITY_MSRS,
  vmxCapabilities,
} from './capabilities.ts';
import { CONTROLS } from './controls.ts';

const caps = vmxCapabilities();

function msr(name: (typeof VMX_CAPABILITY_MSRS)[number]['name']): bigint {
  const row = VMX_CAPABILITY_MSRS.find((candidate) => candidate.name === name);
  if (row === undefined) throw new RangeError(name);
  return row.value(caps);
}

const low = (value: bigint) => value & 0xffff_ffffn;
const high = (value: bigint) => value >> 32n;

describe('the VMX capability MSRs', () => {
  it('are rows with consecutive addresses, unique names, references and known controls', () => {
    const controls = new Set<string>(CONTROLS.map((row) => row.key));
    VMX_CAPABILITY_MSRS.forEach((row, position) => {
      expect(row.address).toBe(0x480 + position);
      expect(row.ref.title).not.toBe('');
      if ('exists' in row) for (const key of row.exists) expect(controls).toContain(key);
    });
    expect(new Set(VMX_CAPABILITY_MSRS.map((row) => row.name)).size).toBe(VMX_CAPABILITY_MSRS.length);
  });

  it('exist when the controls they report do', () => {
    const exists = (address: number) =>
      VMX_CAPABILITY_MSRS.filter((row) => capabilityMsrExists(row, caps)).some(
        (row) => row.address === address,
      );
    expect(exists(0x480)).toBe(true);
    expect(exists(0x48b)).toBe(true);
    expect(exists(0x491)).toBe(true);
    expect(exists(0x492)).toBe(true);
    expect(exists(0x493)).toBe(false);
  });

  it('IA32_VMX_BASIC reports a region of 4 KiB, write-back memory and the TRUE MSRs', () => {
    const basic = msr('IA32_VMX_BASIC');
    expect(basic & 0x7fff_ffffn).toBe(BigInt(VMCS_REVISION_IDENTIFIER));
    expect((basic >> 31n) & 1n).toBe(0n);
    expect((basic >> 32n) & 0x1fffn).toBe(4096n);
    expect((basic >> 50n) & 0xfn).toBe(6n);
    expect((basic >> 55n) & 1n).toBe(1n);
  });

  it('without TRUE require every control of the default1 class', () => {
    expect(low(msr('IA32_VMX_PINBASED_CTLS'))).toBe(0x16n);
    expect(low(msr('IA32_VMX_PROCBASED_CTLS'))).toBe(0x0401_e172n);
    expect(low(msr('IA32_VMX_EXIT_CTLS'))).toBe(0x0003_6dffn);
    expect(low(msr('IA32_VMX_ENTRY_CTLS'))).toBe(0x0000_11ffn);
  });

  it('with TRUE allow CR3 exiting and the debug controls to be 0', () => {
    expect(low(msr('IA32_VMX_TRUE_PINBASED_CTLS'))).toBe(0x16n);
    expect(low(msr('IA32_VMX_TRUE_PROCBASED_CTLS'))).toBe(0x0400_6172n);
    expect(low(msr('IA32_VMX_TRUE_EXIT_CTLS'))).toBe(0x0003_6dfbn);
    expect(low(msr('IA32_VMX_TRUE_ENTRY_CTLS'))).toBe(0x0000_11fbn);
  });

  it('allow the 1-setting of what the model supports, and of nothing else', () => {
    expect(high(msr('IA32_VMX_TRUE_PINBASED_CTLS'))).toBe(0xffn);
    expect(high(msr('IA32_VMX_PROCBASED_CTLS2'))).toBe(0xc6d7_7fffn);
    expect(msr('IA32_VMX_PROCBASED_CTLS3')).toBe(0x9en);
  });

  it('allow every setting that they require', () => {
    for (const row of VMX_CAPABILITY_MSRS.filter(({ name }) => name.endsWith('_CTLS'))) {
      const value = row.value(caps);
      expect(low(value) & ~high(value)).toBe(0n);
    }
  });

  it('IA32_VMX_MISC reports the activity states, the CR3-target values and the preemption-timer rate', () => {
    const misc = msr('IA32_VMX_MISC');
    expect(misc & 0x1fn).toBe(BigInt(DEFAULT_VMX_MODEL.preemptionTimerRate));
    expect((misc >> 5n) & 1n).toBe(1n);
    expect((misc >> 6n) & 7n).toBe(7n);
    expect((misc >> 16n) & 0x1ffn).toBe(4n);
  });

  it('fix CR0.PE, NE and PG and CR4.VMXE to 1', () => {
    expect(msr('IA32_VMX_CR0_FIXED0')).toBe(0x8000_0021n);
    expect(msr('IA32_VMX_CR0_FIXED1')).toBe(0xffff_ffffn);
    expect(msr('IA32_VMX_CR4_FIXED0')).toBe(0x2000n);
    expect(msr('IA32_VMX_CR4_FIXED1') & 0x2000n).toBe(0x2000n);
  });

  it('IA32_VMX_VMCS_ENUM reports the highest index in bits 9:1', () => {
    expect(msr('IA32_VMX_VMCS_ENUM')).toBe(0x4cn);
  });

  it('IA32_VMX_EPT_VPID_CAP reports the EPT and VPID features', () => {
    expect(msr('IA32_VMX_EPT_VPID_CAP')).toBe(0x1_0f01_0673_41c1n);
  });
});
