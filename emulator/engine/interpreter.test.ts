import { describe, expect, it } from 'vitest';
import { expandHandlers } from '../isa/handlers.ts';
import { PSEUDO_COUNT } from '../isa/record.ts';
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
      'port',
      'memory',
    ]);
  });

  it('is the same whenever it is generated', () => {
    expect(buildInterpreter()).toEqual(buildInterpreter());
  });

  it('has a handler number for every form, in 16 bits', () => {
    const { specs } = expandHandlers();
    expect(new Set(specs.map(({ key }) => key)).size).toBe(specs.length);
    expect(specs.length + PSEUDO_COUNT).toBeLessThan(0x1_0000);
  });
});
