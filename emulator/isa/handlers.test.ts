import { describe, expect, it } from 'vitest';
import { interpreterModule } from '../../test/support/bareProcessor.ts';
import type { FeatureKey } from '../core/features.ts';
import { expandHandlers, HandlerTable } from './handlers.ts';
import { PSEUDO_COUNT } from './record.ts';

const { specs, hotCount } = expandHandlers();
const table = new HandlerTable(interpreterModule());

describe('the handlers', () => {
  it('begin with the hot ones', () => {
    expect(hotCount).toBeGreaterThan(200);
    expect(hotCount).toBeLessThan(600);
    const hot = new Set(specs.slice(0, hotCount).map(({ row }) => row.op));
    for (const op of ['ADD', 'MOV', 'JE', 'JMP', 'CALL', 'RET', 'PUSH', 'POP']) expect(hot).toContain(op);
  });

  it('are found in the interpreter as its generator expanded them', () => {
    expect(specs.map((_, index) => table.spec(PSEUDO_COUNT + index))).toEqual(specs);
    expect(specs.map(({ key }) => table.number(key, () => true))).toEqual(
      specs.map((_, index) => PSEUDO_COUNT + index),
    );
    expect(table.spec(PSEUDO_COUNT - 1)).toBeUndefined();
  });

  it('are other ones, or none, on a processor without their feature', () => {
    const without = (absent: FeatureKey) => (key: string) => {
      const number = table.number(key, (feature) => feature !== absent);
      return number === undefined ? undefined : table.spec(number)?.key;
    };
    expect(without('BMI1')('TZCNT.32.r32,r32')).toBe('BSF.32.r32,r32');
    expect(without('LZCNT')('TZCNT.32.r32,r32')).toBe('TZCNT.32.r32,r32');
    expect(without('POPCNT')('POPCNT.32.r32,r32')).toBeUndefined();
  });

  it('are missing in a module that is no interpreter', () => {
    const empty = new WebAssembly.Module(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0));
    expect(() => new HandlerTable(empty)).toThrow('build it anew');
  });
});
