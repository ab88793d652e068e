import { describe, expect, it } from 'vitest';
import { SerialOutput } from './serialOutput.ts';

/** A terminal route, a clock that is moved by hand, and what was told. */
function terminal() {
  const told: string[] = [];
  const intervals: number[] = [];
  const waiting = new Set<() => void>();
  const output = new SerialOutput(
    'terminal',
    { terminal: (text) => told.push(text), console: () => undefined },
    (milliseconds, callback) => {
      intervals.push(milliseconds);
      waiting.add(callback);
      return () => waiting.delete(callback);
    },
  );
  const tick = () => {
    const due = [...waiting];
    waiting.clear();
    for (const callback of due) callback();
  };
  return {
    told,
    tick,
    intervals,
    waiting,
    output,
    write: (text: string) => output.write(new TextEncoder().encode(text)),
  };
}

describe('serial output for a person', () => {
  it('is told at once when nothing was told for a while', () => {
    const { told, tick, write } = terminal();
    write('a');
    expect(told).toEqual(['a']);
    tick();
    write('b');
    expect(told).toEqual(['a', 'b']);
  });

  it('is collected when it comes in many pieces', () => {
    const { told, tick, write } = terminal();
    for (const letter of 'abcdef') write(letter);
    expect(told).toEqual(['a']);
    tick();
    expect(told).toEqual(['a', 'bcdef']);
    tick();
    tick();
    expect(told).toHaveLength(2);
  });

  it('is told less often while it comes without pause', () => {
    const { intervals, tick, write } = terminal();
    write('a');
    for (let i = 0; i < 4; i++) {
      write('a');
      tick();
    }
    tick();
    write('b');
    expect(intervals.slice(0, 4)).toEqual([100, 200, 300, 300]);
    expect(intervals.at(-1)).toBe(100);
  });

  it('is told before a stop, and to the last letter at the end', async () => {
    const { told, waiting, output, write } = terminal();
    write('a');
    write('b');
    output.flush();
    expect(told).toEqual(['a', 'b']);
    write('c');
    await output.close();
    expect(told).toEqual(['a', 'b', 'c']);
    expect(waiting.size).toBe(0);
  });
});
