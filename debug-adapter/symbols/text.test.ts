import { describe, expect, it } from 'vitest';
import { decodeText, encodeText, equalsText } from './text.ts';

const decode = (...bytes: number[]) => decodeText(Uint8Array.from(bytes), 0, bytes.length);

describe('text', () => {
  it.each(['main', 'größe', '函数', '𝄞', ''])('"%s" comes back as it was', (text) => {
    const bytes = encodeText(text);
    expect(Buffer.from(bytes).toString('utf8')).toBe(text);
    expect(decode(...bytes)).toBe(text);
  });

  it('that is not UTF-8 has replacement characters', () => {
    expect(decode(0x41, 0xff, 0x42)).toBe('A\ufffdB');
    expect(decode(0xc3)).toBe('\ufffd');
    expect(decode(0xc0, 0x80)).toBe('\ufffd\ufffd');
    expect(decode(0xed, 0xa0, 0x80)).toBe('\ufffd\ufffd\ufffd');
  });

  it('equals a name only up to its zero byte', () => {
    const bytes = Uint8Array.from([...encodeText('main'), 0, ...encodeText('mai')]);
    expect(equalsText(bytes, 0, encodeText('main'))).toBe(true);
    expect(equalsText(bytes, 0, encodeText('mai'))).toBe(false);
    expect(equalsText(bytes, 5, encodeText('mai'))).toBe(false);
  });
});
