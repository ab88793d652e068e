import { beforeEach, describe, expect, it, vi } from 'vitest';
import { Bus } from './bus.ts';
import { PciHost } from './pciHost.ts';
import { PciHostBridge } from './pciHostBridge.ts';
import { ResetControl } from './resetControl.ts';

let reset: () => void;
let host: PciHost;
let ports: Bus;

beforeEach(() => {
  reset = vi.fn();
  host = new PciHost({
    functions: new Map([[0, new PciHostBridge()]]),
    resetControl: new ResetControl({ reset, initialize: vi.fn() }),
  });
  ports = Bus.ports();
  ports.register(0xcf8, 8, host, 'pci');
});

/** Reads a register of device `device` on bus `bus`. */
function configuration(bus: number, device: number, register: number, size: 1 | 2 | 4 = 4): number {
  ports.write(0xcf8, 4, (0x8000_0000 | (bus << 16) | (device << 11) | (register & 0xfc)) >>> 0);
  return ports.read(0xcfc + (register & 3), size);
}

describe('PCI configuration mechanism 1', () => {
  it('the address register keeps the enable bit and a double-word address', () => {
    ports.write(0xcf8, 4, 0xffff_ffff);
    expect(ports.read(0xcf8, 4)).toBe(0x80ff_fffc);
  });

  it('function 0:0.0 is a host bridge', () => {
    expect(configuration(0, 0, 0)).toBe(0x1237_8086);
    expect(configuration(0, 0, 0, 2)).toBe(0x8086);
    expect(configuration(0, 0, 2, 2)).toBe(0x1237);
    expect(configuration(0, 0, 0x0a, 2)).toBe(0x0600);
    expect(configuration(0, 0, 0x0e, 1)).toBe(0);
    expect(configuration(0, 0, 0x60)).toBe(0);
  });

  it('where there is no function all bits read as 1', () => {
    expect(configuration(0, 1, 0)).toBe(0xffff_ffff);
    expect(configuration(1, 0, 0, 2)).toBe(0xffff);
  });

  it('without the enable bit there is no configuration cycle', () => {
    ports.write(0xcf8, 4, 0);
    expect(ports.read(0xcfc, 4)).toBe(0xffff_ffff);
  });

  it('byte access to 0xcf9 is the reset control register', () => {
    ports.write(0xcf8, 4, 0x8000_0000);
    ports.write(0xcf9, 1, 0x02);
    expect(ports.read(0xcf9, 1)).toBe(0x02);
    expect(ports.read(0xcf8, 4)).toBe(0x8000_0000);
    ports.write(0xcf9, 1, 0x06);
    expect(reset).toHaveBeenCalledTimes(1);
  });

  it('a restored bridge has the same address', () => {
    ports.write(0xcf8, 4, 0x8000_0008);
    const state = host.save();
    host.reset();
    host.restore(state);
    expect(ports.read(0xcfc, 4)).toBe(0x0600_0002);
  });
});
