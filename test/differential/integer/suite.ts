/** All cases of the suite: the instructions in one program, the states they start in, and what the host makes of them. */

import { Random } from '../../support/random.ts';
import { CASES } from '../caseCount.ts';
import type { Case, Result } from './batch.ts';
import { makeInstruction } from './instruction.ts';
import { hostProcessor, runNatively } from './native.ts';
import type { PlacedInstruction } from './program.ts';
import { makeCases, Program } from './program.ts';
import type { TestedRow } from './shapes.ts';

/** Cases of a row, unless it has more forms than that. */
/** Instructions of a row: at least one of each form. */
const INSTRUCTIONS = 32;
const SEED = 1;

/** What /proc/cpuinfo calls the features of rows. */
const HOST_FLAGS: Readonly<Record<string, string>> = {
  ADX: 'adx', BMI1: 'bmi1', BMI2: 'bmi2', CLFSH: 'clflush', CMOV: 'cmov',
  CMPXCHG16B: 'cx16', CX8: 'cx8', LAHF_SAHF_64: 'lahf_lm',
  LZCNT: 'abm', MOVBE: 'movbe', POPCNT: 'popcnt', SSE2: 'sse2', SSE4_2: 'sse4_2',
}; // biome-ignore format: names in pairs

/** Whether the host's processor has the feature of the row. */
export function hostHas({ op, feature }: TestedRow): boolean {
  if (feature === undefined) return true;
  const flag = HOST_FLAGS[feature];
  if (flag === undefined) throw new Error(`${op}: what does /proc/cpuinfo call ${feature}?`);
  return hostProcessor().flags.has(flag);
}

export interface SuiteCase {
  readonly placed: PlacedInstruction;
  readonly state: Case;
  readonly native: Result;
}

export interface Suite {
  readonly code: Uint8Array;
  /** Cases by row, in the order of the rows. */
  readonly cases: readonly (readonly SuiteCase[])[];
}

export function runSuite(rows: readonly TestedRow[]): Suite {
  const random = new Random(SEED);
  const program = new Program();
  const placed = rows.map(({ forms }) => {
    const count = forms.length === 0 ? 0 : Math.max(forms.length, Math.min(INSTRUCTIONS, CASES));
    return Array.from({ length: count }, (_, i) => {
      const { shape, mode } = forms[i % forms.length] as (typeof forms)[number];
      return program.add(makeInstruction(shape, mode, random), random);
    });
  });
  const code = program.assemble();
  const states = placed.map((instructions) => {
    const each = Math.max(2, Math.ceil(CASES / instructions.length));
    return instructions.flatMap((one, i) =>
      makeCases(one, each, i * each, random).map((state) => ({ placed: one, state })),
    );
  });
  const results = runNatively(
    code,
    states.flat().map(({ state }) => state),
  );
  let next = 0;
  const cases = states.map((ofRow) => ofRow.map((one) => ({ ...one, native: results[next++] as Result })));
  return { code, cases };
}
