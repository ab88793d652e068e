/** A virtual clock that moves only when a test says so, and rings its alarms on the way in the order of `Clock`. */
import type { Alarm, Clock } from '../../emulator/base/clock.ts';

interface ManualAlarm extends Alarm {
  deadline: number;
  readonly name: string;
  readonly ring: () => void;
}

export class ManualClock implements Clock {
  #now = 0;
  readonly #alarms: ManualAlarm[] = [];

  now(): number {
    return this.#now;
  }

  createAlarm(name: string, ring: () => void): Alarm {
    const alarm: ManualAlarm = {
      name,
      ring,
      deadline: Number.POSITIVE_INFINITY,
      arm: (tick) => {
        alarm.deadline = tick;
      },
      disarm: () => {
        alarm.deadline = Number.POSITIVE_INFINITY;
      },
    };
    this.#alarms.push(alarm);
    return alarm;
  }

  /** The earliest deadline of all alarms, `Infinity` when none is armed. */
  nextDeadline(): number {
    return this.#alarms.reduce((least, alarm) => Math.min(least, alarm.deadline), Number.POSITIVE_INFINITY);
  }

  /** Lets `ticks` nanoseconds pass. */
  advance(ticks: number): void {
    this.advanceTo(this.#now + ticks);
  }

  advanceTo(tick: number): void {
    for (;;) {
      const due = this.#earliest();
      if (due === undefined || due.deadline > tick) break;
      this.#now = Math.max(this.#now, due.deadline);
      due.disarm();
      due.ring();
    }
    this.#now = Math.max(this.#now, tick);
  }

  #earliest(): ManualAlarm | undefined {
    let earliest: ManualAlarm | undefined;
    for (const alarm of this.#alarms) {
      if (alarm.deadline < (earliest?.deadline ?? Number.POSITIVE_INFINITY)) earliest = alarm;
    }
    return earliest;
  }
}
