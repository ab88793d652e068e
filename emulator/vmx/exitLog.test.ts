import { describe, expect, it } from 'vitest';
import { guestVmcs, processorInGuest } from '../../test/support/vmxProcessor.ts';
import { testInstruction } from '../core/testing/instruction.ts';
import { setArithmeticFlags } from '../state/flags.ts';
import { RAX } from '../state/registers.ts';
import { ExitLog } from './exitLog.ts';

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

  it('keeps the last exits and counts all', () => {
    const log = new ExitLog(4);
    const test = processorInGuest();
    test.vmx.interceptTripleFault();
    setArithmeticFlags(test.state, 0);
    for (let position = 0; position < 10; position++)
      log.add(test.state, test.vmx.processor.vmcs.word, position, 1, 5);
    expect(log.total).toBe(10);
    expect(log.records(0, 100).map(({ number, position }) => [number, position])).toEqual([
      [6, 6],
      [7, 7],
      [8, 8],
      [9, 9],
    ]);
    expect(log.counts()).toEqual([{ key: 'tripleFault', name: 'Triple fault', count: 10, cost: 50 }]);
  });
});
