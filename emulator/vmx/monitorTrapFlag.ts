/**
 * The monitor trap flag: a VM exit that pends after the first instruction that follows a VM entry, or after the
 * delivery of an event that came first.
 *
 * Intel SDM Vol. 3C, "Monitor Trap Flag", 27.5.2.
 */
import type { Alarm, Clock } from '../base/clock.ts';
import { SavedState } from '../base/savedState.ts';
import type { StateRecord } from '../base/stateValue.ts';

/** Not set; set by VM entry; armed at the boundary before the first instruction; a VM exit pends. */
const STATE = { OFF: 0, SET: 1, ARMED: 2, PENDING: 3 } as const;
type State = (typeof STATE)[keyof typeof STATE];

export class MonitorTrapFlag {
  readonly #clock: Clock;
  readonly #position: () => number;
  /** Cuts the run short after one instruction, or one iteration of a repeated one. */
  readonly #alarm: Alarm;
  #state: State = STATE.OFF;
  /** Retired instructions when it was armed. */
  #armedAt = 0;

  constructor(clock: Clock, position: () => number) {
    this.#clock = clock;
    this.#position = position;
    this.#alarm = clock.createAlarm('monitor trap flag', () => this.#ring());
  }

  /** The flag, or a VM exit that pends. */
  get isSet(): boolean {
    return this.#state !== STATE.OFF;
  }

  /** VM entry with the control. */
  set(): void {
    this.#state = STATE.SET;
  }

  /** VM entry injects an MTF VM exit, or an event was delivered. */
  pend(): void {
    this.#state = STATE.PENDING;
  }

  /** An event is about to be delivered to the guest. */
  eventDelivered(): void {
    if (this.#state !== STATE.OFF) this.#state = STATE.PENDING;
  }

  /** VM exit, or power-on. */
  clear(): void {
    if (this.#state === STATE.OFF) return;
    this.#state = STATE.OFF;
    this.#alarm.disarm();
  }

  /** Asked at each instruction boundary in the guest. */
  pends(): boolean {
    if (this.#state === STATE.SET) {
      // VMLAUNCH or VMRESUME has retired by now.
      this.#state = STATE.ARMED;
      this.#armedAt = this.#position();
      this.#alarm.arm(this.#clock.now() + 1);
    } else if (this.#state === STATE.ARMED && this.#position() > this.#armedAt) {
      this.#state = STATE.PENDING;
    }
    return this.#state === STATE.PENDING;
  }

  save(): StateRecord {
    return { state: this.#state, armedAt: this.#armedAt };
  }

  restore(record: StateRecord): void {
    const saved = new SavedState('the monitor trap flag', record);
    this.#state = saved.number('state') as State;
    this.#armedAt = saved.number('armedAt');
    if (this.#state === STATE.ARMED) this.#alarm.arm(this.#clock.now() + 1);
    else this.#alarm.disarm();
  }

  /** Time may pass without an instruction. */
  #ring(): void {
    if (this.#state === STATE.ARMED && this.#position() === this.#armedAt)
      this.#alarm.arm(this.#clock.now() + 1);
  }
}
