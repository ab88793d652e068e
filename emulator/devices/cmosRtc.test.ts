import { beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../../test/support/manualClock.ts';
import { CmosRtc } from './cmosRtc.ts';

const MS = 1_000_000;
const SECOND = 1000 * MS;
const A = 0x0a;
const B = 0x0b;
const C = 0x0c;
const D = 0x0d;

let clock: ManualClock;
let irq: boolean;
let rtc: CmosRtc;

function createRtc(startTime: number, memoryBytes = 256 * 1024 * 1024): CmosRtc {
  return new CmosRtc({
    clock,
    startTime,
    memoryBytes,
    irq: {
      set: (level) => {
        irq = level;
      },
    },
  });
}

function read(index: number): number {
  rtc.write(0, 1, index);
  return rtc.read(1, 1);
}
function write(index: number, value: number): void {
  rtc.write(0, 1, index);
  rtc.write(1, 1, value);
}
/** Year (with century), month, day, hour, minute, second as the guest reads them. */
const date = () => [0x32, 9, 8, 7, 4, 2, 0].map(read);

beforeEach(() => {
  clock = new ManualClock();
  irq = false;
  rtc = createRtc(Date.UTC(1999, 11, 31, 23, 59, 58) / 1000);
});

describe('the real-time clock', () => {
  it('shows the start time in BCD and 24 hours', () => {
    expect(date()).toEqual([0x19, 0x99, 0x12, 0x31, 0x23, 0x59, 0x58]);
  });

  it('advances with the virtual clock, over the end of a century', () => {
    clock.advance(2 * SECOND);
    expect(date()).toEqual([0x20, 0x00, 0x01, 0x01, 0x00, 0x00, 0x00]);
  });

  it('counts the day of the week from Sunday as 1', () => {
    expect(read(6)).toBe(6); // Friday
  });

  it('shows binary values with DM, 12 hours with a PM bit without 24/12', () => {
    write(B, 0x06);
    expect(date().slice(1)).toEqual([99, 12, 31, 23, 59, 58]);
    write(B, 0x00);
    expect(read(4)).toBe(0x91);
    write(B, 0x04);
    expect(read(4)).toBe(0x8b);
  });

  it('a read of the index port gives nothing', () => {
    expect(rtc.read(0, 1)).toBe(0xff);
  });

  it('register D says that RAM and time are valid', () => {
    expect(read(D)).toBe(0x80);
  });

  it('UIP is set in the 244 microseconds before an update', () => {
    expect(read(A)).toBe(0x26);
    clock.advance(SECOND - 244_001);
    expect(read(A)).toBe(0x26);
    clock.advance(1);
    expect(read(A)).toBe(0xa6);
    clock.advance(244_000);
    expect(read(A)).toBe(0x26);
  });

  it('SET stops the clock while the date is set', () => {
    write(B, 0x82);
    for (const [index, value] of [
      [0x32, 0x20],
      [9, 0x24],
      [8, 0x02],
      [7, 0x29],
      [4, 0x12],
      [2, 0x34],
      [0, 0x56],
    ]) {
      write(index, value);
    }
    clock.advance(10 * SECOND);
    expect(date()).toEqual([0x20, 0x24, 0x02, 0x29, 0x12, 0x34, 0x56]);
    write(B, 0x02);
    clock.advance(4 * SECOND);
    expect(date()).toEqual([0x20, 0x24, 0x02, 0x29, 0x12, 0x35, 0x00]);
    expect(read(6)).toBe(5); // Thursday
  });

  it('a divider that leaves its reset updates first after half a second', () => {
    write(A, 0x70);
    clock.advance(5 * SECOND);
    expect(read(0)).toBe(0x58);
    write(A, 0x26);
    clock.advance(500 * MS - 1);
    expect(read(0)).toBe(0x58);
    clock.advance(1);
    expect(read(0)).toBe(0x59);
  });

  it('a date byte can be set while the clock runs', () => {
    write(2, 0x30);
    expect(date()).toEqual([0x19, 0x99, 0x12, 0x31, 0x23, 0x30, 0x58]);
  });

  it('other bytes are memory', () => {
    write(0x40, 0xa5);
    expect(read(0x40)).toBe(0xa5);
  });
});

describe('real-time clock interrupts', () => {
  it('the periodic interrupt comes at the rate of register A, once for each read of register C', () => {
    write(B, 0x42);
    clock.advance(976_562);
    expect(irq).toBe(false);
    clock.advance(1);
    expect(irq).toBe(true);
    expect(read(C)).toBe(0xc0);
    expect(irq).toBe(false);
    let interrupts = 0;
    for (let n = 0; n < 10_000; n += 1) {
      clock.advance(100_000);
      if (irq) {
        interrupts += 1;
        read(C);
      }
    }
    expect(interrupts).toBe(1024);
  });

  it('the update interrupt comes every second', () => {
    write(B, 0x12);
    clock.advance(SECOND - 1);
    expect(irq).toBe(false);
    clock.advance(1);
    expect(irq).toBe(true);
    expect(read(C)).toBe(0xd0);
    clock.advance(SECOND);
    expect(irq).toBe(true);
  });

  it('the alarm comes at its time of day, and every minute when hours and minutes do not matter', () => {
    for (const [index, value] of [
      [1, 0x05],
      [3, 0xff],
      [5, 0xc0],
    ]) {
      write(index, value);
    }
    write(B, 0x22);
    clock.advance(7 * SECOND - 1);
    expect(irq).toBe(false);
    clock.advance(1);
    expect(irq).toBe(true);
    expect(read(C) & 0x20).toBe(0x20);
    clock.advance(60 * SECOND);
    expect(irq).toBe(true);
  });

  it('flags are set without their enables, and no alarm of the virtual clock is needed', () => {
    clock.advance(3 * SECOND);
    expect(clock.nextDeadline()).toBe(Number.POSITIVE_INFINITY);
    // PF, UF, and AF because midnight is what alarm bytes of 0 say.
    expect(read(C)).toBe(0x70);
    expect(read(C)).toBe(0x00);
  });

  it('SET clears the update interrupt enable', () => {
    write(B, 0x92);
    expect(read(B)).toBe(0x82);
  });
});

describe('CMOS memory sizes', () => {
  it('say 640 KiB of base memory and what lies above 1 MiB and 16 MiB', () => {
    expect(read(0x15) | (read(0x16) << 8)).toBe(640);
    expect(read(0x17) | (read(0x18) << 8)).toBe(0xffff);
    expect(read(0x30) | (read(0x31) << 8)).toBe(0xffff);
    expect(read(0x34) | (read(0x35) << 8)).toBe((240 * 1024) / 64);
  });

  it('of 8 MiB have nothing above 16 MiB', () => {
    rtc = createRtc(0, 8 * 1024 * 1024);
    expect(read(0x30) | (read(0x31) << 8)).toBe(7 * 1024);
    expect(read(0x34) | (read(0x35) << 8)).toBe(0);
  });
});

describe('real-time clock snapshot', () => {
  it('a restored clock shows the same time and interrupts at the same tick', () => {
    write(B, 0x72);
    clock.advance(300 * MS);
    read(C);
    const state = rtc.save();
    const deadline = clock.nextDeadline();
    const before = date();
    rtc.reset();
    write(7, 0x01);
    rtc.restore(state);
    expect(rtc.save()).toEqual(state);
    expect(clock.nextDeadline()).toBe(deadline);
    expect(date()).toEqual(before);
  });

  it('a platform reset keeps the time', () => {
    clock.advance(SECOND);
    rtc.reset();
    expect(read(0)).toBe(0x59);
  });
});
