/** Instructions that are run alone end where they end, whatever generated code could go on with. */
import { describe, expect, it } from 'vitest';
import { assemble } from '../support/assemble.ts';
import { missing } from '../support/tools.ts';
import { CODE, prepare, TIERS } from './tiersSupport.ts';

const ROUNDS = 20;
const STEPS = 60 * ROUNDS;
const HANDLER = CODE + 0x800;
const TRAP = CODE + 0xc00;

/** RDMSR of what no processor has faults with TF set, and the handler goes on behind it without TF. */
const PROGRAM = `
  mov $${ROUNDS}, %r10d
  xor %r8d, %r8d
  xor %r9d, %r9d
  1: mov $0x12345678, %ecx
  pushfq
  orl $0x100, (%rsp)
  popfq
  rdmsr
  dec %r10d
  jnz 1b
  hlt
  .org 0x800
  inc %r8
  inc %rbx
  add $8, %rsp
  addq $2, (%rsp)
  andl $~0x100, 16(%rsp)
  jmp 2f
  .org 0xc00
  inc %r9
  2: pop %rax
  add $8, %rsp
  popfq
  mov (%rsp), %rsp
  jmp *%rax
`;

function gate(handler: number): bigint {
  return BigInt(handler & 0xffff) | (0x10n << 16n) | (0x8en << 40n) | (BigInt(handler >>> 16) << 48n);
}

describe.skipIf(missing('as', 'ld'))('single-stepping', () => {
  it.each(TIERS)('does not trap in the handler of a system instruction that faults: %s', (tier) => {
    const { state, physical, engine } = prepare(assemble(PROGRAM, CODE), 1, tier);
    const idt = Number(state.IDTR_BASE);
    physical.write64(idt + 16 * 13, gate(HANDLER));
    physical.write64(idt + 16, gate(TRAP));
    engine.run(STEPS);
    expect(state.gpr(8), 'faults').toBe(BigInt(ROUNDS));
    expect(state.gpr(9), 'traps').toBe(0n);
  });
});
