import { describe, expect, it } from 'vitest';
import {
  describeVmInstructionError,
  VM_INSTRUCTION_ERROR,
  VM_INSTRUCTION_ERRORS,
  VMX_ABORT,
  VMX_ABORTS,
} from './vmInstructionErrors.ts';

describe('VM-instruction error numbers', () => {
  it('are the numbers 1 to 28 without 14, 21 and 27, each once', () => {
    const expected = Array.from({ length: 28 }, (_, i) => i + 1).filter((n) => ![14, 21, 27].includes(n));
    expect(VM_INSTRUCTION_ERRORS.map((row) => row.number)).toEqual(expected);
    expect(Object.keys(VM_INSTRUCTION_ERROR)).toHaveLength(expected.length);
  });

  it('have texts, also when the manual does not use the number', () => {
    expect(VM_INSTRUCTION_ERROR.vmlaunchNonClearVmcs).toBe(4);
    expect(describeVmInstructionError(26)).toBe('VM entry while events are blocked by MOV SS');
    expect(describeVmInstructionError(14)).toBe('VM-instruction error 14');
  });
});

describe('VMX-abort indicators', () => {
  it('are 1 to 6', () => {
    expect(VMX_ABORTS.map((row) => row.indicator)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(VMX_ABORT.loadingHostMsrs).toBe(4);
  });
});
