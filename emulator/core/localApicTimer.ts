/**
 * The timer of the local APIC: one-shot, periodic or by TSC deadline. The current count follows from the clock; an
 * alarm rings at the next expiry alone.
 *
 * @see SDM "APIC Timer", 11.5.4
 */
import type { Alarm, Clock } from '../base/clock.ts';
import { periodsInTicks, ticksForPeriods } from '../base/clock.ts';
import { type SavedState, savedDeadline } from '../base/savedState.ts';
import type { StateRecord } from '../base/stateValue.ts';

/** LVT timer bits 18:17. */
export type TimerMode = 'one-shot' | 'periodic' | 'tsc-deadline';

/** The time-stamp counter, as far as a deadline needs it. */
export interface TscClock {
  /** The first tick at which the TSC is at or above `tsc`. */
  tickOf(tsc: bigint): number;
}

export interface LocalApicTimerConfig {
  readonly name: string;
  readonly clock: Clock;
  /** Frequency of the timer before division: the core crystal clock that CPUID leaf 15H reports. */
  readonly hertz: number;
  readonly tsc: TscClock;
  readonly expire: () => void;
}

function initialRegisters() {
  return {
    initialCount: 0,
    /** Divide configuration register, bits 3, 1 and 0. */
    divideConfiguration: 0,
    /** The count at `startTick`; 0 while the timer stands. */
    startCount: 0,
    startTick: 0,
  };
}

export class LocalApicTimer {
  readonly #config: LocalApicTimerConfig;
  readonly #alarm: Alarm;
  #registers = initialRegisters();
  #mode: TimerMode = 'one-shot';
  /** IA32_TSC_DEADLINE; 0 when it is not armed. */
  #deadline = 0n;

  constructor(config: LocalApicTimerConfig) {
    this.#config = config;
    this.#alarm = config.clock.createAlarm(config.name, () => this.#ring());
  }

  get initialCount(): number {
    return this.#registers.initialCount;
  }

  set initialCount(count: number) {
    // In TSC-deadline mode writes to the initial-count register are ignored.
    if (this.#mode === 'tsc-deadline') return;
    const registers = this.#registers;
    registers.initialCount = count;
    registers.startCount = count;
    registers.startTick = this.#config.clock.now();
    this.#arm();
  }

  get divideConfiguration(): number {
    return this.#registers.divideConfiguration;
  }

  set divideConfiguration(value: number) {
    const registers = this.#registers;
    registers.startCount = this.currentCount;
    registers.startTick = this.#config.clock.now();
    registers.divideConfiguration = value & 0x0b;
    this.#arm();
  }

  get currentCount(): number {
    const { startCount, initialCount } = this.#registers;
    if (startCount === 0 || this.#mode === 'tsc-deadline') return 0;
    const elapsed = this.#elapsedCounts();
    if (elapsed < startCount) return startCount - elapsed;
    return this.#mode === 'periodic' ? initialCount - ((elapsed - startCount) % initialCount) : 0;
  }

  get mode(): TimerMode {
    return this.#mode;
  }

  /** A change to or from TSC-deadline mode disarms the timer. */
  set mode(mode: TimerMode) {
    if (mode === this.#mode) return;
    const count = this.currentCount;
    const disarms = mode === 'tsc-deadline' || this.#mode === 'tsc-deadline';
    this.#mode = mode;
    this.#deadline = 0n;
    this.#registers.startCount = disarms ? 0 : count;
    this.#registers.startTick = this.#config.clock.now();
    this.#arm();
  }

  get deadline(): bigint {
    return this.#deadline;
  }

  /** WRMSR to IA32_TSC_DEADLINE: ignored in the other modes; 0 disarms. */
  set deadline(tsc: bigint) {
    if (this.#mode !== 'tsc-deadline') return;
    this.#deadline = tsc;
    this.#arm();
  }

  /** The TSC was written: a deadline is now at another tick. */
  tscChanged(): void {
    if (this.#mode === 'tsc-deadline') this.#arm();
  }

  reset(): void {
    this.#registers = initialRegisters();
    this.#mode = 'one-shot';
    this.#deadline = 0n;
    this.#alarm.disarm();
  }

  save(): StateRecord {
    return { ...this.#registers, deadline: this.#deadline, alarm: savedDeadline(this.#alarm) };
  }

  /** `mode` comes from the LVT, where it is kept. */
  restore(saved: SavedState, mode: TimerMode): void {
    saved.into(this.#registers);
    this.#mode = mode;
    this.#deadline = saved.bigint('deadline');
    saved.alarm('alarm', this.#alarm);
  }

  #ring(): void {
    if (this.#mode === 'tsc-deadline') this.#deadline = 0n;
    // Re-armed first: what the interrupt leads to may look at the timer.
    this.#arm();
    this.#config.expire();
  }

  #arm(): void {
    const tick = this.#nextExpiry();
    if (tick === undefined) this.#alarm.disarm();
    else this.#alarm.arm(tick);
  }

  #nextExpiry(): number | undefined {
    if (this.#mode === 'tsc-deadline') {
      return this.#deadline === 0n ? undefined : this.#config.tsc.tickOf(this.#deadline);
    }
    const { startCount, startTick, initialCount } = this.#registers;
    if (startCount === 0) return undefined;
    const elapsed = this.#elapsedCounts();
    let counts = startCount;
    if (elapsed >= startCount) {
      if (this.#mode !== 'periodic' || initialCount === 0) return undefined;
      counts += (Math.floor((elapsed - startCount) / initialCount) + 1) * initialCount;
    }
    return startTick + ticksForPeriods(counts * this.#divisor, this.#config.hertz);
  }

  #elapsedCounts(): number {
    const ticks = this.#config.clock.now() - this.#registers.startTick;
    return Math.floor(periodsInTicks(ticks, this.#config.hertz) / this.#divisor);
  }

  /** 2, 4, … 128, 1 for the values 0 to 7 of bits 3, 1 and 0. */
  get #divisor(): number {
    const { divideConfiguration } = this.#registers;
    const value = (divideConfiguration & 3) | ((divideConfiguration & 8) >> 1);
    return value === 7 ? 1 : 2 << value;
  }
}
