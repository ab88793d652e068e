import { beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../../test/support/manualClock.ts';
import { UserError } from '../base/errors.ts';
import type { IoApicMessage } from '../devices/ioApic.ts';
import { MMIO, memoryMap, PORTS } from './layout.ts';
import { type Board, type BoardConfig, createBoard } from './pc.ts';

let clock: ManualClock;
let intr: boolean;
let messages: IoApicMessage[];
let happened: string[];
let serial: string;
let board: Board;

function newBoard(more: Partial<BoardConfig> = {}): Board {
  return createBoard({
    ...more,
    clock,
    memoryBytes: 64 * 1024 * 1024,
    startTime: 946_684_800,
    interrupts: {
      interruptRequest: {
        set: (level) => {
          intr = level;
        },
      },
      deliver: (message) => messages.push(message),
    },
    callbacks: {
      powerOff: () => happened.push('power off'),
      debugExit: (value) => happened.push(`debug exit ${value}`),
      reset: () => happened.push('reset'),
      initialize: () => happened.push('INIT'),
      setA20: (enabled) => happened.push(`A20 ${enabled ? 'on' : 'off'}`),
    },
    serial: {
      write: (byte) => {
        serial += String.fromCharCode(byte);
      },
    },
    debugConsole: { write: (byte) => happened.push(`console ${byte}`) },
  });
}

beforeEach(() => {
  clock = new ManualClock();
  intr = false;
  messages = [];
  happened = [];
  serial = '';
  board = newBoard();
});

const out = (port: number, value: number, size: 1 | 2 | 4 = 1) => board.ports.write(port, size, value);
const inb = (port: number) => board.ports.read(port, 1);

describe('the board', () => {
  it('has an IDE controller and its PCI functions when there are disks, and none otherwise', () => {
    const withDisk = newBoard({ disks: [new Uint8Array(512)] });
    const identity = (of: Board, device: number) => {
      of.ports.write(PORTS.pciAddress.base, 4, (0x8000_0000 | (device << 8)) >>> 0);
      return of.ports.read(PORTS.pciData.base, 4);
    };
    expect([0, 8, 9, 10].map((device) => identity(withDisk, device))).toEqual([
      0x1237_8086, 0x7000_8086, 0x7010_8086, 0xffff_ffff,
    ]);
    expect(identity(board, 8)).toBe(0xffff_ffff);
    expect([PORTS.ide1.base + 7, PORTS.ide2.base + 7].map((port) => withDisk.ports.read(port, 1))).toEqual([
      0x50, 0,
    ]);
    expect(inb(PORTS.ide1.base + 7)).toBe(0xff);
    const again = newBoard({ disks: [new Uint8Array(512)] });
    again.restore(withDisk.save());
    expect(again.save()).toEqual(withDisk.save());
  });

  it('has no interrupt pending when it is handed to a loader', () => {
    expect(intr).toBe(false);
  });

  it('ticks at 18.2 Hz through the 8259s, as a BIOS leaves it', () => {
    let ticks = 0;
    for (let n = 0; n < 1000; n += 1) {
      clock.advance(1_000_000);
      if (!intr) continue;
      expect(board.acknowledgeInterrupt()).toBe(0x08);
      out(0x20, 0x20);
      ticks += 1;
    }
    expect(ticks).toBe(18);
  });

  it('connects the timer to input 2 of the I/O APIC', () => {
    board.mmio.write(MMIO.ioApic.base, 4, 0x14);
    board.mmio.write(MMIO.ioApic.base + 0x10, 4, 0x31);
    clock.advance(100_000_000);
    expect(messages[0]).toMatchObject({ vector: 0x31, destination: 0, trigger: 'edge' });
  });

  it('connects the serial port to IRQ 4', () => {
    out(0x21, 0xef);
    out(0x3fc, 0x08);
    out(0x3f9, 0x02);
    expect(board.acknowledgeInterrupt()).toBe(0x0c);
  });

  it('an EOI reaches the I/O APIC', () => {
    board.mmio.write(MMIO.ioApic.base, 4, 0x10 + 9 * 2);
    board.mmio.write(MMIO.ioApic.base + 0x10, 4, 0x8039);
    out(PORTS.acpiPm.base + 2, 0x0100, 2);
    board.acpi.pressPowerButton();
    expect(messages).toHaveLength(1);
    board.endOfInterrupt(0x39);
    expect(messages).toHaveLength(2);
  });

  it('sends serial output and the debug console to their sinks', () => {
    out(0x3f8, 0x41);
    out(0xe9, 0x42);
    expect(serial).toBe('A');
    expect(happened).toEqual(['console 66']);
    expect(inb(0xe9)).toBe(0xe9);
  });

  it('reports debug exit, power off, reset and INIT', () => {
    out(0xf4, 0x10, 4);
    out(PORTS.acpiPm.base + 4, 0x3400, 2);
    out(0xcf9, 0x06);
    out(0x64, 0xfe);
    out(0x92, 0x03);
    expect(happened.filter((text) => !text.startsWith('A20'))).toEqual([
      'debug exit 16',
      'power off',
      'reset',
      'INIT',
      'INIT',
    ]);
  });

  it('keeps A20 on until both gates are off', () => {
    out(0x92, 0x00);
    expect(happened).toEqual(['A20 on']);
    out(0x64, 0xd1);
    out(0x60, 0xdd);
    expect(happened.at(-1)).toBe('A20 off');
    out(0x92, 0x02);
    expect(happened.at(-1)).toBe('A20 on');
  });

  it('shows text memory on the screen', () => {
    board.mmio.write(0xb_8000, 2, 0x0748);
    expect(board.vga.text()[0].startsWith('H')).toBe(true);
  });

  it('has a PCI host bridge and a reset control register among its ports', () => {
    out(0xcf8, 0x8000_0000, 4);
    expect(board.ports.read(0xcfc, 4)).toBe(0x1237_8086);
    expect(inb(0xcf9)).toBe(0);
  });

  it('ports that nobody uses read as all ones', () => {
    expect([inb(0x2f8), inb(0x1f7), inb(0x1234)]).toEqual([0xff, 0xff, 0xff]);
  });

  it('a write to the SMI port of PCs, 0xb2, goes nowhere: there is no system-management mode', () => {
    out(0xb2, 0xf0);
    expect([inb(0xb2), inb(0xb3)]).toEqual([0xff, 0xff]);
  });

  it('goes back to what firmware leaves on a reset', () => {
    out(0x21, 0x00);
    out(0x3fb, 0x03);
    out(0x43, 0x30);
    board.reset();
    expect([inb(0x21), inb(0x3fb), intr]).toEqual([0xf8, 0, false]);
  });

  it('a restored board goes on where the saved one was', () => {
    out(0x3f9, 0x01);
    out(0x3fc, 0x08);
    out(0x43, 0x34);
    out(0x40, 0x00);
    out(0x40, 0x10);
    out(0x92, 0x00);
    clock.advance(5_000_000);
    const state = board.save();
    const deadline = clock.nextDeadline();
    board.reset();
    board.restore(state);
    expect(board.save()).toEqual(state);
    expect(clock.nextDeadline()).toBe(deadline);
  });

  it('refuses the state of another board', () => {
    expect(() => board.restore({})).toThrow(UserError);
  });
});

describe('the memory map', () => {
  it('covers all of RAM but for what firmware keeps and the adapters’ window, in order', () => {
    const map = memoryMap(64 * 1024 * 1024);
    let end = 0;
    for (const { base, length } of map) {
      expect(base).toBeGreaterThanOrEqual(end);
      end = base + length;
    }
    const usable = map.filter(({ kind }) => kind === 'usable').reduce((sum, { length }) => sum + length, 0);
    expect(usable).toBe(64 * 1024 * 1024 - (0x10_0000 - 0x9_fc00));
  });
});
