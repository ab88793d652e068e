import { describe, expect, it } from 'vitest';
import { FwCfg, littleEndian } from './fwCfg.ts';

const files = { 'etc/one': Uint8Array.of(1, 2, 3), 'etc/two': littleEndian(0x1234, 4) };
const device = () => new FwCfg({ memoryBytes: 0x1_2345_6000, cpus: 1, files });

function item(from: FwCfg, number: number, length: number): number[] {
  from.write(0, 2, number);
  return Array.from({ length }, () => from.read());
}

const text = (bytes: readonly number[]) => String.fromCharCode(...bytes);

describe('fw_cfg', () => {
  it('has its signature, and no DMA', () => {
    expect(text(item(device(), 0, 4))).toBe('QEMU');
    expect(item(device(), 1, 4)).toEqual([1, 0, 0, 0]);
  });

  it('tells memory and processors', () => {
    expect(item(device(), 3, 8)).toEqual([0, 0x60, 0x45, 0x23, 1, 0, 0, 0]);
    expect(item(device(), 5, 2)).toEqual([1, 0]);
  });

  it('lists its files, whose contents are items', () => {
    const listing = item(device(), 0x19, 4 + 2 * 64);
    expect(listing.slice(0, 12)).toEqual([0, 0, 0, 2, 0, 0, 0, 3, 0, 0x20, 0, 0]);
    expect(text(listing.slice(12, 20))).toBe('etc/one\0');
    expect(item(device(), 0x20, 3)).toEqual([1, 2, 3]);
    expect(item(device(), 0x21, 4)).toEqual([0x34, 0x12, 0, 0]);
  });

  it('reads as zeros behind an item and where none is, and cannot be written', () => {
    const fwCfg = device();
    expect(item(fwCfg, 0x20, 5)).toEqual([1, 2, 3, 0, 0]);
    expect(item(fwCfg, 0x7777, 2)).toEqual([0, 0]);
    fwCfg.write(0, 2, 0x20);
    fwCfg.write(1, 1, 9);
    expect(fwCfg.peek()).toBe(1);
  });

  it('keeps its place in a snapshot', () => {
    const fwCfg = device();
    item(fwCfg, 0x20, 2);
    const other = device();
    other.restore(fwCfg.save());
    expect(other.read()).toBe(3);
    other.reset();
    expect(other.read()).toBe('Q'.charCodeAt(0));
  });
});
