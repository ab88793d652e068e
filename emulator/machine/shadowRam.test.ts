import { describe, expect, it } from 'vitest';
import { Unimplemented } from '../base/errors.ts';
import { PciHostBridge } from '../devices/pciHostBridge.ts';
import { testMachine } from '../mmu/testing/machine.ts';
import { ShadowRam } from './shadowRam.ts';

const ROM_SIZE = 0x2_0000;
const BIOS_AREA = 12;

function board() {
  const rom = new Uint8Array(ROM_SIZE).map((_, index) => index >> 12);
  const { physical } = testMachine(0x20_0000, undefined, { rom });
  const shadow = new ShadowRam(physical, rom);
  return { physical, shadow, bridge: new PciHostBridge(shadow) };
}

describe('the areas between 0xC0000 and 0xFFFFF', () => {
  it('show the ROM after a reset, which is also below 4 GiB', () => {
    const { physical } = board();
    expect([physical.read8(0xc_0000), physical.read8(0xe_0000), physical.read8(0xf_ffff)]).toEqual([
      0xff, 0, 0x1f,
    ]);
    expect([physical.read8(0xfffe_0000), physical.read32(0xffff_fffc)]).toEqual([0, 0x1f1f_1f1f]);
    expect(physical.read8(0xfffd_ffff)).toBe(0xff);
    physical.write(0xffff_fff0, 4, 0, 0);
    physical.write(0xf_0000, 4, 0, 0);
    expect([physical.read8(0xffff_fff0), physical.read8(0xf_0000)]).toEqual([0x1f, 0x10]);
  });

  it('are RAM once the bridge says so, and read-only once it says that', () => {
    const { physical, bridge } = board();
    bridge.writeConfiguration(0x58, 4, 0x0000_3000);
    expect(physical.read8(0xf_0000)).toBe(0);
    physical.write(0xf_0000, 1, 0x55, 0);
    bridge.writeConfiguration(0x59, 1, 0x10);
    physical.write(0xf_0000, 1, 0x66, 0);
    expect(physical.read8(0xf_0000)).toBe(0x55);
    bridge.writeConfiguration(0x59, 1, 0);
    expect(physical.read8(0xf_0000)).toBe(0x10);
    bridge.writeConfiguration(0x59, 1, 0x30);
    expect(physical.read8(0xf_0000)).toBe(0x55);
    // The second register has 0xC0000 in its low half and 0xC4000 in its high one.
    bridge.writeConfiguration(0x5a, 1, 0x30);
    expect([physical.read8(0xc_0000), physical.read8(0xc_4000)]).toEqual([0xff, 0]);
    bridge.reset();
    expect([physical.read8(0xc_4000), physical.read8(0xf_0000)]).toEqual([0xff, 0x10]);
  });

  it('stop by name where writes would go to RAM that is not shown', () => {
    const { shadow } = board();
    expect(() => shadow.set(BIOS_AREA, { read: false, write: true })).toThrow(Unimplemented);
  });

  it('keep the RAM that is not shown in a snapshot', () => {
    const { physical, bridge } = board();
    bridge.writeConfiguration(0x59, 1, 0x30);
    physical.write(0xf_0000, 1, 0x55, 0);
    bridge.writeConfiguration(0x59, 1, 0);
    const other = board();
    other.bridge.restore(bridge.save());
    expect(other.bridge.save()).toEqual(bridge.save());
    other.bridge.writeConfiguration(0x59, 1, 0x30);
    expect(other.physical.read8(0xf_0000)).toBe(0x55);
  });
});
