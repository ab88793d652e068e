import { beforeEach, describe, expect, it } from 'vitest';
import { readRflags, writeRflags } from '../state/flags.ts';
import { ACTIVITY, BLOCKING, FLAG, RSP, VMX_OPERATION } from '../state/registers.ts';
import { PENDING_DEBUG } from './debugRegisters.ts';
import { beginStep, checkEvents, endStep, mustStep } from './eventCheck.ts';
import { NO_VIRTUALIZATION } from './noVirtualization.ts';
import { OUTCOME } from './outcome.ts';
import { AT, gate, longProcessor, SELECTOR, setGate, type TestProcessor } from './testing/processor.ts';
import type { EventPriority } from './virtualization.ts';

let machine: TestProcessor;
const HANDLERS = 0x2_0000n;
const handler = (vector: number): bigint => HANDLERS + BigInt(vector * 16);

beforeEach(() => {
  machine = longProcessor();
  for (const vector of [1, 2, 0x40])
    setGate(machine, vector, gate(0x8e, SELECTOR.LONG_CODE0, handler(vector)));
});

/** Lets VM exits pend at a priority, and records in which order virtualization is asked. */
function pendExit(
  pending?: EventPriority,
  nmiControl: 'normal' | 'exiting' | 'virtual' = 'normal',
): string[] {
  const asked: string[] = [];
  machine.cpu.virtualization = {
    ...NO_VIRTUALIZATION,
    mayExitBetweenInstructions: () => true,
    pendingExit: (priority) => {
      asked.push(priority);
      return priority === pending ? OUTCOME.VM_EXIT : OUTCOME.NEXT;
    },
    interceptEvent: ({ vector }) => {
      asked.push(`event ${vector}`);
      return OUTCOME.NEXT;
    },
    interceptExternalInterrupt: () => {
      asked.push('external interrupt');
      return OUTCOME.NEXT;
    },
    nmiControl: () => nmiControl,
  };
  return asked;
}

describe('concurrent events', () => {
  it('nothing is taken when nothing pends', () => {
    expect(checkEvents(machine.cpu)).toBe(OUTCOME.NEXT);
  });

  it('a debug trap comes before an NMI, an NMI before an external interrupt', () => {
    const { cpu, state, interrupts } = machine;
    writeRflags(state, 2 | FLAG.IF);
    state.PENDING_DEBUG = PENDING_DEBUG.BS;
    state.NMI_PENDING = 1;
    interrupts.push(0x40);
    checkEvents(cpu);
    expect(state.RIP).toBe(handler(1));
    expect(state.PENDING_DEBUG).toBe(0n);
    expect(state.debugRegister(6) & 0x4000n).toBe(0x4000n);
    checkEvents(cpu);
    expect(state.RIP).toBe(handler(2));
    writeRflags(state, readRflags(state) | FLAG.IF);
    checkEvents(cpu);
    expect(state.RIP).toBe(handler(0x40));
    expect(interrupts).toEqual([]);
  });

  it.each([
    ['above-debug-traps', ['above-debug-traps']],
    ['above-nmi', ['above-debug-traps', 'above-nmi']],
    ['above-external-interrupts', ['above-debug-traps', 'above-nmi', 'above-external-interrupts']],
  ] as const)('a VM exit pending %s is taken at its place', (priority, order) => {
    const asked = pendExit(priority);
    machine.interrupts.push(0x40);
    expect(checkEvents(machine.cpu)).toBe(OUTCOME.VM_EXIT);
    expect(asked).toEqual(order);
  });

  it('an external interrupt with IF clear is offered to virtualization and otherwise waits', () => {
    const asked = pendExit();
    machine.interrupts.push(0x40);
    expect(checkEvents(machine.cpu)).toBe(OUTCOME.NEXT);
    expect(asked.at(-1)).toBe('external interrupt');
    expect(machine.interrupts).toEqual([0x40]);
  });

  it('a breakpoint that is not enabled does not trap', () => {
    machine.state.PENDING_DEBUG = 1n;
    expect(checkEvents(machine.cpu)).toBe(OUTCOME.NEXT);
  });
});

describe('blocking', () => {
  it.each([
    ['STI', BLOCKING.STI],
    ['MOV SS', BLOCKING.MOV_SS],
  ])('by %s holds back an external interrupt, even from virtualization', (_name, blocking) => {
    const asked = pendExit();
    writeRflags(machine.state, 2 | FLAG.IF);
    machine.state.INTERRUPTIBILITY = blocking;
    machine.interrupts.push(0x40);
    expect(checkEvents(machine.cpu)).toBe(OUTCOME.NEXT);
    expect(asked).not.toContain('external interrupt');
  });

  it('by MOV SS holds back debug traps and NMIs', () => {
    machine.state.INTERRUPTIBILITY = BLOCKING.MOV_SS;
    machine.state.PENDING_DEBUG = PENDING_DEBUG.BS;
    machine.state.NMI_PENDING = 1;
    expect(checkEvents(machine.cpu)).toBe(OUTCOME.NEXT);
    expect(machine.state.PENDING_DEBUG).toBe(PENDING_DEBUG.BS);
  });

  it('by NMI holds back a further NMI, except where the blocking is of virtual NMIs', () => {
    machine.state.INTERRUPTIBILITY = BLOCKING.NMI;
    machine.state.NMI_PENDING = 1;
    expect(checkEvents(machine.cpu)).toBe(OUTCOME.NEXT);
    const asked = pendExit(undefined, 'virtual');
    checkEvents(machine.cpu);
    expect(asked).toContain('event 2');
    expect(machine.state.NMI_PENDING).toBe(0);
  });
});

describe('activity states', () => {
  it('HLT ends with an interrupt that is delivered', () => {
    const { cpu, state, interrupts } = machine;
    state.ACTIVITY_STATE = ACTIVITY.HLT;
    interrupts.push(0x40);
    checkEvents(cpu);
    expect(state.ACTIVITY_STATE).toBe(ACTIVITY.HLT);
    writeRflags(state, 2 | FLAG.IF);
    checkEvents(cpu);
    expect(state.ACTIVITY_STATE).toBe(ACTIVITY.ACTIVE);
    expect(state.RIP).toBe(handler(0x40));
  });

  it('shutdown ends with an NMI and not with an interrupt', () => {
    const { cpu, state, interrupts } = machine;
    state.ACTIVITY_STATE = ACTIVITY.SHUTDOWN;
    writeRflags(state, 2 | FLAG.IF);
    interrupts.push(0x40);
    expect(checkEvents(cpu)).toBe(OUTCOME.NEXT);
    state.NMI_PENDING = 1;
    expect(checkEvents(cpu)).toBe(OUTCOME.JUMPED);
    expect(state.ACTIVITY_STATE).toBe(ACTIVITY.ACTIVE);
  });

  it('wait-for-SIPI takes neither', () => {
    machine.state.ACTIVITY_STATE = ACTIVITY.WAIT_FOR_SIPI;
    machine.state.NMI_PENDING = 1;
    machine.interrupts.push(0x40);
    expect(checkEvents(machine.cpu)).toBe(OUTCOME.NEXT);
  });
});

describe('an instruction that is run alone', () => {
  it('is one in a shadow, or with TF or RF set', () => {
    const { state } = machine;
    expect(mustStep(state)).toBe(false);
    state.INTERRUPTIBILITY = BLOCKING.STI;
    expect(mustStep(state)).toBe(true);
    state.INTERRUPTIBILITY = BLOCKING.NMI;
    expect(mustStep(state)).toBe(false);
    state.systemFlags |= FLAG.RF;
    expect(mustStep(state)).toBe(true);
  });

  it('ends the shadow and RF and traps with TF', () => {
    const { cpu, state } = machine;
    state.INTERRUPTIBILITY = BLOCKING.STI;
    state.systemFlags |= FLAG.TF | FLAG.RF;
    endStep(cpu, beginStep(cpu), OUTCOME.NEXT);
    expect(state.INTERRUPTIBILITY).toBe(0);
    expect(state.systemFlags & FLAG.RF).toBe(0);
    expect(state.PENDING_DEBUG).toBe(PENDING_DEBUG.BS);
  });

  it('with IA32_DEBUGCTL.BTF traps after a branch that is taken alone', () => {
    const { cpu, state } = machine;
    state.systemFlags |= FLAG.TF;
    state.IA32_DEBUGCTL = 2n;
    endStep(cpu, beginStep(cpu), OUTCOME.NEXT, false);
    expect(state.PENDING_DEBUG).toBe(0n);
    endStep(cpu, beginStep(cpu), OUTCOME.JUMPED, true);
    expect(state.PENDING_DEBUG).toBe(PENDING_DEBUG.BS);
  });

  it('leaves all as it was after a fault', () => {
    const { cpu, state } = machine;
    state.INTERRUPTIBILITY = BLOCKING.MOV_SS;
    state.systemFlags |= FLAG.TF | FLAG.RF;
    endStep(cpu, beginStep(cpu), OUTCOME.FAULT);
    expect(state.INTERRUPTIBILITY).toBe(BLOCKING.MOV_SS);
    expect(state.systemFlags & FLAG.RF).not.toBe(0);
    expect(state.PENDING_DEBUG).toBe(0n);
  });

  it('keeps a shadow that it began itself', () => {
    const { cpu, state } = machine;
    state.INTERRUPTIBILITY = BLOCKING.STI;
    const step = beginStep(cpu);
    state.INTERRUPTIBILITY |= BLOCKING.MOV_SS;
    endStep(cpu, step, OUTCOME.NEXT_THEN_CHECK);
    expect(state.INTERRUPTIBILITY).toBe(BLOCKING.MOV_SS);
  });

  it('leaves what a VM entry loaded', () => {
    const { cpu, state } = machine;
    state.systemFlags |= FLAG.TF;
    const step = beginStep(cpu);
    state.VMX_OPERATION = VMX_OPERATION.NON_ROOT;
    state.INTERRUPTIBILITY = BLOCKING.STI;
    endStep(cpu, step, OUTCOME.JUMPED);
    expect(state.INTERRUPTIBILITY).toBe(BLOCKING.STI);
    expect(state.PENDING_DEBUG).toBe(0n);
  });

  it('traps after each iteration of a string instruction, which keeps RF', () => {
    const { cpu, state } = machine;
    state.systemFlags |= FLAG.TF | FLAG.RF;
    endStep(cpu, beginStep(cpu), OUTCOME.REPEAT);
    expect(state.systemFlags & FLAG.RF).not.toBe(0);
    expect(state.PENDING_DEBUG).toBe(PENDING_DEBUG.BS);
  });

  it('pushes RF as 1 for an interrupt between two iterations', () => {
    const { cpu, state, interrupts, physical } = machine;
    cpu.insideRepeat = true;
    writeRflags(state, 2 | FLAG.IF);
    interrupts.push(0x40);
    checkEvents(cpu);
    expect(physical.read64(Number(AT.STACK) - 24)).toBe(BigInt(2 | FLAG.IF | FLAG.RF));
    expect(state.gpr(RSP)).toBe(AT.STACK - 40n);
  });
});
