import { describe, expect, it } from 'vitest';
import { SerialOutput } from './serialOutput.ts';

/** A terminal route, a clock that is moved by hand, and what was told. */
function terminal() {
  const told: string[] = [];
  const waiting = new Set<() => void>();
  const output = new SerialOutput(
    'terminal',
    { terminal: (text) => told.push(text), console: () => undefined },
    (_, callback) => {
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
