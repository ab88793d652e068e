/**
 * How the VMX instructions fail: every VM-instruction error that this processor gives has its cases, and each that needs no
 * current VMCS is VMfailInvalid without one.
 *
 * Intel SDM Vol. 3C, "Conventions", 32.2; "VM Instruction Error Numbers", 32.4.
 */
import { describe, expect, it } from 'vitest';
import { AT, guestVmcs, processorInRoot, type TestVmx } from '../../test/support/vmxProcessor.ts';
import { mem, reg, testInstruction } from '../core/testing/instruction.ts';
import { readRflags, setArithmeticFlags } from '../state/flags.ts';
import { ARITHMETIC_FLAGS, BLOCKING, FLAG, RAX, RCX, VMX_OPERATION } from '../state/registers.ts';
import type { TestVmcs } from './testVmcs.ts';
import { VMCS_FIELD, VMCS_HEADER } from './vmcsLayout.ts';
import {
  VM_INSTRUCTION_ERROR,
  VM_INSTRUCTION_ERRORS,
  type VmInstructionErrorKey,
  type VmInstructionErrorRow,
} from './vmInstructionErrors.ts';

const OPERAND = 0x4000;
const EPTP = BigInt(AT.EPT) | 0x1en;
const NO_REVISION = 0x5000n;
const NO_FIELD = 0x0fff_0000n;

interface FailureRow {
  readonly name: string;
  readonly error: VmInstructionErrorKey;
  readonly when: string;
  /** The memory operand. */
  readonly memory?: readonly [low: bigint, high?: bigint];
  /** RAX, and RCX with the encoding of a field. */
  readonly registers?: readonly [rax: bigint, rcx: bigint];
  readonly vmcs?: (vmcs: TestVmcs) => TestVmcs;
  readonly before?: (test: TestVmx) => void;
}

const launched = ({ physical }: TestVmx): void => physical.write(AT.VMCS + VMCS_HEADER.launchState, 4, 1, 0);
const blocked = ({ state }: TestVmx): void => {
  state.INTERRUPTIBILITY = BLOCKING.MOV_SS;
};
const noControls = (vmcs: TestVmcs): TestVmcs => vmcs.set({ PIN_BASED_VM_EXECUTION_CONTROLS: 0n });
const noHostTr = (vmcs: TestVmcs): TestVmcs => vmcs.set({ HOST_TR_SELECTOR: 0n });

// biome-ignore format: rows are read as a table
const FAILURES: readonly FailureRow[] = [
  { name: 'VMCALL', error: 'vmcallInVmxRootOperation', when: 'in VMX root operation' },
  { name: 'VMCLEAR', error: 'vmclearInvalidAddress', when: 'of an address that is not aligned', memory: [0x123n] },
  { name: 'VMCLEAR', error: 'vmclearInvalidAddress', when: 'of an address beyond the physical-address width', memory: [1n << 46n] },
  { name: 'VMCLEAR', error: 'vmclearVmxonPointer', when: 'of the VMXON pointer', memory: [BigInt(AT.VMXON)] },
  { name: 'VMLAUNCH', error: 'vmlaunchNonClearVmcs', when: 'of a VMCS that is launched', before: launched },
  { name: 'VMRESUME', error: 'vmresumeNonLaunchedVmcs', when: 'of a VMCS that is clear' },
  { name: 'VMLAUNCH', error: 'entryInvalidControlFields', when: 'with an invalid control', vmcs: noControls },
  { name: 'VMRESUME', error: 'entryInvalidControlFields', when: 'with an invalid control', vmcs: noControls, before: launched },
  { name: 'VMLAUNCH', error: 'entryInvalidHostState', when: 'with invalid host state', vmcs: noHostTr },
  { name: 'VMRESUME', error: 'entryInvalidHostState', when: 'with invalid host state', vmcs: noHostTr, before: launched },
  { name: 'VMLAUNCH', error: 'entryEventsBlockedByMovSs', when: 'with blocking by MOV SS', before: blocked },
  { name: 'VMRESUME', error: 'entryEventsBlockedByMovSs', when: 'with blocking by MOV SS, whatever the launch state', before: blocked },
  { name: 'VMPTRLD', error: 'vmptrldInvalidAddress', when: 'of an address that is not aligned', memory: [BigInt(AT.OTHER_VMCS) + 1n] },
  { name: 'VMPTRLD', error: 'vmptrldInvalidAddress', when: 'of an address beyond the physical-address width', memory: [1n << 46n] },
  { name: 'VMPTRLD', error: 'vmptrldVmxonPointer', when: 'of the VMXON pointer', memory: [BigInt(AT.VMXON)] },
  { name: 'VMPTRLD', error: 'vmptrldIncorrectRevision', when: 'of a region with another revision', memory: [NO_REVISION] },
  { name: 'VMREAD', error: 'unsupportedVmcsComponent', when: 'of a field that does not exist', registers: [0n, NO_FIELD] },
  { name: 'VMREAD', error: 'unsupportedVmcsComponent', when: 'of a field that came with a later processor', registers: [0n, BigInt(VMCS_FIELD.GUEST_SSP.encoding)] },
  { name: 'VMWRITE', error: 'unsupportedVmcsComponent', when: 'of a field that does not exist', registers: [0n, NO_FIELD] },
  { name: 'VMXON', error: 'vmxonInVmxRootOperation', when: 'in VMX root operation', memory: [BigInt(AT.VMXON)] },
  { name: 'INVEPT', error: 'invalidOperandToInveptInvvpid', when: 'with a type that does not exist', registers: [3n, 0n], memory: [EPTP] },
  { name: 'INVEPT', error: 'invalidOperandToInveptInvvpid', when: 'with an EPT pointer that VM entry refuses', registers: [1n, 0n], memory: [EPTP | 0x80n] },
  { name: 'INVVPID', error: 'invalidOperandToInveptInvvpid', when: 'with a type that does not exist', registers: [4n, 0n], memory: [1n] },
  { name: 'INVVPID', error: 'invalidOperandToInveptInvvpid', when: 'of VPID 0', registers: [1n, 0n], memory: [0n] },
  { name: 'INVVPID', error: 'invalidOperandToInveptInvvpid', when: 'of an address that is not canonical', registers: [0n, 0n], memory: [1n, 1n << 60n] },
];

function execute(
  test: TestVmx,
  { name, memory: [low, high = 0n] = [0n], registers, before }: FailureRow,
): void {
  test.physical.write64(OPERAND, low);
  test.physical.write64(OPERAND + 8, high);
  test.state.setGpr(RAX, registers?.[0] ?? 0n);
  test.state.setGpr(RCX, registers?.[1] ?? 0n);
  before?.(test);
  setArithmeticFlags(test.state, ARITHMETIC_FLAGS);
  const operands = {
    VMREAD: [reg(RAX), reg(RCX)],
    VMWRITE: [reg(RCX), reg(RAX)],
    INVEPT: [reg(RAX), mem(BigInt(OPERAND), 64)],
    INVVPID: [reg(RAX), mem(BigInt(OPERAND), 64)],
  }[name];
  test.vmx.execute(testInstruction(name, operands ?? [mem(BigInt(OPERAND))], { length: 3 }));
}

const flags = ({ state }: TestVmx): number => readRflags(state) & ARITHMETIC_FLAGS;

describe('the cases of failing VMX instructions', () => {
  it('are those of every error number that this processor gives, and of no other', () => {
    const given = (VM_INSTRUCTION_ERRORS as readonly VmInstructionErrorRow[])
      .filter(({ absent }) => absent === undefined)
      .map(({ key }) => key);
    expect([...new Set(FAILURES.map(({ error }) => error as string))].sort()).toEqual([...given].sort());
  });
});

describe('VMfailValid', () => {
  it.each(FAILURES)('is $name $when: $error', (row) => {
    const test = processorInRoot(row.vmcs?.(guestVmcs()));
    execute(test, row);
    expect(flags(test)).toBe(FLAG.ZF);
    expect(test.field('VM_INSTRUCTION_ERROR')).toBe(BigInt(VM_INSTRUCTION_ERROR[row.error]));
    expect(test.state.VMX_OPERATION).toBe(VMX_OPERATION.ROOT);
    expect(test.state.CURRENT_VMCS).toBe(BigInt(AT.VMCS));
  });
});

describe('VMfailInvalid', () => {
  it.each(FAILURES)('is $name $when, without a current VMCS', (row) => {
    const test = processorInRoot();
    test.vmx.vmclear(BigInt(AT.VMCS));
    execute(test, row);
    expect(flags(test)).toBe(FLAG.CF);
    expect(test.physical.read32(AT.VMCS + VMCS_FIELD.VM_INSTRUCTION_ERROR.offset)).toBe(0);
  });
});
