import { describe, expect, it } from 'vitest';
import { Screen } from '../support/screen.ts';

function screenWith(text: string): Screen {
  const screen = new Screen(4, 10);
  for (const byte of Buffer.from(text, 'latin1')) screen.write(byte);
  return screen;
}

describe('the screen of the tests', () => {
  it('puts characters where the cursor is sent, counted from 1', () => {
    expect(screenWith('\x1b[2;3Hab\x1b[1;1Hc').text).toBe('c\n  ab');
  });

  it('keeps the cursor within its edges', () => {
    expect(screenWith('\x1b[9;99Hx\x1b[0;0Hy').text).toBe('y\n\n\n         x');
  });

  it('goes on in the next line behind the last column', () => {
    expect(screenWith('0123456789ab').text).toBe('0123456789\nab');
  });

  it('scrolls at its end', () => {
    expect(screenWith('a\r\nb\r\nc\r\nd\r\ne').text).toBe('b\nc\nd\ne');
  });

  it('erases from the cursor on, up to it, and everything', () => {
    expect(screenWith('abcd\x1b[1;3H\x1b[K').text).toBe('ab');
    expect(screenWith('abcd\x1b[1;2H\x1b[1K').text).toBe('  cd');
    expect(screenWith('ab\r\ncd\x1b[2J').text).toBe('');
  });

  it('forgets colours and refuses what it does not know', () => {
    expect(screenWith('\x1b[0;37;44ma').text).toBe('a');
    expect(() => screenWith('\x1b[5S')).toThrow('ESC [5S');
  });
});
