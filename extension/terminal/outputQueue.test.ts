import { describe, expect, it } from 'vitest';
import { OutputQueue } from './outputQueue.ts';

function filled(capacity: number, ...texts: string[]): OutputQueue {
  const queue = new OutputQueue(capacity);
  for (const text of texts) queue.add(text);
  return queue;
}

describe('text on its way to a terminal', () => {
  it('comes out as it went in, however it is cut', () => {
    const queue = filled(100, 'abc', 'defg', '', 'h');
    expect([queue.take(2), queue.take(3), queue.take(100), queue.take(1)]).toEqual(['ab', 'cde', 'fgh', '']);
    expect(queue.isEmpty).toBe(true);
  });

  it('loses its oldest part when too much waits, and says so', () => {
    const queue = filled(4, 'abc', 'def');
    expect(queue.take(100)).toBe('\r\n\x1b[0m[2 characters were skipped]\r\ncdef');
    queue.add('g');
    expect(queue.take(100)).toBe('g');
  });

  it('keeps the end of one piece that is larger than everything', () => {
    expect(filled(3, 'x'.repeat(1000), 'abc').take(10)).toMatch(/\[1000 characters were skipped\]\r\nabc$/);
  });

  it('is never cut inside a character', () => {
    const queue = filled(100, 'a😀b');
    expect([queue.take(2), queue.take(1)]).toEqual(['a😀', 'b']);
    expect(filled(2, '😀bc').take(10)).toMatch(/\]\r\nbc$/);
  });

  it('is gone when it is cleared', () => {
    const queue = filled(3, 'abcdef');
    queue.clear();
    expect(queue.isEmpty).toBe(true);
    expect(queue.take(10)).toBe('');
  });
});
