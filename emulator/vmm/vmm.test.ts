import { describe, expect, it } from 'vitest';
import { assemble } from '../../test/support/assemble.ts';
import { exitKeys, guestMachine } from '../../test/support/guestMachine.ts';

const ENTRY = 0x10_0000;

describe('the built-in VMM', () => {
  it('runs a 64-bit guest that executes CPUID, OUT and HLT', () => {
    const guest = guestMachine(
      assemble(
        'mov $0, %eax; cpuid; mov $0x3f8, %dx; mov $0x41, %al; out %al, %dx; mov $0xf4, %dx; out %al, %dx; hlt',
        ENTRY,
      ),
      ENTRY,
    );
    expect(guest.machine.run(1000)).toBe('stopped');
    expect(String.fromCharCode(...guest.serial)).toBe('A');
    expect(exitKeys(guest)).toEqual(['cpuid', 'ioInstruction', 'ioInstruction']);
  });
});
