import { describe, expect, it } from 'vitest';
import { UserError } from '../base/errors.ts';
import { parsePolicy } from './policy.ts';

describe('what exits besides what the VMM needs', () => {
  it('is nothing by default', () => {
    const policy = parsePolicy([]);
    expect(policy).toEqual({
      controls: new Set(),
      cr0: false,
      cr4: false,
      exceptionBitmap: 0,
      msrs: [],
      preemptionTicks: 0,
    });
  });

  it.each([
    ['hlt', ['hltExiting']],
    ['rdtsc', ['rdtscExiting']],
    ['rdtscp', ['rdtscExiting']],
    ['rdpmc', ['rdpmcExiting']],
    ['pause', ['pauseExiting']],
    ['wbinvd', ['wbinvdExiting']],
    ['invlpg', ['invlpgExiting']],
    ['cr3', ['cr3LoadExiting', 'cr3StoreExiting']],
    ['dr', ['movDrExiting']],
    ['descriptor-tables', ['descriptorTableExiting']],
    ['bus-lock', ['vmmBusLockDetection']],
    ['cpuid', []],
    ['cr8', []],
    ['external-interrupts', []],
  ])('%s sets %j', (text, controls) => {
    expect([...parsePolicy([text]).controls]).toEqual(controls);
  });

  it('reads masks of CR0 and CR4', () => {
    expect(parsePolicy(['cr0', 'cr4'])).toMatchObject({ cr0: true, cr4: true });
  });

  it('reads MSRs as numbers, ranges and lists', () => {
    expect(parsePolicy(['msr:0x1b', 'msr: 0x10-0x20, 300']).msrs).toEqual([
      { first: 0x1b, last: 0x1b },
      { first: 0x10, last: 0x20 },
      { first: 300, last: 300 },
    ]);
    expect(parsePolicy(['msr']).msrs).toEqual([{ first: 0, last: 0xffff_ffff }]);
  });

  it('reads exceptions by name and by vector', () => {
    expect(parsePolicy(['exceptions:#PF,#GP']).exceptionBitmap).toBe((1 << 14) | (1 << 13));
    expect(parsePolicy(['exceptions:14, 0x6']).exceptionBitmap).toBe((1 << 14) | (1 << 6));
    expect(parsePolicy(['exceptions']).exceptionBitmap).toBe(-1);
  });

  it('reads the period of the preemption timer', () => {
    expect(parsePolicy(['preemption-timer']).preemptionTicks).toBe(1_000_000);
    expect(parsePolicy(['preemption-timer:5000']).preemptionTicks).toBe(5000);
  });

  it('takes ports, all of which exit anyway', () => {
    expect(() => parsePolicy(['io', 'io:0x60-0x64', 'io:0x70,0x71'])).not.toThrow();
  });

  it.each([
    ['cpuidd', 'there are: cpuid'],
    ['hlt:1', 'is unknown'],
    ['msr:0x1g', 'is not a number'],
    ['msr:5-4', 'is not a range'],
    ['msr:1-2-3', 'is not a range'],
    ['io:0x10000', 'is not a range up to 0xffff'],
    ['exceptions:#XX', 'there is no exception "#XX"'],
    ['exceptions:2', 'there is no exception "2"'],
    ['exceptions:32', 'there is no exception "32"'],
    ['preemption-timer:0', 'at least 1 tick'],
  ])('refuses %s with one sentence that says what to do', (text, message) => {
    expect(() => parsePolicy([text])).toThrow(UserError);
    expect(() => parsePolicy([text])).toThrow(message);
  });
});
