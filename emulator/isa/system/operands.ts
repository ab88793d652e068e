/** Operands of instructions that are TypeScript functions. */
import type { Cpu } from '../../core/cpu.ts';
import type { Instruction } from '../../core/instruction.ts';
import { type AccessBytes, readSegmented, writeSegmented } from '../../core/memory.ts';
import { OUTCOME, type Outcome } from '../../core/outcome.ts';
import { OFFSET } from '../../state/layout.ts';
import { CR0 } from '../../state/registers.ts';

const MASKS = { 8: 0xffn, 16: 0xffffn, 32: 0xffff_ffffn, 64: 0xffff_ffff_ffff_ffffn } as const;

/** The low `bits` bits of a general register. */
export function readGpr(cpu: Cpu, register: number, bits: 8 | 16 | 32 | 64): bigint {
  return cpu.state.gpr(register) & MASKS[bits];
}

/** Writes a general register: 32 bits clear the upper half, 8 and 16 keep what is above. */
export function writeGpr(cpu: Cpu, register: number, bits: 8 | 16 | 32 | 64, value: bigint): void {
  const mask = MASKS[bits];
  const kept = bits === 32 ? 0n : cpu.state.gpr(register) & ~mask;
  cpu.state.setGpr(register, BigInt.asUintN(64, kept | (value & mask)));
}

const GPRS = OFFSET.GPR >> 2;

/** {@link readGpr} of at most 32 bits, without a 64-bit number. */
export function readGpr32({ state }: Cpu, register: number, bits: 8 | 16 | 32): number {
  const low = state.i32[GPRS + 2 * register];
  return bits === 32 ? low >>> 0 : low & ((1 << bits) - 1);
}

/** {@link writeGpr} of at most 32 bits, without a 64-bit number. */
export function writeGpr32({ state }: Cpu, register: number, bits: 8 | 16 | 32, value: number): void {
  const { i32 } = state;
  const low = GPRS + 2 * register;
  if (bits === 32) {
    i32[low] = value;
    i32[low + 1] = 0;
    return;
  }
  const mask = (1 << bits) - 1;
  i32[low] = (i32[low] & ~mask) | (value & mask);
}

/** EDX:EAX. */
export function writePair(cpu: Cpu, high: number, low: number, value: bigint): void {
  cpu.state.setGpr(high, value >> 32n);
  cpu.state.setGpr(low, value & MASKS[32]);
}

type Bits = 8 | 16 | 32 | 64;

/**
 * An operand's value, zero-extended (immediates are sign-extended). Undefined when a memory access failed: the
 * instruction ends with `cpu.failed`.
 */
export function readOperand(
  cpu: Cpu,
  instruction: Instruction,
  operand: number,
  bits: Bits = instruction.operandBits(operand) as Bits,
): bigint | undefined {
  switch (instruction.operandKind(operand)) {
    case 'immediate':
      return instruction.immediate;
    case 'register': {
      const register = instruction.register(operand);
      const value = cpu.state.gpr(register);
      return (instruction.isHighByte(operand) ? value >> 8n : value) & MASKS[bits];
    }
    case 'memory':
      return readSegmented(
        cpu,
        instruction.segment,
        instruction.effectiveAddress(),
        (bits / 8) as AccessBytes,
      );
  }
}

/** Writes an operand. False when a memory access failed: the instruction ends with `cpu.failed`. */
export function writeOperand(
  cpu: Cpu,
  instruction: Instruction,
  operand: number,
  value: bigint,
  bits: Bits = instruction.operandBits(operand) as Bits,
): boolean {
  if (instruction.operandKind(operand) === 'memory') {
    const bytes = (bits / 8) as AccessBytes;
    const address = instruction.effectiveAddress();
    return writeSegmented(cpu, instruction.segment, address, bytes, value & MASKS[bits]);
  }
  const register = instruction.register(operand);
  if (instruction.isHighByte(operand)) {
    const kept = cpu.state.gpr(register) & ~0xff00n;
    cpu.state.setGpr(register, kept | ((value & 0xffn) << 8n));
  } else {
    writeGpr(cpu, register, bits, value);
  }
  return true;
}

/** Whether an operand names memory. */
export function isMemory(instruction: Instruction, operand: number): boolean {
  return operand < instruction.operandCount && instruction.operandKind(operand) === 'memory';
}

/** #GP(0) unless CPL is 0. Real-address mode has CPL 0. */
export function requireCpl0(cpu: Cpu): Outcome {
  return cpu.state.CPL === 0 ? OUTCOME.NEXT : cpu.raiseGp();
}

/** #UD in real-address and virtual-8086 mode. */
export function requireProtectedMode(cpu: Cpu): Outcome {
  const { state } = cpu;
  return (state.cr0 & CR0.PE) === 0 || state.virtual8086 ? cpu.raiseUd() : OUTCOME.NEXT;
}

/** Runs the steps of an instruction in order until one does not end with `NEXT`, and gives its outcome. */
export function inOrder(...steps: readonly (() => Outcome)[]): Outcome {
  for (const step of steps) {
    const outcome = step();
    if (outcome !== OUTCOME.NEXT) return outcome;
  }
  return OUTCOME.NEXT;
}
