import { describe, expect, it } from 'vitest';
import { CoprocessorError } from './coprocessorError.ts';

function device() {
  const levels: boolean[] = [];
  return { levels, port: new CoprocessorError({ irq: { set: (level) => void levels.push(level) } }) };
}

describe('FERR# and IGNNE#', () => {
  it('FERR# requests IRQ 13 once, as long as it is asserted', () => {
    const { port, levels } = device();
    port.setFerr(true);
    port.setFerr(true);
    expect(levels).toEqual([true]);
    port.setFerr(false);
    expect(levels).toEqual([true, false]);
  });

  it('a write to port 0xf0 ends the request and asserts IGNNE# until FERR# ends', () => {
    const { port, levels } = device();
    port.setFerr(true);
    port.write(0);
    expect(levels.at(-1)).toBe(false);
    expect(port.ignne).toBe(true);
    port.setFerr(false);
    expect(port.ignne).toBe(false);
  });

  it('without FERR# a write does not assert IGNNE#, and port 0xf1 does nothing', () => {
    const { port } = device();
    port.write(0);
    expect(port.ignne).toBe(false);
    port.setFerr(true);
    port.write(1);
    expect(port.ignne).toBe(false);
  });

  it('saves and restores both pins, without moving the line', () => {
    const { port } = device();
    port.setFerr(true);
    port.write(0);
    const other = device();
    other.port.restore(port.save());
    expect(other.port.ignne).toBe(true);
    expect(other.levels).toEqual([]);
    other.port.reset();
    expect(other.port.ignne).toBe(false);
  });
});
