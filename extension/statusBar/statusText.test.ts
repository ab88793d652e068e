import { describe, expect, it } from 'vitest';
import { type Sample, shortNumber, statusText } from './statusText.ts';

function sample(instructions: number, time: number, exits = 0): Sample {
  const exitsByReason = [
    { key: 'HLT', name: 'HLT', count: 1, cost: 1 },
    { key: 'CPUID', name: 'CPUID', count: exits - 1, cost: 1 },
  ];
  return {
    time,
    statistics: {
      instructions,
      ticks: 2_500_000,
      exits,
      translations: 0,
      code: '64-bit',
      exitsByReason: exits ? exitsByReason : [],
    },
  };
}

describe('numbers in the status bar', () => {
  it.each([
    [0, '0'],
    [999, '999'],
    [1000, '1.00k'],
    [12_345, '12.3k'],
    [123_456_789, '123M'],
    [5_000_000_000, '5.00G'],
  ])('%d is %s', (value, text) => {
    expect(shortNumber(value)).toBe(text);
  });
});

describe('the status bar', () => {
  it('shows how fast a running machine is', () => {
    const { text } = statusText('guest', false, sample(300_000_000, 1500, 1234), sample(200_000_000, 1000));
    expect(text).toBe('$(vm-running) guest, 64-bit  300M instructions  200 MIPS  1.23k exits');
  });

  it.each([
    [{ level: 1, operation: 'VMX non-root' }, 'L1 non-root', 'L1, a guest, in VMX non-root operation'],
    [
      { level: 0, operation: 'VMX root' },
      'L0 root',
      'L0, the program that owns the machine, in VMX root operation',
    ],
    [{ level: 0 }, 'L0', 'L0, the program that owns the machine'],
  ] as const)('tells the level %j', (execution, short, long) => {
    const { time, statistics } = sample(5, 0);
    const { text, tooltip } = statusText(
      'guest',
      true,
      { time, statistics: { ...statistics, execution } },
      undefined,
    );
    expect(text).toContain(`guest, ${short}, 64-bit  5 instructions`);
    expect(tooltip.split('\n')).toContain(`Level: ${long}`);
  });

  it('shows no speed at a stop', () => {
    const { text } = statusText('bare-metal', true, sample(5, 1500), sample(0, 1000));
    expect(text).toBe('$(debug-pause) bare-metal, 64-bit  5 instructions');
  });

  it('shows no speed when the machine was switched on again in between', () => {
    expect(statusText('guest', false, sample(5, 1500), sample(10, 1000)).text).not.toContain('MIPS');
  });

  it('says in its tooltip what exits there were', () => {
    const { tooltip } = statusText('guest', true, sample(1_234_567, 0, 3), undefined);
    expect(tooltip).toContain(
      'Instructions: 1,234,567\nVirtual time: 2.500 ms\nVM exits: 3\n    CPUID: 2\n    HLT: 1',
    );
  });
});
