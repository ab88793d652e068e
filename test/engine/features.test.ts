/** What the bytes of an instruction mean on a processor that does not offer it, and in modes that do not have it. */

import { describe, expect, it } from 'vitest';
import type { FeatureKey } from '../../emulator/core/features.ts';
import { FEATURES } from '../../emulator/core/features.ts';
import { readRflags } from '../../emulator/state/flags.ts';
import { FLAG, RAX, RCX } from '../../emulator/state/registers.ts';
import { assemble } from '../support/assemble.ts';
import { missing } from '../support/tools.ts';
import type { Tier } from './tiersSupport.ts';
import { CODE, prepare, TIERS } from './tiersSupport.ts';

const ALL = FEATURES.map(({ key }) => key);
const SOURCE = 0x40n;
/** The handler of every exception is one HLT. */
const HANDLER = 0x50_0000n;

function run(text: string, tier: Tier, without: FeatureKey | undefined) {
  const features = new Set(ALL.filter((key) => key !== without));
  const processor = prepare(assemble(`${text}\nhlt`, CODE), 1, tier, features);
  processor.state.setGpr(RAX, 0x1234n);
  processor.state.setGpr(RCX, SOURCE);
  processor.engine.run(5);
  return processor.state;
}

describe.skipIf(missing('as', 'ld'))('an instruction that the processor does not offer', () => {
  for (const tier of TIERS) {
    it(`TZCNT is BSF without BMI1: ${tier}`, () => {
      expect(run('tzcnt %rcx, %rax', tier, undefined).gpr(RAX)).toBe(6n);
      const state = run('xor %ecx, %ecx; tzcnt %rcx, %rax', tier, 'BMI1');
      // A zero source sets ZF and leaves the destination; TZCNT would give 64 and set CF.
      expect(state.gpr(RAX)).toBe(0x1234n);
      expect(readRflags(state) & (FLAG.ZF | FLAG.CF)).toBe(FLAG.ZF);
    });

    it(`LZCNT is BSR without LZCNT: ${tier}`, () => {
      expect(run('lzcnt %rcx, %rax', tier, undefined).gpr(RAX)).toBe(57n);
      expect(run('lzcnt %rcx, %rax', tier, 'LZCNT').gpr(RAX)).toBe(6n);
    });

    it.each<[string, FeatureKey]>([
      ['popcnt %rcx, %rax', 'POPCNT'],
      ['movbe (%rbx), %eax', 'MOVBE'],
      ['andn %rcx, %rcx, %rax', 'BMI1'],
      ['pdep %rcx, %rcx, %rax', 'BMI2'],
      ['adox %rcx, %rax', 'ADX'],
      ['crc32l %ecx, %eax', 'SSE4_2'],
      ['movnti %eax, (%rbx)', 'SSE2'],
      ['cmovz %rcx, %rax', 'CMOV'],
    ])(`%s is #UD without %s: ${tier}`, (text, feature) => {
      expect(run(text, tier, undefined).RIP).not.toBe(HANDLER + 1n);
      expect(run(text, tier, feature).RIP).toBe(HANDLER + 1n);
    });
  }

  it('a VEX-encoded instruction is #UD in real-address mode', () => {
    const { state, physical, engine } = prepare(
      assemble('.code16; andn %ecx, %ecx, %eax; hlt', CODE),
      1,
      'interpreted',
      new Set(ALL),
    );
    // Vector 6 of the real-address mode's table leads to a HLT.
    physical.copyIn(6 * 4, new Uint8Array([0, 6, 0, 0]));
    physical.copyIn(0x600, new Uint8Array([0xf4]));
    state.IDTR_BASE = 0n;
    state.CR0 = 0x10n;
    state.IA32_EFER = 0n;
    state.setSegmentAccessRights(1, 0x93);
    state.setGpr(4, 0x8000n);
    engine.cpu.mmu.updateContext();
    engine.run(5);
    expect(state.RIP).toBe(0x601n);
  });
});
