import { beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../../test/support/manualClock.ts';
import { AcpiPm } from './acpiPm.ts';

const STATUS = 0;
const ENABLE = 2;
const CONTROL = 4;
const TIMER = 8;
/** Half the timer's range, in ticks, rounded up. */
const CARRY_TICKS = Math.ceil((0x80_0000 * 1e9) / 3_579_545);

let clock: ManualClock;
let sci: boolean;
let poweredOff: number;
let pm: AcpiPm;

beforeEach(() => {
  clock = new ManualClock();
  sci = false;
  poweredOff = 0;
  pm = new AcpiPm({
    clock,
    sci: {
      set: (level) => {
        sci = level;
      },
    },
    softOffType: 5,
    powerOff: () => {
      poweredOff += 1;
    },
  });
});

describe('the power-management timer', () => {
  it('counts at 3.579545 MHz', () => {
    clock.advance(1_000_000_000);
    expect(pm.read(TIMER, 4)).toBe(3_579_545);
  });

  it('has 24 bits', () => {
    clock.advance(10_000_000_000);
    expect(pm.read(TIMER, 4)).toBe(35_795_450 % 0x100_0000);
  });

  it('ignores writes', () => {
    clock.advance(1_000_000);
    pm.write(TIMER, 4, 0);
    expect(pm.read(TIMER, 4)).toBe(3579);
  });

  it('sets TMR_STS when its top bit changes, until 1 is written', () => {
    clock.advance(CARRY_TICKS - 1);
    expect(pm.read(STATUS, 2)).toBe(0);
    clock.advance(1);
    expect(pm.read(STATUS, 2)).toBe(0x0001);
    pm.write(STATUS, 2, 0x0001);
    expect(pm.read(STATUS, 2)).toBe(0);
  });

  it('raises SCI with TMR_STS when TMR_EN is set', () => {
    pm.write(ENABLE, 2, 0x0001);
    clock.advance(CARRY_TICKS - 1);
    expect(sci).toBe(false);
    clock.advance(1);
    expect(sci).toBe(true);
    pm.write(STATUS, 2, 0x0001);
    expect(sci).toBe(false);
    clock.advance(CARRY_TICKS);
    expect(sci).toBe(true);
  });

  it('sets no alarm while its interrupt is off', () => {
    expect(clock.nextDeadline()).toBe(Number.POSITIVE_INFINITY);
  });
});

describe('PM1 registers', () => {
  it('SCI_EN is always set: there is no legacy mode', () => {
    expect(pm.read(CONTROL, 2)).toBe(0x0001);
    pm.write(CONTROL, 2, 0);
    expect(pm.read(CONTROL, 2)).toBe(0x0001);
  });

  it('SLP_EN with the sleep type of S5 powers off', () => {
    pm.write(CONTROL, 2, 0x1400);
    expect(poweredOff).toBe(0);
    pm.write(CONTROL, 2, 0x3400);
    expect(poweredOff).toBe(1);
  });

  it('SLP_EN with another sleep type does not', () => {
    pm.write(CONTROL, 2, 0x2000);
    expect(poweredOff).toBe(0);
  });

  it('the power button sets its status and raises SCI when enabled', () => {
    pm.pressPowerButton();
    expect([pm.read(STATUS, 2), sci]).toEqual([0x0100, false]);
    pm.write(ENABLE, 2, 0x0100);
    expect(sci).toBe(true);
    pm.write(STATUS + 1, 1, 0x01);
    expect([pm.read(STATUS, 2), sci]).toEqual([0, false]);
  });

  it('status and enable can be accessed together', () => {
    pm.write(STATUS, 4, 0xffff_0000);
    expect(pm.read(STATUS, 4)).toBe(0x0521_0000);
  });
});

describe('ACPI snapshot', () => {
  it('keeps status, enables and the pending carry', () => {
    pm.write(ENABLE, 2, 0x0101);
    pm.pressPowerButton();
    const state = pm.save();
    const deadline = clock.nextDeadline();
    pm.reset();
    pm.restore(state);
    expect(pm.save()).toEqual(state);
    expect(clock.nextDeadline()).toBe(deadline);
  });
});
