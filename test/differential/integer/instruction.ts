/**
 * Instructions as GNU as text (Intel syntax) for a handler's form: every register, high byte, addressing form, size and
 * immediate that it stands for.
 */
import type { HandlerOperand, HandlerSpec } from '../../../emulator/isa/forms.ts';
import type { Bits } from '../../../emulator/isa/ir.ts';
import { RCX, RSP } from '../../../emulator/state/registers.ts';
import type { Random } from '../../support/random.ts';
import { CODE, GS_BASE, LANDING, LANDING_SIZE } from './layout.ts';
import { edge } from './values.ts';

export type Mode = 64 | 32;
export const MODES: readonly Mode[] = [64, 32];

/** What an instruction is to look like: a handler's form, or that of an instruction that has no handler. */
export interface Shape {
  /** The handler's key; for system instructions just a name. */
  readonly key: string;
  readonly op: string;
  readonly bits: Bits;
  readonly operands: readonly HandlerOperand[];
  readonly operandBits: readonly Bits[];
  readonly variant: 'flat' | 'legacy' | undefined;
  /** Modes that the handler is for. */
  readonly modes: readonly Mode[];
  /** The text, where it does not follow from the operands. */
  readonly text?: (random: Random) => string;
}

export function shapeOf(spec: HandlerSpec): Shape {
  const { key, row, operands, flat } = spec;
  const [bits, operandBits] = [spec.bits as Bits, spec.operandBits as readonly Bits[]];
  const variant = row.variants === undefined ? undefined : flat ? 'flat' : 'legacy';
  const byMode = row.variants === 'mode' || row.variants === 'stack';
  const modes: readonly Mode[] = !byMode ? MODES : flat ? [64] : [32];
  return { key, op: row.op, bits, operands, operandBits, variant, modes };
}

export interface RegisterText {
  readonly number: number;
  readonly bits: Bits;
  readonly high: boolean;
}

export interface MemoryText {
  /** Registers by number, -1 for none. */
  readonly base: number;
  readonly index: number;
  readonly scale: number;
  readonly displacement: bigint;
  readonly addressBits: 16 | 32 | 64;
  /** Through GS, whose base counts. */
  readonly gs: boolean;
  /** The linear address of a RIP-relative operand. */
  readonly fixed: bigint | undefined;
}

export type OperandText =
  | ({ readonly kind: 'register' } & RegisterText)
  | ({ readonly kind: 'memory' } & MemoryText)
  | { readonly kind: 'immediate'; readonly value: bigint }
  | { readonly kind: 'count' }
  | { readonly kind: 'target' };

export interface TestInstruction {
  readonly shape: Shape;
  readonly mode: Mode;
  readonly text: string;
  readonly operands: readonly OperandText[];
  /** Address size and segment of what it addresses without naming it. */
  readonly addressBits: 16 | 32 | 64;
  readonly gs: boolean;
  readonly locked: boolean;
}

const NAMES = 'a c d b sp bp si di'.split(' ');
const MEMORY_SIZES: Record<Bits, string> = { 8: 'byte', 16: 'word', 32: 'dword', 64: 'qword' };
const COUNTER = /^(LOOP|LOOPE|LOOPNE|JCXZ)$/;
const BRANCH = /^(J[A-Z]+|JMP)$/;
const LOCKABLE =
  /^(ADD|ADC|AND|BTC|BTR|BTS|CMPXCHG|CMPXCHG8B|CMPXCHG16B|DEC|INC|NEG|NOT|OR|SBB|SUB|XOR|XADD|XCHG)$/;
/** Memory operands that are written without a size. */
const UNSIZED = /^(LEA|CMPXCHG8B|CMPXCHG16B)$/;
/** 16-bit forms that GNU as does not write: the 32-bit form is written behind a prefix. */
const WRITTEN_WIDE = /^(MOVSXD|BSWAP)$/;
const HAS_SOURCE = /(MOVS|LODS|CMPS)[BWDQ]$|^XLATB$/;
/** Not in legacy code: the opcode means something else there. */
const ONLY_64 = /^MOVSXD$/;

export function registerName({ number, bits, high }: RegisterText): string {
  if (high) return `${NAMES[number]}h`;
  if (number >= 8) return `r${number}${{ 8: 'b', 16: 'w', 32: 'd', 64: '' }[bits]}`;
  const name = NAMES[number] as string;
  if (bits === 8) return `${name}l`;
  const wide = name.length === 1 ? `${name}x` : name;
  return { 16: wide, 32: `e${wide}`, 64: `r${wide}` }[bits];
}

/** Whether code of this mode has the shape. */
export function existsIn(shape: Shape, mode: Mode): boolean {
  const { op, bits, operands, operandBits, variant, modes } = shape;
  if (!modes.includes(mode)) return false;
  if (mode === 32) {
    if (variant === 'flat' || ONLY_64.test(op) || bits === 64 || operandBits.some((size) => size === 64))
      return false;
    if (operands.some((kind) => kind === 'b' || kind === 'x' || kind === 'p')) return false;
    // A 16-bit branch needs a prefix that GNU as does not write.
    return operands[0] !== 'j' || bits === 32;
  }
  return (!BRANCH.test(op) && !COUNTER.test(op)) || bits === 64;
}

/** One instruction of the shape for code of this mode. */
export function makeInstruction(shape: Shape, mode: Mode, random: Random): TestInstruction {
  return new Maker(shape, mode, random).make();
}

class Maker {
  readonly #shape: Shape;
  readonly #mode: Mode;
  readonly #random: Random;
  /** AH, CH, DH and BH cannot stand beside a REX prefix. */
  readonly #withoutRex: boolean;
  readonly #prefixes: number[] = [];

  constructor(shape: Shape, mode: Mode, random: Random) {
    this.#shape = shape;
    this.#mode = mode;
    this.#random = random;
    this.#withoutRex = mode === 32 || shape.operands.includes('h');
  }

  make(): TestInstruction {
    const { op, operands, operandBits, variant } = this.#shape;
    let addressBits: 16 | 32 | 64 = this.#mode;
    let gs = false;
    if (variant === 'legacy' && this.#mode === 64) {
      // String and counter instructions outside flat addressing.
      gs = HAS_SOURCE.test(op) && this.#chance(2);
      if (!gs || this.#chance(2)) addressBits = 32;
      if (gs) this.#prefixes.push(0x65);
      if (addressBits === 32) this.#prefixes.push(0x67);
    }
    const made = operands.map((kind, i) => this.#operand(kind, operandBits[i] as Bits));
    const locked = LOCKABLE.test(op) && made[0]?.kind === 'memory' && this.#chance(4);
    if (locked) this.#prefixes.push(0xf0);
    // The old segment prefixes mean nothing in 64-bit mode.
    if (this.#mode === 64 && this.#chance(12)) this.#prefixes.unshift(this.#pick([0x2e, 0x36, 0x3e, 0x26]));
    return {
      shape: this.#shape,
      mode: this.#mode,
      text: this.#text(made),
      operands: made,
      addressBits,
      gs,
      locked,
    };
  }

  #operand(kind: HandlerOperand, bits: Bits): OperandText {
    switch (kind) {
      case 'r':
        return { kind: 'register', number: this.#register(bits), bits, high: false };
      case 'h':
        return { kind: 'register', number: this.#random.below(4), bits, high: true };
      case 'i':
        return { kind: 'immediate', value: this.#immediate(bits) };
      case 'c':
        return { kind: 'count' };
      case 'j':
        return { kind: 'target' };
      default:
        return { kind: 'memory', ...this.#memory(kind) };
    }
  }

  #register(bits: Bits): number {
    if (this.#withoutRex) return this.#random.below(bits === 8 ? 4 : 8);
    return this.#random.below(16);
  }

  #memory(kind: HandlerOperand): MemoryText {
    const random = this.#random;
    let addressBits: 16 | 32 | 64 = this.#mode;
    let gs = false;
    let form = kind;
    if (kind === 's') {
      form = this.#pick<HandlerOperand>(this.#mode === 64 ? ['b', 'x', 'p'] : ['b', 'x']);
      if (this.#mode === 64) {
        gs = this.#chance(2);
        if (!gs || this.#chance(3)) addressBits = 32;
      }
      if (gs) this.#prefixes.push(0x65);
    }
    const displacement = this.#pick([
      0n,
      BigInt(random.below(256) - 128),
      BigInt(random.below(0x1_0000) - 0x8000),
      BigInt(random.u32() | 0),
    ]);
    const pool = this.#withoutRex ? 8 : 16;
    if (form === 'p') {
      const fixed = BigInt(0x20_0000 + random.below(0x9000)) - (gs ? GS_BASE : 0n);
      return { base: -1, index: -1, scale: 1, displacement: 0n, addressBits, gs, fixed };
    }
    const base = this.#addressRegister(pool, -1);
    if (form === 'b') return { base, index: -1, scale: 1, displacement, addressBits, gs, fixed: undefined };
    const index = this.#addressRegister(pool, base, RSP);
    const scale = 1 << random.below(4);
    const absent = this.#chance(8);
    return { base: absent ? -1 : base, index, scale, displacement, addressBits, gs, fixed: undefined };
  }

  /** Any register but those, and but one whose own value must be under control. */
  #addressRegister(pool: number, ...others: readonly number[]): number {
    const { op, operands } = this.#shape;
    for (;;) {
      const register = this.#random.below(pool);
      if (others.includes(register)) continue;
      if (register === RCX && /^SH[LR]D$/.test(op) && operands.includes('c')) continue;
      if (register === RSP && op === 'CALL') continue;
      return register;
    }
  }

  #immediate(bits: Bits): bigint {
    const { op } = this.#shape;
    if (op === 'RET') return BigInt(this.#random.below(64));
    // Beyond the operand's size the result of these is undefined, and processors differ.
    if (/^SH[LR]D$/.test(op) && this.#shape.bits === 16)
      return BigInt(this.#random.below(17) + 32 * this.#random.below(4));
    // Only MOV to a register has an immediate of 64 bits.
    const wide = op === 'MOV' && this.#shape.operands[0] === 'r';
    if (bits === 64 && !wide) return BigInt.asIntN(32, edge(this.#random, 32));
    return BigInt.asIntN(bits, edge(this.#random, bits));
  }

  #text(operands: readonly OperandText[]): string {
    const { op, bits } = this.#shape;
    // GNU as writes these for the other operand size only.
    if (bits === 16 && (WRITTEN_WIDE.test(op) || (op === 'RET' && this.#mode === 32)))
      this.#prefixes.push(0x66);
    const prefixes = this.#prefixes.map((byte) => `.byte 0x${byte.toString(16)}; `).join('');
    if (this.#shape.text) return prefixes + this.#shape.text(this.#random);
    if (op === 'NOP') return prefixes + this.#nop(operands);
    if (op === 'PREFETCH')
      return `${prefixes}prefetch${this.#pick(['nta', 't0', 't1', 't2', 'w'])} ${this.#operandText(operands[0] as OperandText, 0)}`;
    // Where both encodings exist, either direction: the register in the ModRM.reg field as source or as destination.
    const twoRegisters = operands.length === 2 && operands.every((operand) => operand.kind === 'register');
    const direction = twoRegisters && op !== 'TEST' && op !== 'XCHG' && this.#chance(2) ? '{load} ' : '';
    const list = operands.map((operand, i) => this.#operandText(operand, i)).join(', ');
    return `${prefixes}${direction}${this.#mnemonic()} ${list}`.trimEnd();
  }

  #mnemonic(): string {
    const { op, bits, variant, operands } = this.#shape;
    const flat = this.#mode === 64 && variant === 'flat';
    if (op === 'JCXZ') return flat ? 'jrcxz' : 'jecxz';
    if (op === 'PUSH' && operands[0] === 'i' && bits === 16) return 'pushw';
    if (op === 'LEAVE' && bits === 16) return 'leavew';
    return op.toLowerCase();
  }

  #operandText(operand: OperandText, i: number): string {
    switch (operand.kind) {
      case 'register':
        return registerName(this.#isWrittenWide(i) ? { ...operand, bits: 32 } : operand);
      case 'immediate':
        return `${operand.value}`;
      case 'count':
        return 'cl';
      case 'target': {
        const short = COUNTER.test(this.#shape.op) || (this.#shape.op !== 'CALL' && this.#chance(2));
        if (short) return `.${this.#pick(['+9', '+10', '-5'])}`;
        return `0x${(LANDING + this.#random.below(LANDING_SIZE)).toString(16)}`;
      }
      case 'memory':
        return this.#memoryText(operand, this.#shape.operandBits[i] as Bits);
    }
  }

  /** GNU as has no mnemonic for the reserved NOP 0F 19 with a register operand. */
  #nop(operands: readonly OperandText[]): string {
    if (operands.length === 0) return this.#pick(['nop', 'nop', 'endbr64', 'endbr32']);
    if (operands.length === 1) return `nop ${this.#operandText(operands[0] as OperandText, 0)}`;
    const [memory] = operands;
    const { bits } = this.#shape;
    const register = this.#random.below(8) << 3;
    const displacement = [0, 0, 0, 0];
    const place =
      memory?.kind === 'register'
        ? [0xc0 | register | (memory.number & 7)]
        : memory?.kind === 'memory' && memory.fixed !== undefined
          ? [0x05 | register, ...displacement]
          : memory?.kind === 'memory' && memory.index >= 0
            ? [0x84 | register, 0x0b, ...displacement]
            : [0x83 | register, ...displacement];
    const size = bits === 16 ? [0x66] : bits === 64 ? [0x48] : [];
    return `.byte ${[...size, 0x0f, 0x19, ...place].join(', ')}`;
  }

  /** MOVSXD is written with a 32-bit source whatever the size, BSWAP with a 32-bit register. */
  #isWrittenWide(operand: number): boolean {
    const { op } = this.#shape;
    return op === 'BSWAP' ? this.#shape.bits === 16 : op === 'MOVSXD' && operand > 0;
  }

  #memoryText(memory: MemoryText, bits: Bits): string {
    const { base, index, scale, displacement, addressBits, fixed } = memory;
    const { op } = this.#shape;
    const size = UNSIZED.test(op) ? '' : `${MEMORY_SIZES[op === 'MOVSXD' ? 32 : bits]} ptr `;
    const name = (number: number) => registerName({ number, bits: addressBits, high: false });
    // HERE is the offset of the next instruction from CODE.
    if (fixed !== undefined)
      return `${size}[${addressBits === 64 ? 'rip' : 'eip'} + ${fixed - BigInt(CODE)} - HERE]`;
    const parts: string[] = [];
    if (base >= 0) parts.push(name(base));
    if (index >= 0) parts.push(`${name(index)}*${scale}`);
    const sum = parts.join('+');
    const rest = displacement === 0n ? '' : displacement < 0n ? `${displacement}` : `+${displacement}`;
    return `${size}[${sum}${rest}]`;
  }

  #chance(oneIn: number): boolean {
    return this.#random.below(oneIn) === 0;
  }

  #pick<T>(choices: readonly T[]): T {
    return this.#random.pick(choices);
  }
}
