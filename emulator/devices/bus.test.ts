import { describe, expect, it } from 'vitest';
import type { LogLevel } from '../base/logger.ts';
import { Logger } from '../base/logger.ts';
import type { StateRecord } from '../base/stateValue.ts';
import { Bus, BusRangeError } from './bus.ts';
import type { AccessSize, Device } from './device.ts';
import { UnimplementedDevice } from './unimplemented.ts';

/** Remembers what it was asked and answers each byte with its offset. */
class Recorder implements Device {
  readonly name = 'recorder';
  readonly accesses: string[] = [];

  read(offset: number, size: AccessSize): number {
    this.accesses.push(`read ${offset}/${size}`);
    return this.peek(offset, size);
  }

  write(offset: number, size: AccessSize, value: number): void {
    this.accesses.push(`write ${offset}/${size}=${value.toString(16)}`);
  }

  peek(offset: number, size: AccessSize): number {
    let value = 0;
    for (let byte = 0; byte < size; byte += 1) value |= ((offset + byte) & 0xff) << (8 * byte);
    return value >>> 0;
  }

  reset(): void {}

  save(): StateRecord {
    return {};
  }

  restore(): void {}
}

function portsWith(base: number, length: number, options = {}): { bus: Bus; device: Recorder } {
  const bus = Bus.ports();
  const device = new Recorder();
  bus.register(base, length, device, 'recorder', options);
  return { bus, device };
}

describe('the bus', () => {
  it('gives a device the offset from the start of its range', () => {
    const { bus, device } = portsWith(0x3f8, 8);
    bus.write(0x3fb, 1, 0x83);
    expect(bus.read(0x3fd, 1)).toBe(5);
    expect(device.accesses).toEqual(['write 3/1=83', 'read 5/1']);
  });

  it('starts a range at the offset it was registered with', () => {
    const { bus, device } = portsWith(0xa0, 2, { offset: 2 });
    bus.read(0xa1, 1);
    expect(device.accesses).toEqual(['read 3/1']);
  });

  it('reads as all ones where nobody answers, and drops writes', () => {
    const bus = Bus.ports();
    expect(bus.read(0x1234, 1)).toBe(0xff);
    expect(bus.read(0x1234, 2)).toBe(0xffff);
    expect(bus.read(0x1234, 4)).toBe(0xffff_ffff);
    expect(() => bus.write(0x1234, 4, 1)).not.toThrow();
  });

  it('splits a wide access to an 8-bit device into byte cycles, lowest address first', () => {
    const { bus, device } = portsWith(0x3f8, 8, { widest: 1 });
    expect(bus.read(0x3f8, 2)).toBe(0x0100);
    bus.write(0x3f8, 4, 0x4433_2211);
    expect(device.accesses).toEqual([
      'read 0/1',
      'read 1/1',
      'write 0/1=11',
      'write 1/1=22',
      'write 2/1=33',
      'write 3/1=44',
    ]);
  });

  it('splits an access across the end of a range into bytes, and the rest floats', () => {
    const { bus } = portsWith(0x3f8, 8);
    expect(bus.read(0x3fe, 4)).toBe(0xffff_0706);
    expect(bus.read(0x3f7, 2)).toBe(0x00ff);
  });

  it('wraps an access at port 0xffff to port 0', () => {
    const { bus } = portsWith(0, 1);
    expect(bus.read(0xffff, 2)).toBe(0x00ff);
  });

  it('splits an 8-byte access into two of 4 bytes', () => {
    const bus = Bus.memory();
    const device = new Recorder();
    bus.register(0xfec0_0000, 0x1000, device, 'ioapic');
    expect(bus.read8(0xfec0_0010)).toBe(0x1716_1514_1312_1110n);
    bus.write8(0xfec0_0000, 0x1122_3344_5566_7788n);
    expect(device.accesses).toEqual(['read 16/4', 'read 20/4', 'write 0/4=55667788', 'write 4/4=11223344']);
  });

  it('finds a range above 4 GiB among several', () => {
    const bus = Bus.memory();
    const devices = [0x1_0000_0000, 0xb_8000, 0xfec0_0000].map((base) => {
      const device = new Recorder();
      bus.register(base, 0x1000, device, `at ${base}`);
      return { base, device };
    });
    for (const { base, device } of devices) expect(bus.find(base + 0xfff)?.device).toBe(device);
    expect(bus.find(0x1_0000_1000)).toBeUndefined();
    expect(bus.ranges.map((range) => range.base)).toEqual([0xb_8000, 0xfec0_0000, 0x1_0000_0000]);
  });

  it('refuses a range that overlaps another', () => {
    const { bus } = portsWith(0x3f8, 8);
    expect(() => bus.register(0x3ff, 1, new Recorder(), 'late')).toThrow(BusRangeError);
    expect(() => bus.register(0x3f0, 9, new Recorder(), 'late')).toThrow('overlaps 0x3f8+8 of recorder');
    expect(() => bus.register(0x400, 1, new Recorder(), 'beside')).not.toThrow();
  });

  it('refuses a range outside the address space', () => {
    expect(() => Bus.ports().register(0xffff, 2, new Recorder(), 'wide')).toThrow(BusRangeError);
    expect(() => Bus.ports().register(0x10, 0, new Recorder(), 'empty')).toThrow(BusRangeError);
  });

  it('peeks without the side effects of a read', () => {
    const { bus, device } = portsWith(0x3f8, 8, { widest: 1 });
    expect(bus.peek(0x3f9, 2)).toBe(0x0201);
    expect(device.accesses).toEqual([]);
  });

  it('reports an access that nobody answers', () => {
    const lines: string[] = [];
    const sink = {
      log: (level: LogLevel, component: string, text: string) => lines.push(`${level} ${component}: ${text}`),
    };
    const bus = Bus.ports(new Logger(sink, 'ports'));
    bus.read(0x92, 1);
    bus.write(0x92, 1, 2);
    bus.peek(0x92, 1);
    expect(lines).toEqual([
      'debug ports: read of 1 bytes from I/O port 0x92: nobody answers',
      'debug ports: write of 0x2 (1 bytes) to I/O port 0x92: nobody answers',
    ]);
  });

  it('a range left out on purpose reads as the floating bus', () => {
    const bus = Bus.ports();
    bus.register(0x00, 16, new UnimplementedDevice('DMA controller 1'), 'DMA controller 1');
    expect(bus.read(8, 1)).toBe(0xff);
  });
});
