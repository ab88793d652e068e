/**
 * Emitted instructions against the host's processor: the same seeded states, executed by native.c, by the interpreter and
 * by translations. Registers, memory, exceptions and flags must agree, except flags that the manual leaves undefined.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import { formOf } from '../../../emulator/isa/decode.ts';
import { expandHandlers } from '../../../emulator/isa/handlers.ts';
import { IcedDecoder } from '../../../emulator/isa/iced.ts';
import { missing } from '../../support/tools.ts';
import { describeCase, differences, undefinedFlags } from './compare.ts';
import { EmulatedProcessor } from './emulated.ts';
import { CODE } from './layout.ts';
import type { PlacedInstruction } from './program.ts';
import { testedRows } from './shapes.ts';
import type { Suite, SuiteCase } from './suite.ts';
import { hostHas, runSuite } from './suite.ts';

const REPORTED = 3;

describe.skipIf(missing('gcc', 'as', 'ld'))('an instruction does what the host’s processor does', () => {
  const all = testedRows().filter(({ forms }) => forms.length > 0);
  const rows = all.filter(hostHas);
  let suite: Suite;
  let tiers: { name: string; processor: EmulatedProcessor }[];

  beforeAll(() => {
    suite = runSuite(rows);
    tiers = [
      { name: 'interpreted', processor: new EmulatedProcessor(suite.code, false) },
      { name: 'translated', processor: new EmulatedProcessor(suite.code, true) },
    ];
  });

  it.each(rows.map((row, index) => ({ op: row.op, row, index })))('$op', ({ row, index }) => {
    const cases = suite.cases[index] as readonly SuiteCase[];
    const reports: string[] = [];
    let failed = 0;
    for (const { placed, state, native } of cases) {
      const masked = undefinedFlags(row.undefined, placed.instruction, state);
      for (const { name, processor } of tiers) {
        const lines = differences(processor.run(state), native, masked, row.partial);
        if (lines.length === 0) continue;
        if (failed++ < REPORTED)
          reports.push(describeCase(placed.instruction.text, state), `${name}:`, ...lines, '');
      }
    }
    if (failed > 0) expect.fail(`${failed} runs of ${cases.length} cases differ\n${reports.join('\n')}`);
  });

  it('and is decoded as the form it was written for', () => {
    const keys = new Set(expandHandlers().specs.map(({ key }) => key));
    const placed = new Set(suite.cases.flat().map((one) => one.placed));
    const wrong = [...placed].flatMap((one) => {
      const { shape, text } = one.instruction;
      const [key, generalKey] = decodedKeys(suite.code, one);
      // XCHG of the accumulator with itself is NOP.
      const right = key === shape.key || generalKey === shape.key || key?.startsWith('NOP.');
      return right || !keys.has(shape.key) ? [] : `${text}: ${key} instead of ${shape.key}`;
    });
    expect(wrong).toEqual([]);
  });

  it('and translations were executed', () => {
    expect(tiers[1]?.processor.translations).toBeGreaterThan(1000);
  });

  const lacking = all.filter((row) => !hostHas(row)).map(({ op }) => op);
  it(`and the host has every row${lacking.length > 0 ? ` but ${lacking.join(', ')}` : ''}`, () => {
    expect(rows.length + lacking.length).toBe(all.length);
  });
});

/** The handlers that the instruction may have: its own, and that with the general memory operand. */
function decodedKeys(code: Uint8Array, { instruction, address }: PlacedInstruction): string[] {
  const decoder = new IcedDecoder(instruction.mode, code.subarray(address - CODE, address - CODE + 15), 0);
  const decoded = decoder.decode();
  const form = formOf(decoded, instruction.mode);
  decoded.free();
  decoder.free();
  return form ? [form.key, form.generalKey] : [];
}
