/** x87 instructions as the engine fetches, decodes and executes them, in both tiers. */
import { describe, expect, it } from 'vitest';
import { CS } from '../../emulator/state/registers.ts';
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

  it('has the place of the last instruction that is no control instruction', () => {
    const { state, physical } = run(
      `fninit; fld1; fst qword ptr [rbx]; fadd qword ptr [rbx]; fnstsw ax; fnstcw [rbx+8]; fnstenv [rbx+0x100]
       fld st(0); fnstenv [rbx+0x140]; hlt`,
      tier,
    );
    // FNINIT and FLD1 have 2 bytes, so does FST.
    expect(physical.read32(DATA + 0x100 + 12)).toBe(CODE + 6);
    expect(state.X87_INSTRUCTION_SELECTOR).toBe(state.segmentSelector(CS));
    const load = Number(state.X87_INSTRUCTION_POINTER);
    expect([physical.read8(load), physical.read8(load + 1)]).toEqual([0xd9, 0xc0]);
    expect(physical.read32(DATA + 0x140 + 12)).toBe(load);
  });

  it('keeps the truncating conversion of compilers, and 80-bit operands across pages', () => {
    const { state, physical } = run(
      `fninit; mov rcx, 3; mov word ptr [rbx], 0x37f; mov word ptr [rbx+2], 0xf7f; fldpi; fchs
       1: fldcw [rbx+2]; fist dword ptr [rbx+4]; fldcw [rbx]; fist word ptr [rbx+8]
       fld st(0); fstp tbyte ptr [rbx+16]; fld tbyte ptr [rbx+16]; fstp tbyte ptr [rbx+0xff8]
       fld tbyte ptr [rbx+0xff8]; fadd st, st(1); fcomip st, st(1); setb al; fnstcw [rbx+10]; dec ecx; jnz 1b
       fstp qword ptr [rbx+32]; fnstsw [rbx+12]`,
      tier,
    );
    expect(physical.read32(DATA + 4) | 0).toBe(-3);
    expect(physical.read16(DATA + 8)).toBe(0xfffd);
    expect(physical.read64(DATA + 16)).toBe(physical.read64(DATA + 0xff8));
    expect(physical.read16(DATA + 24)).toBe(0xc000);
    expect(physical.read16(DATA + 0x1000)).toBe(0xc000);
    expect(state.gpr(0) & 0xffn).toBe(1n);
    expect(physical.read16(DATA + 10)).toBe(0x37f);
    expect(physical.read64(DATA + 32)).toBe(0xc009_21fb_5444_2d18n);
    expect(physical.read16(DATA + 12)).toBe(0x20);
  });

  it('chooses by the flags of the instructions before', () => {
    // The largest of three numbers, twice the other way round, and the smaller of two by a comparison of integers.
    const { physical } = run(
      `fninit; mov ecx, 3
       1: fldl2e; fldpi; fld1
       fcomi st, st(1); fcmovb st, st(1); fcomi st, st(2); fcmovb st, st(2); fstp qword ptr [rbx]; fstp st(0); fstp st(0)
       fldpi; fld1; mov eax, 5; cmp eax, 6; fcmovnb st, st(1); frndint; fist dword ptr [rbx+8]
       cmp eax, 5; fcmovnb st, st(1); frndint; fistp dword ptr [rbx+12]; fstp st(0)
       dec ecx; jnz 1b`,
      tier,
    );
    expect(physical.read64(DATA)).toBe(0x4009_21fb_5444_2d18n);
    expect([physical.read32(DATA + 8), physical.read32(DATA + 12)]).toEqual([1, 3]);
  });

  it('meets #NM before the fault of a memory operand, and before FNSTSW', () => {
    for (const text of ['fld qword ptr [rcx]', 'fstp tbyte ptr [rcx]', 'fnstsw ax', 'fadd st, st(1)']) {
      const { state } = run(
        `fninit; fld1; fld1; mov rcx, 0x800000; mov rax, cr0; or rax, 8; mov cr0, rax; ${text}; ud2`,
        tier,
      );
      // The handlers are one: the saved RIP tells, and nothing has been popped.
      expect(state.CR2).toBe(0n);
      expect((state.X87_STATUS >> 11) & 7).toBe(6);
    }
  });
});
