import { beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../../test/support/manualClock.ts';
import { UserError } from '../base/errors.ts';
import { AtaDisk } from './ataDisk.ts';
import { Bus } from './bus.ts';
import { IDE_CONTROL_OFFSET, IdeChannel } from './ideChannel.ts';

const SECTORS = 2048;
const BUSY = 0x80;
const READY = 0x50;
const REQUEST = 0x58;
const FAILED = 0x51;

let clock: ManualClock;
let irq: boolean;
let image: Uint8Array;
let channel: IdeChannel;
let ports: Bus;

function newChannel(): IdeChannel {
  return new IdeChannel({
    name: 'ide1',
    clock,
    irq: {
      set: (level) => {
        irq = level;
      },
    },
    disks: [new AtaDisk(image, 'A'), undefined],
  });
}

beforeEach(() => {
  clock = new ManualClock();
  irq = false;
  image = new Uint8Array(SECTORS * 512);
  for (let sector = 0; sector < SECTORS; sector++) {
    image[sector * 512] = sector;
    image[sector * 512 + 511] = sector >> 8;
  }
  channel = newChannel();
  ports = Bus.ports();
  ports.register(0x1f0, 8, channel, 'ide1');
  ports.register(0x3f6, 1, channel, 'ide1 control', { widest: 1, offset: IDE_CONTROL_OFFSET });
});

const out = (port: number, value: number) => ports.write(port, 1, value);
const status = () => ports.read(0x1f7, 1);

/** Writes a command with its 28-bit address, or the part of a longer one. */
function command(code: number, lba = 0, count = 1, device = 0xe0): void {
  out(0x1f6, device | ((lba >>> 24) & 0xf));
  out(0x1f2, count);
  out(0x1f3, lba & 0xff);
  out(0x1f4, (lba >> 8) & 0xff);
  out(0x1f5, (lba >> 16) & 0xff);
  out(0x1f7, code);
}

const wait = () => clock.advance(100_000);

function readSector(): Uint8Array {
  const bytes = new Uint8Array(512);
  const view = new DataView(bytes.buffer);
  for (let at = 0; at < 512; at += 2) view.setUint16(at, ports.read(0x1f0, 2), true);
  return bytes;
}

function writeSector(value: number): void {
  for (let at = 0; at < 512; at += 4) ports.write(0x1f0, 4, value);
}

describe('an IDE channel', () => {
  it('has the signature of a disk after a reset, and nothing where no device is', () => {
    out(0x3f6, 4);
    expect(status()).toBe(BUSY);
    out(0x3f6, 0);
    expect([status(), ports.read(0x1f1, 1)]).toEqual([READY, 1]);
    expect([0x1f2, 0x1f3, 0x1f4, 0x1f5].map((port) => ports.read(port, 1))).toEqual([1, 1, 0, 0]);
    out(0x1f6, 0xb0);
    expect([status(), ports.read(0x1f2, 1)]).toEqual([0, 0]);
    out(0x1f7, 0xec);
    wait();
    expect([status(), irq]).toEqual([0, false]);
  });

  it('IDENTIFY DEVICE tells translation and size', () => {
    command(0xec);
    expect(ports.read(0x3f6, 1)).toBe(BUSY);
    wait();
    expect(irq).toBe(true);
    expect(status()).toBe(REQUEST);
    expect(irq).toBe(false);
    const view = new DataView(readSector().buffer);
    const words = [0, 1, 3, 6, 47, 49, 60, 83, 100].map((index) => view.getUint16(index * 2, true));
    expect(words).toEqual([0x40, 2, 16, 63, 0x8000, 0x0a00, SECTORS, 0x7400, SECTORS]);
    expect(status()).toBe(READY);
  });

  it('reads sectors one after the other, by 28-bit address and by cylinder, head and sector', () => {
    command(0x20, 300, 2);
    wait();
    const first = readSector();
    expect([first[0], first[511]]).toEqual([300 & 0xff, 300 >> 8]);
    expect(status()).toBe(BUSY);
    wait();
    expect(readSector()[0]).toBe(301 & 0xff);
    expect(status()).toBe(READY);
    // Cylinder 1, head 2, sector 3.
    command(0x20, 0x10003, 1, 0xa2);
    expect(ports.read(0x1f5, 1)).toBe(1);
    out(0x3f6, 4);
    out(0x3f6, 0);
    command(0x20, (1 << 8) | 3, 1, 0xa2);
    wait();
    expect(readSector()[0]).toBe(((16 + 2) * 63 + 2) & 0xff);
  });

  it('takes 48-bit addresses from registers that are written twice', () => {
    out(0x1f6, 0x40);
    for (const [port, high, low] of [
      [0x1f2, 0, 1],
      [0x1f3, 0, 0x34],
      [0x1f4, 0, 0x02],
      [0x1f5, 0, 0],
    ]) {
      out(port, high);
      out(port, low);
    }
    out(0x1f7, 0x24);
    wait();
    expect(readSector()[0]).toBe(0x34);
    out(0x3f6, 0x80);
    expect(ports.read(0x1f3, 1)).toBe(0);
  });

  it('keeps what is written beside the image', () => {
    const before = image.slice();
    command(0x30, 7, 2);
    expect(status()).toBe(REQUEST);
    writeSector(0x1122_3344);
    expect(status()).toBe(BUSY);
    wait();
    expect(irq).toBe(true);
    expect(status()).toBe(REQUEST);
    writeSector(0x5566_7788);
    wait();
    expect(status()).toBe(READY);
    command(0x20, 8);
    wait();
    expect([...readSector().subarray(0, 4)]).toEqual([0x88, 0x77, 0x66, 0x55]);
    expect(image).toEqual(before);
  });

  it.each([
    ['a sector behind the end', 0x20, SECTORS, 0x10],
    ['sectors that reach over the end', 0x30, SECTORS - 1, 0x10],
    ['READ DMA, which it does not have', 0xc8, 0, 0x04],
    ['IDENTIFY PACKET DEVICE, which is for others', 0xa1, 0, 0x04],
  ])('refuses %s', (_, code, lba, error) => {
    command(code, lba, 2);
    wait();
    expect([status(), ports.read(0x1f1, 1)]).toEqual([FAILED, error]);
  });

  it('does not interrupt with nIEN set', () => {
    out(0x3f6, 2);
    command(0xe7);
    wait();
    expect(irq).toBe(false);
    out(0x3f6, 0);
    expect(irq).toBe(true);
  });

  it('survives a host that does everything at the wrong time', () => {
    command(0x30, 5, 3);
    ports.write(0x1f0, 2, 1);
    out(0x1f6, 0xf0);
    for (let write = 0; write < 1000; write++) ports.write(0x1f0, 4, write);
    command(0x30, 9);
    for (const [port, size] of [
      [0x1f1, 4],
      [0x1f5, 4],
      [0x1f7, 1],
      [0x1f6, 2],
    ] as const) {
      ports.read(port, size);
      ports.write(port, size, 0xffff_ffff);
    }
    wait();
    for (let read = 0; read < 1000; read++) ports.read(0x1f0, 4);
    wait();
    expect(() => status()).not.toThrow();
  });

  it('goes on in the middle of a transfer when it is restored', () => {
    command(0x30, 7);
    writeSector(1);
    wait();
    command(0x20, 6, 2);
    wait();
    readSector();
    const other = newChannel();
    other.restore(channel.save());
    expect(other.save()).toEqual(channel.save());
    wait();
    expect(other.read(0, 4)).toBe(1);
    expect(() => other.restore({ ...channel.save(), transfer: 'dma' })).toThrow(UserError);
  });
});
