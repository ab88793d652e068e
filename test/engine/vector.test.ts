/** Which exception a vector instruction is when its state is not enabled, and what VEX encodings do to whole registers. */
import { describe, expect, it } from 'vitest';
import type { FeatureKey } from '../../emulator/core/features.ts';
import { IMPLEMENTED_FEATURES } from '../../emulator/core/features.ts';
import { OFFSET } from '../../emulator/state/layout.ts';
import { CR0, CR4, RAX, RBX, RDX } from '../../emulator/state/registers.ts';
import { assemble } from '../support/assemble.ts';
import type { BareProcessor } from '../support/bareProcessor.ts';
import { missing } from '../support/tools.ts';
import type { Tier } from './tiersSupport.ts';
import { CODE, prepare, TIERS } from './tiersSupport.ts';

const IDT = 0x40_0000;
/** Handlers of their own for every exception, a HLT each. */
const HANDLERS = 0x51_0000;
const DATA = 0x20_0400n;

interface Setting {
  readonly clear4?: number;
  readonly set0?: number;
  readonly xcr0?: bigint;
  readonly mxcsr?: number;
  readonly status?: number;
  readonly without?: readonly FeatureKey[];
}

function ready(text: string, tier: Tier, setting: Setting = {}): BareProcessor {
  const features = new Set(IMPLEMENTED_FEATURES.filter((key) => !setting.without?.includes(key)));
  const processor = prepare(assemble(`.intel_syntax noprefix\n${text}\nhlt`, CODE), 1, tier, features);
  const { state, physical } = processor;
  for (let vector = 0; vector < 32; vector++) {
    const handler = BigInt(HANDLERS + 16 * vector);
    physical.write64(
      IDT + 16 * vector,
      (handler & 0xffffn) | (0x10n << 16n) | (0x8en << 40n) | ((handler >> 16n) << 48n),
    );
    physical.copyIn(HANDLERS + 16 * vector, new Uint8Array([0xf4]));
  }
  state.setGpr(RBX, DATA);
  state.CR4 |= BigInt(CR4.OSFXSR | CR4.OSXMMEXCPT | CR4.OSXSAVE);
  state.CR4 &= ~BigInt(setting.clear4 ?? 0);
  state.CR0 |= BigInt(CR0.NE | (setting.set0 ?? 0));
  state.XCR0 = setting.xcr0 ?? 7n;
  state.MXCSR = setting.mxcsr ?? 0x1f80;
  state.X87_STATUS = setting.status ?? 0;
  return processor;
}

/** The vector of the exception that ends the program, or "none". */
function exceptionOf(text: string, tier: Tier, setting: Setting = {}): number | 'none' {
  const { state, engine } = ready(text, tier, setting);
  engine.run(20);
  const place = Number(state.RIP) - 1 - HANDLERS;
  return place >= 0 && place < 16 * 32 ? place / 16 : 'none';
}

const UD = 6;
const NM = 7;
const GP = 13;
const MF = 16;
const XM = 19;

describe.skipIf(missing('as', 'ld')).each(TIERS)('a vector instruction, translated: %s', (tier) => {
  it.each<[string, number | 'none', Setting]>([
    ['addps xmm0, xmm1', 'none', {}],
    ['addps xmm0, xmm1', UD, { clear4: CR4.OSFXSR }],
    ['addps xmm0, xmm1', UD, { set0: CR0.EM }],
    ['addps xmm0, xmm1', NM, { set0: CR0.TS }],
    ['paddd xmm0, xmm1', UD, { clear4: CR4.OSFXSR, set0: CR0.TS }],
    ['paddd xmm0, xmm1', NM, { set0: CR0.TS }],
    ['paddd mm0, mm1', 'none', { clear4: CR4.OSFXSR }],
    ['paddd mm0, mm1', UD, { set0: CR0.EM }],
    ['paddd mm0, mm1', NM, { set0: CR0.TS }],
    ['paddd mm0, mm1', MF, { status: 0x80 }],
    ['vpaddd ymm0, ymm1, ymm2', 'none', { clear4: CR4.OSFXSR, set0: CR0.EM }],
    ['vpaddd ymm0, ymm1, ymm2', UD, { clear4: CR4.OSXSAVE }],
    ['vpaddd xmm0, xmm1, xmm2', UD, { xcr0: 3n }],
    ['vpaddd xmm0, xmm1, xmm2', NM, { set0: CR0.TS }],
    ['vpaddd ymm0, ymm1, ymm2', UD, { without: ['AVX2'] }],
    ['vpaddd xmm0, xmm1, xmm2', 'none', { without: ['AVX2'] }],
    ['vpaddd xmm0, xmm1, xmm2', UD, { without: ['AVX', 'AVX2'] }],
    ['pshufb xmm0, xmm1', UD, { without: ['SSSE3'] }],
    ['aesenc xmm0, xmm1', UD, { without: ['AESNI'] }],
    ['vaesenc ymm0, ymm1, ymm2', UD, {}],
    ['vaddps zmm0, zmm1, zmm2', UD, {}],
    ['movaps xmm0, [rbx]', 'none', {}],
    ['movaps xmm0, [rbx+8]', GP, {}],
    ['vmovaps ymm0, [rbx+16]', GP, {}],
    ['movups xmm0, [rbx+8]', 'none', {}],
    ['addps xmm0, [rbx+8]', GP, {}],
    ['vaddps xmm0, xmm0, [rbx+8]', 'none', {}],
    ['xorps xmm0, xmm0; divps xmm0, xmm0', XM, { mxcsr: 0x1f00 }],
    ['xorps xmm0, xmm0; divps xmm0, xmm0', UD, { mxcsr: 0x1f00, clear4: CR4.OSXMMEXCPT }],
    ['xorps xmm0, xmm0; divps xmm0, xmm0', 'none', {}],
    ['fxsave [rbx+8]', GP, {}],
    ['fxsave [rbx]', NM, { set0: CR0.TS }],
    ['xsave [rbx+16]', GP, {}],
    ['xsave [rbx]', UD, { clear4: CR4.OSXSAVE }],
    ['xsaves [rbx]', 'none', {}],
    ['xsaves [rbx]', UD, { without: ['XSAVES'] }],
    ['xrstor [rbx]', GP, {}],
    ['mov dword ptr [rbx], 0x10000; ldmxcsr [rbx]', GP, {}],
  ])('%s: %s', (text, vector, setting) => {
    expect(exceptionOf(text, tier, setting)).toBe(vector);
  });

  it('leaves the destination and records the exception when #XM is raised', () => {
    const { state, engine } = ready('divps xmm0, xmm1', tier, { mxcsr: 0x1d80 });
    state.u8.fill(0x11, OFFSET.YMM, OFFSET.YMM + 32);
    state.u8.fill(0, OFFSET.YMM + 32, OFFSET.YMM + 64);
    engine.run(5);
    expect(state.MXCSR).toBe(0x1d84);
    expect(state.u8[OFFSET.YMM]).toBe(0x11);
  });

  it('keeps bits 255:128 in the legacy encoding and clears them in VEX', () => {
    const { state, engine } = ready('paddd xmm0, xmm1; vpaddd xmm2, xmm2, xmm1', tier);
    state.u8.fill(0x22, OFFSET.YMM, OFFSET.YMM + 96);
    engine.run(5);
    const upper = (register: number) => state.u64[(OFFSET.YMM >> 3) + 4 * register + 2];
    expect([upper(0), upper(2)]).toEqual([0x2222_2222_2222_2222n, 0n]);
  });

  it('finds its state again after XSAVE, VZEROALL and XRSTOR', () => {
    const text = 'mov eax, 7; xor edx, edx; xor ecx, ecx; xsave [rbx]; vzeroall; xrstor [rbx]';
    const { state, physical, engine } = ready(text, tier);
    for (let at = 0; at < 1024; at += 8) physical.write64(Number(DATA) + at, 0n);
    for (let i = 0; i < 512; i++) state.u8[OFFSET.YMM + i] = i;
    engine.run(20);
    expect([...state.u8.subarray(OFFSET.YMM, OFFSET.YMM + 512)]).toEqual(
      Array.from({ length: 512 }, (_, i) => i & 0xff),
    );
    expect(physical.read64(Number(DATA) + 512)).toBe(7n);
  });

  it('reports in CPUID leaf DH what XCR0 enables', () => {
    const { state, engine } = ready('mov eax, 13; xor ecx, ecx; cpuid', tier);
    engine.run(5);
    expect([state.gpr(RAX), state.gpr(RBX), state.gpr(RDX)]).toEqual([0x207n, 832n, 0n]);
  });
});
