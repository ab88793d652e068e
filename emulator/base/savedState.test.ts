import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../test/support/manualClock.ts';
import { UserError } from './errors.ts';
import { SavedState, savedDeadline } from './savedState.ts';

describe('reading a saved state', () => {
  const saved = new SavedState('uart', {
    divisor: 12,
    enabled: true,
    tsc: 5n,
    fifo: Uint8Array.of(1, 2),
    levels: [1, 2, 3],
    channel: { count: 7 },
    channels: [{ count: 8 }],
    deadline: null,
    mode: 'xapic',
  });

  it('gives every kind of value back', () => {
    expect(saved.number('divisor')).toBe(12);
    expect(saved.boolean('enabled')).toBe(true);
    expect(saved.bigint('tsc')).toBe(5n);
    expect(saved.bytes('fifo', 2)).toEqual(Uint8Array.of(1, 2));
    expect(saved.numbers('levels', 3)).toEqual([1, 2, 3]);
    expect(saved.record('channel').number('count')).toBe(7);
    expect(saved.records('channels')[0].number('count')).toBe(8);
    expect(saved.optionalNumber('deadline')).toBe(null);
    expect(saved.oneOf('mode', ['xapic', 'x2apic'])).toBe('xapic');
  });

  it('refuses a missing field, naming the component and the field', () => {
    expect(() => saved.number('scratch')).toThrow(UserError);
    expect(() => saved.number('scratch')).toThrow("uart has no number 'scratch'");
    expect(() => saved.record('channel').number('mode')).toThrow("uart.channel has no number 'mode'");
  });

  it('refuses a field of another kind or length', () => {
    expect(() => saved.boolean('divisor')).toThrow(UserError);
    expect(() => saved.bytes('fifo', 3)).toThrow('array of 3 bytes');
    expect(() => saved.numbers('channels')).toThrow(UserError);
    expect(() => saved.record('levels')).toThrow(UserError);
    expect(() => saved.oneOf('mode', ['disabled', 'x2apic'])).toThrow("no disabled or x2apic 'mode'");
  });

  it('fills the numbers and booleans of a register record', () => {
    const registers = { divisor: 0, enabled: false };
    saved.into(registers);
    expect(registers).toEqual({ divisor: 12, enabled: true });
  });

  it('saves an alarm that is not armed as null and arms one that is', () => {
    const alarm = new ManualClock().createAlarm('test', () => {});
    expect(savedDeadline(alarm)).toBe(null);
    new SavedState('pit', { deadline: 99 }).alarm('deadline', alarm);
    expect(savedDeadline(alarm)).toBe(99);
    saved.alarm('deadline', alarm);
    expect(savedDeadline(alarm)).toBe(null);
  });
});
