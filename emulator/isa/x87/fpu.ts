/**
 * The x87 FPU's state as its instructions see it: the register stack, the control, status and tag words, exceptions,
 * and the pointers to the last instruction.
 *
 * Intel SDM Vol. 1, "x87 FPU Execution Environment", 8.1; "x87 FPU Floating-Point Exception Handling", 8.4.
 */
import type { Cpu } from '../../core/cpu.ts';
import type { Instruction } from '../../core/instruction.ts';
import type { CpuState } from '../../state/cpuState.ts';
import { OFFSET } from '../../state/layout.ts';
import { CS } from '../../state/registers.ts';
import { classify, type Float80, INDEFINITE, MAX_EXPONENT, type Sign } from '../softfloat/float80.ts';
import { EXCEPTION, type FloatControl, type Rounding } from '../softfloat/rounding.ts';
import type { NormalWords, WordOperation } from '../softfloat/words.ts';

/** Bits of the status word; bits 5:0 are exceptions in the order of {@link EXCEPTION}. */
export const STATUS = {
  EXCEPTIONS: 0x3f,
  STACK_FAULT: 1 << 6,
  /** Exception summary: an exception that is not masked waits for the next waiting instruction. */
  SUMMARY: 1 << 7,
  C0: 1 << 8,
  C1: 1 << 9,
  C2: 1 << 10,
  TOP: 7 << 11,
  C3: 1 << 14,
  /** A copy of the summary bit. */
  BUSY: 1 << 15,
} as const;

const TOP_SHIFT = 11;
export const CONDITION_CODES = STATUS.C0 | STATUS.C1 | STATUS.C2 | STATUS.C3;
/** Bit 6 of the control word reads as 1, bits 7 and 15:13 as 0. */
export const CONTROL_WRITABLE = 0x1f3f;
export const CONTROL_FIXED = 0x40;
const CONTROL_INITIAL = 0x37f;
/** All exceptions masked, 64 bits, to nearest. */
const CONTROL_USUAL = CONTROL_INITIAL & ~CONTROL_FIXED;
const PRECISIONS = [24, 64, 53, 64] as const;

export const TAG = { VALID: 0, ZERO: 1, SPECIAL: 2, EMPTY: 3 } as const;

/** Exceptions that, unmasked, leave operands and stack as they were. */
const BEFORE_COMPUTING = EXCEPTION.INVALID | EXCEPTION.DENORMAL | EXCEPTION.ZERO_DIVIDE;

export class X87 {
  readonly #cpu: Cpu;
  readonly #state: CpuState;
  readonly #instruction: Instruction;

  constructor(cpu: Cpu, instruction: Instruction) {
    this.#cpu = cpu;
    this.#state = cpu.state;
    this.#instruction = instruction;
  }

  get control(): FloatControl {
    const word = this.#state.X87_CONTROL;
    return {
      precision: PRECISIONS[(word >> 8) & 3] as 24 | 53 | 64,
      rounding: ((word >> 10) & 3) as Rounding,
      masks: word & STATUS.EXCEPTIONS,
    };
  }

  get top(): number {
    return (this.#state.X87_STATUS >> TOP_SHIFT) & 7;
  }

  set top(top: number) {
    this.#state.X87_STATUS = (this.#state.X87_STATUS & ~STATUS.TOP) | ((top & 7) << TOP_SHIFT);
  }

  /** The physical register of ST(i). */
  #physical(i: number): number {
    return (this.top + i) & 7;
  }

  tag(i: number): number {
    return (this.#state.X87_TAG >> (2 * this.#physical(i))) & 3;
  }

  setTag(i: number, tag: number): void {
    const shift = 2 * this.#physical(i);
    this.#state.X87_TAG = (this.#state.X87_TAG & ~(3 << shift)) | (tag << shift);
  }

  isEmpty(i: number): boolean {
    return this.tag(i) === TAG.EMPTY;
  }

  /** What ST(i) holds, be it empty or not. */
  read(i: number): Float80 {
    const register = this.#physical(i);
    const high = this.#state.u32[(OFFSET.X87_EXPONENT >> 2) + register] as number;
    const significand = this.#state.u64[(OFFSET.X87_SIGNIFICAND >> 3) + register] as bigint;
    return { sign: (high >> 15) as Sign, exponent: high & MAX_EXPONENT, significand };
  }

  /** What ST(i) holds in words, if it is a normal number. */
  readNormal(i: number): NormalWords | undefined {
    const register = this.#physical(i);
    const { u32 } = this.#state;
    const top = u32[(OFFSET.X87_EXPONENT >> 2) + register] as number;
    const exponent = top & MAX_EXPONENT;
    const high = u32[(OFFSET.X87_SIGNIFICAND >> 2) + 2 * register + 1] as number;
    if (exponent === 0 || exponent === MAX_EXPONENT || high >>> 31 === 0) return undefined;
    return {
      sign: top >>> 15,
      exponent,
      high,
      low: u32[(OFFSET.X87_SIGNIFICAND >> 2) + 2 * register] as number,
    };
  }

  writeNormal(i: number, { sign, exponent, high, low }: NormalWords): void {
    const register = this.#physical(i);
    const { u32 } = this.#state;
    u32[(OFFSET.X87_EXPONENT >> 2) + register] = (sign << 15) | exponent;
    u32[(OFFSET.X87_SIGNIFICAND >> 2) + 2 * register] = low;
    u32[(OFFSET.X87_SIGNIFICAND >> 2) + 2 * register + 1] = high;
    this.setTag(i, TAG.VALID);
  }

  /** ST(to) becomes an operation's result, if control and operands are the usual ones: nothing is unmasked, nothing underflows. */
  computeNormal(operation: WordOperation, a: number, b: number, to: number): boolean {
    if ((this.#state.X87_CONTROL & ~CONTROL_FIXED) !== CONTROL_USUAL || this.isEmpty(a) || this.isEmpty(b))
      return false;
    const first = this.readNormal(a);
    if (first === undefined) return false;
    const second = a === b ? first : this.readNormal(b);
    const result = second && operation(first, second);
    if (result === undefined) return false;
    const status = (result.inexact ? EXCEPTION.PRECISION : 0) | (result.up ? STATUS.C1 : 0);
    this.setStatus(STATUS.C1, status);
    this.writeNormal(to, result);
    return true;
  }

  /** Writes ST(i) without its tag. */
  writeContent(i: number, { sign, exponent, significand }: Float80): void {
    const register = this.#physical(i);
    this.#state.u32[(OFFSET.X87_EXPONENT >> 2) + register] = (sign << 15) | exponent;
    this.#state.u64[(OFFSET.X87_SIGNIFICAND >> 3) + register] = significand;
  }

  write(i: number, value: Float80): void {
    this.writeContent(i, value);
    this.setTag(i, tagOf(value));
  }

  /** Whether a push would overwrite a register that is not empty. */
  get isFull(): boolean {
    return !this.isEmpty(7);
  }

  push(value: Float80): void {
    this.top--;
    this.write(0, value);
  }

  pop(count = 1): void {
    for (; count > 0; count--) {
      this.setTag(0, TAG.EMPTY);
      this.top++;
    }
  }

  setStatus(mask: number, bits: number): void {
    this.#state.X87_STATUS = (this.#state.X87_STATUS & ~mask) | bits;
    if ((mask & ~bits & STATUS.SUMMARY) !== 0) this.#cpu.coprocessorError.setFerr(false);
  }

  clearC1(): void {
    this.setStatus(STATUS.C1, 0);
  }

  /**
   * Records exceptions. False when one that is not masked forbids the result: operands, stack and memory stay. After
   * an unmasked overflow, underflow or loss of precision a register result is delivered.
   */
  signal(flags: number, roundedUp = false): boolean {
    this.setStatus(STATUS.C1, roundedUp ? STATUS.C1 : 0);
    return (this.#raise(flags) & BEFORE_COMPUTING) === 0;
  }

  /** An operand is in an empty register: whether the masked response follows. */
  stackUnderflow(): boolean {
    this.setStatus(STATUS.C1, STATUS.STACK_FAULT);
    return this.#raise(EXCEPTION.INVALID) === 0;
  }

  /** A push without an empty register: whether the masked response follows. */
  stackOverflow(): boolean {
    this.setStatus(0, STATUS.STACK_FAULT | STATUS.C1);
    return this.#raise(EXCEPTION.INVALID) === 0;
  }

  /** Sets exception flags and, when some are not masked, the summary. Gives the ones that are not masked. */
  #raise(flags: number): number {
    const unmasked = flags & ~this.#state.X87_CONTROL & STATUS.EXCEPTIONS;
    this.setStatus(0, flags);
    if (unmasked !== 0) {
      this.setStatus(0, STATUS.SUMMARY | STATUS.BUSY);
      this.#state.X87_OPCODE = this.#instruction.x87Opcode;
      this.#recordDataPointer();
    }
    return unmasked;
  }

  get unmasked(): number {
    return ~this.#state.X87_CONTROL & STATUS.EXCEPTIONS;
  }

  /** Pushes a value, or responds to a full stack. */
  load(value: Float80): void {
    this.clearC1();
    if (!this.isFull) this.push(value);
    else if (this.stackOverflow()) this.push(INDEFINITE);
  }

  loadControl(word: number): void {
    this.#state.X87_CONTROL = (word & CONTROL_WRITABLE) | CONTROL_FIXED;
    this.updateSummary();
  }

  /** The summary follows from the exception flags and masks. */
  updateSummary(): void {
    const pending = this.#state.X87_STATUS & this.unmasked;
    this.setStatus(STATUS.SUMMARY | STATUS.BUSY, pending === 0 ? 0 : STATUS.SUMMARY | STATUS.BUSY);
  }

  /** @see SDM "FINIT/FNINIT—Initialize Floating-Point Unit" */
  initialize(): void {
    const state = this.#state;
    state.X87_CONTROL = CONTROL_INITIAL;
    this.setStatus(0xffff, 0);
    state.X87_TAG = 0xffff;
    state.X87_OPCODE = 0;
    state.X87_INSTRUCTION_POINTER = 0n;
    state.X87_INSTRUCTION_SELECTOR = 0;
    state.X87_DATA_POINTER = 0n;
    state.X87_DATA_SELECTOR = 0;
  }

  /**
   * The last instruction that is not a control instruction.
   *
   * @see SDM "x87 FPU Instruction and Data (Operand) Pointers", 8.1.8 of volume 1
   */
  recordInstruction(): void {
    const state = this.#state;
    const { u32 } = state;
    u32[OFFSET.X87_INSTRUCTION_POINTER >> 2] = u32[OFFSET.RIP >> 2] as number;
    u32[(OFFSET.X87_INSTRUCTION_POINTER >> 2) + 1] = u32[(OFFSET.RIP >> 2) + 1] as number;
    state.X87_INSTRUCTION_SELECTOR = state.segmentSelector(CS);
    if (!this.#cpu.has('FDP_EXCPTN_ONLY')) this.#recordDataPointer();
  }

  #recordDataPointer(): void {
    const instruction = this.#instruction;
    if (instruction.operandCount === 0 || instruction.operandKind(0) !== 'memory') return;
    const state = this.#state;
    state.X87_DATA_POINTER = instruction.effectiveAddress();
    state.X87_DATA_SELECTOR = state.segmentSelector(instruction.segment);
  }
}

export function tagOf(value: Float80): number {
  const kind = classify(value);
  return kind === 'normal' ? TAG.VALID : kind === 'zero' ? TAG.ZERO : TAG.SPECIAL;
}
