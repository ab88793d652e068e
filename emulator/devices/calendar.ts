/** Date arithmetic and number formats of the real-time clock: the Gregorian calendar in UTC. */

export interface DateFields {
  readonly second: number;
  readonly minute: number;
  readonly hour: number;
  readonly day: number;
  /** 1 to 12. */
  readonly month: number;
  readonly year: number;
}

const SECONDS_PER_DAY = 86_400;

/** `weekday`: 1 is Sunday. */
export function fieldsOfSeconds(seconds: number): DateFields & { readonly weekday: number } {
  const date = new Date(seconds * 1000);
  return {
    second: date.getUTCSeconds(),
    minute: date.getUTCMinutes(),
    hour: date.getUTCHours(),
    weekday: date.getUTCDay() + 1,
    day: date.getUTCDate(),
    month: date.getUTCMonth() + 1,
    year: date.getUTCFullYear(),
  };
}

/** Fields out of range carry over into the next larger one. */
export function secondsOfFields({ second, minute, hour, day, month, year }: DateFields): number {
  const days = Date.UTC(2000 + (year % 400), month - 1, day) / 1000 / SECONDS_PER_DAY;
  // The calendar repeats after 400 years of 146,097 days.
  const cycles = Math.floor(year / 400) - 5;
  return (days + cycles * 146_097) * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second;
}

export function toBcd(value: number): number {
  return (Math.floor(value / 10) << 4) | (value % 10);
}

export function fromBcd(value: number): number {
  return (value >> 4) * 10 + (value & 15);
}

/** An alarm byte with both top bits set matches every value. */
export function alarmMatches(alarm: number, value: number): boolean {
  return (alarm & 0xc0) === 0xc0 || alarm === value;
}
