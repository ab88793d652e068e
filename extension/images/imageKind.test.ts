import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { BEGINNING_LENGTH, imageKind } from './imageKind.ts';

const sample = readFileSync(
  resolve(import.meta.dirname, '../../samples/hello-guest/hello-guest.elf'),
).subarray(0, BEGINNING_LENGTH);

/** The sample's beginning with some bytes replaced. */
function changed(offset: number, ...bytes: number[]): Uint8Array {
  const copy = Uint8Array.from(sample);
  copy.set(bytes, offset);
  return copy;
}

function linux(): Uint8Array {
  const bytes = new Uint8Array(1024);
  bytes.set([0x55, 0xaa], 0x1fe);
  bytes.set(Buffer.from('HdrS'), 0x202);
  return bytes;
}

describe('what can be booted', () => {
  it('is an executable ELF file', () => {
    expect(imageKind(sample)).toBe('elf');
  });

  it('is a Linux bzImage', () => {
    expect(imageKind(linux())).toBe('bzImage');
  });

  it.each([
    ['a text', Buffer.from('#!/bin/sh\n'.repeat(100))],
    ['nothing', new Uint8Array(0)],
    ['an ELF header that is cut off', sample.subarray(0, 0x30)],
    ['an object file', changed(0x10, 1)],
    ['an ELF file for ARM', changed(0x12, 183)],
    ['a big-endian ELF file', changed(5, 2)],
    ['a program with a dynamic linker', changed(64, 3)],
    ['a boot sector without a Linux header', linux().subarray(0, 0x202)],
  ])('is not %s', (_, bytes) => {
    expect(imageKind(bytes)).toBeUndefined();
  });

  it('may have its table of program headers anywhere', () => {
    expect(imageKind(changed(0x20, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff))).toBe('elf');
  });
});
