/** SYSCALL and SYSRET without leaving generated code do what the functions in TypeScript do. */
import { describe, expect, it } from 'vitest';
import { writeRflags } from '../../emulator/state/flags.ts';
import { AR, CS, EFER, FLAG, R11, RCX, SS } from '../../emulator/state/registers.ts';
import { assemble } from '../support/assemble.ts';
import type { BareProcessor } from '../support/bareProcessor.ts';
import { Random } from '../support/random.ts';
import { missing } from '../support/tools.ts';
import { CODE, describeState, prepare, TIERS, type Tier } from './tiersSupport.ts';

const CASES = 150;
const ENTRY = CODE + 0x100;
const USER = CODE + 0x200;
const NOT_CANONICAL = 0x8000_0000_0000n;
const ACCESSIBLE = 4n;
const FLAGS = FLAG.TF | FLAG.IF | FLAG.DF | FLAG.NT | FLAG.AC | FLAG.CF | FLAG.ZF | FLAG.OF | FLAG.RF;
const PROGRAM = `
  1: syscall
  jmp 1b
  .org 0x100
  add $1, %rax
  test $1, %al
  jz 1f
  sysretq
  1: mov %r9, %r11
  mov %r8, %rcx
  sysretq
  .org 0x200
  1: add %rax, %rbx
  syscall
  jmp 1b
`;

function makeAccessible({ physical }: BareProcessor): void {
  for (let table = 0x1000; table < 0x4000; table += 0x1000)
    for (let at = table; at < table + 0x100; at += 8) {
      const entry = physical.read64(at);
      if (entry !== 0n) physical.write64(at, entry | ACCESSIBLE);
    }
}

/** A processor at a SYSCALL of ring 3 or ring 0; flags, their mask, selectors and where it goes are random. */
function start(code: Uint8Array, seed: number, tier: Tier): BareProcessor {
  const processor = prepare(code, seed, tier);
  makeAccessible(processor);
  const { state, cpu } = processor;
  const random = new Random(seed + 0x1_0000);
  const flags = () => (random.below(3) === 0 ? random.below(0x40_0000) & FLAGS : FLAG.FIXED);
  state.IA32_EFER |= BigInt(random.below(8) === 0 ? 0 : EFER.SCE);
  state.IA32_STAR = random.u64();
  state.IA32_LSTAR = BigInt(random.below(8) === 0 ? USER : ENTRY);
  state.IA32_FMASK = BigInt(random.below(2) === 0 ? FLAGS : flags());
  state.setGpr(8, random.below(8) === 0 ? NOT_CANONICAL : BigInt(USER));
  state.setGpr(9, BigInt(flags()));
  const cpl = random.below(2) === 0 ? 0 : 3;
  const dpl = cpl << AR.DPL_SHIFT;
  state.CPL = cpl;
  for (const segment of [CS, SS])
    state.setSegmentAccessRights(segment, (state.segmentAccessRights(segment) & ~AR.DPL) | dpl);
  writeRflags(state, flags() & ~FLAG.RF);
  cpu.mmu.updateContext();
  return processor;
}

describe.skipIf(missing('as', 'ld'))('SYSCALL and SYSRET', () => {
  const code = assemble(PROGRAM, CODE);

  for (const tier of TIERS) {
    it(`give the same state whether or not somebody follows CPL: ${tier}`, () => {
      let changes = 0;
      for (let seed = 0; seed < CASES; seed++) {
        const [fast, slow] = [start(code, seed, tier), start(code, seed, tier)];
        slow.cpu.mmu.spaces.privilegeIsFollowed = true;
        slow.cpu.mmu.updateContext();
        for (const { engine } of [fast, slow]) engine.run(2 + (seed % 40));
        expect(describeState(fast), `seed ${seed}`).toEqual(describeState(slow));
        const { state, cpu } = fast;
        const { CONTEXT } = state;
        cpu.mmu.updateContext();
        expect(state.CONTEXT, `context of seed ${seed}`).toBe(CONTEXT);
        if (state.gpr(RCX) === BigInt(CODE + 2) && state.gpr(R11) !== 0n) changes++;
      }
      expect(changes).toBeGreaterThan(CASES / 10);
    });
  }
});
