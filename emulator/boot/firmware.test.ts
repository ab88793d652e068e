import { describe, expect, it } from 'vitest';
import { BootMemory } from '../../test/support/bootMemory.ts';
import { firmwareSegments } from './firmware.ts';

describe('what firmware leaves in memory', () => {
  const { segments, rsdpAddress } = firmwareSegments(64 * 1024 * 1024, 1);
  const memory = new BootMemory({ segments });

  it('the BIOS data area names COM1, the EBDA, 639 KiB of base memory and the text screen', () => {
    expect(memory.u16(0x400)).toBe(0x3f8);
    expect(memory.u16(0x40e)).toBe(0x9fc0);
    expect(memory.u16(0x413)).toBe(639);
    expect([memory.u8(0x449), memory.u16(0x44a), memory.u16(0x463), memory.u8(0x484)]).toEqual([
      3, 80, 0x3d4, 24,
    ]);
  });

  it('the equipment word counts one serial port', () => {
    expect((memory.u16(0x410) >> 9) & 7).toBe(1);
  });

  it('the extended BIOS data area begins with its size in KiB', () => {
    expect(memory.u8(0x9_fc00)).toBe(1);
  });

  it('the ACPI tables are where systems search for them', () => {
    expect(rsdpAddress).toBeGreaterThanOrEqual(0xe_0000);
    expect(rsdpAddress).toBeLessThan(0x10_0000);
    expect(String.fromCharCode(...memory.bytes(rsdpAddress, 8))).toBe('RSD PTR ');
  });
});
