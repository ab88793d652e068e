/**
 * 112 to 864 are the x87 FPU's environment and state in memory, with 16- and 32-bit operand size; 4096 is the FXSAVE area, 0
 * what has no fixed size.
 */
/** Bytes. @see SDM "Instruction Format", 2.1 of volume 2A */
export const LONGEST_INSTRUCTION = 15;

export type OperandBits = 0 | 8 | 16 | 32 | 64 | 80 | 128 | 256 | 112 | 224 | 752 | 864 | 4096;

export type RegisterKind = 'general' | 'segment' | 'control' | 'debug' | 'xmm' | 'ymm' | 'mmx' | 'other';

/**
 * What a system instruction's TypeScript function sees of the decoded instruction. The decoded record implements it.
 */
export interface Instruction {
  /** Mnemonic in the manual's spelling, e.g. `LGDT`. */
  readonly name: string;
  /** Length in bytes, 1 to 15: the VM-exit instruction length. */
  readonly length: number;
  /** Effective operand and address size in bits. */
  readonly operandSize: 16 | 32 | 64;
  readonly addressSize: 16 | 32 | 64;
  /** F3 (REP, REPE) or F2 (REPNE) on a string instruction. */
  readonly repeat: 'none' | 'rep' | 'repne';
  readonly operandCount: number;
  operandKind(operand: number): 'register' | 'memory' | 'immediate';
  /** Size of an operand in bits. */
  operandBits(operand: number): OperandBits;
  /** Number of the register as encoded: a GPR, a segment, control or debug register, by what the operand is. */
  register(operand: number): number;
  /** What kind of register a register operand is: tells MOV to CR0 from MOV from CR0. */
  registerKind(operand: number): RegisterKind;
  /** Whether an 8-bit register operand is AH, CH, DH or BH (then `register` gives 0 to 3). */
  isHighByte(operand: number): boolean;
  /** The immediate (or branch or far offset), sign-extended to 64 bits. */
  readonly immediate: bigint;
  /** The selector of a direct far pointer (ptr16:16, ptr16:32). */
  readonly farSelector: number;
  /** Segment of the memory operand, prefixes applied. */
  readonly segment: number;
  /** Offset of the memory operand inside its segment, truncated to the address size. Reads registers. */
  effectiveAddress(): bigint;
  /** The same as two 32-bit halves, in an array that is the same at each call. */
  effectiveAddressHalves(): Int32Array;
  /** Base, index and scale as encoded, for the VM-exit instruction information; -1 when absent. */
  readonly memoryBase: number;
  readonly memoryIndex: number;
  /** The vector register that holds the indexes of a gather; not part of {@link effectiveAddress}. */
  readonly vectorIndex: { readonly number: number; readonly bits: number } | undefined;
  readonly memoryScale: 1 | 2 | 4 | 8;
  /** The displacement, sign-extended (RIP-relative ones are already absolute offsets from RIP's segment). */
  readonly memoryDisplacement: bigint;
  /** x87 instructions: the 11-bit opcode of the FPU's opcode register; 0 for others. */
  readonly x87Opcode: number;
}
