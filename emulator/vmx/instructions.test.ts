import { describe, expect, it } from 'vitest';
import {
  AT,
  guestVmcs,
  processorInGuest,
  processorInRoot,
  processorWithVmx,
  type TestVmx,
} from '../../test/support/vmxProcessor.ts';
import { OUTCOME, type Outcome } from '../core/outcome.ts';
import { mem, reg, type TestOperand, testInstruction } from '../core/testing/instruction.ts';
import { PAGE_FLAG } from '../mmu/physicalMemory.ts';
import { readRflags, setArithmeticFlags } from '../state/flags.ts';
import { AR, BLOCKING, CS, FLAG, RAX, RCX, VECTOR, VMX_OPERATION } from '../state/registers.ts';
import { VMCS_REVISION_IDENTIFIER } from './capabilities.ts';
import { EXIT_REASON_NUMBER } from './exitReasons.ts';
import { VMCS_FIELD, VMCS_HEADER } from './vmcsLayout.ts';

/** Where memory operands lie. */
const OPERAND = 0x4000;
const NONE = 0xffff_ffff_ffff_ffffn;

function execute(test: TestVmx, name: string, operands: readonly TestOperand[] = []): Outcome {
  setArithmeticFlags(test.state, FLAG.CF | FLAG.ZF | FLAG.SF);
  return test.vmx.execute(testInstruction(name, operands, { length: 3 }));
}

/** With a 64-bit memory operand that holds `pointer`. */
function withPointer(test: TestVmx, name: string, pointer: bigint): Outcome {
  test.physical.write64(OPERAND, pointer);
  return execute(test, name, [mem(BigInt(OPERAND))]);
}

function flags({ state }: TestVmx): number {
  return readRflags(state) & ~FLAG.FIXED;
}

const succeeded = (test: TestVmx): boolean => flags(test) === 0;
const failedInvalid = (test: TestVmx): boolean => flags(test) === FLAG.CF;
const error = (test: TestVmx): number =>
  flags(test) === FLAG.ZF ? Number(test.field('VM_INSTRUCTION_ERROR')) : -1;

describe('VMXON', () => {
  it('enters VMX operation with no current VMCS', () => {
    const test = processorWithVmx();
    expect(withPointer(test, 'VMXON', BigInt(AT.VMXON))).toBe(OUTCOME.NEXT);
    expect(succeeded(test)).toBe(true);
    expect(test.state.VMX_OPERATION).toBe(VMX_OPERATION.ROOT);
    expect(test.state.CURRENT_VMCS).toBe(NONE);
  });

  it('is #UD without CR4.VMXE', () => {
    const test = processorWithVmx();
    test.state.CR4 &= ~0x2000n;
    expect(withPointer(test, 'VMXON', BigInt(AT.VMXON))).toBe(OUTCOME.FAULT);
    expect(test.cpu.fault.vector).toBe(VECTOR.UD);
  });

  it.each([
    ['CR0.NE is 0', (test: TestVmx) => (test.state.CR0 &= ~0x20n)],
    ['IA32_FEATURE_CONTROL is not locked', (test: TestVmx) => (test.state.IA32_FEATURE_CONTROL = 4n)],
    ['IA32_FEATURE_CONTROL does not enable VMX', (test: TestVmx) => (test.state.IA32_FEATURE_CONTROL = 1n)],
    ['CPL is 3', (test: TestVmx) => (test.state.CPL = 3)],
    ['the A20 line is low', (test: TestVmx) => (test.cpu.mmu.a20 = false)],
  ])('is #GP(0) when %s', (_what, change) => {
    const test = processorWithVmx();
    change(test);
    expect(withPointer(test, 'VMXON', BigInt(AT.VMXON))).toBe(OUTCOME.FAULT);
    expect(test.cpu.fault).toMatchObject({ vector: VECTOR.GP, errorCode: 0 });
  });

  it.each([
    ['is not aligned', BigInt(AT.VMXON) + 8n],
    ['is beyond the physical-address width', 1n << 46n],
    ['names a region with another revision', 0x5000n],
  ])('is VMfailInvalid when the pointer %s', (_what, pointer) => {
    const test = processorWithVmx();
    withPointer(test, 'VMXON', pointer);
    expect(failedInvalid(test)).toBe(true);
    expect(test.state.VMX_OPERATION).toBe(VMX_OPERATION.NONE);
  });

  it('is VMfailInvalid when bit 31 of the revision is 1', () => {
    const test = processorWithVmx();
    test.physical.write(AT.VMXON, 4, VMCS_REVISION_IDENTIFIER | 0x8000_0000, 0);
    withPointer(test, 'VMXON', BigInt(AT.VMXON));
    expect(failedInvalid(test)).toBe(true);
  });

  it('blocks the A20 line, until VMXOFF', () => {
    const test = processorInRoot();
    const { mmu } = test.cpu;
    mmu.a20 = false;
    expect(mmu.fetchTranslate(0x10_1000n)).toBe(0x10_1000);
    expect(execute(test, 'VMXOFF')).toBe(OUTCOME.NEXT_THEN_CHECK);
    expect(mmu.fetchTranslate(0x10_1000n)).not.toBe(0x10_1000);
  });

  it('in VMX root operation is VMfail(15)', () => {
    const test = processorInRoot();
    withPointer(test, 'VMXON', BigInt(AT.VMXON));
    expect(error(test)).toBe(15);
  });
});

describe('VMX instructions other than VMXON', () => {
  const NAMES = [
    'VMXOFF',
    'VMCLEAR',
    'VMPTRLD',
    'VMPTRST',
    'VMREAD',
    'VMWRITE',
    'VMLAUNCH',
    'VMRESUME',
    'VMCALL',
    'INVEPT',
    'INVVPID',
  ];
  const operands = [reg(RAX), reg(RCX)];

  it.each(NAMES)('%s is #UD outside VMX operation', (name) => {
    const test = processorWithVmx();
    expect(execute(test, name, operands)).toBe(OUTCOME.FAULT);
    expect(test.cpu.fault.vector).toBe(VECTOR.UD);
  });

  it.each(NAMES)('%s is #UD in compatibility mode', (name) => {
    const test = processorInRoot();
    test.state.setSegmentAccessRights(CS, 0xc09b);
    expect(execute(test, name, operands)).toBe(OUTCOME.FAULT);
    expect(test.cpu.fault.vector).toBe(VECTOR.UD);
  });

  it.each(NAMES)('%s is #GP(0) at CPL above 0', (name) => {
    const test = processorInRoot();
    test.state.CPL = 3;
    expect(execute(test, name, operands)).toBe(OUTCOME.FAULT);
    expect(test.cpu.fault).toMatchObject({ vector: VECTOR.GP, errorCode: 0 });
  });

  it.each(NAMES)('%s of a guest exits, at any CPL', (name) => {
    const test = processorInGuest();
    test.state.CPL = 3;
    expect(execute(test, name, operands)).toBe(OUTCOME.VM_EXIT);
  });

  it('VMCALL of a guest in compatibility mode exits, the others are #UD', () => {
    const test = processorInGuest();
    test.state.setSegmentAccessRights(CS, test.state.segmentAccessRights(CS) & ~AR.L);
    expect(execute(test, 'VMXOFF')).toBe(OUTCOME.FAULT);
    expect(execute(test, 'VMCALL')).toBe(OUTCOME.VM_EXIT);
    expect(test.field('VM_EXIT_REASON')).toBe(BigInt(EXIT_REASON_NUMBER.vmcall));
  });

  it('VMFUNC is #UD in and outside of guests', () => {
    for (const test of [processorInRoot(), processorInGuest()]) {
      expect(execute(test, 'VMFUNC')).toBe(OUTCOME.FAULT);
      expect(test.cpu.fault.vector).toBe(VECTOR.UD);
    }
  });

  it('VMCALL in VMX root operation is VMfail(1)', () => {
    const test = processorInRoot();
    execute(test, 'VMCALL');
    expect(error(test)).toBe(1);
  });

  it('VMXOFF leaves VMX operation', () => {
    const test = processorInRoot();
    execute(test, 'VMXOFF');
    expect(succeeded(test)).toBe(true);
    expect(test.state.VMX_OPERATION).toBe(VMX_OPERATION.NONE);
    expect(test.state.CURRENT_VMCS).toBe(NONE);
  });
});

describe('VMPTRLD', () => {
  it('makes a VMCS current, which VMPTRST stores', () => {
    const test = processorInRoot();
    withPointer(test, 'VMPTRLD', BigInt(AT.OTHER_VMCS));
    expect(succeeded(test)).toBe(true);
    execute(test, 'VMPTRST', [mem(BigInt(OPERAND))]);
    expect(test.physical.read64(OPERAND)).toBe(BigInt(AT.OTHER_VMCS));
  });

  it.each([
    [9, 'an address that is not aligned', BigInt(AT.OTHER_VMCS) + 1n],
    [9, 'an address beyond the physical-address width', 1n << 50n],
    [10, 'the VMXON pointer', BigInt(AT.VMXON)],
    [11, 'a region with another revision', 0x5000n],
  ])('is VMfail(%i) with %s', (number, _what, pointer) => {
    const test = processorInRoot();
    withPointer(test, 'VMPTRLD', pointer);
    expect(error(test)).toBe(number);
    expect(test.state.CURRENT_VMCS).toBe(BigInt(AT.VMCS));
  });

  it('takes a shadow VMCS, which VMREAD and VMWRITE access and VMLAUNCH refuses as VMfailInvalid', () => {
    const test = processorInRoot();
    test.physical.write(AT.OTHER_VMCS, 4, VMCS_REVISION_IDENTIFIER | 0x8000_0000, 0);
    withPointer(test, 'VMPTRLD', BigInt(AT.OTHER_VMCS));
    expect(succeeded(test)).toBe(true);
    expect(test.state.CURRENT_VMCS).toBe(BigInt(AT.OTHER_VMCS));
    execute(test, 'VMLAUNCH');
    expect(failedInvalid(test)).toBe(true);
  });

  it('without a current VMCS is VMfailInvalid', () => {
    const test = processorInRoot();
    withPointer(test, 'VMCLEAR', BigInt(AT.VMCS));
    withPointer(test, 'VMPTRLD', BigInt(AT.VMXON));
    expect(failedInvalid(test)).toBe(true);
  });

  it('raises #PF for its operand and changes nothing', () => {
    const test = processorInRoot();
    expect(execute(test, 'VMPTRLD', [mem(0x4000_0000n)])).toBe(OUTCOME.FAULT);
    expect(test.cpu.fault.vector).toBe(VECTOR.PF);
    expect(test.state.CURRENT_VMCS).toBe(BigInt(AT.VMCS));
  });
});

describe('VMCLEAR', () => {
  it('sets the launch state to clear and leaves no current VMCS if it names the current one', () => {
    const test = processorInRoot();
    test.physical.write(AT.VMCS + VMCS_HEADER.launchState, 4, 1, 0);
    withPointer(test, 'VMCLEAR', BigInt(AT.VMCS));
    expect(succeeded(test)).toBe(true);
    expect(test.physical.read32(AT.VMCS + VMCS_HEADER.launchState)).toBe(0);
    expect(test.state.CURRENT_VMCS).toBe(NONE);
  });

  it('leaves the current VMCS current if it names another', () => {
    const test = processorInRoot();
    withPointer(test, 'VMCLEAR', BigInt(AT.OTHER_VMCS));
    expect(test.state.CURRENT_VMCS).toBe(BigInt(AT.VMCS));
  });

  it('ends the watch over stores to the region', () => {
    const test = processorInRoot();
    expect(test.physical.hasPageFlag(AT.VMCS / 4096, PAGE_FLAG.VMCS)).toBe(true);
    withPointer(test, 'VMCLEAR', BigInt(AT.VMCS));
    expect(test.physical.hasPageFlag(AT.VMCS / 4096, PAGE_FLAG.VMCS)).toBe(false);
  });

  it.each([
    [2, 'an address that is not aligned', 0x123n],
    [3, 'the VMXON pointer', BigInt(AT.VMXON)],
  ])('is VMfail(%i) with %s', (number, _what, pointer) => {
    const test = processorInRoot();
    withPointer(test, 'VMCLEAR', pointer);
    expect(error(test)).toBe(number);
  });
});

describe('VMREAD and VMWRITE', () => {
  const read = (test: TestVmx, encoding: number): bigint => {
    test.state.setGpr(RCX, BigInt(encoding));
    test.state.setGpr(RAX, 0n);
    execute(test, 'VMREAD', [reg(RAX), reg(RCX)]);
    return test.state.gpr(RAX);
  };
  const write = (test: TestVmx, encoding: number, value: bigint): void => {
    test.state.setGpr(RCX, BigInt(encoding));
    test.state.setGpr(RAX, value);
    execute(test, 'VMWRITE', [reg(RCX), reg(RAX)]);
  };

  it('access a field, cut to its width', () => {
    const test = processorInRoot();
    write(test, VMCS_FIELD.GUEST_ES_SELECTOR.encoding, 0x1_2345n);
    expect(succeeded(test)).toBe(true);
    expect(read(test, VMCS_FIELD.GUEST_ES_SELECTOR.encoding)).toBe(0x2345n);
    write(test, VMCS_FIELD.EXCEPTION_BITMAP.encoding, 0x1_8000_0000n);
    expect(read(test, VMCS_FIELD.EXCEPTION_BITMAP.encoding)).toBe(0x8000_0000n);
    write(test, VMCS_FIELD.GUEST_RIP.encoding, 0xffff_8000_0000_1234n);
    expect(read(test, VMCS_FIELD.GUEST_RIP.encoding)).toBe(0xffff_8000_0000_1234n);
  });

  it('access the high half of a 64-bit field', () => {
    const test = processorInRoot();
    const { encoding } = VMCS_FIELD.TSC_OFFSET;
    write(test, encoding, 0x1111_1111_2222_2222n);
    expect(read(test, encoding | 1)).toBe(0x1111_1111n);
    write(test, encoding | 1, 0x3333_3333n);
    expect(read(test, encoding)).toBe(0x3333_3333_2222_2222n);
  });

  it.each([
    ['names no field', 0x0fff_0000],
    ['names the high half of a 32-bit field', VMCS_FIELD.EXCEPTION_BITMAP.encoding | 1],
    ['names a field that the processor does not have', VMCS_FIELD.GUEST_SSP.encoding],
  ])('are VMfail(12) when the encoding %s', (_what, encoding) => {
    const test = processorInRoot();
    read(test, encoding);
    expect(error(test)).toBe(12);
    write(test, encoding, 0n);
    expect(error(test)).toBe(12);
  });

  it('are VMfail(12) when the register has bits above 31', () => {
    const test = processorInRoot();
    test.state.setGpr(RCX, (1n << 40n) | BigInt(VMCS_FIELD.GUEST_RIP.encoding));
    execute(test, 'VMREAD', [reg(RAX), reg(RCX)]);
    expect(error(test)).toBe(12);
  });

  it('may write VM-exit information fields, as IA32_VMX_MISC[29] says', () => {
    const test = processorInRoot();
    write(test, VMCS_FIELD.EXIT_QUALIFICATION.encoding, 5n);
    expect(succeeded(test)).toBe(true);
    expect(test.field('EXIT_QUALIFICATION')).toBe(5n);
  });

  it('are VMfailInvalid without a current VMCS', () => {
    const test = processorInRoot();
    withPointer(test, 'VMCLEAR', BigInt(AT.VMCS));
    read(test, VMCS_FIELD.GUEST_RIP.encoding);
    expect(failedInvalid(test)).toBe(true);
  });

  it('take a memory operand of 64 bits in 64-bit mode', () => {
    const test = processorInRoot();
    test.state.setGpr(RCX, BigInt(VMCS_FIELD.GUEST_RSP.encoding));
    test.physical.write64(OPERAND, 0x1234_5678_9abcn);
    execute(test, 'VMWRITE', [reg(RCX), mem(BigInt(OPERAND))]);
    expect(test.field('GUEST_RSP')).toBe(0x1234_5678_9abcn);
    execute(test, 'VMREAD', [mem(BigInt(OPERAND + 8)), reg(RCX)]);
    expect(test.physical.read64(OPERAND + 8)).toBe(0x1234_5678_9abcn);
  });
});

describe('VMLAUNCH and VMRESUME', () => {
  it('VMLAUNCH with launch state "launched" is VMfail(4)', () => {
    const test = processorInGuest();
    test.vmx.interceptTripleFault();
    execute(test, 'VMLAUNCH');
    expect(error(test)).toBe(4);
  });

  it('VMRESUME with launch state "clear" is VMfail(5)', () => {
    const test = processorInRoot();
    execute(test, 'VMRESUME');
    expect(error(test)).toBe(5);
  });

  it('while events are blocked by MOV SS are VMfail(26)', () => {
    const test = processorInRoot();
    test.state.INTERRUPTIBILITY = BLOCKING.MOV_SS;
    execute(test, 'VMLAUNCH');
    expect(error(test)).toBe(26);
  });

  it('without a current VMCS are VMfailInvalid', () => {
    const test = processorInRoot();
    withPointer(test, 'VMCLEAR', BigInt(AT.VMCS));
    execute(test, 'VMLAUNCH');
    expect(failedInvalid(test)).toBe(true);
  });

  it('leave RIP to the guest, or to the host after a failure', () => {
    const entered = processorInRoot();
    expect(execute(entered, 'VMLAUNCH')).toBe(OUTCOME.JUMPED);
    expect(entered.state.RIP).toBe(BigInt(AT.GUEST_CODE));
    const failed = processorInRoot(guestVmcs().set({ GUEST_RFLAGS: 0n }));
    expect(execute(failed, 'VMLAUNCH')).toBe(OUTCOME.JUMPED);
    expect(failed.state.RIP).toBe(failed.field('HOST_RIP'));
  });

  it('VMRESUME enters a guest again', () => {
    const test = processorInGuest();
    test.vmx.interceptTripleFault();
    execute(test, 'VMRESUME');
    expect(test.state.VMX_OPERATION).toBe(VMX_OPERATION.NON_ROOT);
  });
});

describe('INVEPT and INVVPID', () => {
  function invalidate(test: TestVmx, name: string, type: bigint, low: bigint, high = 0n): void {
    test.state.setGpr(RAX, type);
    test.physical.write64(OPERAND, low);
    test.physical.write64(OPERAND + 8, high);
    execute(test, name, [reg(RAX), mem(BigInt(OPERAND), 64)]);
  }
  const EPTP = BigInt(AT.EPT) | 0x1en;

  // biome-ignore format: rows are read as a table
  it.each([
    ['INVEPT', 'single-context', 1n, EPTP, 0n],
    ['INVEPT', 'all-context', 2n, 0n, 0n],
    ['INVVPID', 'individual-address', 0n, 1n, 0x1000n],
    ['INVVPID', 'single-context', 1n, 1n, 0n],
    ['INVVPID', 'all-context', 2n, 0n, 0n],
    ['INVVPID', 'retaining globals', 3n, 1n, 0n],
  ] as const)('%s, %s, succeeds', (name, _what, type, low, high) => {
    const test = processorInRoot();
    invalidate(test, name, type, low, high);
    expect(succeeded(test)).toBe(true);
  });

  // biome-ignore format: rows are read as a table
  it.each([
    ['INVEPT', 'an unsupported type', 3n, EPTP, 0n],
    ['INVEPT', 'an EPTP that VM entry would refuse', 1n, EPTP | 0x80n, 0n],
    ['INVEPT', 'a memory type that VM entry would refuse', 1n, EPTP & ~7n | 1n, 0n],
    ['INVEPT', 'reserved bits in the descriptor', 2n, 0n, 1n],
    ['INVVPID', 'an unsupported type', 4n, 1n, 0n],
    ['INVVPID', 'VPID 0', 1n, 0n, 0n],
    ['INVVPID', 'reserved bits in the descriptor', 1n, 0x1_0001n, 0n],
    ['INVVPID', 'an address that is not canonical', 0n, 1n, 1n << 60n],
  ] as const)('%s with %s is VMfail(28)', (name, _what, type, low, high) => {
    const test = processorInRoot();
    invalidate(test, name, type, low, high);
    expect(error(test)).toBe(28);
  });

  it('INVEPT makes a changed EPT entry count', () => {
    const test = processorInGuest();
    const { mmu } = test.cpu;
    expect(mmu.readLinear(0x20_0000n, 1, 'supervisor')).toBe(0n);
    test.vmx.interceptTripleFault();
    test.physical.write64(AT.EPT + 0x2008, 0n);
    invalidate(test, 'INVEPT', 1n, EPTP);
    test.vmx.enterGuest();
    expect(mmu.readLinear(0x20_0000n, 1, 'supervisor')).toBeUndefined();
  });
});
