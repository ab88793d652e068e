import { describe, expect, it } from 'vitest';
import { SequenceStripper } from './stripSequences.ts';

const ESC = '\x1b';

function strip(...chunks: string[]): string {
  const stripper = new SequenceStripper();
  return chunks.map((chunk) => Buffer.from(stripper.strip(Buffer.from(chunk))).toString()).join('');
}

describe('serial output on its way to a terminal', () => {
  it('keeps text, UTF-8 and colours', () => {
    expect(strip(`${ESC}[31mHällo – 世界${ESC}[0m\r\n`)).toBe(`${ESC}[31mHällo – 世界${ESC}[0m\r\n`);
  });

  it('loses an OSC string that BEL or ST ends', () => {
    expect(strip(`a${ESC}]0;title\x07b`)).toBe('ab');
    expect(strip(`a${ESC}]52;c;aGVsbG8=${ESC}\\b`)).toBe('ab');
  });

  it('loses DCS, SOS, PM and APC strings', () => {
    for (const start of ['P', 'X', '^', '_']) expect(strip(`a${ESC}${start}secret${ESC}\\b`)).toBe('ab');
  });

  it('loses strings that the C1 controls begin and end', () => {
    expect(strip('a\u009d633;A\u009cb')).toBe('ab');
    expect(strip('a\u0090q\u009cb')).toBe('ab');
  });

  it('finds a sequence split over calls', () => {
    expect(strip('a', ESC, ']', '0;ti', 'tle', ESC, '\\', 'b')).toBe('ab');
    expect(strip('ä', '\u00e4'.slice(0), 'b')).toBe('ääb');
  });

  it('keeps an escape that begins no string, also when split', () => {
    expect(strip(`x${ESC}`, '[2J')).toBe(`x${ESC}[2J`);
    expect(strip(`${ESC}${ESC}[m`)).toBe(`${ESC}${ESC}[m`);
  });

  it('an escape inside a string cancels it and stands for itself', () => {
    expect(strip(`a${ESC}]0;x${ESC}[1mb`)).toBe(`a${ESC}[1mb`);
  });

  it('a line feed ends a string that was begun by accident', () => {
    expect(strip(`a${ESC}]garbage\nnext`)).toBe('a\nnext');
  });
});
