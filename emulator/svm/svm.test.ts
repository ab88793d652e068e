/** VMRUN and #VMEXIT behind the points that VT-x uses as well. A whole hypervisor is in test/dap/programs/svm.S. */
import { beforeEach, describe, expect, it } from 'vitest';
import { processorWithVmx } from '../../test/support/vmxProcessor.ts';
import { Unimplemented } from '../base/errors.ts';
import { OUTCOME, type Outcome } from '../core/outcome.ts';
import { testInstruction } from '../core/testing/instruction.ts';
import { CS, EFER, RAX, RSP, VECTOR } from '../state/registers.ts';
import { firstBrokenRule, VMCB_CHECKS } from './checks.ts';
import { INTERCEPTS } from './intercepts.ts';
import { Svm } from './svm.ts';
import { CONTROL, SAVE } from './vmcb.ts';

const VMCB = 0x34_0000;
const HOST_SAVE = 0x34_1000;
const GUEST_RIP = 0x10_0000n;

let { cpu, state, physical } = processorWithVmx();
let svm = new Svm(cpu, physical);

const set32 = (offset: number, value: number): void => physical.write(VMCB + offset, 4, value, 0);
const set64 = (offset: number, value: bigint): void => physical.write64(VMCB + offset, value);
const get64 = (offset: number): bigint => physical.read64(VMCB + offset);
const execute = (name: string): Outcome => svm.execute(testInstruction(name, [], { length: 3 }));
const vmrun = (): Outcome => {
  state.setGpr(RAX, BigInt(VMCB));
  return execute('VMRUN');
};

/** A 64-bit guest on the page tables of the host, with every intercept that is there. */
beforeEach(() => {
  ({ cpu, state, physical } = processorWithVmx());
  svm = new Svm(cpu, physical);
  cpu.virtualization = svm;
  state.IA32_EFER |= BigInt(EFER.SVME);
  physical.copyIn(VMCB, new Uint8Array(8192));
  expect(svm.writeVirtualMsr(0xc001_0117, BigInt(HOST_SAVE))).toBe('done');
  for (const { word, bit } of INTERCEPTS) {
    const offset = word === (3 as number) ? CONTROL.INTERCEPTS_3 : CONTROL.INTERCEPTS_4;
    set32(offset, physical.read32(VMCB + offset) | (1 << bit));
  }
  set32(CONTROL.INTERCEPTS_4, 3);
  set32(CONTROL.ASID, 5);
  for (const [offset, attributes] of [
    [SAVE.ES, 0xc93],
    [SAVE.CS, 0x29b],
    [SAVE.SS, 0xc93],
    [SAVE.DS, 0xc93],
  ])
    set32(offset, (attributes << 16) | 8);
  set64(SAVE.EFER, state.IA32_EFER);
  set64(SAVE.CR4, state.CR4);
  set64(SAVE.CR3, state.CR3);
  set64(SAVE.CR0, state.CR0);
  set64(SAVE.DR7, 0x400n);
  set64(SAVE.DR6, 0xffff_0ff0n);
  set64(SAVE.RFLAGS, 2n);
  set64(SAVE.RIP, GUEST_RIP);
  set64(SAVE.RSP, 0x1234n);
  set64(SAVE.RAX, 0x77n);
});

describe('VMRUN', () => {
  it('loads the guest, and #VMEXIT the host behind VMRUN', () => {
    state.setGpr(RSP, 0x9000n);
    expect(vmrun()).toBe(OUTCOME.JUMPED);
    expect(svm.inGuest).toBe(true);
    expect(state.RIP).toBe(GUEST_RIP);
    expect(state.gpr(RSP)).toBe(0x1234n);
    expect(state.gpr(RAX)).toBe(0x77n);
    expect(state.segmentAccessRights(CS)).toBe(0x209b);
    expect(cpu.mmu.spaces.vpid).toBe(5);
    state.setGpr(RSP, 0x4321n);
    expect(svm.intercept({ point: 'CPUID' })).toBe(OUTCOME.VM_EXIT);
    expect(svm.inGuest).toBe(false);
    expect(state.RIP).toBe(0x1003n);
    expect(state.gpr(RSP)).toBe(0x9000n);
    expect(get64(SAVE.RSP)).toBe(0x4321n);
    expect(get64(CONTROL.EXITCODE)).toBe(0x72n);
    expect(cpu.mmu.spaces.vpid).toBe(0);
  });

  it('is #UD without EFER.SVME, #GP(0) above CPL 0 and for an address that is not aligned', () => {
    state.setGpr(RAX, BigInt(VMCB) + 8n);
    expect(execute('VMRUN')).toBe(OUTCOME.FAULT);
    expect(cpu.fault.vector).toBe(VECTOR.GP);
    state.CPL = 3;
    expect(vmrun()).toBe(OUTCOME.FAULT);
    expect(cpu.fault.vector).toBe(VECTOR.GP);
    state.IA32_EFER &= ~BigInt(EFER.SVME);
    expect(vmrun()).toBe(OUTCOME.FAULT);
    expect(cpu.fault.vector).toBe(VECTOR.UD);
  });

  it('stops with the name of what is not there', () => {
    set32(CONTROL.CR_INTERCEPTS, 1);
    expect(vmrun).toThrow(Unimplemented);
  });

  it.each([
    ['EFER.SVME must be 1', () => set64(SAVE.EFER, 0xd00n)],
    ['EFER must not set reserved bits', () => set64(SAVE.EFER, state.IA32_EFER | 2n)],
    ['CR0.NW must be 0 if CR0.CD is 0', () => set64(SAVE.CR0, state.CR0 | (1n << 29n))],
    ['CR0[63:32] must be 0', () => set64(SAVE.CR0, state.CR0 | (1n << 32n))],
    ['DR6[63:32] must be 0', () => set64(SAVE.DR6, 1n << 32n)],
    ['DR7[63:32] must be 0', () => set64(SAVE.DR7, 1n << 32n)],
    ['CR4.PAE must be 1 if EFER.LME and CR0.PG are', () => set64(SAVE.CR4, 0n)],
    ['CR0.PE must be 1 if EFER.LME and CR0.PG are', () => set64(SAVE.CR0, state.CR0 & ~1n)],
    ['CS.L and CS.D must not both be 1 in long mode', () => set32(SAVE.CS, (0x69b << 16) | 8)],
    ['VMRUN must be intercepted', () => set32(CONTROL.INTERCEPTS_4, 2)],
    ['the ASID must not be 0', () => set32(CONTROL.ASID, 0)],
    ['nested paging is not offered by this processor', () => set32(CONTROL.NP_ENABLE, 1)],
    ['the injected event must have a type that exists', () => set32(CONTROL.EVENTINJ, 0x8000_0100)],
  ] as const)('exits with VMEXIT_INVALID: %s', (text, damage) => {
    expect(VMCB_CHECKS.map((row) => row.text)).toContain(text);
    expect(firstBrokenRule(physical, VMCB)).toBeUndefined();
    damage();
    expect(firstBrokenRule(physical, VMCB)).toBe(text);
    expect(vmrun()).toBe(OUTCOME.JUMPED);
    expect(svm.inGuest).toBe(false);
    expect(get64(CONTROL.EXITCODE)).toBe(0xffff_ffff_ffff_ffffn);
    expect(state.RIP).toBe(0x1003n);
  });
});

describe('an intercept', () => {
  it.each(INTERCEPTS)('of $point exits with its code, and only when its bit is 1', ({ point, exitCode }) => {
    vmrun();
    expect(svm.intercept({ point })).toBe(OUTCOME.VM_EXIT);
    expect(get64(CONTROL.EXITCODE)).toBe(BigInt(exitCode));
    expect(svm.intercept({ point })).toBe(OUTCOME.NEXT);
    set32(CONTROL.INTERCEPTS_3, 0);
    vmrun();
    expect(svm.intercept({ point })).toBe(OUTCOME.NEXT);
  });

  it('of an exception tells error code and address', () => {
    set32(CONTROL.EXCEPTION_INTERCEPTS, 1 << VECTOR.PF);
    vmrun();
    const fault = {
      kind: 'hardware-exception',
      vector: VECTOR.PF,
      errorCode: 6,
      qualification: 0x5000n,
      instructionLength: 0,
    } as const;
    expect(svm.interceptEvent({ ...fault, vector: VECTOR.GP })).toBe(OUTCOME.NEXT);
    expect(svm.interceptEvent(fault)).toBe(OUTCOME.VM_EXIT);
    expect([get64(CONTROL.EXITCODE), get64(CONTROL.EXITINFO1), get64(CONTROL.EXITINFO2)]).toEqual([
      0x4en,
      6n,
      0x5000n,
    ]);
  });

  it('of a physical interrupt leaves it pending, of a shutdown ends the guest', () => {
    set32(CONTROL.INTERCEPTS_3, (1 << 31) | 1);
    vmrun();
    expect(svm.interceptExternalInterrupt()).toBe(OUTCOME.VM_EXIT);
    expect(get64(CONTROL.EXITCODE)).toBe(0x60n);
    vmrun();
    expect(svm.interceptTripleFault()).toBe(OUTCOME.VM_EXIT);
    expect(get64(CONTROL.EXITCODE)).toBe(0x7fn);
  });

  it('of VMMCALL and VMRUN; VMMCALL is #UD otherwise', () => {
    vmrun();
    expect(execute('VMMCALL')).toBe(OUTCOME.VM_EXIT);
    expect(get64(CONTROL.EXITCODE)).toBe(0x81n);
    expect(execute('VMMCALL')).toBe(OUTCOME.FAULT);
    vmrun();
    expect(execute('VMRUN')).toBe(OUTCOME.VM_EXIT);
    expect(get64(CONTROL.EXITCODE)).toBe(0x80n);
  });
});

describe('the guest', () => {
  it('has a TSC with an offset', () => {
    set64(CONTROL.TSC_OFFSET, 100n);
    vmrun();
    expect(svm.guestTsc(7n)).toBe(107n);
    svm.intercept({ point: 'HLT' });
    expect(svm.guestTsc(7n)).toBe(7n);
  });

  it('survives a snapshot', () => {
    vmrun();
    const saved = svm.save();
    svm.intercept({ point: 'HLT' });
    svm.restore(saved);
    expect(svm.inGuest).toBe(true);
    expect(cpu.mmu.spaces.vpid).toBe(5);
    expect(svm.save()).toEqual(saved);
  });
});

describe('the global interrupt flag', () => {
  it('is 0 after #VMEXIT: an interrupt that it would hold back stops the machine, until STGI', () => {
    vmrun();
    svm.intercept({ point: 'HLT' });
    state.systemFlags |= 0x200;
    expect(() => svm.interceptExternalInterrupt()).toThrow(Unimplemented);
    execute('STGI');
    expect(svm.interceptExternalInterrupt()).toBe(OUTCOME.NEXT);
  });
});
