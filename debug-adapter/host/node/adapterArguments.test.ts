import { describe, expect, it } from 'vitest';
import { parseAdapterArguments } from './adapterArguments.ts';

describe('the arguments of the adapter', () => {
  it.each([
    [[], {}],
    [['--port', '4711'], { port: 4711 }],
    [['--port=0', '--trace'], { port: 0, trace: '' }],
    [['--trace', 'dap.log'], { trace: 'dap.log' }],
    [['--trace', '--port', '1'], { trace: '', port: 1 }],
  ])('%j', (args, expected) => {
    expect(parseAdapterArguments(args)).toEqual(expected);
  });

  it.each([
    [['--port'], '--port needs a number from 0 to 65535.'],
    [['--port', '70000'], '--port needs a number from 0 to 65535, not "70000".'],
    [['--listen'], '--listen is not an option: there are --port N and --trace [FILE].'],
  ])('%j is refused: %s', (args, message) => {
    expect(parseAdapterArguments(args)).toBe(message);
  });
});
