/** Instructions for tests, described by their operands. */

import { DS } from '../../state/registers.ts';
import type { Instruction, OperandBits } from '../instruction.ts';

type Bits = OperandBits;
type Kind = 'general' | 'segment' | 'control' | 'debug' | 'other';

export type TestOperand =
  | { readonly register: number; readonly bits: Bits; readonly kind?: Kind; readonly high?: boolean }
  /** A memory operand at this offset of the segment (DS unless said). */
  | { readonly at: bigint; readonly bits: Bits; readonly segment?: number }
  | { readonly immediate: bigint; readonly selector?: number };

export interface TestInstructionOptions {
  readonly length?: number;
  readonly operandSize?: 16 | 32 | 64;
  readonly addressSize?: 16 | 32 | 64;
  readonly repeat?: 'none' | 'rep' | 'repne';
  readonly x87Opcode?: number;
}

export const reg = (register: number, bits: Bits = 64): TestOperand => ({ register, bits });
export const sreg = (register: number): TestOperand => ({ register, bits: 16, kind: 'segment' });
export const cr = (register: number): TestOperand => ({ register, bits: 64, kind: 'control' });
export const dr = (register: number): TestOperand => ({ register, bits: 64, kind: 'debug' });
export const mem = (at: bigint, bits: Bits = 64, segment = DS): TestOperand => ({ at, bits, segment });
/** A register of the FPU's stack. */
export const st = (register: number): TestOperand => ({ register, bits: 80, kind: 'other' });
export const imm = (immediate: bigint): TestOperand => ({ immediate });
export const far = (selector: number, immediate: bigint): TestOperand => ({ immediate, selector });

export function testInstruction(
  name: string,
  operands: readonly TestOperand[] = [],
  options: TestInstructionOptions = {},
): Instruction {
  const { length = 2, operandSize = 64, addressSize = 64, repeat = 'none', x87Opcode = 0 } = options;
  const memory = operands.find((operand) => 'at' in operand);
  const immediate = operands.find((operand) => 'immediate' in operand);
  const at = (index: number): TestOperand => {
    const operand = operands[index];
    if (!operand) throw new Error(`${name} has no operand ${index}`);
    return operand;
  };
  return {
    name,
    length,
    x87Opcode,
    operandSize,
    addressSize,
    repeat,
    operandCount: operands.length,
    operandKind: (index) => {
      const operand = at(index);
      return 'register' in operand ? 'register' : 'at' in operand ? 'memory' : 'immediate';
    },
    operandBits: (index) => {
      const operand = at(index);
      return 'bits' in operand ? operand.bits : 8;
    },
    register: (index) => {
      const operand = at(index);
      return 'register' in operand ? operand.register : -1;
    },
    registerKind: (index) => {
      const operand = at(index);
      return 'register' in operand ? (operand.kind ?? 'general') : 'other';
    },
    isHighByte: (index) => {
      const operand = at(index);
      return 'register' in operand && operand.high === true;
    },
    immediate: immediate && 'immediate' in immediate ? immediate.immediate : 0n,
    farSelector: immediate && 'immediate' in immediate ? (immediate.selector ?? 0) : 0,
    segment: memory && 'at' in memory ? (memory.segment ?? DS) : DS,
    effectiveAddress: () => (memory && 'at' in memory ? memory.at : 0n),
    effectiveAddressHalves: () => {
      const address = memory && 'at' in memory ? memory.at : 0n;
      return new Int32Array(BigUint64Array.of(address).buffer);
    },
    memoryBase: -1,
    memoryIndex: -1,
    vectorIndex: undefined,
    memoryScale: 1,
    memoryDisplacement: memory && 'at' in memory ? memory.at : 0n,
  };
}
