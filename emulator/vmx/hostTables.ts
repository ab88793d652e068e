/**
 * Whether a host whose state a VM exit has loaded could take the next exception or NMI: its IDT, the code segment that the
 * gates name, and the stacks of its TSS. Looked at past the caches, as a debugger does.
 *
 * Intel SDM Vol. 3A, "Interrupt and Exception Handling", 7.10 to 7.14.
 */
import type { Cpu } from '../core/cpu.ts';
import { EFER, TR, VECTOR } from '../state/registers.ts';

export interface HostTableProblem {
  readonly rule: 'host.idt' | 'host.tss';
  readonly description: string;
}

/** Events that can come at any instruction: what a handler of VM exits has to survive. */
const EVENTS = [
  [VECTOR.NMI, 'an NMI'],
  [VECTOR.DF, '#DF'],
  [VECTOR.GP, '#GP'],
  [VECTOR.PF, '#PF'],
] as const;

const PRESENT = 1n << 47n;
const INTERRUPT_GATE = 14n;
const TRAP_GATE = 15n;
const TASK_GATE = 5n;
/** S and the bit of code segments, in a descriptor. */
const CODE = (1n << 44n) | (1n << 43n);
const FIRST_IST = 36;

const hex = (value: bigint): string => `0x${value.toString(16)}`;

export function checkHostTables({ state, mmu }: Cpu): HostTableProblem | undefined {
  const in64 = (state.efer & EFER.LMA) !== 0;
  const read = (address: bigint): bigint | undefined => {
    const bytes = mmu.peekLinear(address, 8);
    return bytes.length === 8 ? new DataView(bytes.slice().buffer).getBigUint64(0, true) : undefined;
  };
  for (const [vector, name] of EVENTS) {
    const at = state.IDTR_BASE + BigInt(vector * (in64 ? 16 : 8));
    const gate = read(at);
    const problem = (text: string): HostTableProblem => ({
      rule: 'host.idt',
      description: `the host cannot take ${name}: ${text}`,
    });
    if (gate === undefined) return problem(`the IDT entry at linear ${hex(at)} is not mapped`);
    const type = (gate >> 40n) & 0x1fn;
    const isTaskGate = type === TASK_GATE && !in64;
    if (type !== INTERRUPT_GATE && type !== TRAP_GATE && !isTaskGate)
      return problem(`the IDT entry at linear ${hex(at)}, ${hex(gate)}, is no gate`);
    if ((gate & PRESENT) === 0n) return problem(`the gate at linear ${hex(at)} is not present`);
    if (isTaskGate) continue;
    const selector = (gate >> 16n) & 0xffffn;
    const descriptor = read(state.GDTR_BASE + (selector & 0xfff8n));
    if (descriptor === undefined || (selector & 4n) !== 0n)
      return problem(`the GDT has no descriptor for the selector ${hex(selector)} of its gate`);
    if ((descriptor & CODE) !== CODE || (descriptor & PRESENT) === 0n)
      return problem(
        `the selector ${hex(selector)} of its gate is not that of a code segment that is present`,
      );
    const stack = Number((gate >> 32n) & 7n);
    if (!in64 || stack === 0) continue;
    const slot = state.segmentBase(TR) + BigInt(FIRST_IST + 8 * (stack - 1));
    const top = read(slot);
    if (top === undefined)
      return { rule: 'host.tss', description: `the TSS, for ${name}, is not mapped at linear ${hex(slot)}` };
    if (read(top - 8n) === undefined)
      return {
        rule: 'host.tss',
        description: `the stack ${hex(top)} that the TSS has for ${name} is not mapped`,
      };
  }
  return undefined;
}
