/**
 * The VM-exit instruction-information field and the displacement that an exit qualification holds.
 *
 * Intel SDM Vol. 3C, "Information for VM Exits Due to Instruction Execution", 26.9.4; "VM-Exit Instruction
 * Information", 29.2.5.
 */
import type { Instruction } from '../core/instruction.ts';

const ADDRESS_SIZE_SHIFT = 7;
const REGISTER_1_SHIFT = 3;
const REGISTER_FORM = 1 << 10;
const OPERAND_SIZE_SHIFT = 11;
const SEGMENT_SHIFT = 15;
const INDEX_SHIFT = 18;
const INDEX_INVALID = 1 << 22;
const BASE_SHIFT = 23;
const BASE_INVALID = 1 << 27;
const REGISTER_2_SHIFT = 28;

/** 16, 32 and 64 bits as the address-size and operand-size fields say it. */
function sizeCode(bits: number): number {
  return bits === 64 ? 2 : bits === 32 ? 1 : 0;
}

/** The memory operand: scaling, address size, segment, index and base. */
export function memoryOperandInformation(instruction: Instruction): number {
  const { addressSize, segment, memoryBase, memoryIndex, memoryScale } = instruction;
  const index =
    memoryIndex < 0 ? INDEX_INVALID : (memoryIndex << INDEX_SHIFT) | (31 - Math.clz32(memoryScale));
  const base = memoryBase < 0 ? BASE_INVALID : memoryBase << BASE_SHIFT;
  return index | base | (sizeCode(addressSize) << ADDRESS_SIZE_SHIFT) | (segment << SEGMENT_SHIFT);
}

/** INS and OUTS: the segment is that of OUTS. */
export function stringInformation({ addressSize, segment }: Instruction, input: boolean): number {
  return (sizeCode(addressSize) << ADDRESS_SIZE_SHIFT) | (input ? 0 : segment << SEGMENT_SHIFT);
}

/** INVEPT, INVVPID, INVPCID: the register operand is the first. */
export function invalidateInformation(instruction: Instruction): number {
  return memoryOperandInformation(instruction) | (instruction.register(0) << REGISTER_2_SHIFT);
}

/** SGDT, SIDT, LGDT, LIDT, by their number in the field. */
export function descriptorTableInformation(instruction: Instruction, number: number): number {
  const wide = instruction.operandSize === 16 ? 0 : 1;
  return memoryOperandInformation(instruction) | (wide << OPERAND_SIZE_SHIFT) | (number << REGISTER_2_SHIFT);
}

/** An operand that is a register or memory. */
function registerOrMemory(instruction: Instruction, operand: number): number {
  return instruction.operandKind(operand) === 'memory'
    ? memoryOperandInformation(instruction)
    : REGISTER_FORM | (instruction.register(operand) << REGISTER_1_SHIFT);
}

/** SLDT, STR, LLDT, LTR, by their number in the field. */
export function systemSegmentInformation(instruction: Instruction, number: number): number {
  return registerOrMemory(instruction, 0) | (number << REGISTER_2_SHIFT);
}

/** VMREAD r/m, r and VMWRITE r, r/m: the other operand holds the encoding. */
export function vmreadVmwriteInformation(instruction: Instruction, valueOperand: 0 | 1): number {
  const encoding = instruction.register(1 - valueOperand);
  return registerOrMemory(instruction, valueOperand) | (encoding << REGISTER_2_SHIFT);
}

/** RDRAND, RDSEED, UMWAIT, TPAUSE. */
export function destinationInformation(instruction: Instruction): number {
  return (
    (instruction.register(0) << REGISTER_1_SHIFT) |
    (sizeCode(instruction.operandBits(0)) << OPERAND_SIZE_SHIFT)
  );
}

/**
 * The displacement of the memory operand, sign-extended; a RIP-relative one is the sum with RIP.
 *
 * @see SDM "Basic VM-Exit Information", 29.2.1
 */
export function displacementOf(instruction: Instruction): bigint {
  for (let operand = 0; operand < instruction.operandCount; operand++) {
    if (instruction.operandKind(operand) === 'memory')
      return BigInt.asUintN(64, instruction.memoryDisplacement);
  }
  return 0n;
}
