/** An exit for tests of the view. */
import type { ExitRow } from '../../debug-adapter/protocol/exits.ts';

export function testRow(number: number): ExitRow {
  return {
    number,
    position: number * 10,
    vcpu: 0,
    level: 1,
    reason: 'CPUID',
    rip: '0x0000000000100040',
    location: 'kmain+0x10',
    source: 'kernel.c:12',
    qualification: '0x0',
    guestPhysical: '0x0',
    instructionLength: 2,
    interruptionInformation: '0x0',
    text: 'CPUID: leaf 0x0, subleaf 0x0',
    cost: 800,
  };
}
