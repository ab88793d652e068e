/** The virtual clock of a machine: retired instructions, skipped idle time and charged costs, and the alarms on it. */

import type { Alarm, Clock } from '../base/clock.ts';
import { TimeBase } from '../base/clock.ts';
import { EmulatorBug } from '../base/errors.ts';
import type { StateRecord } from '../base/stateValue.ts';

class ScheduledAlarm implements Alarm {
  readonly name: string;
  readonly ring: () => void;
  deadline = Number.POSITIVE_INFINITY;
  readonly #changed: () => void;

  constructor(name: string, ring: () => void, changed: () => void) {
    this.name = name;
    this.ring = ring;
    this.#changed = changed;
  }

  /** Ticks are whole: a fraction of one would never pass. */
  arm(tick: number): void {
    this.deadline = Math.ceil(tick);
    this.#changed();
  }

  disarm(): void {
    if (this.deadline === Number.POSITIVE_INFINITY) return;
    this.deadline = Number.POSITIVE_INFINITY;
    this.#changed();
  }
}

export class Scheduler implements Clock {
  readonly #position: () => number;
  readonly #alarms: ScheduledAlarm[] = [];
  /** Shared with the engine, which charges the costs of instructions and looks for the next alarm. */
  readonly time = new TimeBase();

  /** `position` gives the retired instructions so far, exact at any moment. */
  constructor(position: () => number) {
    this.#position = position;
  }

  now(): number {
    return this.#position() + this.time.charged;
  }

  createAlarm(name: string, ring: () => void): Alarm {
    const alarm = new ScheduledAlarm(name, ring, () => {
      this.time.nextDeadline = Math.min(...this.#alarms.map(({ deadline }) => deadline));
    });
    this.#alarms.push(alarm);
    return alarm;
  }

  /** The earliest deadline, or Infinity. */
  get nextDeadline(): number {
    return this.time.nextDeadline;
  }

  /** Adds the cost of something that is not an instruction. */
  charge(ticks: number): void {
    this.time.charged += ticks;
  }

  /** Idle: time goes on to the next alarm. False when there is none. */
  skipToNextAlarm(): boolean {
    if (this.time.nextDeadline === Number.POSITIVE_INFINITY) return false;
    this.time.charged += Math.max(0, this.time.nextDeadline - this.now());
    return true;
  }

  /** Idle: time goes on to `tick`, if that is later. */
  skipTo(tick: number): void {
    this.time.charged += Math.max(0, tick - this.now());
  }

  /** Rings everything that is due, in order of deadline, then of creation. */
  ringDue(): void {
    for (;;) {
      const now = this.now();
      let due: ScheduledAlarm | undefined;
      for (const alarm of this.#alarms) {
        if (alarm.deadline <= now && (due === undefined || alarm.deadline < due.deadline)) due = alarm;
      }
      if (due === undefined) return;
      due.disarm();
      due.ring();
    }
  }

  save(): StateRecord {
    return { extra: this.time.charged };
  }

  /** Alarms are armed again by the devices that own them. */
  restore(state: StateRecord): void {
    if (typeof state.extra !== 'number') throw new EmulatorBug('a saved clock without its time');
    this.time.charged = state.extra;
  }
}
