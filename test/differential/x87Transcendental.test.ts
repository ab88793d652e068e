/**
 * The transcendental instructions against the host's FPU. Ours are correctly rounded; the host's are within one unit in
 * the last place of that (SDM Vol. 1, "Transcendental Instruction Accuracy", 8.3.10). Everything else is the same.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import { Random } from '../support/random.ts';
import { missing } from '../support/tools.ts';
import { describeState, X87Model } from './x87Model.ts';
import { runNatively, type X87Case, type X87Outcome } from './x87Native.ts';
import { transcendentalCase } from './x87Operands.ts';

const CASES_PER_FORM = 2000;
const FORMS = ['fsin', 'fcos', 'fsincos', 'fptan', 'fpatan', 'f2xm1', 'fyl2x', 'fyl2xp1'] as const;
/** C0 and C3 are undefined; C1 says how the last bit was rounded, in which the host is free. */
const STATUS_COMPARED = ~0x4300;

/** The registers of a stored state as integers that count units in the last place. */
function registers(state: Uint8Array): bigint[] {
  return Array.from({ length: 8 }, (_, i) => {
    const bytes = state.subarray(28 + 10 * i, 38 + 10 * i);
    const value = BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`);
    const exponent = (value >> 64n) & 0x7fffn;
    const significand = value & ((1n << 64n) - 1n);
    // The integer bit is the low bit of the exponent but one: consecutive values have consecutive numbers.
    const count = exponent === 0n ? significand : ((exponent - 1n) << 63n) + significand;
    return value >> 79n ? -count : count;
  });
}

/** FYL2XP1 is undefined for x beyond 1 − √2/2 (and no NaN or infinity). */
function isUndefined(state: Uint8Array): boolean {
  const exponent = ((state[37] as number) & 0x7f) * 256 + (state[36] as number);
  return exponent >= 0x3ffd && exponent !== 0x7fff;
}

describe.skipIf(missing('gcc', 'as', 'ld'))(
  'a transcendental instruction gives what the host’s FPU gives',
  () => {
    const cases = FORMS.map((text, form) => {
      const random = new Random(0x7a + form);
      return Array.from({ length: CASES_PER_FORM }, () => transcendentalCase(random, text, form));
    });
    let model: X87Model;
    let native: X87Outcome[];

    beforeAll(() => {
      model = new X87Model(FORMS);
      native = runNatively(FORMS, cases.flat());
    });

    it.each(FORMS.map((text, form) => ({ text, form })))(
      '$text, up to one unit in the last place',
      ({ text, form }) => {
        (cases[form] as X87Case[]).forEach((given, i) => {
          if (text === 'fyl2xp1' && isUndefined(given.state)) return;
          const host = native[form * CASES_PER_FORM + i] as X87Outcome;
          const ours = model.run(given);
          const input = describeState(given.state);
          const words = (state: Uint8Array) => {
            const { control, status, tags } = describeState(state, 0xffff & ~STATUS_COMPARED);
            return { control, status, tags };
          };
          const theirs = registers(host.state);
          const distances = registers(ours.state).map((value, n) => value - (theirs[n] as bigint));
          const near = distances.every((distance) => distance >= -1n && distance <= 1n);
          expect({
            input,
            ...words(ours.state),
            ...(near ? {} : describeState(ours.state)),
          }).toEqual({ input, ...words(host.state), ...(near ? {} : describeState(host.state)) });
        });
      },
    );
  },
);
