import { describe, expect, it } from 'vitest';
import { guestVmcs, processorInGuest } from '../../test/support/vmxProcessor.ts';
import { testInstruction } from '../core/testing/instruction.ts';
import { setArithmeticFlags } from '../state/flags.ts';
import { CPU_FIELDS } from '../state/layout.ts';
import { RAX } from '../state/registers.ts';
import { EXIT_RECORD, ExitLog, TEXT_KEY_WORDS, textKey } from './exitLog.ts';
import { SLOT } from './vmcs.ts';

describe('the log of VM exits', () => {
  it('has what the VMCS says and a text made of it', () => {
    const test = processorInGuest(guestVmcs().control('unconditionalIoExiting', true));
    const { log } = test.vmx.processor;
    test.state.setGpr(RAX, 0x4000_0000n);
    test.vmx.intercept({ point: 'CPUID' }, testInstruction('CPUID'));
    test.vmx.enterGuest();
    const io = {
      point: 'IO',
      port: 0x3f8,
      size: 1,
      input: false,
      string: false,
      repeat: false,
      immediate: false,
      address: 0n,
    } as const;
    test.vmx.intercept(io, testInstruction('OUT', [], { length: 1 }));
    expect(log.total).toBe(2);
    expect(log.records(0, 10).map(({ text }) => text)).toEqual([
      'CPUID: leaf 0x40000000, subleaf 0x0',
      'I/O instruction: OUT 0x3f8, 1 byte',
    ]);
    expect(log.record(1)).toMatchObject({
      number: 1,
      reason: 30,
      reasonKey: 'ioInstruction',
      rip: test.field('GUEST_RIP'),
      instructionLength: 1,
      entryFailure: false,
    });
    expect(log.counts().map(({ key, count }) => [key, count])).toEqual([
      ['cpuid', 1],
      ['ioInstruction', 1],
    ]);
  });

  it('has the key guest state of each exit, and says of other fields that they were not recorded', () => {
    const test = processorInGuest();
    const { log, vmcs } = test.vmx.processor;
    vmcs.setPair(SLOT.GUEST_RSP, 0x1234, 1);
    test.vmx.intercept({ point: 'CPUID' }, testInstruction('CPUID'));
    const before = test.field('GUEST_CR3');
    test.vmx.vmwrite('GUEST_CR3', 0x5000n);
    expect(log.fieldOf(0, 'GUEST_CR3')).toBe(before);
    expect(log.fieldOf(0, 'GUEST_RSP')).toBe(test.field('GUEST_RSP'));
    expect(log.fieldOf(0, 'GUEST_CR0')).toBe(test.field('GUEST_CR0'));
    expect(log.fieldOf(0, 'GUEST_CS_SELECTOR')).toBe(test.field('GUEST_CS_SELECTOR'));
    expect(log.fieldOf(0, 'GUEST_FS_BASE')).toBeUndefined();
  });

  it('after a failed VM entry does not have the halves that no VM exit has saved', () => {
    const test = processorInGuest();
    const { log } = test.vmx.processor;
    test.vmx.intercept({ point: 'CPUID' }, testInstruction('CPUID'));
    test.vmx.vmwrite('GUEST_CR0', 0x1_0000_0000n);
    test.vmx.enterGuest();
    expect(log.record(1)).toMatchObject({ entryFailure: true });
    expect(log.fieldOf(1, 'GUEST_CR0')).toBeUndefined();
    expect(log.fieldOf(1, 'GUEST_RIP')).toBe(test.field('GUEST_RIP'));
  });

  it('has room for a record in the processor’s state', () => {
    const { count } = CPU_FIELDS.find(({ key }) => key === 'EXIT_RECORD') ?? {};
    expect(count).toBe(EXIT_RECORD.words);
  });

  it('makes the same key of exits with the same text', () => {
    const test = processorInGuest();
    const log = new ExitLog(test.state);
    const { vmcs, transfers } = test.vmx.processor;
    const add = () => {
      transfers.recordExit(4 * vmcs.word);
      log.add(0, 1, 5);
    };
    test.vmx.intercept({ point: 'CPUID' }, testInstruction('CPUID'));
    add();
    test.vmx.vmwrite('GUEST_RIP', 0x7777n);
    add();
    test.state.setGpr(RAX, 7n);
    add();
    const { words, count } = log.span(0, 10);
    const keys = Array.from({ length: count }, (_, index) => {
      const key = new Int32Array(TEXT_KEY_WORDS);
      return [textKey(words, index * EXIT_RECORD.words, key), ...key];
    });
    expect(count).toBe(3);
    expect(keys[1]).toEqual(keys[0]);
    expect(keys[2]).not.toEqual(keys[0]);
  });

  it('keeps the last exits and counts all', () => {
    const test = processorInGuest();
    const log = new ExitLog(test.state, 4);
    test.vmx.interceptTripleFault();
    setArithmeticFlags(test.state, 0);
    for (let position = 0; position < 10; position++) log.add(position, 1, 5);
    expect([log.total, log.first]).toEqual([10, 6]);
    expect(log.records(0, 100).map(({ number, position }) => [number, position])).toEqual([
      [6, 6],
      [7, 7],
      [8, 8],
      [9, 9],
    ]);
    expect(log.counts()).toEqual([{ key: 'tripleFault', name: 'Triple fault', count: 10, cost: 50 }]);
  });
});
