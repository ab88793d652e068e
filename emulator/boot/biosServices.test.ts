import { Code, Decoder, DecoderOptions, FlowControl } from 'iced-x86';
import { describe, expect, it } from 'vitest';
import { memoryMap } from '../machine/layout.ts';
import { biosServices } from './biosServices.ts';
import { viewOf } from './bytes.ts';

const MEMORY = 64 * 1024 * 1024;
const { vectors, rom } = biosServices(MEMORY);
const handler = (vector: number) => viewOf(vectors).getUint16(vector * 4, true);
/** Where the memory map lies, by its first entry: base 0, length 0x9fc00, usable. */
const mapOffset = rom.findIndex((_, at) => viewOf(rom).getUint32(at + 8, true) === 0x9_fc00);

interface Decoded {
  readonly next: number;
  readonly target: number | undefined;
}

function decode(): Map<number, Decoded> {
  const decoder = new Decoder(16, rom.subarray(0, mapOffset), DecoderOptions.None);
  const instructions = new Map<number, Decoded>();
  while (decoder.canDecode) {
    const instruction = decoder.decode();
    expect(instruction.code).not.toBe(Code.INVALID);
    const jumps =
      instruction.flowControl === FlowControl.ConditionalBranch ||
      instruction.flowControl === FlowControl.UnconditionalBranch;
    instructions.set(Number(instruction.ip), {
      next: Number(instruction.nextIP),
      target: jumps ? instruction.nearBranch16 : undefined,
    });
    instruction.free();
  }
  decoder.free();
  return instructions;
}

describe('the BIOS services', () => {
  it('are valid 16-bit code whose jumps and vectors hit instructions', () => {
    const instructions = decode();
    for (const { target } of instructions.values()) {
      if (target !== undefined) expect(instructions.has(target)).toBe(true);
    }
    for (let vector = 0; vector < 256; vector += 1) expect(instructions.has(handler(vector))).toBe(true);
  });

  it('every vector points into segment F000', () => {
    for (let vector = 0; vector < 256; vector += 1) {
      expect(viewOf(vectors).getUint16(vector * 4 + 2, true)).toBe(0xf000);
    }
  });

  it('vectors without a service return at once', () => {
    expect(rom[handler(0x80)]).toBe(0xcf);
  });

  it('hardware interrupts of both controllers have handlers', () => {
    expect(handler(0x08)).not.toBe(handler(0x09));
    expect(handler(0x09)).toBe(handler(0x0f));
    expect(handler(0x70)).toBe(handler(0x77));
    expect(handler(0x70)).not.toBe(handler(0x09));
  });

  it('carry the memory map of the machine in the format of E820H', () => {
    const view = viewOf(rom);
    for (const [index, { base, length, kind }] of memoryMap(MEMORY).entries()) {
      const at = mapOffset + index * 20;
      expect(Number(view.getBigUint64(at, true))).toBe(base);
      expect(Number(view.getBigUint64(at + 8, true))).toBe(length);
      expect(view.getUint32(at + 16, true)).toBe(kind === 'usable' ? 1 : 2);
    }
  });

  it('a jump to the reset vector resets', () => {
    expect([...rom.subarray(0xfff0, 0xfff5)]).toEqual([
      0xea,
      handler(0x19) & 0xff,
      handler(0x19) >> 8,
      0x00,
      0xf0,
    ]);
  });

  it('the last bytes carry a date and the model of an AT', () => {
    expect(String.fromCharCode(...rom.subarray(0xfff5, 0xfffd))).toBe('01/01/00');
    expect(rom[0xfffe]).toBe(0xfc);
  });
});
