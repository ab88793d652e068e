/**
 * The state in which an instruction starts: operands on edge values, memory operands in and across every kind of page,
 * and implicit registers such that the instruction has something to do.
 */
import type { Bits } from '../../../emulator/isa/ir.ts';
import { FLAG, RAX, RBP, RBX, RCX, RDI, RDX, RSI, RSP } from '../../../emulator/state/registers.ts';
import type { Random } from '../../support/random.ts';
import type { Case, Poke } from './batch.ts';
import { FLAGS } from './batch.ts';
import type { MemoryText, OperandText, TestInstruction } from './instruction.ts';
import { accessAt, GS_BASE, LANDING, LANDING_SIZE, PAGE, PAGES, UNIFORM, WRITABLE } from './layout.ts';
import { count, edge, maskOf } from './values.ts';

const POPPED_FLAGS = FLAGS | FLAG.IF | FLAG.IOPL | FLAG.ID;

/** Every combination of the status flags comes up within 64 numbers. */
function statusFlags(n: number): number {
  const bits = [FLAG.CF, FLAG.PF, FLAG.AF, FLAG.ZF, FLAG.SF, FLAG.OF];
  return bits.reduce((flags, flag, i) => flags | ((n >> i) & 1 ? flag : 0), 0);
}

export function makeState(instruction: TestInstruction, rip: number, n: number, random: Random): Case {
  return new StateMaker(instruction, random).make(rip, n);
}

class StateMaker {
  readonly #instruction: TestInstruction;
  readonly #random: Random;
  readonly #gpr: bigint[] = [];
  readonly #pokes: Poke[] = [];
  /** Registers that a memory operand is addressed by. */
  readonly #addressing = new Set<number>();

  constructor(instruction: TestInstruction, random: Random) {
    this.#instruction = instruction;
    this.#random = random;
  }

  make(rip: number, n: number): Case {
    const { mode, operands, shape } = this.#instruction;
    const random = this.#random;
    for (let r = 0; r < 16; r++) this.#gpr[r] = edge(random, 64);
    this.#gpr[RSP] = this.#address(8);
    for (const [i, operand] of operands.entries()) {
      if (operand.kind === 'register') this.#setRegister(operand, this.#value(i));
      if (operand.kind === 'count') this.#setLow(RCX, 8, BigInt(this.#count()));
    }
    for (const [i, operand] of operands.entries()) {
      if (operand.kind === 'memory') this.#aim(operand, (shape.operandBits[i] as number) / 8);
    }
    this.#prepareImplicit();
    for (const [i, operand] of operands.entries()) {
      if (operand.kind === 'memory' && random.below(8) > 0) this.#setMemory(i, this.#value(i));
    }
    this.#prepareRelated();
    const df = random.below(3) === 0 ? FLAG.DF : 0;
    return {
      mode,
      rip: BigInt(rip),
      rflags: statusFlags(n) | df,
      gpr: this.#gpr.map((value, r) => (mode === 32 && r >= 8 ? 0n : value & maskOf(mode))),
      pokes: this.#pokes,
    };
  }

  /** A linear address for so many bytes: mostly writable, often across pages, sometimes out of bounds. */
  #address(bytes: number): bigint {
    const random = this.#random;
    const before = random.below(bytes) + (bytes > 1 ? 0 : 1);
    switch (random.below(24)) {
      case 0:
      case 1:
      case 2:
        return BigInt(random.pick(WRITABLE) - before);
      case 3:
        return BigInt(random.pick(PAGES).address - before);
      case 4:
        return BigInt(random.pick(PAGES).address + random.below(PAGE));
      case 5:
        return this.#instruction.mode === 64 && random.below(2) ? random.u64() : BigInt(random.u32());
      default:
        return BigInt(random.pick(WRITABLE) + random.below(PAGE - bytes + 1));
    }
  }

  #count(): number {
    const { op, bits } = this.#instruction.shape;
    const value = count(this.#random, bits);
    // Beyond the operand's size the result is undefined, and processors differ.
    return op.startsWith('SH') && op.endsWith('D') && bits === 16 && (value & 31) > 16 ? value & 0xe7 : value;
  }

  /** A value for operand `i`. */
  #value(i: number): bigint {
    const { shape } = this.#instruction;
    const bits = shape.operandBits[i] as Bits;
    const random = this.#random;
    const selects = i === 2 ? /^(BEXTR|BZHI|SARX|SHLX|SHRX)$/ : /^(BT|BTS|BTR|BTC)$/;
    if (i > 0 && selects.test(shape.op) && random.below(4) > 0) {
      if (shape.op === 'BEXTR')
        return (BigInt(count(random, bits)) | (BigInt(count(random, bits)) << 8n)) & maskOf(bits);
      if (shape.op.startsWith('BT')) return BigInt(random.below(0x1_0000) - 0x8000) & maskOf(bits);
      return BigInt(count(random, bits)) & maskOf(bits);
    }
    if (/^(JMP|CALL)$/.test(shape.op)) return this.#target() & maskOf(bits);
    return edge(random, bits);
  }

  /** Where an indirect branch goes: mostly to INT3, sometimes to what cannot be executed. */
  #target(): bigint {
    const random = this.#random;
    if (random.below(8) === 0) return BigInt(random.pick(PAGES).address + random.below(PAGE));
    return BigInt(LANDING + random.below(LANDING_SIZE));
  }

  #setRegister({ number, bits, high }: { number: number; bits: Bits; high: boolean }, value: bigint): void {
    if (high) this.#gpr[number] = ((this.#gpr[number] as bigint) & ~0xff00n) | ((value & 0xffn) << 8n);
    else this.#setLow(number, bits, value);
  }

  /** The low bits of a register; what is above stays random. */
  #setLow(register: number, bits: Bits, value: bigint): void {
    const mask = maskOf(bits);
    this.#gpr[register] = ((this.#gpr[register] as bigint) & ~mask) | (value & mask);
  }

  /** Like {@link #setLow} for registers that the instruction uses without naming them. */
  #setImplicit(register: number, bits: Bits, value: bigint): void {
    if (!this.#addressing.has(register)) this.#setLow(register, bits, value);
  }

  /** Gives base and index such values that the operand lies at a chosen address. */
  #aim(memory: MemoryText, bytes: number): void {
    const { base, index, scale, displacement, addressBits, gs, fixed } = memory;
    if (fixed !== undefined) return;
    const random = this.#random;
    let address = this.#address(bytes);
    if (this.#instruction.shape.op === 'CMPXCHG16B' && random.below(8) > 0) address &= ~15n;
    const offset = address - (gs ? GS_BASE : 0n);
    if (index >= 0) {
      this.#addressing.add(index);
      const value = random.pick([BigInt(random.below(64)), BigInt(-random.below(64)), random.u64()]);
      if (base >= 0) this.#setLow(index, addressBits, value);
      else this.#setLow(index, addressBits, (offset - displacement) / BigInt(scale));
    }
    if (base >= 0) {
      this.#addressing.add(base);
      const scaled = index >= 0 ? ((this.#gpr[index] as bigint) & maskOf(addressBits)) * BigInt(scale) : 0n;
      this.#setLow(base, addressBits, offset - displacement - scaled);
    }
  }

  /** Where the memory operand is, with the registers as they are. */
  #linear({ base, index, scale, displacement, addressBits, gs, fixed }: MemoryText): bigint {
    let offset = fixed ?? displacement;
    if (base >= 0) offset += this.#gpr[base] as bigint;
    if (index >= 0) offset += (this.#gpr[index] as bigint) * BigInt(scale);
    return ((offset & maskOf(addressBits)) + (gs ? GS_BASE : 0n)) & maskOf(64);
  }

  #setMemory(i: number, value: bigint): void {
    const operand = this.#instruction.operands[i];
    if (operand?.kind !== 'memory') return;
    const { op, operandBits } = this.#instruction.shape;
    if (op === 'CMPXCHG16B') this.#poke(this.#linear(operand), 128, (this.#random.u64() << 64n) | value);
    else this.#poke(this.#linear(operand), operandBits[i] as Bits, value);
  }

  /** Puts a value into memory if all of it is writable. */
  #poke(address: bigint, bits: Bits | 128, value: bigint): void {
    const bytes = new Uint8Array(bits / 8);
    for (let i = 0; i < bytes.length; i++) bytes[i] = Number((value >> BigInt(8 * i)) & 0xffn);
    if (accessAt(address) !== 'write' || accessAt(address + BigInt(bytes.length - 1)) !== 'write') return;
    if (this.#pokes.length < 2) this.#pokes.push({ address, bytes });
  }

  #prepareImplicit(): void {
    const { shape, addressBits, gs, operands } = this.#instruction;
    const { op, bits } = shape;
    const random = this.#random;
    const bytes = bits / 8;
    const string = /^(?:(REPE|REPNE|REP) )?(MOVS|STOS|LODS|SCAS|CMPS)[BWDQ]$/.exec(op);
    if (string) {
      this.#prepareString(string[1], string[2] as string);
      return;
    }
    switch (op) {
      case 'XLATB':
        this.#setLow(
          RBX,
          addressBits,
          this.#address(1) - (gs ? GS_BASE : 0n) - ((this.#gpr[RAX] as bigint) & 0xffn),
        );
        return;
      case 'LOOP':
      case 'LOOPE':
      case 'LOOPNE':
      case 'JCXZ':
        this.#setLow(RCX, addressBits, BigInt(random.below(4)));
        return;
      case 'RET':
        this.#poke(this.#gpr[RSP] as bigint, bits, this.#target());
        return;
      case 'LEAVE':
      case 'ENTER':
        this.#gpr[RBP] = this.#address(bytes);
        return;
      case 'PUSH':
        this.#setImplicit(RSP, 64, this.#address(bytes) + BigInt(bytes));
        return;
      case 'CALL':
        // Which exception comes first, a target's in memory or the stack's, depends on the processor.
        if (operands[0]?.kind === 'memory') this.#setImplicit(RSP, 64, BigInt(WRITABLE[1] as number));
        else this.#setImplicit(RSP, 64, this.#address(bytes) + BigInt(bytes));
        return;
      case 'POPF':
        // Not TF, and not AC: native.c would meet its exceptions itself.
        this.#poke(this.#gpr[RSP] as bigint, bits, BigInt((random.u32() & POPPED_FLAGS) >>> 0));
        return;
    }
  }

  #prepareString(repeat: string | undefined, name: string): void {
    const { addressBits, gs, shape } = this.#instruction;
    const random = this.#random;
    const compares = name === 'SCAS' || name === 'CMPS';
    const start = () => {
      if (!compares || random.below(3) === 0) return this.#address(shape.bits / 8);
      return BigInt(UNIFORM.address + random.below(UNIFORM.length));
    };
    this.#setLow(RSI, addressBits, start() - (gs ? GS_BASE : 0n));
    this.#setLow(RDI, addressBits, start());
    if (repeat !== undefined) this.#setLow(RCX, addressBits, BigInt(random.below(random.pick([3, 20, 256]))));
    if (name === 'SCAS' && random.below(2)) this.#setLow(RAX, 64, BigInt.asUintN(64, 0x5a5a_5a5a_5a5a_5a5an));
    // A place where long comparisons end.
    if (compares)
      this.#poke(BigInt(UNIFORM.address + random.below(UNIFORM.length)), 8, BigInt(random.below(256)));
  }

  /** What depends on the operands' values. */
  #prepareRelated(): void {
    const { shape, operands } = this.#instruction;
    const { op, bits } = shape;
    const random = this.#random;
    if (op === 'CMPXCHG' && random.below(2)) {
      this.#setImplicit(RAX, bits, this.#operandValue(operands[0] as OperandText, bits));
    }
    if ((op === 'CMPXCHG8B' || op === 'CMPXCHG16B') && random.below(2)) {
      const half = op === 'CMPXCHG8B' ? 32 : 64;
      const value = this.#pokes[0] && toBigInt(this.#pokes[0].bytes);
      if (value === undefined) return;
      this.#setImplicit(RAX, half, value);
      if (random.below(4)) this.#setImplicit(RDX, half, value >> BigInt(half));
    }
    if ((op === 'DIV' || op === 'IDIV') && random.below(4)) this.#prepareDivision(op === 'IDIV');
  }

  /** A dividend whose quotient fits, or just does not. */
  #prepareDivision(signed: boolean): void {
    const { operands, shape } = this.#instruction;
    const { bits } = shape;
    const read = (value: bigint) => (signed ? BigInt.asIntN(bits, value) : value);
    const divisor = read(this.#operandValue(operands[0] as OperandText, bits));
    const quotient = read(edge(this.#random, bits)) + BigInt(this.#random.below(8) === 0 ? 1 : 0);
    const remainder = divisor === 0n ? 0n : read(edge(this.#random, bits)) % divisor;
    const dividend = quotient * divisor + remainder;
    if (bits === 8) {
      this.#setImplicit(RAX, 16, dividend);
      return;
    }
    this.#setImplicit(RAX, bits, dividend);
    this.#setImplicit(RDX, bits, dividend >> BigInt(bits));
  }

  #operandValue(operand: OperandText, bits: Bits): bigint {
    if (operand.kind === 'register') {
      const value = this.#gpr[operand.number] as bigint;
      return (operand.high ? value >> 8n : value) & maskOf(bits);
    }
    return this.#pokes[0] === undefined ? 0n : toBigInt(this.#pokes[0].bytes) & maskOf(bits);
  }
}

function toBigInt(bytes: Uint8Array): bigint {
  return bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
}
