import { beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../../test/support/manualClock.ts';
import { ticksForPeriods } from '../base/clock.ts';
import { PIT_HERTZ, Pit8254 } from './pit8254.ts';

const CONTROL = 3;
const PORT_B = 4;

let clock: ManualClock;
let edges: number[];
let level: boolean;
let pit: Pit8254;
let period: number;

function createPit(): Pit8254 {
  return new Pit8254({
    clock,
    irq: {
      set: (value) => {
        if (value && !level) edges.push(clock.now());
        level = value;
      },
    },
  });
}

beforeEach(() => {
  clock = new ManualClock();
  edges = [];
  level = false;
  period = 0;
  pit = createPit();
});

const write = (offset: number, value: number) => pit.write(offset, 1, value);
const read = (offset: number) => pit.read(offset, 1);
const out2 = () => (read(PORT_B) & 0x20) !== 0;
/** Lets `pulses` CLK pulses pass. */
function pulse(pulses: number): void {
  period += pulses;
  clock.advanceTo(ticksForPeriods(period, PIT_HERTZ));
}
function writeCount(counter: number, count: number): void {
  write(counter, count & 0xff);
  write(counter, count >> 8);
}
function readCount(counter: number): number {
  return read(counter) | (read(counter) << 8);
}
/** OUT of counter 2 over the next pulses, one character each. */
function wave(pulses: number): string {
  let text = '';
  for (let n = 0; n < pulses; n += 1) {
    pulse(1);
    text += out2() ? '1' : '0';
  }
  return text;
}

describe('8254 access', () => {
  it('reads and writes low byte, high byte, or low then high', () => {
    write(CONTROL, 0x10); // counter 0, low byte, mode 0
    write(0, 0x20);
    pulse(1);
    expect(read(0)).toBe(0x20);
    write(CONTROL, 0x20); // high byte
    write(0, 0x12);
    pulse(1);
    expect(read(0)).toBe(0x12);
    write(CONTROL, 0x30); // low then high
    writeCount(0, 0x1234);
    pulse(1);
    expect(readCount(0)).toBe(0x1234);
  });

  it('a latched count stands still until it is read, and a second latch is ignored', () => {
    write(CONTROL, 0x34);
    writeCount(0, 0x1000);
    pulse(1 + 0x10);
    write(CONTROL, 0x00);
    pulse(0x100);
    write(CONTROL, 0x00);
    expect(readCount(0)).toBe(0x0ff0);
    expect(readCount(0)).toBe(0x0ef0);
  });

  it('the read-back command latches count and status, status first', () => {
    write(CONTROL, 0x34);
    writeCount(0, 0x1000);
    pulse(1 + 0x10);
    write(CONTROL, 0xc2);
    expect(read(0)).toBe(0xb4);
    expect(readCount(0)).toBe(0x0ff0);
  });

  it('the status shows NULL COUNT until the count is loaded', () => {
    write(CONTROL, 0x34);
    writeCount(0, 100);
    write(CONTROL, 0xe2);
    expect(read(0)).toBe(0xf4);
    pulse(1);
    write(CONTROL, 0xe2);
    expect(read(0)).toBe(0xb4);
  });

  it('counts in BCD', () => {
    write(CONTROL, 0x31);
    writeCount(0, 0x1000);
    pulse(2);
    expect(readCount(0)).toBe(0x0999);
    pulse(1000);
    expect(readCount(0)).toBe(0x9999);
  });

  it('a count of 0 is 65,536', () => {
    write(CONTROL, 0x34);
    writeCount(0, 0);
    pulse(2);
    expect(readCount(0)).toBe(0xffff);
  });

  it('peeking does not flip the byte that is read next', () => {
    write(CONTROL, 0x30);
    writeCount(0, 0x1234);
    pulse(1);
    expect(pit.peek(0, 1)).toBe(0x34);
    expect(readCount(0)).toBe(0x1234);
  });
});

describe('8254 modes, counter 2', () => {
  beforeEach(() => write(PORT_B, 0x01));

  it('mode 0: OUT goes high N + 1 pulses after the count is written, and the count goes on', () => {
    write(CONTROL, 0xb0);
    expect(out2()).toBe(false);
    writeCount(2, 4);
    expect(wave(7)).toBe('0000111');
    expect(readCount(2)).toBe(0xfffe);
  });

  it('mode 0: the first byte of a new count stops the count and takes OUT low', () => {
    write(CONTROL, 0xb0);
    writeCount(2, 2);
    expect(wave(3)).toBe('001');
    write(2, 3);
    expect(wave(3)).toBe('000');
    write(2, 0);
    expect(wave(5)).toBe('00011');
  });

  it('mode 0: a low GATE holds the count', () => {
    write(CONTROL, 0xb0);
    writeCount(2, 4);
    pulse(3);
    write(PORT_B, 0x00);
    pulse(100);
    expect(out2()).toBe(false);
    expect(readCount(2)).toBe(2);
    write(PORT_B, 0x01);
    expect(wave(3)).toBe('011');
  });

  it('mode 1: a rising GATE takes OUT low for N pulses, and again', () => {
    write(CONTROL, 0xb2);
    writeCount(2, 3);
    expect(wave(3)).toBe('111');
    write(PORT_B, 0x00);
    write(PORT_B, 0x01);
    expect(wave(5)).toBe('00011');
    write(PORT_B, 0x00);
    write(PORT_B, 0x01);
    expect(wave(5)).toBe('00011');
  });

  it('mode 2: OUT is low in the last of every N pulses', () => {
    write(CONTROL, 0xb4);
    writeCount(2, 3);
    pulse(1);
    expect(wave(7)).toBe('1011011');
  });

  it('mode 2: a new count is loaded at the end of the cycle', () => {
    write(CONTROL, 0xb4);
    writeCount(2, 4);
    pulse(2);
    writeCount(2, 2);
    expect(wave(7)).toBe('1010101');
  });

  it('mode 2: a low GATE takes OUT high, a rising one starts anew', () => {
    write(CONTROL, 0xb4);
    writeCount(2, 3);
    pulse(3);
    expect(out2()).toBe(false);
    write(PORT_B, 0x00);
    expect(out2()).toBe(true);
    expect(wave(3)).toBe('111');
    write(PORT_B, 0x01);
    expect(wave(4)).toBe('1101');
  });

  it('mode 3: an even count is high for half of it, an odd count for one pulse more', () => {
    write(CONTROL, 0xb6);
    writeCount(2, 4);
    pulse(1);
    expect(wave(7)).toBe('1001100');
    write(CONTROL, 0xb6);
    writeCount(2, 5);
    pulse(1);
    expect(wave(9)).toBe('110011100');
  });

  it('mode 3: counts by two', () => {
    write(CONTROL, 0xb6);
    writeCount(2, 6);
    const counts = [];
    for (let n = 0; n < 7; n += 1) {
      pulse(1);
      counts.push(readCount(2));
    }
    expect(counts).toEqual([6, 4, 2, 6, 4, 2, 6]);
  });

  it('mode 3: a new count begins with the next half-cycle', () => {
    write(CONTROL, 0xb6);
    writeCount(2, 6);
    pulse(2);
    writeCount(2, 4);
    expect(wave(7)).toBe('1001100');
  });

  it('mode 4: OUT is low for one pulse after N', () => {
    write(CONTROL, 0xb8);
    writeCount(2, 3);
    expect(wave(6)).toBe('111011');
  });

  it('mode 5: a rising GATE starts a strobe', () => {
    write(CONTROL, 0xba);
    writeCount(2, 3);
    expect(wave(6)).toBe('111111');
    write(PORT_B, 0x00);
    write(PORT_B, 0x01);
    expect(wave(6)).toBe('111011');
  });
});

describe('system control port B', () => {
  it('keeps bits 3:0 and shows OUT of counter 2 in bit 5', () => {
    write(PORT_B, 0xff);
    expect(read(PORT_B) & 0x2f).toBe(0x0f);
  });

  it('bit 4 toggles with every memory refresh', () => {
    const seen = new Set<number>();
    let changes = 0;
    let last = read(PORT_B) & 0x10;
    for (let n = 0; n < 180; n += 1) {
      pulse(1);
      const refresh = read(PORT_B) & 0x10;
      seen.add(refresh);
      if (refresh !== last) changes += 1;
      last = refresh;
    }
    expect([...seen].sort()).toEqual([0, 0x10]);
    expect(changes).toBe(10);
  });
});

describe('8254 interrupt', () => {
  it('counter 0 in mode 2 gives a rising edge of IRQ 0 every N pulses, without drift', () => {
    write(CONTROL, 0x34);
    writeCount(0, 11_932);
    clock.advance(1_000_000_000);
    // The first rising edge is that of the control word.
    expect(edges.length - 1).toBe(99);
    expect(edges[99]).toBe(ticksForPeriods(1 + 99 * 11_932, PIT_HERTZ));
  });

  it('counter 0 in mode 0 gives one', () => {
    write(CONTROL, 0x30);
    writeCount(0, 1000);
    clock.advance(10_000_000);
    expect(edges).toEqual([ticksForPeriods(1001, PIT_HERTZ)]);
    expect(clock.nextDeadline()).toBe(Number.POSITIVE_INFINITY);
  });

  it('counter 0 in mode 3 gives one every cycle', () => {
    write(CONTROL, 0x36);
    writeCount(0, 0);
    clock.advance(1_000_000_000);
    expect(edges.length - 1).toBe(18);
  });

  it('an unprogrammed timer sets no alarm', () => {
    write(PORT_B, 0x03);
    expect(clock.nextDeadline()).toBe(Number.POSITIVE_INFINITY);
  });
});

describe('8254 snapshot', () => {
  it('a restored timer goes on at the same tick', () => {
    write(CONTROL, 0x34);
    writeCount(0, 1000);
    write(PORT_B, 0x01);
    write(CONTROL, 0xb0);
    writeCount(2, 500);
    pulse(300);
    const state = pit.save();
    const deadline = clock.nextDeadline();
    pit.reset();
    expect(clock.nextDeadline()).toBe(Number.POSITIVE_INFINITY);
    pit.restore(state);
    expect(pit.save()).toEqual(state);
    expect(clock.nextDeadline()).toBe(deadline);
    expect(readCount(2)).toBe(500 - 299);
  });
});
