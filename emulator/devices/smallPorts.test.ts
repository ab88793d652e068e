import { describe, expect, it, vi } from 'vitest';
import { DebugConsole } from './debugConsole.ts';
import { DebugExit } from './debugExit.ts';
import { Port92 } from './port92.ts';
import { PostCode } from './postCode.ts';
import { ResetControl } from './resetControl.ts';

describe('the debug-exit port', () => {
  it('hands over the value written and reads as the floating bus', () => {
    const exit = vi.fn();
    const device = new DebugExit({ exit });
    device.write(0, 4, 0x10);
    expect(exit).toHaveBeenCalledExactlyOnceWith(0x10);
    expect(device.read(0, 1)).toBe(0xff);
  });
});

describe('the debug console', () => {
  it('outputs bytes and reads as 0xe9', () => {
    const bytes: number[] = [];
    const device = new DebugConsole({ sink: { write: (byte) => bytes.push(byte) } });
    device.write(0, 1, 0x41);
    expect(bytes).toEqual([0x41]);
    expect(device.read()).toBe(0xe9);
  });
});

describe('port 0x80', () => {
  it('keeps the last code', () => {
    const device = new PostCode();
    device.write(0, 1, 0x55);
    expect(device.read()).toBe(0x55);
    const restored = new PostCode();
    restored.restore(device.save());
    expect(restored.read()).toBe(0x55);
  });
});

describe('system control port A', () => {
  it('bit 1 drives the A20 gate', () => {
    const setA20 = vi.fn();
    const device = new Port92({ setA20, initialize: vi.fn() });
    expect(device.read()).toBe(0x02);
    device.write(0, 1, 0x00);
    expect(setA20).toHaveBeenLastCalledWith(false);
    const restored = new Port92({ setA20, initialize: vi.fn() });
    restored.restore(device.save());
    expect(restored.read()).toBe(0x00);
    device.reset();
    expect(setA20).toHaveBeenLastCalledWith(true);
  });

  it('a rising bit 0 gives INIT once', () => {
    const initialize = vi.fn();
    const device = new Port92({ setA20: vi.fn(), initialize });
    device.write(0, 1, 0x03);
    device.write(0, 1, 0x03);
    expect(initialize).toHaveBeenCalledTimes(1);
  });
});

describe('the reset control register', () => {
  it('a rising bit 2 resets; bit 1 alone only chooses the kind', () => {
    const reset = vi.fn();
    const initialize = vi.fn();
    const device = new ResetControl({ reset, initialize });
    device.write(0, 1, 0x04);
    expect(initialize).toHaveBeenCalledTimes(1);
    device.write(0, 1, 0x02);
    expect(reset).not.toHaveBeenCalled();
    device.write(0, 1, 0x06);
    expect(reset).toHaveBeenCalledTimes(1);
    expect(device.read()).toBe(0x06);
    const restored = new ResetControl({ reset, initialize });
    restored.restore(device.save());
    expect(restored.read()).toBe(0x06);
  });
});
