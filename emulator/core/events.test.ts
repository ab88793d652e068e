import { describe, expect, it } from 'vitest';
import { readRflags, writeRflags } from '../state/flags.ts';
import { ACTIVITY, BLOCKING, CS, DS, ES, FLAG, FS, GS, RSP, SS, VECTOR } from '../state/registers.ts';
import type { Cpu } from './cpu.ts';
import { combineExceptions, deliverEvent, deliverFault, injectEvent } from './events.ts';
import { NO_VIRTUALIZATION } from './noVirtualization.ts';
import { OUTCOME } from './outcome.ts';
import {
  AT,
  gate,
  items,
  longProcessor,
  protectedProcessor,
  SELECTOR,
  setGate,
  type TestProcessor,
  testProcessor,
  unmap,
  virtual8086Processor,
  write64,
} from './testing/processor.ts';
import type { GuestEvent } from './virtualization.ts';

function event(kind: GuestEvent['kind'], vector: number, changes: Partial<GuestEvent> = {}): GuestEvent {
  return { kind, vector, errorCode: undefined, qualification: 0n, instructionLength: 0, ...changes };
}

/** Records what virtualization is asked, and intercepts the vectors in `exits`. */
function watch(cpu: Cpu, exits: readonly number[] = []) {
  const seen: [vector: number, during: number | undefined][] = [];
  let tripleFaults = 0;
  cpu.virtualization = {
    ...NO_VIRTUALIZATION,
    interceptEvent: (asked) => {
      seen.push([asked.vector, cpu.deliveringEvent?.vector]);
      return exits.includes(asked.vector) ? OUTCOME.VM_EXIT : OUTCOME.NEXT;
    },
    interceptTripleFault: () => {
      tripleFaults += 1;
      return OUTCOME.NEXT;
    },
  };
  return { seen, tripleFaults: () => tripleFaults };
}

const HANDLER = 0x1_2345n;

describe('event delivery in real-address mode', () => {
  function processor(): TestProcessor {
    const machine = testProcessor();
    machine.physical.write(0x21 * 4, 4, 0x4000_1234, 0);
    machine.state.setSegmentSelector(CS, 0x700);
    machine.state.setSegmentBase(CS, 0x7000n);
    writeRflags(machine.state, 2 | FLAG.IF | FLAG.TF | FLAG.CF);
    return machine;
  }

  it('pushes FLAGS, CS and IP, clears IF, TF and AC and goes through the interrupt table', () => {
    const machine = processor();
    const { cpu, state } = machine;
    const outcome = deliverEvent(cpu, event('software-interrupt', 0x21, { instructionLength: 2 }));
    expect(outcome).toBe(OUTCOME.JUMPED);
    expect(state.RIP).toBe(0x1234n);
    expect(state.segmentSelector(CS)).toBe(0x4000);
    expect(state.segmentBase(CS)).toBe(0x4_0000n);
    expect(state.gpr(RSP)).toBe(AT.STACK - 6n);
    expect(items(machine, AT.STACK - 6n, 2, 3)).toEqual([0x102n, 0x700n, 0x303n]);
    expect(readRflags(state)).toBe(2 | FLAG.CF);
  });

  it('pushes no error code', () => {
    const machine = processor();
    machine.physical.write(13 * 4, 4, 0x4000_5678, 0);
    machine.cpu.raise(VECTOR.GP, 0);
    expect(deliverFault(machine.cpu)).toBe(OUTCOME.JUMPED);
    expect(machine.state.gpr(RSP)).toBe(AT.STACK - 6n);
  });

  it('gives a double fault, then shutdown, when the interrupt table is too short', () => {
    const { cpu, state } = processor();
    state.IDTR_LIMIT = 0x1f;
    const watched = watch(cpu);
    expect(deliverEvent(cpu, event('external', 0x21))).toBe(OUTCOME.JUMPED);
    expect(watched.seen.map(([vector]) => vector)).toEqual([0x21, 13, 13, 8, 13]);
    expect(watched.tripleFaults()).toBe(1);
    expect(state.ACTIVITY_STATE).toBe(ACTIVITY.SHUTDOWN);
  });

  it('wraps the stack pointer at 64 KBytes and refuses a push that leaves the segment', () => {
    const { cpu, state } = processor();
    state.setGpr(RSP, 1n);
    const { seen } = watch(cpu);
    deliverEvent(cpu, event('external', 0x21));
    expect(seen[1]).toEqual([VECTOR.SS, 0x21]);
  });
});

describe('event delivery in protected mode', () => {
  it('pushes EFLAGS, CS and EIP on the same stack at the same privilege level', () => {
    const machine = protectedProcessor();
    const { cpu, state } = machine;
    setGate(machine, 0x40, gate(0x8e, SELECTOR.CODE0, HANDLER));
    writeRflags(state, 2 | FLAG.IF);
    expect(deliverEvent(cpu, event('external', 0x40))).toBe(OUTCOME.JUMPED);
    expect(items(machine, AT.STACK - 12n, 4, 3)).toEqual([AT.CODE, BigInt(SELECTOR.CODE0), 0x202n]);
    expect(state.RIP).toBe(HANDLER);
    expect(readRflags(state)).toBe(2);
  });

  it('keeps IF through a trap gate', () => {
    const machine = protectedProcessor();
    setGate(machine, 0x40, gate(0x8f, SELECTOR.CODE0, HANDLER));
    writeRflags(machine.state, 2 | FLAG.IF);
    deliverEvent(machine.cpu, event('external', 0x40));
    expect(readRflags(machine.state)).toBe(2 | FLAG.IF);
  });

  it('switches to the stack of the TSS when the privilege level changes, and pushes SS and ESP first', () => {
    const machine = protectedProcessor(3);
    const { cpu, state } = machine;
    setGate(machine, 13, gate(0x8e, SELECTOR.CODE0, HANDLER));
    cpu.raise(VECTOR.GP, 0x50);
    expect(deliverFault(cpu)).toBe(OUTCOME.JUMPED);
    const flags = BigInt(2 | FLAG.RF);
    const expected = [0x50n, AT.CODE, BigInt(SELECTOR.CODE3), flags, AT.STACK, BigInt(SELECTOR.DATA3)];
    expect(items(machine, AT.INNER_STACK - 24n, 4, 6)).toEqual(expected);
    expect(state.gpr(RSP)).toBe(AT.INNER_STACK - 24n);
    expect(state.segmentSelector(SS)).toBe(SELECTOR.DATA0);
    expect(state.segmentSelector(CS)).toBe(SELECTOR.CODE0);
    expect(state.CPL).toBe(0);
  });

  it('pushes 16-bit items through a 16-bit gate', () => {
    const machine = protectedProcessor();
    setGate(machine, 0x40, gate(0x86, SELECTOR.CODE0, 0x5678n));
    deliverEvent(machine.cpu, event('external', 0x40));
    expect(machine.state.gpr(RSP)).toBe(AT.STACK - 6n);
    expect(machine.state.RIP).toBe(0x5678n);
  });

  it('leaves virtual-8086 mode with the data segments pushed and null', () => {
    const machine = virtual8086Processor();
    const { cpu, state } = machine;
    setGate(machine, 0x40, gate(0x8e, SELECTOR.CODE0, HANDLER));
    expect(deliverEvent(cpu, event('external', 0x40))).toBe(OUTCOME.JUMPED);
    const selectors = [ES, DS, FS, GS].map((segment) => BigInt(0x200 + segment));
    expect(items(machine, AT.INNER_STACK - 36n, 4, 9)).toEqual([
      0x123n,
      0x201n,
      BigInt(2 | FLAG.VM),
      0x1000n,
      0x202n,
      ...selectors,
    ]);
    expect(state.virtual8086).toBe(false);
    expect(state.segmentSelector(DS)).toBe(0);
    expect(state.segmentAccessRights(GS) & 0x1_0000).not.toBe(0);
  });

  it('gives #GP with the vector and IDT set for a software interrupt whose gate is too privileged', () => {
    const machine = protectedProcessor(3);
    setGate(machine, 0x40, gate(0x8e, SELECTOR.CODE0, HANDLER));
    setGate(machine, 13, gate(0x8e, SELECTOR.CODE0, HANDLER + 4n));
    deliverEvent(machine.cpu, event('software-interrupt', 0x40, { instructionLength: 2 }));
    expect(machine.state.RIP).toBe(HANDLER + 4n);
    expect(items(machine, AT.INNER_STACK - 24n, 4, 2)).toEqual([0x40n * 8n + 2n, AT.CODE]);
  });

  it('whose handler at CPL 3 has the misaligned stack never ends: the processor is stuck', () => {
    const machine = protectedProcessor(3);
    const { cpu, state } = machine;
    for (const vector of [0x40, VECTOR.AC]) setGate(machine, vector, gate(0xee, SELECTOR.CODE3, HANDLER));
    state.CR0 |= 1n << 18n;
    state.systemFlags |= FLAG.AC;
    cpu.mmu.updateContext();
    state.setGpr(RSP, AT.STACK + 1n);
    const watched = watch(cpu);
    expect(deliverEvent(cpu, event('software-interrupt', 0x40, { instructionLength: 2 }))).toBe(
      OUTCOME.JUMPED,
    );
    expect(watched.seen).toEqual([
      [0x40, undefined],
      [VECTOR.AC, 0x40],
      [VECTOR.AC, VECTOR.AC],
    ]);
    expect([cpu.isStuck, state.ACTIVITY_STATE, watched.tripleFaults()]).toEqual([true, ACTIVITY.SHUTDOWN, 0]);
    expect(cpu.deliveringEvent).toBeUndefined();
  });

  it('sets EXT in the error code of a fault during an external interrupt', () => {
    const machine = protectedProcessor();
    setGate(machine, 0x40, gate(0x0e, SELECTOR.CODE0, HANDLER));
    setGate(machine, 11, gate(0x8e, SELECTOR.CODE0, HANDLER));
    const { seen } = watch(machine.cpu);
    deliverEvent(machine.cpu, event('external', 0x40));
    expect(seen).toEqual([
      [0x40, undefined],
      [VECTOR.NP, 0x40],
    ]);
    expect(items(machine, AT.STACK - 16n, 4, 1)).toEqual([0x40n * 8n + 3n]);
  });

  it('does not set EXT during INT n, and does so during INT1', () => {
    const machine = protectedProcessor();
    setGate(machine, 1, gate(0x0e, SELECTOR.CODE0, HANDLER));
    setGate(machine, 11, gate(0x8e, SELECTOR.CODE0, HANDLER));
    deliverEvent(machine.cpu, event('software-interrupt', 1));
    expect(items(machine, AT.STACK - 16n, 4, 1)).toEqual([0xan]);
    machine.state.setGpr(RSP, AT.STACK);
    deliverEvent(machine.cpu, event('privileged-software-exception', 1));
    expect(items(machine, AT.STACK - 16n, 4, 1)).toEqual([0xbn]);
  });

  it('gives #TS with the stack selector when the inner stack has the wrong privilege level', () => {
    const machine = protectedProcessor(3);
    const { cpu, physical } = machine;
    setGate(machine, 0x40, gate(0x8e, SELECTOR.CODE0, HANDLER));
    physical.write(Number(AT.TSS) + 8, 2, SELECTOR.DATA3, 0);
    const { seen } = watch(cpu, [VECTOR.TS]);
    expect(deliverEvent(cpu, event('external', 0x40))).toBe(OUTCOME.VM_EXIT);
    expect(seen).toEqual([
      [0x40, undefined],
      [VECTOR.TS, 0x40],
    ]);
    expect(cpu.fault.errorCode).toBe((SELECTOR.DATA3 & ~3) | 1);
    expect(machine.state.CPL).toBe(3);
  });

  it('changes nothing when a push would fault', () => {
    const machine = protectedProcessor();
    const { cpu, state } = machine;
    setGate(machine, 0x40, gate(0x8e, SELECTOR.CODE0, HANDLER));
    state.setSegmentLimit(SS, 0x7ff9);
    state.setGpr(RSP, 0x8000n);
    const { seen } = watch(cpu, [VECTOR.SS]);
    deliverEvent(cpu, event('external', 0x40));
    expect(seen[1]).toEqual([VECTOR.SS, 0x40]);
    expect(state.gpr(RSP)).toBe(0x8000n);
    expect(state.RIP).toBe(AT.CODE);
    expect(items(machine, 0x7ff4n, 4, 3)).toEqual([0n, 0n, 0n]);
  });
});

describe('event delivery in IA-32e mode', () => {
  it('aligns the stack and pushes SS, RSP, RFLAGS, CS and RIP at every privilege level', () => {
    const machine = longProcessor();
    const { cpu, state } = machine;
    setGate(machine, 0x40, gate(0x8e, SELECTOR.LONG_CODE0, HANDLER));
    state.setGpr(RSP, AT.STACK - 3n);
    expect(deliverEvent(cpu, event('external', 0x40))).toBe(OUTCOME.JUMPED);
    const top = AT.STACK - 16n;
    expect(state.gpr(RSP)).toBe(top - 40n);
    expect(items(machine, top - 40n, 8, 5)).toEqual([
      AT.CODE,
      BigInt(SELECTOR.LONG_CODE0),
      2n,
      AT.STACK - 3n,
      BigInt(SELECTOR.DATA0),
    ]);
    expect(state.segmentSelector(SS)).toBe(SELECTOR.DATA0);
  });

  it('takes RSP0 and a null SS when the privilege level changes', () => {
    const machine = longProcessor(3);
    const { cpu, state } = machine;
    setGate(machine, 14, gate(0x8e, SELECTOR.LONG_CODE0, HANDLER));
    cpu.raise(VECTOR.PF, 6, 0xffff_8000_1234_5678n);
    expect(deliverFault(cpu)).toBe(OUTCOME.JUMPED);
    expect(items(machine, AT.INNER_STACK - 48n, 8, 6)).toEqual([
      6n,
      AT.CODE,
      BigInt(SELECTOR.LONG_CODE3),
      BigInt(2 | FLAG.RF),
      AT.STACK,
      BigInt(SELECTOR.DATA3),
    ]);
    expect(state.CR2).toBe(0xffff_8000_1234_5678n);
    expect(state.segmentSelector(SS)).toBe(0);
    expect(state.segmentAccessRights(SS)).toBe(0x1_0000);
    expect(state.CPL).toBe(0);
  });

  it('takes the stack of the interrupt-stack table, without a change of SS at the same privilege level', () => {
    const machine = longProcessor();
    setGate(machine, 8, gate(0x8e, SELECTOR.LONG_CODE0, HANDLER, 2));
    write64(machine, AT.TSS + 36n + 8n, 0xc000n);
    machine.cpu.raise(VECTOR.DF, 0);
    deliverFault(machine.cpu);
    expect(machine.state.gpr(RSP)).toBe(0xc000n - 48n);
    expect(machine.state.segmentSelector(SS)).toBe(SELECTOR.DATA0);
  });

  it('refuses a handler that is not 64-bit code', () => {
    const machine = longProcessor();
    setGate(machine, 0x40, gate(0x8e, SELECTOR.CODE0, HANDLER));
    const { seen } = watch(machine.cpu, [VECTOR.GP]);
    deliverEvent(machine.cpu, event('external', 0x40));
    expect(seen[1]).toEqual([VECTOR.GP, 0x40]);
    expect(machine.cpu.fault.errorCode).toBe(SELECTOR.CODE0 | 1);
  });

  it('blocks NMIs after an NMI and ends the shadow of STI and MOV SS', () => {
    const machine = longProcessor();
    setGate(machine, 2, gate(0x8e, SELECTOR.LONG_CODE0, HANDLER));
    machine.state.INTERRUPTIBILITY = BLOCKING.STI | BLOCKING.MOV_SS;
    machine.state.ACTIVITY_STATE = ACTIVITY.HLT;
    deliverEvent(machine.cpu, event('nmi', 2));
    expect(machine.state.INTERRUPTIBILITY).toBe(BLOCKING.NMI);
    expect(machine.state.ACTIVITY_STATE).toBe(ACTIVITY.ACTIVE);
  });

  it('gives #PF, and #DF on a further #PF, when the stack is not mapped', () => {
    const machine = longProcessor();
    for (const vector of [14, 0x40]) setGate(machine, vector, gate(0x8e, SELECTOR.LONG_CODE0, HANDLER));
    setGate(machine, 8, gate(0x8e, SELECTOR.LONG_CODE0, HANDLER + 8n, 1));
    write64(machine, AT.TSS + 36n, 0xc000n);
    unmap(machine, 0x7000n);
    const { seen } = watch(machine.cpu);
    expect(deliverEvent(machine.cpu, event('external', 0x40))).toBe(OUTCOME.JUMPED);
    expect(seen).toEqual([
      [0x40, undefined],
      [14, 0x40],
      [14, 14],
      [8, undefined],
    ]);
    expect(machine.state.RIP).toBe(HANDLER + 8n);
    expect(machine.state.CR2).toBe(0x7ff8n);
    expect(items(machine, 0xc000n - 48n, 8, 2)).toEqual([0n, AT.CODE]);
  });

  it('does not write CR2 when the page fault is intercepted', () => {
    const { cpu, state } = longProcessor();
    watch(cpu, [14]);
    cpu.raise(VECTOR.PF, 4, 0x1234n);
    expect(deliverFault(cpu)).toBe(OUTCOME.VM_EXIT);
    expect(state.CR2).toBe(0n);
  });
});

describe('#DB', () => {
  it('sets its conditions in DR6 and clears DR7.GD', () => {
    const machine = longProcessor();
    setGate(machine, 1, gate(0x8e, SELECTOR.LONG_CODE0, HANDLER));
    machine.state.setDebugRegister(6, 0xffff_0ff3n);
    machine.state.setDebugRegister(7, 0x2400n);
    machine.cpu.raise(VECTOR.DB, undefined, 0x4004n);
    deliverFault(machine.cpu);
    expect(machine.state.debugRegister(6)).toBe(0xffff_4ff4n);
    expect(machine.state.debugRegister(7)).toBe(0x400n);
    // A trap: RF is pushed as it was.
    expect(items(machine, AT.STACK - 24n, 8, 1)).toEqual([2n]);
  });
});

describe('double faults', () => {
  const of = (vector: number) => event('hardware-exception', vector);

  it.each([
    [VECTOR.UD, VECTOR.GP, 'serial'],
    [VECTOR.GP, VECTOR.NP, 'double fault'],
    [VECTOR.GP, VECTOR.PF, 'serial'],
    [VECTOR.PF, VECTOR.GP, 'double fault'],
    [VECTOR.PF, VECTOR.PF, 'double fault'],
    [VECTOR.PF, VECTOR.AC, 'serial'],
    [VECTOR.DF, VECTOR.PF, 'triple fault'],
  ] as const)('exception %i, then %i: %s', (first, second, result) => {
    expect(combineExceptions(of(first), of(second))).toBe(result);
  });

  it('do not come from a software interrupt with the vector of a contributory exception', () => {
    expect(combineExceptions(event('software-interrupt', VECTOR.GP), of(VECTOR.NP))).toBe('serial');
  });
});

describe('an injected event', () => {
  it('is not intercepted and leaves CR2 and DR6 alone', () => {
    const machine = longProcessor();
    const { cpu, state } = machine;
    setGate(machine, 14, gate(0x8e, SELECTOR.LONG_CODE0, HANDLER));
    const { seen } = watch(cpu, [14]);
    const injected = event('hardware-exception', 14, { errorCode: 2, qualification: 0x9999n });
    expect(injectEvent(cpu, injected)).toBe(OUTCOME.JUMPED);
    expect(seen).toEqual([]);
    expect(state.CR2).toBe(0n);
    expect(items(machine, AT.STACK - 48n, 8, 4)).toEqual([2n, AT.CODE, BigInt(SELECTOR.LONG_CODE0), 2n]);
  });

  it('shows itself as the event being delivered when a fault on its way is intercepted', () => {
    const machine = longProcessor();
    const { seen } = watch(machine.cpu, [VECTOR.GP]);
    expect(injectEvent(machine.cpu, event('external', 0x40))).toBe(OUTCOME.VM_EXIT);
    expect(seen).toEqual([[VECTOR.GP, 0x40]]);
  });
});
