import { beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../../test/support/manualClock.ts';
import { UserError } from '../base/errors.ts';
import { type ApicMessage, LocalApic } from './localApic.ts';
import { BROADCAST, DELIVERY_MODE } from './localApicRegisters.ts';

const TPR = 0x080;
const PPR = 0x0a0;
const EOI = 0x0b0;
const LDR = 0x0d0;
const DFR = 0x0e0;
const SVR = 0x0f0;
const ESR = 0x280;
const ICR_LOW = 0x300;
const ICR_HIGH = 0x310;
const LVT_TIMER = 0x320;
const LVT_PERFORMANCE = 0x340;
const LVT_LINT0 = 0x350;
const LVT_LINT1 = 0x360;
const LVT_ERROR = 0x370;
const INITIAL_COUNT = 0x380;
const CURRENT_COUNT = 0x390;
const DIVIDE = 0x3e0;

const ENABLED = 0xfee0_0900n;
const X2APIC = 0xfee0_0d00n;
const DISABLED = 0xfee0_0100n;

let clock: ManualClock;
let events: string[];
let sent: ApicMessage[];
let ended: number[];
let apic: LocalApic;

function createApic(id: number): LocalApic {
  return new LocalApic({
    id,
    clock,
    // One count each 40 ns before division.
    timerHertz: 25_000_000,
    // The TSC runs at 2 GHz.
    tsc: { tickOf: (tsc) => Number((tsc + 1n) / 2n) },
    signals: {
      nmi: () => events.push('NMI'),
      init: () => events.push('INIT'),
      startUp: (vector) => events.push(`SIPI ${vector}`),
      smi: () => events.push('SMI'),
      interruptPending: () => {},
    },
    send: (message) => sent.push(message),
    broadcastEoi: (vector) => ended.push(vector),
    acknowledgeExternal: () => 0x2a,
  });
}

beforeEach(() => {
  clock = new ManualClock();
  events = [];
  sent = [];
  ended = [];
  apic = createApic(3);
});

const enable = () => apic.write(SVR, 0x1ff);
const hasBit = (base: number, vector: number) =>
  ((apic.read(base + (vector >> 5) * 16) >>> (vector & 31)) & 1) === 1;
const inIrr = (vector: number) => hasBit(0x200, vector);
const inIsr = (vector: number) => hasBit(0x100, vector);
const inTmr = (vector: number) => hasBit(0x180, vector);

describe('local APIC after reset', () => {
  it('is software-disabled with all LVT entries masked', () => {
    expect(apic.read(SVR)).toBe(0xff);
    for (const lvt of [0x320, 0x330, 0x340, 0x350, 0x360, 0x370]) expect(apic.read(lvt)).toBe(0x1_0000);
    expect(apic.read(DFR)).toBe(0xffff_ffff);
    for (const register of [TPR, PPR, LDR, ESR, ICR_LOW, ICR_HIGH, INITIAL_COUNT, CURRENT_COUNT, DIVIDE]) {
      expect(apic.read(register)).toBe(0);
    }
  });

  it('shows its ID in bits 31:24 and version 14H with six LVT entries', () => {
    expect(apic.read(0x20)).toBe(0x0300_0000);
    expect(apic.read(0x30)).toBe(0x0005_0014);
  });

  it('masks LVT entries as long as it is software-disabled', () => {
    apic.write(LVT_TIMER, 0x20);
    expect(apic.read(LVT_TIMER)).toBe(0x1_0020);
    enable();
    apic.write(LVT_TIMER, 0x20);
    expect(apic.read(LVT_TIMER)).toBe(0x20);
    apic.write(SVR, 0xff);
    expect(apic.read(LVT_TIMER)).toBe(0x1_0020);
  });

  it('takes no interrupt while it is software-disabled', () => {
    apic.accept(0x50, 'edge');
    expect(apic.hasInterrupt()).toBe(false);
  });

  it('bytes 4 to 15 of a register read as 0', () => {
    expect(apic.read(0x24)).toBe(0);
    expect(apic.read(0x23, 1)).toBe(0x03);
    expect(apic.read(0x22, 2)).toBe(0x0300);
  });
});

describe('local APIC priorities', () => {
  beforeEach(enable);

  it('an accepted vector goes from IRR to ISR when it is acknowledged and leaves with EOI', () => {
    apic.accept(0x51, 'edge');
    expect(inIrr(0x51)).toBe(true);
    expect(apic.pendingVector()).toBe(0x51);
    expect(apic.acknowledge()).toBe(0x51);
    expect([inIrr(0x51), inIsr(0x51), apic.hasInterrupt()]).toEqual([false, true, false]);
    apic.write(EOI, 0);
    expect(inIsr(0x51)).toBe(false);
  });

  it('the highest vector comes first', () => {
    apic.accept(0x51, 'edge');
    apic.accept(0x71, 'edge');
    expect(apic.acknowledge()).toBe(0x71);
  });

  it('a class at or below that in service waits for EOI, a higher one does not', () => {
    apic.accept(0x51, 'edge');
    apic.acknowledge();
    apic.accept(0x5f, 'edge');
    expect(apic.pendingVector()).toBe(-1);
    apic.accept(0x60, 'edge');
    expect(apic.acknowledge()).toBe(0x60);
    apic.eoi();
    expect(apic.pendingVector()).toBe(-1);
    apic.eoi();
    expect(apic.pendingVector()).toBe(0x5f);
  });

  it('TPR holds back its class and those below', () => {
    apic.write(TPR, 0x50);
    apic.accept(0x5f, 'edge');
    expect(apic.hasInterrupt()).toBe(false);
    apic.write(TPR, 0x4f);
    expect(apic.hasInterrupt()).toBe(true);
  });

  it('PPR is TPR or the class in service, whichever is higher', () => {
    apic.write(TPR, 0x35);
    expect(apic.read(PPR)).toBe(0x35);
    apic.accept(0x51, 'edge');
    apic.acknowledge();
    expect(apic.read(PPR)).toBe(0x50);
    apic.write(TPR, 0x57);
    expect(apic.read(PPR)).toBe(0x57);
  });

  it('CR8 is bits 7:4 of TPR', () => {
    apic.writeCr8(9);
    expect(apic.read(TPR)).toBe(0x90);
    apic.write(TPR, 0xab);
    expect(apic.readCr8()).toBe(0xa);
  });

  it('an acknowledge without a request gives the spurious vector and puts nothing in service', () => {
    expect(apic.acknowledge()).toBe(0xff);
    expect(inIsr(0xff)).toBe(false);
  });

  it('EOI of a level-triggered vector is broadcast to the I/O APICs, of an edge-triggered one not', () => {
    apic.accept(0x51, 'level');
    expect(inTmr(0x51)).toBe(true);
    apic.acknowledge();
    apic.eoi();
    apic.accept(0x51, 'edge');
    expect(inTmr(0x51)).toBe(false);
    apic.acknowledge();
    apic.eoi();
    expect(ended).toEqual([0x51]);
  });
});

describe('local APIC errors', () => {
  beforeEach(enable);

  it('a vector below 16 is an error for receiver and sender, which ESR shows after a write', () => {
    apic.accept(5, 'edge');
    apic.write(ICR_LOW, 0x4_4005);
    expect(apic.read(ESR)).toBe(0);
    apic.write(ESR, 0);
    expect(apic.read(ESR)).toBe(0x60);
    apic.write(ESR, 0);
    expect(apic.read(ESR)).toBe(0);
  });

  it('a register that does not exist is an error', () => {
    apic.read(0x040);
    apic.write(ESR, 0);
    expect(apic.read(ESR)).toBe(0x80);
  });

  it('peeking at one is not', () => {
    expect(apic.peek(0x040)).toBe(0);
    apic.write(ESR, 0);
    expect(apic.read(ESR)).toBe(0);
  });

  it('an error interrupts through its LVT entry', () => {
    apic.write(LVT_ERROR, 0xfe);
    apic.accept(5, 'edge');
    expect(apic.pendingVector()).toBe(0xfe);
  });
});

describe('interprocessor interrupts', () => {
  beforeEach(enable);

  it('to self need no bus', () => {
    apic.write(ICR_LOW, 0x4_0061);
    expect(sent).toEqual([]);
    expect(apic.pendingVector()).toBe(0x61);
  });

  it('INIT and start-up go to the bus with destination, mode and vector', () => {
    apic.write(ICR_HIGH, 0x0100_0000);
    apic.write(ICR_LOW, 0x0000_4500);
    apic.write(ICR_LOW, 0x0000_4608);
    expect(sent).toEqual([
      {
        destination: 1,
        destinationMode: 'physical',
        shorthand: 'none',
        deliveryMode: 5,
        vector: 0,
        trigger: 'edge',
      },
      {
        destination: 1,
        destinationMode: 'physical',
        shorthand: 'none',
        deliveryMode: 6,
        vector: 8,
        trigger: 'edge',
      },
    ]);
  });

  it('an INIT level de-assert is not sent', () => {
    apic.write(ICR_LOW, 0x0000_8500);
    expect(sent).toEqual([]);
  });

  it('destination FFH is a broadcast', () => {
    apic.write(ICR_HIGH, 0xff00_0000);
    apic.write(ICR_LOW, 0x0000_4061);
    expect(sent[0].destination).toBe(BROADCAST);
  });

  it('shorthands for all and all others are named', () => {
    apic.write(ICR_LOW, 0x0008_4061);
    apic.write(ICR_LOW, 0x000c_4061);
    expect(sent.map(({ shorthand }) => shorthand)).toEqual(['all', 'others']);
  });

  it.each([
    [DELIVERY_MODE.NMI, 'NMI'],
    [DELIVERY_MODE.INIT, 'INIT'],
    [DELIVERY_MODE.START_UP, 'SIPI 8'],
    [DELIVERY_MODE.SMI, 'SMI'],
  ])('a received message of delivery mode %i signals %s', (deliveryMode, signal) => {
    apic.receive({ deliveryMode, vector: 8, trigger: 'edge' });
    expect(events).toEqual([signal]);
  });
});

describe('local APIC destinations', () => {
  const physical = (destination: number) => apic.isDestination({ destination, destinationMode: 'physical' });
  const logical = (destination: number) => apic.isDestination({ destination, destinationMode: 'logical' });

  it('physical: its ID or the broadcast', () => {
    expect([physical(3), physical(2), physical(BROADCAST)]).toEqual([true, false, true]);
  });

  it('logical, flat model: a common bit', () => {
    apic.write(LDR, 0x0400_0000);
    expect([logical(0x0c), logical(0x08), logical(0xff)]).toEqual([true, false, true]);
  });

  it('logical, cluster model: the cluster and a common bit in it', () => {
    apic.write(DFR, 0x0fff_ffff);
    apic.write(LDR, 0x2100_0000);
    expect([logical(0x21), logical(0x22), logical(0x11), logical(0xf1)]).toEqual([true, false, false, true]);
  });

  it('logical, x2APIC: cluster and bit follow from the ID', () => {
    apic = createApic(0x25);
    apic.baseChanged(X2APIC);
    expect(apic.readMsr(0x80d)).toBe(0x0002_0020n);
    expect([logical(0x0002_0021), logical(0x0001_0020), logical(BROADCAST)]).toEqual([true, false, true]);
  });
});

describe('APIC timer', () => {
  beforeEach(() => {
    enable();
    apic.write(DIVIDE, 0x0b); // by 1
    apic.write(LVT_TIMER, 0x40);
  });

  it('one-shot: counts down at the crystal frequency and interrupts once', () => {
    apic.write(INITIAL_COUNT, 100);
    clock.advance(40 * 40);
    expect(apic.read(CURRENT_COUNT)).toBe(60);
    clock.advance(60 * 40 - 1);
    expect(apic.hasInterrupt()).toBe(false);
    clock.advance(1);
    expect(apic.pendingVector()).toBe(0x40);
    expect(apic.read(CURRENT_COUNT)).toBe(0);
    expect(clock.nextDeadline()).toBe(Number.POSITIVE_INFINITY);
  });

  it.each([
    [0x0, 2],
    [0x1, 4],
    [0x2, 8],
    [0x3, 16],
    [0x8, 32],
    [0x9, 64],
    [0xa, 128],
    [0xb, 1],
  ])('divide configuration %i divides by %i', (value, divisor) => {
    apic.write(DIVIDE, value);
    apic.write(INITIAL_COUNT, 10);
    clock.advance(40 * divisor * 4);
    expect(apic.read(CURRENT_COUNT)).toBe(6);
  });

  it('periodic: interrupts each time and starts again', () => {
    apic.write(LVT_TIMER, 0x2_0040);
    apic.write(INITIAL_COUNT, 100);
    let interrupts = 0;
    for (let n = 0; n < 1000; n += 1) {
      clock.advance(400);
      if (!apic.hasInterrupt()) continue;
      interrupts += 1;
      apic.acknowledge();
      apic.eoi();
    }
    expect(interrupts).toBe(100);
    clock.advance(40);
    expect(apic.read(CURRENT_COUNT)).toBe(99);
  });

  it('an initial count of 0 stops it', () => {
    apic.write(INITIAL_COUNT, 100);
    apic.write(INITIAL_COUNT, 0);
    clock.advance(100_000);
    expect(apic.hasInterrupt()).toBe(false);
  });

  it('a masked entry counts but does not interrupt', () => {
    apic.write(LVT_TIMER, 0x1_0040);
    apic.write(INITIAL_COUNT, 100);
    clock.advance(4000);
    expect(apic.hasInterrupt()).toBe(false);
  });

  it('TSC deadline: interrupts when the TSC reaches it, then reads as 0', () => {
    apic.write(LVT_TIMER, 0x4_0040);
    expect(apic.writeMsr(0x6e0, 2000n)).toBe(true);
    expect(apic.readMsr(0x6e0)).toBe(2000n);
    clock.advance(999);
    expect(apic.hasInterrupt()).toBe(false);
    clock.advance(1);
    expect(apic.pendingVector()).toBe(0x40);
    expect(apic.readMsr(0x6e0)).toBe(0n);
  });

  it('TSC deadline: 0 disarms, and so does another mode', () => {
    apic.write(LVT_TIMER, 0x4_0040);
    apic.writeMsr(0x6e0, 2000n);
    apic.writeMsr(0x6e0, 0n);
    expect(clock.nextDeadline()).toBe(Number.POSITIVE_INFINITY);
    apic.writeMsr(0x6e0, 2000n);
    apic.write(LVT_TIMER, 0x0040);
    expect(apic.readMsr(0x6e0)).toBe(0n);
    expect(clock.nextDeadline()).toBe(Number.POSITIVE_INFINITY);
  });

  it('the deadline is ignored in the other modes, the initial count in TSC-deadline mode', () => {
    apic.writeMsr(0x6e0, 2000n);
    expect(apic.readMsr(0x6e0)).toBe(0n);
    apic.write(LVT_TIMER, 0x4_0040);
    apic.write(INITIAL_COUNT, 100);
    expect(apic.read(INITIAL_COUNT)).toBe(0);
    expect(apic.read(CURRENT_COUNT)).toBe(0);
  });
});

describe('the performance-counter entry', () => {
  it('interrupts once and is masked from then on', () => {
    enable();
    apic.write(LVT_PERFORMANCE, 0x62);
    apic.performanceInterrupt();
    expect(apic.pendingVector()).toBe(0x62);
    expect(apic.read(LVT_PERFORMANCE)).toBe(0x1_0062);
    apic.acknowledge();
    apic.eoi();
    apic.performanceInterrupt();
    expect(apic.hasInterrupt()).toBe(false);
  });

  it('can be an NMI', () => {
    enable();
    apic.write(LVT_PERFORMANCE, 0x400);
    apic.performanceInterrupt();
    expect(events).toEqual(['NMI']);
  });
});

describe('local interrupt pins', () => {
  it('LINT0 as ExtINT asks the 8259s for the vector and puts nothing in service', () => {
    apic.initializeAsFirmware();
    apic.setLint(0, true);
    expect([apic.hasInterrupt(), apic.pendingVector()]).toEqual([true, -1]);
    expect(apic.acknowledge()).toBe(0x2a);
    expect(inIsr(0x2a)).toBe(false);
    apic.setLint(0, false);
    expect(apic.hasInterrupt()).toBe(false);
  });

  it('a masked LINT0 keeps the 8259s away', () => {
    enable();
    apic.setLint(0, true);
    expect(apic.hasInterrupt()).toBe(false);
    apic.write(LVT_LINT0, 0x700);
    expect(apic.hasInterrupt()).toBe(true);
  });

  it('LINT1 as NMI gives one NMI for each edge', () => {
    apic.initializeAsFirmware();
    apic.setLint(1, true);
    apic.setLint(1, true);
    expect(events).toEqual(['NMI']);
  });

  it('a fixed edge entry requests its vector', () => {
    enable();
    apic.write(LVT_LINT1, 0x62);
    apic.setLint(1, true);
    expect(apic.pendingVector()).toBe(0x62);
  });

  it('a fixed level entry requests again after EOI while the pin is high', () => {
    enable();
    apic.write(LVT_LINT0, 0x8062);
    apic.setLint(0, true);
    expect(apic.read(LVT_LINT0)).toBe(0xc062);
    apic.acknowledge();
    apic.eoi();
    expect(apic.pendingVector()).toBe(0x62);
    apic.acknowledge();
    apic.setLint(0, false);
    apic.eoi();
    expect(apic.hasInterrupt()).toBe(false);
    expect(apic.read(LVT_LINT0)).toBe(0x8062);
  });

  it('while the APIC is disabled LINT0 is INTR and LINT1 is NMI', () => {
    apic.baseChanged(DISABLED);
    apic.setLint(0, true);
    apic.setLint(1, true);
    expect([apic.acknowledge(), events]).toEqual([0x2a, ['NMI']]);
  });
});

describe('x2APIC mode', () => {
  beforeEach(() => {
    apic.baseChanged(X2APIC);
    apic.writeMsr(0x80f, 0x1ffn);
  });

  it('moves the registers from memory to MSRs', () => {
    expect(apic.readMsr(0x80f)).toBe(0x1ffn);
    expect(apic.read(SVR)).toBe(0xffff_ffff);
    apic.baseChanged(DISABLED);
    apic.baseChanged(ENABLED);
    expect(apic.readMsr(0x80f)).toBeUndefined();
    expect(apic.read(SVR)).toBe(0xff);
  });

  it('shows all 32 bits of the ID', () => {
    expect(apic.readMsr(0x802)).toBe(3n);
  });

  it('has one 64-bit ICR, whose write sends', () => {
    expect(apic.writeMsr(0x830, 0x1_0001_0000_40f1n)).toBe(true);
    expect(apic.readMsr(0x830)).toBe(0x1_0001_0000_40f1n);
    expect(sent).toEqual([
      {
        destination: 0x1_0001,
        destinationMode: 'physical',
        shorthand: 'none',
        deliveryMode: 0,
        vector: 0xf1,
        trigger: 'edge',
      },
    ]);
  });

  it('has a self-IPI register', () => {
    expect(apic.writeMsr(0x83f, 0x61n)).toBe(true);
    expect(apic.pendingVector()).toBe(0x61);
  });

  it.each([
    ['reading the self-IPI register', () => apic.readMsr(0x83f)],
    ['reading EOI', () => apic.readMsr(0x80b)],
    ['reading DFR', () => apic.readMsr(0x80e)],
    ['reading the high half of ICR', () => apic.readMsr(0x831)],
    ['reading an MSR without a register', () => apic.readMsr(0x804)],
  ])('%s is #GP', (_, read) => {
    expect(read()).toBeUndefined();
  });

  it.each([
    ['writing the ID', 0x802, 0n],
    ['writing LDR', 0x80d, 0n],
    ['writing the current count', 0x839, 0n],
    ['writing an ISR register', 0x810, 0n],
    ['a value other than 0 for EOI', 0x80b, 1n],
    ['a value other than 0 for ESR', 0x828, 1n],
    ['a reserved bit of TPR', 0x808, 0x100n],
    ['a reserved bit of SVR', 0x80f, 0x1_0000_0000n],
    ['a reserved bit of ICR', 0x830, 0x2000n],
    ['a reserved bit of an LVT entry', 0x835, 0x8_0000n],
    ['a reserved bit of the divide configuration', 0x83e, 0x4n],
  ])('%s is #GP', (_, msr, value) => {
    expect(apic.writeMsr(msr, value)).toBe(false);
  });

  it('IRR reads through its MSRs', () => {
    apic.accept(0x61, 'edge');
    expect(apic.readMsr(0x823)).toBe(2n);
  });
});

describe('local APIC snapshot', () => {
  it('a restored APIC has the same requests, entries and timer', () => {
    enable();
    apic.write(DIVIDE, 0x0b);
    apic.write(LVT_TIMER, 0x2_0040);
    apic.write(INITIAL_COUNT, 1000);
    apic.write(TPR, 0x20);
    apic.accept(0x51, 'level');
    apic.acknowledge();
    apic.accept(0x71, 'edge');
    clock.advance(5000);
    const state = apic.save();
    const deadline = clock.nextDeadline();
    apic.reset();
    expect(clock.nextDeadline()).toBe(Number.POSITIVE_INFINITY);
    apic.restore(state);
    expect(apic.save()).toEqual(state);
    expect(clock.nextDeadline()).toBe(deadline);
    expect(apic.acknowledge()).toBe(0x71);
    expect(apic.read(CURRENT_COUNT)).toBe(1000 - 125);
  });

  it('refuses a state of something else', () => {
    expect(() => apic.restore({})).toThrow(UserError);
  });
});
