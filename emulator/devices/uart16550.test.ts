import { beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../../test/support/manualClock.ts';
import { UserError } from '../base/errors.ts';
import { Uart16550 } from './uart16550.ts';

const RBR = 0;
const THR = 0;
const IER = 1;
const IIR = 2;
const FCR = 2;
const LCR = 3;
const MCR = 4;
const LSR = 5;
const MSR = 6;
const SCR = 7;

let clock: ManualClock;
let sent: string;
let edges: number;
let level: boolean;
let uart: Uart16550;

function createUart(): Uart16550 {
  return new Uart16550({
    name: 'com1',
    clock,
    irq: {
      set: (value) => {
        if (value && !level) edges += 1;
        level = value;
      },
    },
    sink: {
      write: (byte) => {
        sent += String.fromCharCode(byte);
      },
    },
  });
}

beforeEach(() => {
  clock = new ManualClock();
  sent = '';
  edges = 0;
  level = false;
  uart = createUart();
});

const read = (offset: number) => uart.read(offset, 1);
const write = (offset: number, value: number) => uart.write(offset, 1, value);
const type = (text: string) => uart.receive(Uint8Array.from(text, (character) => character.charCodeAt(0)));

describe('16550 registers after a master reset', () => {
  it('read as the datasheet lists them', () => {
    expect([IER, IIR, LCR, MCR, LSR, SCR].map(read)).toEqual([0x00, 0x01, 0x00, 0x00, 0x60, 0x00]);
  });

  it('MSR shows a terminal that is clear to send, ready and has carrier', () => {
    expect(read(MSR)).toBe(0xb0);
  });

  it('IER keeps its low four bits, MCR its low five', () => {
    write(IER, 0xff);
    write(MCR, 0xff);
    expect([read(IER), read(MCR)]).toEqual([0x0f, 0x1f]);
  });

  it('the scratch register keeps what is written', () => {
    write(SCR, 0x5a);
    expect(read(SCR)).toBe(0x5a);
  });

  it('DLAB gives access to the divisor latch in place of RBR, THR and IER', () => {
    write(IER, 0x05);
    write(LCR, 0x83);
    write(0, 0x0c);
    write(1, 0x01);
    expect([read(0), read(1)]).toEqual([0x0c, 0x01]);
    write(LCR, 0x03);
    expect([read(RBR), read(IER)]).toEqual([0, 0x05]);
    expect(sent).toBe('');
  });
});

describe('16550 transmitter', () => {
  it('sends a byte at once and is empty again', () => {
    write(THR, 0x41);
    write(THR, 0x42);
    expect(sent).toBe('AB');
    expect(read(LSR)).toBe(0x60);
  });

  it('enabling the THRE interrupt while THR is empty requests an interrupt', () => {
    write(MCR, 0x08);
    write(IER, 0x02);
    expect(level).toBe(true);
    expect(read(IIR)).toBe(0x02);
  });

  it('reading IIR clears a THRE interrupt that it shows', () => {
    write(MCR, 0x08);
    write(IER, 0x02);
    read(IIR);
    expect(level).toBe(false);
    expect(read(IIR)).toBe(0x01);
  });

  it('peeking at IIR does not', () => {
    write(IER, 0x02);
    expect(uart.peek(IIR, 1)).toBe(0x02);
    expect(uart.peek(IIR, 1)).toBe(0x02);
  });

  it('each byte gives the interrupt line an edge', () => {
    write(MCR, 0x08);
    write(IER, 0x02);
    write(THR, 0x41);
    write(THR, 0x42);
    expect(edges).toBe(3);
  });

  it('OUT2 gates the interrupt line', () => {
    write(IER, 0x02);
    expect(level).toBe(false);
    write(MCR, 0x08);
    expect(level).toBe(true);
    write(MCR, 0x00);
    expect(level).toBe(false);
  });
});

describe('16550 receiver', () => {
  it('without FIFOs holds one character, and the sender waits', () => {
    type('hi');
    expect(read(LSR) & 0x01).toBe(1);
    expect([read(RBR), read(RBR)]).toEqual([0x68, 0x69]);
    expect(read(LSR)).toBe(0x60);
  });

  it('requests a received-data interrupt until the character is read', () => {
    write(MCR, 0x08);
    write(IER, 0x01);
    type('x');
    expect([level, read(IIR)]).toEqual([true, 0x04]);
    read(RBR);
    expect([level, read(IIR)]).toEqual([false, 0x01]);
  });

  it('FCR bit 0 turns the FIFOs on, which IIR bits 7:6 show', () => {
    write(FCR, 0x01);
    expect(read(IIR)).toBe(0xc1);
    write(FCR, 0x00);
    expect(read(IIR)).toBe(0x01);
  });

  it.each([
    [0x01, 1],
    [0x41, 4],
    [0x81, 8],
    [0xc1, 14],
  ])('with FCR %i interrupts from %i characters on', (fcr, trigger) => {
    write(FCR, fcr);
    write(MCR, 0x08);
    write(IER, 0x01);
    type('x'.repeat(trigger - 1));
    expect(level).toBe(false);
    type('x');
    expect(level).toBe(true);
    expect(read(IIR)).toBe(0xc4);
    read(RBR);
    expect(level).toBe(false);
  });

  it('below the trigger level a timeout interrupt follows after four character times', () => {
    write(LCR, 0x83);
    write(0, 1);
    write(LCR, 0x03);
    write(FCR, 0xc1);
    write(MCR, 0x08);
    write(IER, 0x01);
    type('x');
    // 4 characters of 10 bits at 115,200 baud.
    clock.advance(347_222);
    expect(level).toBe(false);
    clock.advance(1);
    expect(level).toBe(true);
    expect(read(IIR)).toBe(0xcc);
    read(RBR);
    expect([level, read(IIR)]).toEqual([false, 0xc1]);
  });

  it('holds sixteen characters and takes more as it drains', () => {
    write(FCR, 0x01);
    type('0123456789abcdefXYZ');
    let text = '';
    while ((read(LSR) & 0x01) !== 0) text += String.fromCharCode(read(RBR));
    expect(text).toBe('0123456789abcdefXYZ');
  });

  it('FCR bit 1 clears what is in the FIFO', () => {
    write(FCR, 0x01);
    type('abc');
    write(FCR, 0x03);
    expect(read(LSR)).toBe(0x60);
  });

  it('changing FCR bit 0 clears the receiver', () => {
    write(FCR, 0x01);
    type('abc');
    write(FCR, 0x00);
    expect(read(LSR)).toBe(0x60);
  });
});

describe('16550 loopback', () => {
  beforeEach(() => write(MCR, 0x10));

  it('a transmitted character arrives at the receiver and does not leave', () => {
    write(THR, 0xae);
    expect(sent).toBe('');
    expect(read(RBR)).toBe(0xae);
  });

  it('connects RTS, DTR, OUT1 and OUT2 to CTS, DSR, RI and DCD', () => {
    expect(read(MSR) & 0xf0).toBe(0x00);
    write(MCR, 0x12);
    expect(read(MSR) & 0xf0).toBe(0x10);
    write(MCR, 0x11);
    expect(read(MSR) & 0xf0).toBe(0x20);
    write(MCR, 0x14);
    expect(read(MSR) & 0xf0).toBe(0x40);
    write(MCR, 0x18);
    expect(read(MSR) & 0xf0).toBe(0x80);
  });

  it('the delta bits show what changed since MSR was read, RI only its trailing edge', () => {
    read(MSR);
    write(MCR, 0x17);
    expect(read(MSR)).toBe(0x73);
    write(MCR, 0x13);
    expect(read(MSR)).toBe(0x34);
    expect(read(MSR)).toBe(0x30);
  });

  it('a second character before the first is read overruns the receiver buffer', () => {
    write(THR, 0x41);
    write(THR, 0x42);
    expect(read(LSR)).toBe(0x63);
    expect(read(LSR)).toBe(0x61);
    expect(read(RBR)).toBe(0x42);
  });

  it('a full FIFO keeps its characters when it is overrun', () => {
    write(FCR, 0x01);
    for (let byte = 0; byte < 17; byte += 1) write(THR, byte);
    expect(read(LSR) & 0x02).toBe(0x02);
    expect(Array.from({ length: 16 }, () => read(RBR))).toEqual(
      Array.from({ length: 16 }, (_, byte) => byte),
    );
  });

  it('break control arrives as a break', () => {
    write(LCR, 0x43);
    expect(read(LSR)).toBe(0x71);
  });

  it('a line status interrupt comes before received data, that before THRE, that before modem status', () => {
    write(IER, 0x0f);
    write(THR, 0x41);
    write(THR, 0x42);
    write(MCR, 0x11);
    expect(read(IIR)).toBe(0x06);
    read(LSR);
    expect(read(IIR)).toBe(0x04);
    read(RBR);
    expect(read(IIR)).toBe(0x02);
    expect(read(IIR)).toBe(0x00);
    read(MSR);
    expect(read(IIR)).toBe(0x01);
  });

  it('the terminal waits while the receiver is looped back', () => {
    type('x');
    expect(read(LSR) & 0x01).toBe(0);
    write(MCR, 0x00);
    expect(read(RBR)).toBe(0x78);
  });
});

describe('16550 snapshot', () => {
  it('a restored UART goes on where the saved one was', () => {
    write(FCR, 0xc1);
    write(MCR, 0x08);
    write(IER, 0x03);
    type('0123456789abcdefXYZ');
    read(RBR);
    const state = uart.save();
    const restored = createUart();
    restored.restore(state);
    expect(restored.save()).toEqual(state);
    expect(edges).toBe(1);
    uart = restored;
    let text = '';
    while ((read(LSR) & 0x01) !== 0) text += String.fromCharCode(read(RBR));
    expect(text).toBe('123456789abcdefXYZ');
  });

  it('refuses a state of something else', () => {
    expect(() => uart.restore({})).toThrow(UserError);
  });

  it('a reset keeps what the terminal has not sent yet', () => {
    type('abc');
    uart.reset();
    expect(read(RBR)).toBe(0x62);
  });
});
