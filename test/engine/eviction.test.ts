/** More code than there are places for its translations: the oldest go. */
import { describe, expect, it } from 'vitest';
import { TRANSLATION_SLOTS } from '../../emulator/engine/interpreter.ts';
import { bareProcessor } from '../support/bareProcessor.ts';

const CODE = 0x10_0000;
const PAGES = TRANSLATION_SLOTS + 100;
const ROUNDS = 2;

describe('translations beyond the number of slots', () => {
  it('give up the oldest, and the program does not notice', () => {
    const { state, physical, engine } = bareProcessor({ forceTranslation: true });
    // inc %rax; jmp to the next page, from the last to the first.
    for (let page = 0; page < PAGES; page++) {
      const next = page === PAGES - 1 ? 0 : page + 1;
      const code = new DataView(new ArrayBuffer(8));
      code.setUint32(0, 0x48ff_c0e9);
      code.setInt32(4, (next - page) * 0x1000 - 8, true);
      physical.copyIn(CODE + page * 0x1000, new Uint8Array(code.buffer));
    }
    state.RIP = BigInt(CODE);
    engine.run(ROUNDS * PAGES * 2);
    expect(state.gpr(0)).toBe(BigInt(ROUNDS * PAGES));
    expect(state.RIP).toBe(BigInt(CODE));
    expect(engine.translations).toBeGreaterThanOrEqual(PAGES);
    expect(engine.liveTranslations).toBeLessThan(TRANSLATION_SLOTS);
    expect(engine.liveTranslations).toBeGreaterThan(TRANSLATION_SLOTS - 100);
  });
});
