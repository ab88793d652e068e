import { describe, expect, it } from 'vitest';
import { PSEUDO_COUNT } from '../isa/record.ts';
import { HANDLERS, HOT_HANDLER_COUNT } from '../isa/rows.ts';
import { buildInterpreter } from './buildInterpreter.ts';

describe('the generated interpreter', () => {
  it('is a valid WebAssembly module with one entry', () => {
    const bytes = buildInterpreter();
    expect(WebAssembly.validate(bytes)).toBe(true);
    const module = new WebAssembly.Module(bytes);
    expect(WebAssembly.Module.exports(module).map(({ name }) => name)).toContain('run');
    expect(WebAssembly.Module.imports(module).map(({ name }) => name)).toEqual([
      'load',
      'store',
      'loadVector',
      'storeVector',
      'checkSegment',
      'system',
      'memory',
    ]);
  });

  it('is the same whenever it is generated', () => {
    expect(buildInterpreter()).toEqual(buildInterpreter());
  });

  it('has a handler number for every form, in 16 bits, and the hot ones first', () => {
    expect(new Set(HANDLERS.map(({ key }) => key)).size).toBe(HANDLERS.length);
    expect(HANDLERS.length + PSEUDO_COUNT).toBeLessThan(0x1_0000);
    expect(HOT_HANDLER_COUNT).toBeGreaterThan(100);
  });
});
