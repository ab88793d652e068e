/**
 * The clock of the virtual machines' devices. It shows the machine's time; its alarms ring when the VMM has control:
 * the earliest deadline is given to the timer of the processor's local APIC, whose interrupt causes a VM exit.
 */
import type { Alarm, Clock } from '../base/clock.ts';
import { SavedState } from '../base/savedState.ts';
import type { StateRecord } from '../base/stateValue.ts';

interface VirtualAlarm extends Alarm {
  deadline: number;
  readonly name: string;
  readonly ring: () => void;
}

export class VirtualClock implements Clock {
  readonly #clock: Clock;
  readonly #program: (deadline: number) => void;
  readonly #alarms: VirtualAlarm[] = [];
  #programmed = Number.POSITIVE_INFINITY;
  #started = false;

  /** `program` sets the host's timer; Infinity switches it off. */
  constructor(clock: Clock, program: (deadline: number) => void) {
    this.#clock = clock;
    this.#program = program;
  }

  now(): number {
    return this.#clock.now();
  }

  createAlarm(name: string, ring: () => void): Alarm {
    const alarm: VirtualAlarm = {
      name,
      ring,
      deadline: Number.POSITIVE_INFINITY,
      arm: (tick) => {
        alarm.deadline = tick;
        this.#reprogram();
      },
      disarm: () => {
        alarm.deadline = Number.POSITIVE_INFINITY;
        this.#reprogram();
      },
    };
    this.#alarms.push(alarm);
    return alarm;
  }

  /** The host's timer can be programmed from now on. */
  start(): void {
    this.#started = true;
    this.#programmed = Number.POSITIVE_INFINITY;
    this.#reprogram();
  }

  save(): StateRecord {
    const armed = this.#programmed !== Number.POSITIVE_INFINITY;
    return { started: this.#started, programmed: armed ? this.#programmed : null };
  }

  /** After the devices have armed their alarms again. The host's timer is restored with its local APIC. */
  restore(state: StateRecord): void {
    const saved = new SavedState('the virtual clock', state);
    this.#programmed = saved.optionalNumber('programmed') ?? Number.POSITIVE_INFINITY;
    this.#started = saved.boolean('started');
  }

  /** Alarms are armed without effect until {@link restore}. */
  suspend(): void {
    this.#started = false;
  }

  /** The host's timer has expired: rings what is due, by deadline, then by age. */
  runDue(): void {
    this.#programmed = Number.POSITIVE_INFINITY;
    for (let due = this.#due(); due !== undefined; due = this.#due()) {
      due.deadline = Number.POSITIVE_INFINITY;
      due.ring();
    }
    this.#reprogram();
  }

  #due(): VirtualAlarm | undefined {
    const now = this.now();
    let due: VirtualAlarm | undefined;
    for (const alarm of this.#alarms) {
      if (alarm.deadline <= now && (due === undefined || alarm.deadline < due.deadline)) due = alarm;
    }
    return due;
  }

  /** A deadline that moved away does not matter: the timer then finds nothing due. */
  #reprogram(): void {
    if (!this.#started) return;
    let earliest = Number.POSITIVE_INFINITY;
    for (const { deadline } of this.#alarms) earliest = Math.min(earliest, deadline);
    if (earliest >= this.#programmed) return;
    this.#programmed = earliest;
    this.#program(earliest);
  }
}
