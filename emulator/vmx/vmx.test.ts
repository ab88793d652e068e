import { describe, expect, it } from 'vitest';
import { AT, processorInGuest, processorInRoot } from '../../test/support/vmxProcessor.ts';
import { OUTCOME } from '../core/outcome.ts';
import { testInstruction } from '../core/testing/instruction.ts';
import { VMX_OPERATION } from '../state/registers.ts';
import { EXIT_REASON_NUMBER } from './exitReasons.ts';

describe('a VM entry and the VM exit after it', () => {
  it('VMLAUNCH enters VMX non-root operation at GUEST_RIP', () => {
    const { state, vmx } = processorInRoot();
    expect(vmx.enterGuest()).toBe(OUTCOME.JUMPED);
    expect(state.VMX_OPERATION).toBe(VMX_OPERATION.NON_ROOT);
    expect(state.RIP).toBe(BigInt(AT.GUEST_CODE));
  });

  it('CPUID exits unconditionally and the host runs at HOST_RIP', () => {
    const { vmx, state, field } = processorInGuest();
    expect(vmx.intercept({ point: 'CPUID' }, testInstruction('CPUID'))).toBe(OUTCOME.VM_EXIT);
    expect(state.VMX_OPERATION).toBe(VMX_OPERATION.ROOT);
    expect(state.RIP).toBe(field('HOST_RIP'));
    expect(field('VM_EXIT_REASON')).toBe(BigInt(EXIT_REASON_NUMBER.cpuid));
    expect(field('VM_EXIT_INSTRUCTION_LENGTH')).toBe(2n);
    expect(field('GUEST_RIP')).toBe(BigInt(AT.GUEST_CODE));
  });
});

describe('a snapshot of a processor', () => {
  it('brings back how the guest is translated, or that it is the host that runs', () => {
    const test = processorInGuest();
    const { spaces } = test.cpu.mmu;
    const inGuest = test.vmx.save();
    spaces.switchTo(0, undefined);
    test.vmx.restore(inGuest);
    expect(spaces.secondLevel).toMatchObject({ enabled: true, eptpLo: AT.EPT | 0x1e });
    expect(spaces.vpid).toBe(1);
    test.vmx.interceptTripleFault();
    const inRoot = test.vmx.save();
    spaces.switchTo(3, 0x5en);
    test.vmx.restore(inRoot);
    expect(spaces.secondLevel.enabled).toBe(false);
    expect(spaces.vpid).toBe(0);
  });
});
