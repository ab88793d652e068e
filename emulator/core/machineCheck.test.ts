import { describe, expect, it } from 'vitest';
import { CR4 } from '../state/registers.ts';
import { writeCr4 } from './controlRegisters.ts';
import { readMsr, writeMsr } from './msrs.ts';
import { OUTCOME } from './outcome.ts';
import { longProcessor } from './testing/processor.ts';

const IA32_MCG_CAP = 0x179;
const IA32_MCG_STATUS = 0x17a;
const IA32_MCG_CTL = 0x17b;
const IA32_MC0_CTL = 0x400;

describe('the machine-check registers', () => {
  it.each([
    ['sapphire-rapids', 20n],
    ['skylake-server', 20n],
    ['zen3-server', 23n],
    ['max', 20n],
  ])('%s: has as many banks as IA32_MCG_CAP says', (model, banks) => {
    const { cpu } = longProcessor(0, {}, model);
    expect((readMsr(cpu, IA32_MCG_CAP) as bigint) & 0xffn).toBe(banks);
    const last = IA32_MC0_CTL + 4 * (Number(banks) - 1);
    for (let msr = IA32_MC0_CTL; msr < last + 4; msr++) expect(readMsr(cpu, msr), msr.toString(16)).toBe(0n);
    for (const msr of [last + 4, last + 5, last + 6, last + 7]) {
      expect(readMsr(cpu, msr)).toBeUndefined();
      expect(writeMsr(cpu, msr, 0n)).toBe(false);
    }
  });

  it('IA32_MC0_STATUS, ADDR and MISC are cleared by 0; another value is #GP(0)', () => {
    const { cpu } = longProcessor();
    for (const msr of [0x401, 0x402, 0x403]) {
      expect(writeMsr(cpu, msr, 0n)).toBe(true);
      expect(writeMsr(cpu, msr, 1n)).toBe(false);
      expect(writeMsr(cpu, msr, 0xffff_ffff_ffff_ffffn)).toBe(false);
    }
  });

  it('IA32_MC3_CTL keeps what enables its errors', () => {
    const { cpu } = longProcessor();
    expect(writeMsr(cpu, 0x40c, 0xffff_ffff_ffff_ffffn)).toBe(true);
    expect(readMsr(cpu, 0x40c)).toBe(0xffff_ffff_ffff_ffffn);
    expect(readMsr(cpu, 0x408)).toBe(0n);
  });

  it('IA32_MCG_STATUS takes 0 alone, IA32_MCG_CAP nothing', () => {
    const { cpu } = longProcessor();
    expect(writeMsr(cpu, IA32_MCG_STATUS, 0n)).toBe(true);
    expect(writeMsr(cpu, IA32_MCG_STATUS, 4n)).toBe(false);
    expect(writeMsr(cpu, IA32_MCG_CAP, 20n)).toBe(false);
  });

  it('IA32_MCG_CTL is there with MCG_CTL_P alone', () => {
    const { cpu } = longProcessor();
    expect((readMsr(cpu, IA32_MCG_CAP) as bigint) & 0x100n).toBe(0n);
    expect(readMsr(cpu, IA32_MCG_CTL)).toBeUndefined();
    const amd = longProcessor(0, {}, 'zen3-server').cpu;
    expect((readMsr(amd, IA32_MCG_CAP) as bigint) & 0x100n).toBe(0x100n);
    expect(writeMsr(amd, IA32_MCG_CTL, 0xffn)).toBe(true);
    expect(readMsr(amd, IA32_MCG_CTL)).toBe(0xffn);
  });

  it('are not there without MCA; CR4.MCE goes with MCE', () => {
    const without = longProcessor(0, { changes: [{ feature: 'MCA', offered: false }] }).cpu;
    for (const msr of [IA32_MCG_CAP, IA32_MCG_STATUS, IA32_MC0_CTL])
      expect(readMsr(without, msr)).toBeUndefined();
    const { cpu, state } = longProcessor();
    expect(writeCr4(cpu, state.CR4 | BigInt(CR4.MCE))).toBe(OUTCOME.NEXT_THEN_CHECK);
    const old = longProcessor(0, { changes: [{ feature: 'MCE', offered: false }] });
    expect(writeCr4(old.cpu, old.state.CR4 | BigInt(CR4.MCE))).toBe(OUTCOME.FAULT);
  });
});
