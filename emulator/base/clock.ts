/**
 * Virtual time. One monotone counter of ticks drives every timer and the TSC: retired instructions, plus skipped idle
 * time, plus the charged cost of VM exits and entries. A tick is one nanosecond of guest time. The host's clock never
 * enters.
 */

/** Ticks (nanoseconds of guest time) in a second. */
export const TICKS_PER_SECOND = 1_000_000_000;

/** What the run loop knows of time besides the instructions that it counts. */
export class TimeBase {
  /** Ticks besides retired instructions: idle time skipped and costs charged. */
  charged = 0;
  /** The earliest deadline of an alarm. */
  nextDeadline = Number.POSITIVE_INFINITY;
}

/** A one-shot timer on the virtual clock. */
export interface Alarm {
  /** The tick at which it rings, or `Infinity` when it is not armed. */
  readonly deadline: number;
  /** Rings once when the clock reaches `tick` (at the next event check if that has passed). Replaces an earlier arm. */
  arm(tick: number): void;
  disarm(): void;
}

export interface Clock {
  /** The current tick: a non-negative integer, exact to 2^53. */
  now(): number;
  /**
   * Makes an alarm, not armed. Alarms due at the same tick ring in the order in which they were created, so that a run
   * does not depend on the order of arming.
   */
  createAlarm(name: string, ring: () => void): Alarm;
}

/** Converts a number of periods of `hertz` to ticks, rounded up, exactly. */
export function ticksForPeriods(periods: number, hertz: number): number {
  const whole = Math.floor(periods / hertz);
  return whole * TICKS_PER_SECOND + Math.ceil(((periods - whole * hertz) * TICKS_PER_SECOND) / hertz);
}

/** Converts ticks to elapsed whole periods of `hertz`, exactly, for any tick below 2^53. */
export function periodsInTicks(ticks: number, hertz: number): number {
  const seconds = Math.floor(ticks / TICKS_PER_SECOND);
  return seconds * hertz + Math.floor(((ticks - seconds * TICKS_PER_SECOND) * hertz) / TICKS_PER_SECOND);
}
