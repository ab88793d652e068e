import { beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../../test/support/manualClock.ts';
import { characterOf } from './codePage437.ts';
import { VGA_MEMORY_OFFSET, VgaText } from './vgaText.ts';

let clock: ManualClock;
let vga: VgaText;

beforeEach(() => {
  clock = new ManualClock();
  vga = new VgaText({ clock });
});

const port = (number: number) => number - 0x3c0;
const read = (number: number) => vga.read(port(number), 1);
const write = (number: number, value: number) => vga.write(port(number), 1, value);
function print(at: number, text: string): void {
  for (const [index, character] of [...text].entries()) {
    vga.write(VGA_MEMORY_OFFSET + (at + index) * 2, 2, 0x0700 | character.charCodeAt(0));
  }
}
function crtc(index: number, value: number): void {
  write(0x3d4, index);
  write(0x3d5, value);
}

describe('VGA text mode', () => {
  it('shows 25 lines of 80 columns, blank after reset', () => {
    expect(vga.text()).toEqual(new Array(25).fill(' '.repeat(80)));
  });

  it('shows what is in text memory', () => {
    print(80, 'Hello, guest');
    expect(vga.text()[1].trimEnd()).toBe('Hello, guest');
  });

  it('text memory reads back in every size', () => {
    vga.write(VGA_MEMORY_OFFSET + 4, 4, 0x8765_4321);
    expect(vga.read(VGA_MEMORY_OFFSET + 4, 4)).toBe(0x8765_4321);
    expect(vga.read(VGA_MEMORY_OFFSET + 5, 1)).toBe(0x43);
    expect(vga.read(VGA_MEMORY_OFFSET + 6, 2)).toBe(0x8765);
  });

  it('starts at the start address of the CRT controller', () => {
    print(160, 'scrolled');
    crtc(0x0c, 0);
    crtc(0x0d, 160);
    expect(vga.text()[0].trimEnd()).toBe('scrolled');
  });

  it('has a cursor', () => {
    crtc(0x0e, 0x01);
    crtc(0x0f, 0x42);
    expect(vga.cursor).toBe(0x142);
  });

  it('characters are those of code page 437', () => {
    expect([0x00, 0x41, 0xb3, 0xdb, 0xff].map(characterOf)).toEqual([' ', 'A', '│', '█', ' ']);
    expect(new Set(Array.from({ length: 256 }, (_, code) => characterOf(code).length))).toEqual(new Set([1]));
  });

  it('indexed registers read back; those that do not exist read as 0', () => {
    write(0x3c4, 2);
    write(0x3c5, 0x0f);
    expect(read(0x3c5)).toBe(0x0f);
    write(0x3ce, 6);
    expect(read(0x3cf)).toBe(0x0e);
    crtc(0x30, 0x55);
    expect(read(0x3d5)).toBe(0);
  });

  it('the attribute port takes index and data in turn, from index on after input status 1 is read', () => {
    read(0x3da);
    write(0x3c0, 0x11);
    write(0x3c0, 0x3f);
    write(0x3c0, 0x31);
    read(0x3da);
    write(0x3c0, 0x11);
    expect(read(0x3c1)).toBe(0x3f);
  });

  it('the palette takes and gives three bytes for each index', () => {
    write(0x3c8, 5);
    for (const value of [1, 2, 3]) write(0x3c9, value);
    expect(read(0x3c8)).toBe(6);
    write(0x3c7, 5);
    expect([read(0x3c9), read(0x3c9), read(0x3c9)]).toEqual([1, 2, 3]);
  });

  it('input status 1 shows the retrace, 70 times a second', () => {
    let retraces = 0;
    let before = 0;
    for (let n = 0; n < 100_000; n += 1) {
      clock.advance(10_000);
      const retrace = read(0x3da) & 8;
      if (retrace !== 0 && before === 0) retraces += 1;
      before = retrace;
    }
    expect(retraces).toBe(70);
  });

  it('a restored adapter shows the same screen', () => {
    print(0, 'saved');
    crtc(0x0f, 5);
    const state = vga.save();
    vga.reset();
    vga.restore(state);
    expect(vga.save()).toEqual(state);
    expect(vga.text()[0].trimEnd()).toBe('saved');
    expect(vga.cursor).toBe(5);
  });
});
