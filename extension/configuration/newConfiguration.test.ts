import { describe, expect, it } from 'vitest';
import { checkLaunchArguments } from '../../debug-adapter/launch/validate.ts';
import { newConfiguration } from './newConfiguration.ts';

describe('a configuration for an image that has none', () => {
  it('stops an ELF program at its first instruction', () => {
    expect(newConfiguration('/os/kernel.elf', 'elf')).toMatchObject({
      name: 'Debug kernel.elf',
      program: '/os/kernel.elf',
      stopOnEntry: true,
    });
  });

  it('makes Linux use the serial port', () => {
    expect(newConfiguration('c:\\os\\bzImage', 'bzImage')).toMatchObject({
      name: 'Debug bzImage',
      append: 'console=ttyS0',
    });
  });

  it.each(['elf', 'bzImage'] as const)('has no attribute that the debugger does not know (%s)', (kind) => {
    expect(checkLaunchArguments(newConfiguration('/k', kind)).warnings).toEqual([]);
  });
});
