/** x87 instructions as the engine fetches, decodes and executes them, in both tiers. */
import { describe, expect, it } from 'vitest';
import { assemble } from '../support/assemble.ts';
import type { BareProcessor } from '../support/bareProcessor.ts';
import { missing } from '../support/tools.ts';
import type { Tier } from './tiersSupport.ts';
import { CODE, prepare, TIERS } from './tiersSupport.ts';

const DATA = 0x20_0000;

function run(text: string, tier: Tier): BareProcessor {
  const code = assemble(`.intel_syntax noprefix\n${text}\nhlt`, CODE);
  const processor = prepare(code, 87, tier);
  processor.state.setGpr(3, BigInt(DATA));
  expect(processor.engine.run(10_000)).toBe('inactive');
  return processor;
}

describe.skipIf(missing('as', 'ld')).each(TIERS)('%s code', (tier) => {
  it('computes on the register stack', () => {
    // 10! by multiplication, then its reciprocal.
    const { physical } = run(
      `finit; fld1; fld1; mov ecx, 9
       1: fld1; faddp st(1), st; fmul st(1), st; dec ecx; jnz 1b
       fstp st(0); fist dword ptr [rbx]; fld1; fdivrp st(1), st; fstp qword ptr [rbx+8]; fnstsw ax; mov [rbx+16], ax`,
      tier,
    );
    expect(physical.read32(DATA)).toBe(3_628_800);
    const value = new DataView(new ArrayBuffer(8));
    value.setBigUint64(0, physical.read64(DATA + 8));
    expect(value.getFloat64(0)).toBe(1 / 3_628_800);
    // The quotient was rounded down.
    expect(physical.read16(DATA + 16)).toBe(0x20);
  });

  it('meets #MF at the first waiting instruction after an unmasked exception', () => {
    const { state, physical } = run(
      `fninit; mov word ptr [rbx], 0x37b; fldcw [rbx]; fldz; fld1
       fdiv st, st(1); nop; fnstenv [rbx+0x100]; fldcw [rbx]; nop; fwait; ud2`,
      tier,
    );
    const FWAIT = 0x9b;
    const FDIV_ST1 = 0x0f1;
    // The frame starts with the RIP that the fault returns to.
    const saved = Number(physical.read64(Number(state.gpr(4))));
    expect(physical.read16(saved) & 0xff).toBe(FWAIT);
    expect(physical.read32(DATA + 0x100 + 16) >>> 16).toBe(FDIV_ST1);
  });
});
