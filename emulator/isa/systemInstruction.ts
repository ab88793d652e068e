/** A decoded instruction as TypeScript functions see it (core/instruction.ts), made from iced-x86's result. */
import type { Instruction, OperandBits, RegisterKind } from '../core/instruction.ts';
import type { CpuState } from '../state/cpuState.ts';
import { OFFSET } from '../state/layout.ts';
import { CS, DS } from '../state/registers.ts';
import type { MemoryOperand, RegisterOperand } from './decode.ts';
import { codeNameOf, isOffered, memoryOperandOf, mnemonicOf, REGISTERS, segmentOf } from './decode.ts';
import type { SystemRow } from './forms.ts';
import type { IcedInstruction } from './iced.ts';
import { IcedEncoder, MemorySizeExt, Mnemonic, OpKind } from './iced.ts';

const GPRS = OFFSET.GPR >> 2;
const TWO_32 = 0x1_0000_0000;

type Operand =
  | { readonly kind: 'register'; readonly bits: Bits; readonly register: RegisterOperand }
  | { readonly kind: 'memory'; readonly bits: Bits }
  | { readonly kind: 'immediate'; readonly bits: Bits };
type Bits = OperandBits;

/** Address size and base of the implicit memory operands of string instructions. */
const STRING_OPERANDS = new Map<number, { bits: 16 | 32 | 64; register: number; segment: 'es' | 'override' }>(
  [
    [OpKind.MemorySegSI, { bits: 16, register: 6, segment: 'override' }],
    [OpKind.MemorySegESI, { bits: 32, register: 6, segment: 'override' }],
    [OpKind.MemorySegRSI, { bits: 64, register: 6, segment: 'override' }],
    [OpKind.MemorySegDI, { bits: 16, register: 7, segment: 'override' }],
    [OpKind.MemorySegEDI, { bits: 32, register: 7, segment: 'override' }],
    [OpKind.MemorySegRDI, { bits: 64, register: 7, segment: 'override' }],
    [OpKind.MemoryESDI, { bits: 16, register: 7, segment: 'es' }],
    [OpKind.MemoryESEDI, { bits: 32, register: 7, segment: 'es' }],
    [OpKind.MemoryESRDI, { bits: 64, register: 7, segment: 'es' }],
  ],
);

const NO_MEMORY: MemoryOperand = {
  segment: DS,
  base: -1,
  index: -1,
  scale: 1,
  displacement: 0n,
  ripRelative: false,
  addressBits: 64,
};

export class SystemInstruction implements Instruction {
  readonly name: string;
  readonly length: number;
  readonly operandSize: 16 | 32 | 64;
  readonly addressSize: 16 | 32 | 64;
  readonly repeat: 'none' | 'rep' | 'repne';
  /** It locks its memory operand. */
  readonly locked: boolean;
  readonly immediate: bigint;
  readonly farSelector: number;
  readonly segment: number;
  readonly x87Opcode: number;
  /** The row that executes it, once somebody has looked it up. */
  row: Pick<SystemRow, 'call' | 'ticks'> | undefined = undefined;
  readonly #state: CpuState;
  readonly #operands: readonly Operand[];
  readonly #memory: MemoryOperand;
  readonly #halves = new Int32Array(2);
  readonly #displacement: Uint32Array;

  constructor(state: CpuState, parts: SystemInstructionParts) {
    this.#state = state;
    this.name = parts.name;
    this.length = parts.length;
    this.operandSize = parts.operandSize;
    this.addressSize = parts.memory.addressBits;
    this.repeat = parts.repeat;
    this.locked = parts.locked;
    this.immediate = parts.immediate;
    this.farSelector = parts.farSelector;
    this.segment = parts.memory.segment;
    this.x87Opcode = parts.x87Opcode;
    this.#operands = parts.operands;
    this.#memory = parts.memory;
    const displacement = BigInt.asUintN(64, parts.memory.displacement);
    this.#displacement = new Uint32Array([Number(displacement & 0xffff_ffffn), Number(displacement >> 32n)]);
  }

  get operandCount(): number {
    return this.#operands.length;
  }

  get memoryBase(): number {
    return this.#memory.base;
  }

  get memoryIndex(): number {
    return this.#memory.index;
  }

  get vectorIndex(): MemoryOperand['vectorIndex'] {
    return this.#memory.vectorIndex;
  }

  get memoryScale(): 1 | 2 | 4 | 8 {
    return this.#memory.scale;
  }

  get memoryDisplacement(): bigint {
    const { displacement, ripRelative } = this.#memory;
    return ripRelative ? displacement + this.#pageBase() : displacement;
  }

  operandKind(operand: number): 'register' | 'memory' | 'immediate' {
    return this.#operand(operand).kind;
  }

  operandBits(operand: number): Bits {
    return this.#operand(operand).bits;
  }

  register(operand: number): number {
    const found = this.#operand(operand);
    return found.kind === 'register' ? found.register.number : -1;
  }

  registerKind(operand: number): RegisterKind {
    const found = this.#operand(operand);
    return found.kind === 'register' ? found.register.kind : 'other';
  }

  isHighByte(operand: number): boolean {
    const found = this.#operand(operand);
    return found.kind === 'register' && found.register.high;
  }

  effectiveAddress(): bigint {
    const { base, index, scale, displacement, ripRelative, addressBits } = this.#memory;
    let address = displacement;
    if (ripRelative) address += this.#pageBase();
    if (base >= 0) address += this.#state.gpr(base);
    if (index >= 0) address += this.#state.gpr(index) * BigInt(scale);
    return BigInt.asUintN(addressBits, address);
  }

  effectiveAddressHalves(): Int32Array {
    const halves = this.#halves;
    const { base, index, scale, ripRelative, addressBits } = this.#memory;
    if (ripRelative || addressBits === 16) {
      const address = this.effectiveAddress();
      halves[0] = Number(BigInt.asIntN(32, address));
      halves[1] = Number(BigInt.asIntN(32, address >> 32n));
      return halves;
    }
    const { u32 } = this.#state;
    let low = this.#displacement[0];
    let high = this.#displacement[1];
    if (base >= 0) {
      low += u32[GPRS + 2 * base];
      high += u32[GPRS + 2 * base + 1];
    }
    if (index >= 0) {
      low += u32[GPRS + 2 * index] * scale;
      high += u32[GPRS + 2 * index + 1] * scale;
    }
    halves[0] = low;
    halves[1] = addressBits === 32 ? 0 : high + Math.floor(low / TWO_32);
    return halves;
  }

  /** Displacements of RIP-relative operands count from the page base. */
  #pageBase(): bigint {
    const codeBase = this.#state.in64BitMode ? 0n : this.#state.segmentBase(CS);
    const rip = this.#state.u64[OFFSET.RIP >> 3] as bigint;
    return ((rip + codeBase) & ~0xfffn) - codeBase;
  }

  #operand(operand: number): Operand {
    const found = this.#operands[operand];
    if (found === undefined) throw new RangeError(`${this.name} has no operand ${operand}`);
    return found;
  }
}

interface SystemInstructionParts {
  readonly name: string;
  readonly length: number;
  readonly operandSize: 16 | 32 | 64;
  readonly repeat: 'none' | 'rep' | 'repne';
  readonly locked: boolean;
  readonly immediate: bigint;
  readonly farSelector: number;
  readonly operands: readonly Operand[];
  readonly memory: MemoryOperand;
  readonly x87Opcode: number;
}

export function decodeSystemInstruction(
  state: CpuState,
  instruction: IcedInstruction,
  codeBits: 16 | 32 | 64,
): SystemInstruction {
  const operands: Operand[] = [];
  let memory: MemoryOperand = { ...NO_MEMORY, addressBits: codeBits };
  let immediate = 0n;
  let farSelector = 0;
  for (let i = 0; i < instruction.opCount; i++) {
    const kind = instruction.opKind(i);
    const string = STRING_OPERANDS.get(kind);
    if (kind === OpKind.Register) {
      const register = REGISTERS[instruction.opRegister(i)] ?? UNKNOWN_REGISTER;
      operands.push({ kind: 'register', bits: register.bits, register });
    } else if (kind === OpKind.Memory) {
      memory = memoryOperandOf(instruction);
      operands.push({ kind: 'memory', bits: (MemorySizeExt.size(instruction.memorySize) * 8) as Bits });
    } else if (string !== undefined) {
      const segment = string.segment === 'es' ? 0 : segmentOf(instruction);
      memory = { ...NO_MEMORY, base: string.register, segment, addressBits: string.bits };
      operands.push({ kind: 'memory', bits: (MemorySizeExt.size(instruction.memorySize) * 8) as Bits });
    } else if (kind === OpKind.FarBranch16 || kind === OpKind.FarBranch32) {
      immediate = BigInt(kind === OpKind.FarBranch16 ? instruction.farBranch16 : instruction.farBranch32);
      farSelector = instruction.farBranchSelector;
      operands.push({ kind: 'immediate', bits: kind === OpKind.FarBranch16 ? 16 : 32 });
    } else if (kind === OpKind.NearBranch16 || kind === OpKind.NearBranch32 || kind === OpKind.NearBranch64) {
      immediate = instruction.nearBranchTarget;
      operands.push({ kind: 'immediate', bits: 64 });
    } else if (kind === OpKind.Immediate8_2nd) {
      farSelector = instruction.immediate8_2nd;
      operands.push({ kind: 'immediate', bits: 8 });
    } else {
      immediate = BigInt.asIntN(64, instruction.immediate(i));
      operands.push({ kind: 'immediate', bits: 8 });
    }
  }
  return new SystemInstruction(state, {
    name: systemName(instruction, operands),
    length: instruction.length,
    operandSize: operandSize(instruction, codeBits, operands),
    locked: isLocked(instruction),
    repeat: instruction.hasRepnePrefix ? 'repne' : instruction.hasRepPrefix ? 'rep' : 'none',
    immediate,
    farSelector,
    operands,
    memory,
    x87Opcode: x87Opcode(instruction, codeBits),
  });
}

/** LOCK, and XCHG with memory, which needs no prefix. @see SDM "Software Controlled Bus Locking", 10.1.2.2 */
export function isLocked(instruction: IcedInstruction): boolean {
  if (instruction.hasLockPrefix) return !instruction.isInvalid;
  return instruction.mnemonic === Mnemonic.Xchg && instruction.op0Kind === OpKind.Memory;
}

/** Bits 10:0 are the low three bits of the opcode byte, D8 to DF, and the ModR/M byte. */
function x87Opcode(instruction: IcedInstruction, codeBits: 16 | 32 | 64): number {
  if (!/^F(?!XSAVE|XRSTOR|EMMS)/.test(mnemonicOf(instruction))) return 0;
  const encoder = new IcedEncoder(codeBits);
  encoder.encode(instruction, instruction.ip);
  const bytes = encoder.takeBuffer();
  encoder.free();
  const at = bytes.findIndex((byte) => (byte & 0xf8) === 0xd8);
  return (((bytes[at] as number) & 7) << 8) | (bytes[at + 1] as number);
}

const UNKNOWN_REGISTER: RegisterOperand = { kind: 'other', number: 0, bits: 64, high: false };

/** Mnemonics that stand for several instructions are told apart by their operands. */
const BY_REGISTER: Readonly<Record<string, string>> = { segment: 'SREG', control: 'CR', debug: 'DR' };

function systemName(instruction: IcedInstruction, operands: readonly Operand[]): string {
  if (instruction.isInvalid || !isOffered(instruction)) return 'INVALID';
  const mnemonic = mnemonicOf(instruction);
  if (mnemonic === 'CALL' || mnemonic === 'JMP') return `${mnemonic} FAR`;
  if (mnemonic === 'MOV' || mnemonic === 'PUSH' || mnemonic === 'POP') {
    for (const operand of operands) {
      const suffix = operand.kind === 'register' ? BY_REGISTER[operand.register.kind] : undefined;
      if (suffix !== undefined) return `${mnemonic} ${suffix}`;
    }
  }
  return mnemonic;
}

/**
 * Code names that carry the operand size where operands do not: `Iretq`, `Retfd_imm16`, `Pushfq`, `Call_m1664`,
 * `Lgdt_m1632_16`.
 */
const SIZED_CODE =
  /^(?:Iret|Retf|Pushf|Popf|Pusha|Popa|Push|Pop|Enter|Sysexit|Sysret)([wdq])|^(?:Call|Jmp)_(?:m16|ptr16)(16|32|64)|^[LS][GI]dt_m16\d\d(?:_(16))?/;
const SIZES: Readonly<Record<string, 16 | 32 | 64>> = { w: 16, d: 32, q: 64, '16': 16, '32': 32, '64': 64 };

function operandSize(
  instruction: IcedInstruction,
  codeBits: 16 | 32 | 64,
  operands: readonly Operand[],
): 16 | 32 | 64 {
  const match = SIZED_CODE.exec(codeNameOf(instruction));
  const sized = match && (match[1] ?? match[2] ?? match[3]);
  if (sized) return SIZES[sized] as 16 | 32 | 64;
  for (const operand of operands) {
    if (operand.kind !== 'immediate' && (operand.bits === 16 || operand.bits === 32 || operand.bits === 64))
      return operand.bits;
  }
  return codeBits;
}
