/** Direct branches beyond the limit of CS fault at the branch, with nothing changed. */
import { describe, expect, it } from 'vitest';
import { CS, RCX, RSP } from '../../emulator/state/registers.ts';
import { assemble } from '../support/assemble.ts';
import { missing } from '../support/tools.ts';
import { CODE, prepare, TIERS } from './tiersSupport.ts';

const HANDLER = 0x50_0000n;
const STACK = 0x30_0000n;
const CODE_32 = 0xc09b;
const CODE_16 = 0x809b;

interface Case {
  readonly what: string;
  readonly code: string;
  /** RCX before. */
  readonly count?: bigint;
  /** Offset of the instruction that faults; absent: none does, and execution comes to HLT. */
  readonly faults?: number;
  readonly rights?: number;
}

const CASES: readonly Case[] = [
  { what: 'JMP', code: 'jmp .+0x100', faults: 0 },
  { what: 'JMP rel8', code: 'nop\njmp .+0x70', faults: 1 },
  { what: 'CALL, before it pushes', code: 'call .+0x100', faults: 0 },
  { what: 'CALL backwards, around the end of 4 GiB', code: 'call .-0x200000', faults: 0 },
  { what: 'a condition that is fulfilled', code: 'xor %eax, %eax\njz .+0x100', faults: 2 },
  { what: 'none where the condition is not fulfilled', code: 'xor %eax, %eax\njnz .+0x100\nhlt' },
  { what: 'LOOP, before it counts', code: 'loop .+0x70', count: 5n, faults: 0 },
  { what: 'none where LOOP ends', code: 'loop .+0x70\nhlt', count: 1n },
  { what: 'JECXZ', code: 'jecxz .+0x70', count: 0n, faults: 0 },
  { what: 'none up to the limit', code: 'jmp .+0x1f\n.fill 0x1d, 1, 0x90\nhlt' },
  { what: 'JMP of 32 bits in 16-bit code', code: 'data32 jmp .+0x100', faults: 0, rights: CODE_16 },
];

describe.skipIf(missing('as', 'ld'))('a direct branch beyond the limit of CS', () => {
  for (const tier of TIERS) {
    it.each(CASES)(`faults at the branch: $what: ${tier}`, ({ code, count, faults, rights = CODE_32 }) => {
      const bits = rights === CODE_16 ? 16 : 32;
      const processor = prepare(assemble(`.code${bits}\n${code}`, CODE), 1, tier);
      const { state, engine, physical } = processor;
      state.setSegmentAccessRights(CS, rights);
      state.setSegmentLimit(CS, CODE + 0x1f);
      state.setGpr(RCX, count ?? 0n);
      engine.run(20);
      if (faults === undefined) {
        expect(state.RIP).toBeLessThanOrEqual(BigInt(CODE + 0x20));
        expect(state.RIP).toBeGreaterThan(BigInt(CODE));
        return;
      }
      expect(state.RIP).toBe(HANDLER + 1n);
      // SS, RSP, RFLAGS, CS, RIP and an error code.
      const frame = Number(STACK) - 48;
      expect(state.gpr(RSP)).toBe(BigInt(frame));
      expect(physical.read64(frame)).toBe(0n);
      expect(physical.read64(frame + 8)).toBe(BigInt(CODE + faults));
      expect(physical.read64(frame + 32)).toBe(STACK);
      expect(state.gpr(RCX)).toBe(count ?? 0n);
    });
  }
});
