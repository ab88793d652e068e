import { describe, expect, it } from 'vitest';
import { Utf8Stream } from './utf8.ts';

describe('serial output as text', () => {
  it('joins a character that was split over two calls', () => {
    const stream = new Utf8Stream();
    expect(stream.decode(Uint8Array.of(0xe4, 0xb8))).toBe('');
    expect(stream.decode(Uint8Array.of(0x96, 0x41))).toBe('世A');
  });

  it('agrees with the platform on valid text', () => {
    const text = 'a ä 世 😀 \u0000\r\n';
    expect(new Utf8Stream().decode(Buffer.from(text))).toBe(text);
  });

  it('marks what is not UTF-8 and goes on', () => {
    expect(new Utf8Stream().decode(Uint8Array.of(0xff, 0x41, 0xc3, 0x42, 0x80))).toBe('\ufffdA\ufffdB\ufffd');
    expect(new Utf8Stream().decode(Uint8Array.of(0xed, 0xa0, 0x80))).toBe('\ufffd');
  });
});
