import { describe, expect, it } from 'vitest';
import { AR, CS, DS, ES, FS, GS, LDTR, SS, TR, VECTOR } from '../state/registers.ts';
import { readSegmented, writeSegmented } from './memory.ts';
import { OUTCOME } from './outcome.ts';
import { accessRightsOf, isAccessible, limitOf, loadLdtr, loadSegment, loadTr } from './segments.ts';
import {
  AT,
  descriptor,
  longProcessor,
  protectedProcessor,
  read64,
  SELECTOR,
  setDescriptor,
  type TestProcessor,
  testProcessor,
  virtual8086Processor,
} from './testing/processor.ts';

const { FREE } = SELECTOR;

function withDescriptor(machine: TestProcessor, rights: number, limit = 0xf_ffff, base = 0n): TestProcessor {
  setDescriptor(machine, FREE, descriptor(rights, limit, base));
  return machine;
}

function expectFault({ cpu }: TestProcessor, outcome: number, vector: number, errorCode: number): void {
  expect(outcome).toBe(OUTCOME.FAULT);
  expect([cpu.fault.vector, cpu.fault.errorCode]).toEqual([vector, errorCode]);
}

describe('a segment load in real-address mode', () => {
  it('makes the base from the selector and keeps the limit: big real mode', () => {
    const { cpu, state } = testProcessor();
    state.setSegmentLimit(DS, 0xffff_ffff);
    state.setSegmentAccessRights(DS, 0xc093);
    expect(loadSegment(cpu, DS, 0x1234)).toBe(OUTCOME.NEXT_THEN_CHECK);
    expect(state.segmentBase(DS)).toBe(0x1_2340n);
    expect(state.segmentLimit(DS)).toBe(0xffff_ffff);
    expect(state.segmentAccessRights(DS)).toBe(0xc093);
  });

  it('gives the fixed limit and access rights in virtual-8086 mode', () => {
    const { cpu, state } = virtual8086Processor();
    state.setSegmentLimit(DS, 0xffff_ffff);
    loadSegment(cpu, DS, 0x1234);
    expect(state.segmentLimit(DS)).toBe(0xffff);
    expect(state.segmentAccessRights(DS)).toBe(0xf3);
  });
});

describe('a data-segment load in protected mode', () => {
  it('takes base, limit and access rights and sets the accessed flag in memory', () => {
    const machine = withDescriptor(protectedProcessor(), 0x4092, 0x1_2345, 0x8765_4321n);
    const { cpu, state } = machine;
    expect(loadSegment(cpu, ES, FREE)).toBe(OUTCOME.NEXT_THEN_CHECK);
    expect(state.segmentBase(ES)).toBe(0x8765_4321n);
    expect(state.segmentLimit(ES)).toBe(0x1_2345);
    expect(state.segmentAccessRights(ES)).toBe(0x4093);
    expect(read64(machine, AT.GDT + BigInt(FREE))).toBe(descriptor(0x4093, 0x1_2345, 0x8765_4321n));
  });

  it('scales the limit with G set', () => {
    const machine = withDescriptor(protectedProcessor(), 0xc092, 0x3);
    loadSegment(machine.cpu, ES, FREE);
    expect(machine.state.segmentLimit(ES)).toBe(0x3fff);
  });

  it('with a null selector makes the segment unusable: the access faults, not the load', () => {
    const { cpu, state } = protectedProcessor();
    expect(loadSegment(cpu, DS, 3)).toBe(OUTCOME.NEXT_THEN_CHECK);
    expect(state.segmentSelector(DS)).toBe(3);
    expect(readSegmented(cpu, DS, 0n, 1)).toBeUndefined();
    expect([cpu.fault.vector, cpu.fault.errorCode]).toEqual([VECTOR.GP, 0]);
  });

  it.each([
    ['beyond the limit of the GDT', 0x80, undefined, VECTOR.GP, 0x80],
    ['in an unusable LDT', 0x0c, undefined, VECTOR.GP, 0x0c],
    ['of a system descriptor', FREE, 0x0089, VECTOR.GP, FREE],
    ['of execute-only code', FREE, 0xc099, VECTOR.GP, FREE],
    ['not present', FREE, 0xc013, VECTOR.NP, FREE],
  ] as const)('%s', (_name, selector, rights, vector, errorCode) => {
    const machine = protectedProcessor();
    if (rights !== undefined) withDescriptor(machine, rights);
    expectFault(machine, loadSegment(machine.cpu, DS, selector), vector, errorCode);
  });

  it('checks RPL and CPL against the DPL, except for conforming code', () => {
    const machine = withDescriptor(protectedProcessor(3), 0xc093);
    expectFault(machine, loadSegment(machine.cpu, DS, FREE), VECTOR.GP, FREE);
    withDescriptor(machine, 0xc09f);
    expect(loadSegment(machine.cpu, DS, FREE)).toBe(OUTCOME.NEXT_THEN_CHECK);
    const inner = withDescriptor(protectedProcessor(0), 0xc0b3);
    expectFault(inner, loadSegment(inner.cpu, DS, FREE | 3), VECTOR.GP, FREE);
  });
});

describe('an SS load', () => {
  it.each([
    ['a null selector', 0, 0xc093, VECTOR.GP, 0],
    ['the wrong RPL', FREE | 1, 0xc093, VECTOR.GP, FREE],
    ['the wrong DPL', FREE, 0xc0f3, VECTOR.GP, FREE],
    ['a segment that cannot be written', FREE, 0xc091, VECTOR.GP, FREE],
    ['a segment that is not present', FREE, 0xc013, VECTOR.SS, FREE],
  ])('refuses %s', (_name, selector, rights, vector, errorCode) => {
    const machine = withDescriptor(protectedProcessor(), rights);
    expectFault(machine, loadSegment(machine.cpu, SS, selector), vector, errorCode);
  });

  it('takes a null selector with RPL = CPL in 64-bit mode below level 3', () => {
    const { cpu, state } = longProcessor(0);
    expect(loadSegment(cpu, SS, 0)).toBe(OUTCOME.NEXT_THEN_CHECK);
    expect(state.segmentAccessRights(SS)).toBe(AR.UNUSABLE);
    const user = longProcessor(3);
    expectFault(user, loadSegment(user.cpu, SS, 3), VECTOR.GP, 0);
  });
});

describe('accesses through a segment', () => {
  it('are checked against the limit, with #SS for the stack', () => {
    const { cpu, state } = protectedProcessor();
    state.setSegmentLimit(SS, 0x1003);
    expect(readSegmented(cpu, SS, 0x1000n, 4)).toBe(0n);
    expect(readSegmented(cpu, SS, 0x1001n, 4)).toBeUndefined();
    expect(cpu.fault.vector).toBe(VECTOR.SS);
  });

  it('of an expand-down segment lie above the limit', () => {
    const { cpu, state } = protectedProcessor();
    state.setSegmentAccessRights(DS, 0x97);
    state.setSegmentLimit(DS, 0xfff);
    expect(readSegmented(cpu, DS, 0xfffn, 1)).toBeUndefined();
    expect(readSegmented(cpu, DS, 0x1000n, 1)).toBe(0n);
    expect(readSegmented(cpu, DS, 0xffffn, 2)).toBeUndefined();
  });

  it('cannot write code or read-only data', () => {
    const { cpu, state } = protectedProcessor();
    expect(writeSegmented(cpu, CS, 0n, 1, 0n)).toBe(false);
    state.setSegmentAccessRights(ES, 0xc091);
    expect(writeSegmented(cpu, ES, 0n, 1, 0n)).toBe(false);
    expect(readSegmented(cpu, ES, 0n, 1)).toBe(0n);
  });

  it('in 64-bit mode ignore all bases but those of FS and GS, and must be canonical', () => {
    const machine = longProcessor();
    const { cpu, state } = machine;
    machine.physical.write64(0x5000, 0x1122n);
    state.setSegmentBase(DS, 0x1000n);
    state.setSegmentBase(GS, 0x1000n);
    expect(readSegmented(cpu, DS, 0x5000n, 8)).toBe(0x1122n);
    expect(readSegmented(cpu, GS, 0x4000n, 8)).toBe(0x1122n);
    expect(readSegmented(cpu, DS, 0x8000_0000_0000n, 1)).toBeUndefined();
    expect(cpu.fault.vector).toBe(VECTOR.GP);
    expect(readSegmented(cpu, SS, 0x7fff_ffff_ffffn, 2)).toBeUndefined();
    expect(cpu.fault.vector).toBe(VECTOR.SS);
  });

  it('are alignment-checked at CPL 3 with AM and AC', () => {
    const { cpu, state } = longProcessor(3);
    state.CR0 |= 1n << 18n;
    expect(readSegmented(cpu, DS, 0x5001n, 2)).toBe(0n);
    state.systemFlags |= 1 << 18;
    expect(readSegmented(cpu, DS, 0x5001n, 2)).toBeUndefined();
    expect([cpu.fault.vector, cpu.fault.errorCode]).toEqual([VECTOR.AC, 0]);
  });
});

describe('LTR', () => {
  it('marks the TSS busy and takes a 64-bit base in IA-32e mode', () => {
    const machine = longProcessor();
    const { cpu, state } = machine;
    setDescriptor(machine, SELECTOR.TSS, descriptor(0x89, 0x67, 0x8765_4321n), 0xffff_8000n);
    expect(loadTr(cpu, SELECTOR.TSS)).toBe(OUTCOME.NEXT);
    expect(state.segmentBase(TR)).toBe(0xffff_8000_8765_4321n);
    expect(state.segmentAccessRights(TR)).toBe(0x8b);
    expect(read64(machine, AT.GDT + BigInt(SELECTOR.TSS))).toBe(descriptor(0x8b, 0x67, 0x8765_4321n));
    expectFault(machine, loadTr(cpu, SELECTOR.TSS), VECTOR.GP, SELECTOR.TSS);
  });

  it('refuses null, local and non-TSS selectors', () => {
    const machine = withDescriptor(protectedProcessor(), 0x82);
    expectFault(machine, loadTr(machine.cpu, 0), VECTOR.GP, 0);
    expectFault(machine, loadTr(machine.cpu, 0x2c), VECTOR.GP, 0x2c);
    expectFault(machine, loadTr(machine.cpu, FREE), VECTOR.GP, FREE);
  });
});

describe('LLDT', () => {
  it('makes local selectors usable', () => {
    const machine = protectedProcessor();
    setDescriptor(machine, SELECTOR.LDT, descriptor(0x82, 0xf, AT.LDT));
    machine.physical.write64(Number(AT.LDT) + 8, descriptor(0xc093));
    expect(loadLdtr(machine.cpu, SELECTOR.LDT)).toBe(OUTCOME.NEXT);
    expect(loadSegment(machine.cpu, FS, 0x0c)).toBe(OUTCOME.NEXT_THEN_CHECK);
    expectFault(machine, loadSegment(machine.cpu, FS, 0x14), VECTOR.GP, 0x14);
  });

  it('with a null selector makes the LDT unusable', () => {
    const { cpu, state } = protectedProcessor();
    expect(loadLdtr(cpu, 0)).toBe(OUTCOME.NEXT);
    expect(state.segmentAccessRights(LDTR)).toBe(AR.UNUSABLE);
  });
});

describe('LAR, LSL, VERR and VERW', () => {
  it('look at a descriptor without faulting', () => {
    const { cpu } = withDescriptor(protectedProcessor(3), 0xc0f3, 0xf);
    expect(accessRightsOf(cpu, FREE | 3)).toBe(0x00c0_f300);
    expect(limitOf(cpu, FREE | 3)).toBe(0xffff);
    expect(isAccessible(cpu, FREE | 3, true)).toBe(true);
    expect(accessRightsOf(cpu, 0x1000)).toBeNull();
    expect(accessRightsOf(cpu, 0)).toBeNull();
  });

  it('do not see more privileged segments', () => {
    const { cpu } = withDescriptor(protectedProcessor(3), 0xc093);
    expect(limitOf(cpu, FREE | 3)).toBeNull();
    expect(isAccessible(cpu, FREE | 3, false)).toBe(false);
  });

  it('LAR gives a gate and LSL does not', () => {
    const { cpu } = withDescriptor(protectedProcessor(0), 0x8c, 0);
    expect(accessRightsOf(cpu, FREE)).toBe(0x8c00);
    expect(limitOf(cpu, FREE)).toBeNull();
  });
});
