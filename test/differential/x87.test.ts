/** The x87 FPU against the host's: results, status, tags, memory and RFLAGS of seeded random states. */
import { beforeAll, describe, expect, it } from 'vitest';
import { Random } from '../support/random.ts';
import { missing } from '../support/tools.ts';
import { X87Engine } from './x87Engine.ts';
import { X87_FORMS } from './x87Forms.ts';
import { describeOutcome, describeState, hex, X87Model } from './x87Model.ts';
import { runNatively, type X87Case, type X87Outcome } from './x87Native.ts';
import { x87Case } from './x87Operands.ts';

const CASES_PER_FORM = 400;

describe.skipIf(missing('gcc', 'as', 'ld'))('an x87 instruction gives what the host’s FPU gives', () => {
  const texts = X87_FORMS.map((form) => form.text);
  const cases = texts.map((_, form) => {
    const random = new Random(0x87 + form);
    return Array.from({ length: CASES_PER_FORM }, () => x87Case(random, X87_FORMS, form));
  });
  let models: readonly (readonly [name: string, model: X87Model | X87Engine])[];
  let native: X87Outcome[];

  beforeAll(() => {
    models = [
      ['function', new X87Model(texts)],
      ['interpreted', new X87Engine(texts, false)],
      ['translated', new X87Engine(texts, true)],
    ];
    native = runNatively(texts, cases.flat());
  });

  it.each(X87_FORMS.map((form, index) => ({ text: form.text, form, index })))('$text', ({ form, index }) => {
    (cases[index] as X87Case[]).forEach((given, i) => {
      const expected = native[index * CASES_PER_FORM + i] as X87Outcome;
      const about = {
        ...describeState(given.state),
        memory: hex(given.memory),
        flags: given.flags.toString(16),
      };
      const wanted = describeOutcome(expected, form);
      const outcomes = models.map(([name, model]) => {
        const input = { ...about, name };
        const outcome = model.run(given);
        expect({ input, ...describeOutcome(outcome, form) }).toEqual({ input, ...wanted });
        return outcome;
      });
      // Pointers to the last instruction too.
      const [, interpreted, translated] = outcomes as [X87Outcome, X87Outcome, X87Outcome];
      expect(hex(translated.state)).toBe(hex(interpreted.state));
    });
  });

  it('in both tiers', () => {
    const translations = models.map(([, model]) => (model instanceof X87Engine ? model.translations : 0));
    expect(translations[1]).toBe(0);
    expect(translations[2]).toBeGreaterThan(100);
  });
});
