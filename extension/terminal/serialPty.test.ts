import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { SerialPty } from './serialPty.ts';

vi.mock('vscode', () => import('../../test/support/fakeVscode.ts'));

function terminal() {
  const written: string[] = [];
  const typed: string[] = [];
  const events: string[] = [];
  const pty = new SerialPty(
    (text) => typed.push(text),
    () => events.push('left'),
  );
  pty.onDidWrite((text) => written.push(text));
  pty.onDidClose(() => events.push('closed'));
  return { pty, written, typed, events };
}

describe('the serial terminal', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('keeps what is written before it is open', () => {
    const { pty, written } = terminal();
    pty.begin();
    pty.write('Hello ');
    pty.write('from long mode');
    expect(written).toEqual([]);
    pty.open();
    expect(written).toEqual(['\x1bcHello from long mode']);
  });

  it('shows the first character at once and then a piece at a time', () => {
    const { pty, written } = terminal();
    pty.open();
    for (const letter of 'abcd') pty.write(letter);
    expect(written).toEqual(['a']);
    vi.advanceTimersByTime(60);
    expect(written).toEqual(['a', 'bcd']);
  });

  it('is not drowned by a guest that writes without end', () => {
    const { pty, written } = terminal();
    pty.open();
    for (let i = 0; i < 1000; i++) pty.write('x'.repeat(10_000));
    vi.advanceTimersByTime(1000);
    const shown = written.join('');
    expect(shown.length).toBeLessThan(2e6);
    expect(shown).toContain('characters were skipped');
    expect(Math.max(...written.map(({ length }) => length))).toBeLessThan(70_000);
  });

  it('gives what is typed to the machine, and a key to close it when the machine has ended', () => {
    const { pty, typed, events } = terminal();
    pty.open();
    pty.handleInput('a');
    pty.end('The machine has ended.');
    pty.handleInput('b');
    expect(typed).toEqual(['a']);
    expect(events).toEqual(['closed']);
  });

  it('says the end below a screen that was drawn, and after a line that was written', () => {
    const last = (output: string) => {
      const { pty, written } = terminal();
      pty.open();
      pty.write(output);
      pty.end('End.');
      vi.advanceTimersByTime(60);
      return written.at(-1);
    };
    expect(last('text')).toBe('\x1b[0m\x1b[?25h\r\n[End. Press any key to close this terminal.]');
    expect(last('\x1b[5;7Hstatus')).toContain('\x1b[r\x1b[999H\r\n[End.');
  });

  it('tells when the user closes it, and writes no more', () => {
    const { pty, written, events } = terminal();
    pty.open();
    pty.write('a');
    pty.write('b');
    pty.close();
    vi.advanceTimersByTime(100);
    expect(written).toEqual(['a']);
    expect(events).toEqual(['left']);
  });
});
