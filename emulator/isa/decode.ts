/**
 * Turns iced-x86's result into what the engine executes: the handler's key and the operand fields of a record, or a
 * system instruction.
 */

import type { RegisterKind } from '../core/instruction.ts';
import { AR, DS, FS, RBP, RSP, SS } from '../state/registers.ts';
import type { HandlerOperand, OperandBits } from './forms.ts';
import { handlerKey } from './forms.ts';
import type { IcedInstruction } from './iced.ts';
import {
  Code,
  CodeSize,
  CpuidFeature,
  EncodingKind,
  MemorySizeExt,
  Mnemonic,
  OpKind,
  Register,
} from './iced.ts';
import type { Bits } from './ir.ts';

/** What bytes mean depends on this alone: the default size of the code segment. */
export type CodeBits = 16 | 32 | 64;

/** In CODE_CONTEXT, between the translation context and the code segment. */
export function codeSizeInContext(bits: CodeBits): number {
  return (bits >> 5) << 12;
}

export function codeBits(longMode: boolean, codeAccessRights: number): CodeBits {
  if (longMode && (codeAccessRights & AR.L) !== 0) return 64;
  return codeAccessRights & AR.DB ? 32 : 16;
}

export interface RegisterOperand {
  readonly kind: RegisterKind;
  readonly number: number;
  readonly bits: 8 | 16 | 32 | 64 | 80 | 128 | 256;
  readonly high: boolean;
}

export const REGISTERS: readonly (RegisterOperand | undefined)[] = describeRegisters();

function describeRegisters(): (RegisterOperand | undefined)[] {
  const all: (RegisterOperand | undefined)[] = [];
  const define = (
    names: string,
    bits: RegisterOperand['bits'],
    kind: RegisterKind = 'general',
    high = false,
  ) => {
    names.split(' ').forEach((name, number) => {
      all[Register[name as keyof typeof Register]] = { kind, number, bits, high };
    });
  };
  const numbered = (prefix: string, count: number, suffix = '') =>
    Array.from({ length: count }, (_, i) => `${prefix}${i}${suffix}`).join(' ');
  const upper = (suffix: string) => numbered('R', 16, suffix).split(' ').slice(8).join(' ');
  define(`RAX RCX RDX RBX RSP RBP RSI RDI ${upper('')}`, 64);
  define(`EAX ECX EDX EBX ESP EBP ESI EDI ${upper('D')}`, 32);
  define(`AX CX DX BX SP BP SI DI ${upper('W')}`, 16);
  define(`AL CL DL BL SPL BPL SIL DIL ${upper('L')}`, 8);
  define('AH CH DH BH', 8, 'general', true);
  define('ES CS SS DS FS GS', 16, 'segment');
  define(numbered('CR', 16), 64, 'control');
  define(numbered('DR', 16), 64, 'debug');
  define(numbered('ST', 8), 80, 'other');
  define(numbered('XMM', 16), 128, 'xmm');
  define(numbered('YMM', 16), 256, 'ymm');
  define(numbered('MM', 8), 64, 'mmx');
  return all;
}

/** By mnemonic, as they are asked for: iced-x86's tables are large. */
const mnemonicNames: string[] = [];

function mnemonicName(mnemonic: number): string {
  mnemonicNames[mnemonic] ??= (Mnemonic[mnemonic] as string).toUpperCase();
  return mnemonicNames[mnemonic];
}

/** Mnemonics that several of ours share, or that iced spells by size where our rows do not. */
const RENAMED: Readonly<Record<string, string>> = {
  JECXZ: 'JCXZ',
  JRCXZ: 'JCXZ',
  ENDBR32: 'NOP',
  ENDBR64: 'NOP',
  // Without shadow stacks.
  RDSSPD: 'NOP',
  RDSSPQ: 'NOP',
  RESERVEDNOP: 'NOP',
  PREFETCHNTA: 'PREFETCH',
  PREFETCHT0: 'PREFETCH',
  PREFETCHT1: 'PREFETCH',
  PREFETCHT2: 'PREFETCH',
  PREFETCHW: 'PREFETCH',
  SAL: 'SHL',
  INT1: 'INT1',
};

/** The manual's mnemonic, without operands. */
export function mnemonicOf(instruction: IcedInstruction): string {
  const name = mnemonicName(instruction.mnemonic);
  // Two instructions have the names of string instructions.
  if (name === 'MOVSD' || name === 'CMPSD')
    return codeNameOf(instruction).includes('xmm') ? `${name} XMM` : name;
  return RENAMED[name] ?? name;
}

/** iced-x86's name of the encoding, e.g. `Iretq`. */
export function codeNameOf(instruction: IcedInstruction): string {
  return Code[instruction.code] as string;
}

/** Segment, addressing registers and displacement of a memory operand. */
export interface MemoryOperand {
  readonly segment: number;
  /** GPR number, or -1. */
  readonly base: number;
  readonly index: number;
  /** Of a gather, instead of an index. */
  readonly vectorIndex?: { readonly number: number; readonly bits: number };
  readonly scale: 1 | 2 | 4 | 8;
  /** Sign-extended; relative to the page base for RIP-relative operands. */
  readonly displacement: bigint;
  readonly ripRelative: boolean;
  readonly addressBits: 16 | 32 | 64;
}

const STRING_ADDRESS_BITS = new Map<number, 16 | 32 | 64>([
  [OpKind.MemorySegSI, 16],
  [OpKind.MemorySegDI, 16],
  [OpKind.MemoryESDI, 16],
  [OpKind.MemorySegESI, 32],
  [OpKind.MemorySegEDI, 32],
  [OpKind.MemoryESEDI, 32],
  [OpKind.MemorySegRSI, 64],
  [OpKind.MemorySegRDI, 64],
  [OpKind.MemoryESRDI, 64],
]);

/** The segment of the memory operand. In 64-bit code prefixes other than FS and GS mean nothing. */
export function segmentOf(instruction: IcedInstruction): number {
  const segment = REGISTERS[instruction.memorySegment]?.number ?? DS;
  if (
    instruction.segmentPrefix === Register.None ||
    segment >= FS ||
    instruction.codeSize !== CodeSize.Code64
  )
    return segment;
  const base = REGISTERS[instruction.memoryBase]?.number;
  return base === RSP || base === RBP ? SS : DS;
}

export function memoryOperandOf(instruction: IcedInstruction): MemoryOperand {
  const base = instruction.memoryBase;
  const index = instruction.memoryIndex;
  const ripRelative = base === Register.RIP || base === Register.EIP;
  const baseRegister = ripRelative ? undefined : REGISTERS[base];
  const named = REGISTERS[index];
  const vectorIndex = named?.kind === 'xmm' || named?.kind === 'ymm' ? named : undefined;
  const indexRegister = vectorIndex ? undefined : named;
  let addressBits: 16 | 32 | 64;
  if (ripRelative) addressBits = base === Register.RIP ? 64 : 32;
  else if (baseRegister ?? indexRegister) addressBits = (baseRegister ?? indexRegister)?.bits as 16 | 32 | 64;
  else addressBits = ({ 2: 16, 4: 32 } as const)[instruction.memoryDisplSize] ?? 64;
  const displacement = BigInt.asIntN(64, instruction.memoryDisplacement);
  return {
    segment: segmentOf(instruction),
    base: baseRegister?.number ?? -1,
    index: indexRegister?.number ?? -1,
    ...(vectorIndex ? { vectorIndex } : {}),
    scale: instruction.memoryIndexScale as 1 | 2 | 4 | 8,
    displacement,
    ripRelative,
    addressBits,
  };
}

/** The operand fields of a record, and the handler's key. */
export interface DecodedForm {
  readonly key: string;
  /** The key with the general memory form, for rows or sizes without the quick ones. */
  readonly generalKey: string;
  /** Byte offsets in the GPR file of register operands. */
  readonly registers: readonly number[];
  readonly memory: MemoryOperand | undefined;
  readonly immediate: bigint;
  /** Offset of a direct branch's target from the page base. */
  readonly branchTarget: number | undefined;
  readonly branch16: boolean;
  /** Segment and address size that implicit memory operands use. */
  readonly segment: number;
  readonly addressBits: 16 | 32 | 64;
}

const IMMEDIATE_BITS = new Map<number, Bits>([
  [OpKind.Immediate8, 8],
  [OpKind.Immediate16, 16],
  [OpKind.Immediate32, 32],
  [OpKind.Immediate64, 64],
  [OpKind.Immediate8to16, 16],
  [OpKind.Immediate8to32, 32],
  [OpKind.Immediate8to64, 64],
  [OpKind.Immediate32to64, 64],
]);

/** Shift and rotate counts, ENTER and bit offsets are 8-bit immediates that do not take the operand's size. */
const COUNTED = /^(SHL|SHR|SAR|ROL|ROR|RCL|RCR|SHLD|SHRD)$/;
const STACK = /^(PUSH|POP|CALL|RET|LEAVE)$/;
/** Other rows with a handler for 64-bit mode of their own. */
const BY_MODE = /^(JMP|SYSCALL|SYSRETQ)$/;
const COUNTER = /^(LOOP|LOOPE|LOOPNE|JCXZ)$/;
const SIZE_SUFFIX: Readonly<Record<string, Bits>> = { B: 8, W: 16, D: 32, Q: 64 };
const FIXED_BITS: Readonly<Record<string, Bits>> = { CBW: 16, CWDE: 32, CDQE: 64, CWD: 16, CDQ: 32, CQO: 64 };

const VECTOR_OPERANDS: Readonly<Partial<Record<RegisterKind, 'v' | 'q'>>> = { xmm: 'v', ymm: 'v', mmx: 'q' };

/** By the decoder's names: extensions that no processor here has, and whose encodings are #UD without them. */
const NEVER =
  /^(AESKLE|AMX_|AVX512|AVX_(IFMA|NE_CONVERT|VNNI)|CMPCCXADD|CYRIX_|FMA4|GFNI|KNC|MCOMMIT|PADLOCK_|RAO_INT|SHA512|SM3|SM4|VAES|VPCLMULQDQ|WIDE_KL)/;
const offered = new Map<number, boolean>();

/** Whether some processor here may have the instruction: EVEX, XOP and 3DNow! are no encodings, and {@link NEVER}. */
export function isOffered(instruction: IcedInstruction): boolean {
  const { code, encoding } = instruction;
  let answer = offered.get(code);
  if (answer === undefined) {
    const features = [...instruction.cpuidFeatures()].map((feature) => CpuidFeature[feature] as string);
    answer =
      (encoding === EncodingKind.Legacy || encoding === EncodingKind.VEX) &&
      !features.some((name) => NEVER.test(name));
    offered.set(code, answer);
  }
  return answer;
}

/**
 * The emitted handler that an instruction may have; undefined when an operand is none of ours (then it is a system
 * instruction or not implemented). Whether the handler exists is the caller's look-up.
 */
export function formOf(instruction: IcedInstruction, code: CodeBits): DecodedForm | undefined {
  const mnemonic = mnemonicOf(instruction);
  const operands: HandlerOperand[] = [];
  const bits: OperandBits[] = [];
  const registers: number[] = [];
  let memory: MemoryOperand | undefined;
  let string: 16 | 32 | 64 | undefined;
  let stringBits: Bits | undefined;
  let immediate = 0n;
  let branchTarget: number | undefined;
  let branch16 = false;
  let vectors = false;
  if (!isOffered(instruction)) return undefined;
  for (let i = 0; i < instruction.opCount; i++) {
    const kind = instruction.opKind(i);
    if (kind === OpKind.Register) {
      const register = REGISTERS[instruction.opRegister(i)];
      if (register === undefined) return undefined;
      const vector = VECTOR_OPERANDS[register.kind];
      if (vector !== undefined) {
        vectors = true;
        operands.push(vector);
        bits.push(register.bits as OperandBits);
        registers.push(register.number * 8);
        continue;
      }
      // ST(0) to ST(7).
      if (register.bits === 80) {
        operands.push('t');
        bits.push(80);
        registers.push(register.number * 8);
        continue;
      }
      if (register.kind !== 'general') return undefined;
      if (register.number === 1 && register.bits === 8 && i > 0 && COUNTED.test(mnemonic)) {
        operands.push('c');
        bits.push(8);
        registers.push(0);
        continue;
      }
      operands.push(register.high ? 'h' : 'r');
      bits.push(register.bits as OperandBits);
      registers.push(register.number * 8 + (register.high ? 1 : 0));
      continue;
    }
    registers.push(0);
    if (kind === OpKind.Memory && mnemonic === 'XLATB') {
      string = REGISTERS[instruction.memoryBase]?.bits as 16 | 32 | 64;
      stringBits = 8;
      continue;
    }
    if (kind === OpKind.Memory) {
      memory = memoryOperandOf(instruction);
      // A 64-bit absolute offset does not fit a record.
      if (
        !memory.ripRelative &&
        memory.displacement !== BigInt.asIntN(32, memory.displacement) &&
        memory.addressBits === 64
      )
        return undefined;
      operands.push(memoryForm(memory, code));
      // LEA accesses nothing: its operand has the destination's size.
      bits.push((MemorySizeExt.size(instruction.memorySize) * 8 || bits[0]) as OperandBits);
      continue;
    }
    const size = IMMEDIATE_BITS.get(kind);
    if (size !== undefined) {
      operands.push('i');
      bits.push(size);
      immediate = BigInt.asUintN(size, instruction.immediate(i));
      continue;
    }
    if (kind === OpKind.NearBranch16 || kind === OpKind.NearBranch32 || kind === OpKind.NearBranch64) {
      operands.push('j');
      branch16 = kind === OpKind.NearBranch16;
      bits.push(branch16 ? 16 : kind === OpKind.NearBranch32 ? 32 : 64);
      branchTarget = Number(BigInt.asIntN(branch16 ? 16 : 64, instruction.nearBranchTarget));
      if (kind === OpKind.NearBranch32) branchTarget |= 0;
      if (kind !== OpKind.NearBranch64) immediate = BigInt.asUintN(64, BigInt(branchTarget) - instruction.ip);
      continue;
    }
    const addressBits = STRING_ADDRESS_BITS.get(kind);
    if (addressBits === undefined) return undefined;
    string = addressBits;
    stringBits = (MemorySizeExt.size(instruction.memorySize) * 8) as Bits;
  }
  const op = stringOperation(instruction, mnemonic, string);
  const segment = segmentOf(instruction);
  let size: OperandBits;
  let variant: 'flat' | 'legacy' | undefined;
  let addressBits: 16 | 32 | 64 = memory?.addressBits ?? code;
  if (string !== undefined) {
    operands.length = 0;
    bits.length = 0;
    size = stringBits as Bits;
    addressBits = string;
    variant = code === 64 && string === 64 && segment < FS ? 'flat' : 'legacy';
  } else if (STACK.test(mnemonic)) {
    variant = code === 64 ? 'flat' : 'legacy';
    size = bits[0] ?? sizeFromCode(instruction);
    if (mnemonic === 'RET') {
      size = sizeFromCode(instruction);
      if (bits.length > 0) bits[0] = size;
    }
  } else if (COUNTER.test(mnemonic)) {
    addressBits = counterBits(instruction, mnemonic);
    variant = code === 64 && addressBits === 64 ? 'flat' : 'legacy';
    size = bits[0] as Bits;
  } else {
    if (BY_MODE.test(mnemonic) || (instruction.encoding === EncodingKind.VEX && !vectors))
      variant = code === 64 ? 'flat' : 'legacy';
    size = bits[0] ?? FIXED_BITS[op] ?? 8;
  }
  if (op === 'NOP' && operands.length === 0) size = 8;
  const key = handlerKey(op, size, operands, bits, variant);
  const general = operands.map(
    (kind): HandlerOperand => (kind === 'b' || kind === 'x' || kind === 'p' ? 's' : kind),
  );
  return {
    key,
    generalKey: memory === undefined ? key : handlerKey(op, size, general, bits, variant),
    registers,
    memory,
    immediate,
    branchTarget,
    branch16,
    segment,
    addressBits,
  };
}

/** The quick forms need 64-bit addressing, no FS or GS, and a displacement of 32 bits. */
function memoryForm(memory: MemoryOperand, code: CodeBits): HandlerOperand {
  if (code !== 64 || memory.addressBits !== 64 || memory.segment >= FS) return 's';
  if (memory.ripRelative) return 'p';
  return memory.index >= 0 ? 'x' : 'b';
}

/** `REP MOVSB`; the iced mnemonic MOVSD is the string instruction when its operands are. */
function stringOperation(instruction: IcedInstruction, mnemonic: string, string: number | undefined): string {
  if (string === undefined) return mnemonic;
  if (mnemonic === 'XLATB' || (!instruction.hasRepPrefix && !instruction.hasRepnePrefix)) return mnemonic;
  if (!mnemonic.startsWith('SCAS') && !mnemonic.startsWith('CMPS')) return `REP ${mnemonic}`;
  return `${instruction.hasRepnePrefix ? 'REPNE' : 'REPE'} ${mnemonic}`;
}

/** RET and LEAVE: iced's code names carry the size letter (`Retnq`, `Leaved`). */
function sizeFromCode(instruction: IcedInstruction): Bits {
  const name = codeNameOf(instruction);
  const letter = /^(?:Retn|Leave)([wdq])/.exec(name)?.[1];
  return letter === undefined ? 64 : (SIZE_SUFFIX[letter.toUpperCase()] as Bits);
}

function counterBits(instruction: IcedInstruction, mnemonic: string): 16 | 32 | 64 {
  // `Jrcxz`, or `Loop_rel8_64_RCX`.
  const names = mnemonic === 'JCXZ' ? mnemonicName(instruction.mnemonic) : codeNameOf(instruction);
  const counter = /([RE]?)CX(?:Z?)$/.exec(names as string)?.[1];
  return counter === 'R' ? 64 : counter === 'E' ? 32 : 16;
}
