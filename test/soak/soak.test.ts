/** Five minutes of `npm run bench soak`: hours are in docs/performance.md. */
import { describe, expect, it } from 'vitest';
import { TRANSLATION_SLOTS } from '../../emulator/engine/interpreter.ts';
import { interpreterModule } from '../support/bareProcessor.ts';
import { missing } from '../support/tools.ts';
import { buildSoakProgram } from './program/build.ts';
import { growthOf, startSoak } from './program/soak.ts';

const SECONDS = 300;
const LOOKS = 8;
/** MiB; a module that stays is 0.05, and thousands are made. */
const MOST_GROWTH = 40;
const MOST_HEAP_GROWTH = 8;

describe.skipIf(missing('gcc', 'as'))('a translator that makes and drops modules without end', () => {
  it('keeps the process as large as it was', { timeout: 4 * SECONDS * 1000 }, () => {
    const began = performance.now();
    const soak = startSoak(buildSoakProgram(), interpreterModule());
    soak.warmUp();
    const left = Math.max(SECONDS - (performance.now() - began) / 1000, SECONDS / 2);
    const looks = Array.from({ length: LOOKS }, () => soak.run(left / LOOKS));
    const [first, last] = [looks[0], looks[LOOKS - 1]];
    // More than there are slots: the figures are about modules that were dropped.
    expect(last.made - first.made).toBeGreaterThan(TRANSLATION_SLOTS);
    expect(Math.max(...looks.map(({ live }) => live))).toBeLessThan(TRANSLATION_SLOTS);
    expect(growthOf(looks, ({ resident }) => resident)).toBeLessThan(MOST_GROWTH);
    expect(growthOf(looks, ({ machineCode }) => machineCode)).toBeLessThan(MOST_GROWTH / 2);
    expect(growthOf(looks, ({ heap }) => heap)).toBeLessThan(MOST_HEAP_GROWTH);
  });
});
