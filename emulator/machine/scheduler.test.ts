import { describe, expect, it } from 'vitest';
import { Scheduler } from './scheduler.ts';

describe('the virtual clock', () => {
  it('rings alarms in order of deadline, then of creation', () => {
    let position = 0;
    const clock = new Scheduler(() => position);
    const rung: string[] = [];
    const a = clock.createAlarm('a', () => rung.push('a'));
    const b = clock.createAlarm('b', () => rung.push('b'));
    const c = clock.createAlarm('c', () => rung.push('c'));
    c.arm(10);
    b.arm(10);
    a.arm(20);
    position = 15;
    clock.ringDue();
    expect(rung).toEqual(['b', 'c']);
    expect(clock.nextDeadline).toBe(20);
    position = 20;
    clock.ringDue();
    expect(rung).toEqual(['b', 'c', 'a']);
    expect(clock.nextDeadline).toBe(Number.POSITIVE_INFINITY);
  });

  it('counts skipped idle time and charged costs as time', () => {
    const clock = new Scheduler(() => 5);
    clock.charge(100);
    expect(clock.now()).toBe(105);
    expect(clock.skipToNextAlarm()).toBe(false);
    clock.createAlarm('t', () => undefined).arm(1000);
    expect(clock.skipToNextAlarm()).toBe(true);
    expect(clock.now()).toBe(1000);
  });

  it('an alarm armed while another rings may ring at once', () => {
    const clock = new Scheduler(() => 50);
    let rings = 0;
    const alarm = clock.createAlarm('periodic', () => {
      rings++;
      if (rings < 3) alarm.arm(10 * rings);
    });
    alarm.arm(1);
    clock.ringDue();
    expect(rings).toBe(3);
  });
});
