import { describe, expect, it } from 'vitest';
import { jumpCachePlace, jumpCacheWay } from '../../emulator/engine/jumpCache.ts';
import { JUMP_CACHE } from '../../emulator/state/layout.ts';
import { bareProcessor } from '../support/bareProcessor.ts';

describe('the jump cache', () => {
  it('keeps addresses that share their first place', () => {
    const { state, engine } = bareProcessor();
    const sharing = (first: number): number[] => {
      const found: number[] = [];
      for (let rip = first; found.length < 6; rip++)
        if (jumpCachePlace(rip) === jumpCachePlace(first)) found.push(rip);
      return found;
    };
    const rips = sharing(0x10_0000);
    state.CODE_CONTEXT = 1;
    for (const rip of rips) engine.code.remember(BigInt(rip), 32 * rip, 0n);
    const known = rips.map((rip) => {
      const first = jumpCachePlace(rip);
      const places = [first, first ^ jumpCacheWay(rip)].map((place) => (JUMP_CACHE + place) >> 2);
      return places.filter((at) => state.i32[at] === rip && state.i32[at + 2] === 32 * rip).length;
    });
    expect(known).toEqual(rips.map(() => 1));
  });

  it('has an address once when it is remembered again', () => {
    const { state, engine } = bareProcessor();
    state.CODE_CONTEXT = 1;
    for (const record of [32, 64]) engine.code.remember(0x1234n, record, 0n);
    const places = [0, jumpCacheWay(0x1234)].map((way) => (JUMP_CACHE + (jumpCachePlace(0x1234) ^ way)) >> 2);
    expect(places.map((at) => state.i32[at + 2])).toEqual([64, -1]);
  });
});
