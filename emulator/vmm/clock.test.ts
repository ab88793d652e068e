import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../test/support/manualClock.ts';
import { VirtualClock } from './clock.ts';

function clocks() {
  const machine = new ManualClock();
  const programmed: number[] = [];
  const clock = new VirtualClock(machine, (deadline) => void programmed.push(deadline));
  return { machine, clock, programmed };
}

describe('the clock of virtual machines', () => {
  it('programs the host’s timer with the earliest deadline', () => {
    const { clock, programmed } = clocks();
    clock.start();
    const first = clock.createAlarm('first', () => undefined);
    const second = clock.createAlarm('second', () => undefined);
    first.arm(100);
    second.arm(200);
    second.arm(50);
    expect(programmed).toEqual([100, 50]);
  });

  it('programs nothing before the VMM has started', () => {
    const { clock, programmed } = clocks();
    clock.createAlarm('early', () => undefined).arm(10);
    expect(programmed).toEqual([]);
    clock.start();
    expect(programmed).toEqual([10]);
  });

  it('rings what is due when the host’s timer has expired, by deadline and then by age', () => {
    const { machine, clock, programmed } = clocks();
    clock.start();
    const rung: string[] = [];
    const alarm = (name: string, deadline: number) =>
      clock.createAlarm(name, () => void rung.push(name)).arm(deadline);
    alarm('b', 20);
    alarm('a', 10);
    alarm('c', 20);
    alarm('later', 30);
    machine.advanceTo(25);
    expect(rung).toEqual([]);
    clock.runDue();
    expect(rung).toEqual(['a', 'b', 'c']);
    expect(programmed.at(-1)).toBe(30);
  });

  it('keeps what it had programmed over a snapshot', () => {
    const { clock, programmed } = clocks();
    clock.start();
    const alarm = clock.createAlarm('timer', () => undefined);
    alarm.arm(10);
    alarm.arm(40);
    const saved = clock.save();
    expect(saved).toEqual({ started: true, programmed: 10 });
    clock.suspend();
    alarm.arm(40);
    clock.restore(saved);
    expect(programmed).toEqual([10]);
  });
});
