import { describe, expect, it } from 'vitest';
import { EmulatorBug } from '../base/errors.ts';
import { PAGE_FLAG, PhysicalMemory } from './physicalMemory.ts';
import { testMachine } from './testing/machine.ts';

const RAM = 0x20_0000;

describe('physical memory', () => {
  it('reads all ones and drops writes where no memory answers', () => {
    const { physical } = testMachine(RAM);
    physical.write(RAM, 4, 0, 0);
    expect([physical.read8(RAM), physical.read16(RAM), physical.read32(RAM - 2)]).toEqual([
      0xff, 0xffff, 0xffff_ffff,
    ]);
    const bytes = new Uint8Array(8);
    physical.copyOut(RAM - 4, bytes);
    expect([...bytes]).toEqual([0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
  });

  it('leaves the legacy video range to the bus when asked to', () => {
    const { physical } = testMachine(RAM, undefined, { legacyVgaHole: true });
    expect([physical.isRam(0x9_fffc, 4), physical.isRam(0x9_fffc, 8), physical.isRam(0xb_ffff, 1)]).toEqual([
      true,
      false,
      false,
    ]);
    expect(physical.isRam(0xc_0000, 4096)).toBe(true);
    expect(testMachine(RAM).physical.isRam(0xa_0000, 4)).toBe(true);
  });

  it('does not let a ROM be written', () => {
    const { physical } = testMachine(RAM);
    physical.load(0xf_0000, new Uint8Array(0x1_0000).fill(0x90));
    physical.setReadOnly(0xf_0000, 0x1_0000, true);
    physical.write(0xf_1234, 4, 0, 0);
    physical.copyIn(0xe_fffe, Uint8Array.of(1, 2, 3, 4));
    expect([physical.read32(0xf_1234), physical.read16(0xe_fffe), physical.read16(0xf_0000)]).toEqual([
      0x9090_9090, 0x0201, 0x9090,
    ]);
  });

  it('needs whole pages that fit', () => {
    const { state } = testMachine(RAM);
    const make = (bytes: number) => () => new PhysicalMemory(state, bytes);
    expect(make(4097)).toThrow(EmulatorBug);
    expect(make(2 ** 30)).toThrow(EmulatorBug);
  });
});

describe('the write gate', () => {
  it('announces each write to a marked page before the bytes change, page by page', () => {
    const { physical } = testMachine(RAM);
    const seen: [number, number, number][] = [];
    physical.onWrite(PAGE_FLAG.WATCHED, (hpa, length) => seen.push([hpa, length, physical.read8(hpa)]));
    physical.setPageFlag(0x10, PAGE_FLAG.WATCHED);
    physical.setPageFlag(0x11, PAGE_FLAG.WATCHED);
    physical.write(0x1_0008, 8, 1, 2);
    physical.copyIn(0xfffe, new Uint8Array(0x1004).fill(7));
    physical.write(0x1_2000, 4, 1, 0);
    expect(seen).toEqual([
      [0x1_0008, 8, 0],
      [0x1_0000, 0x1000, 0],
      [0x1_1000, 2, 0],
    ]);
  });

  it('calls the listeners of the marks that a page has, and no others', () => {
    const { physical } = testMachine(RAM);
    const calls: string[] = [];
    physical.onWrite(PAGE_FLAG.CODE, () => calls.push('code'));
    const end = physical.onWrite(PAGE_FLAG.VMCS, () => calls.push('vmcs'));
    physical.setPageFlag(1, PAGE_FLAG.CODE);
    physical.setPageFlag(2, PAGE_FLAG.CODE);
    physical.setPageFlag(2, PAGE_FLAG.VMCS);
    physical.write(0x1000, 1, 0, 0);
    physical.write(0x2000, 1, 0, 0);
    physical.clearPageFlag(2, PAGE_FLAG.CODE);
    physical.write(0x2000, 1, 0, 0);
    end();
    physical.write(0x2000, 1, 0, 0);
    expect(calls).toEqual(['code', 'code', 'vmcs', 'vmcs']);
  });

  it('lets a snapshot copy each page once', () => {
    const { physical } = testMachine(RAM);
    const copies: number[] = [];
    physical.onWrite(PAGE_FLAG.SNAPSHOT, (hpa) => {
      copies.push(hpa >>> 12);
      physical.clearPageFlag(hpa >>> 12, PAGE_FLAG.SNAPSHOT);
    });
    physical.setFlagEverywhere(PAGE_FLAG.SNAPSHOT);
    for (const address of [0x5000, 0x5008, 0x6000, 0x5010]) physical.write(address, 8, 1, 1);
    expect(copies).toEqual([5, 6]);
    expect(physical.hasPageFlag(7, PAGE_FLAG.SNAPSHOT)).toBe(true);
  });
});
