/**
 * x87 instructions as WebAssembly functions: what emitted rows (isa/x87/fast.ts) call. Each gives 0 and has changed nothing where
 * its instruction's TypeScript function has to decide: registers that are empty, or full, operands and results that are
 * neither zero nor normal, exceptions that are not masked.
 *
 * Intel SDM Vol. 1, "x87 FPU Execution Environment", 8.1; "x87 FPU Instruction Set", 8.3.
 */
import { NARROW_KIND, type X87Function } from '../isa/ir.ts';
import { BIAS, INTEGER_BIT, MAX_EXPONENT } from '../isa/softfloat/float80.ts';
import { EXCEPTION, ROUNDING } from '../isa/softfloat/rounding.ts';
import { STATUS, TAG } from '../isa/x87/fpu.ts';
import { OFFSET } from '../state/layout.ts';
import { CR0, CS, FLAG } from '../state/registers.ts';
import type { Expression, Expressions } from './wasm/expressions.ts';
import type { ModuleBuilder } from './wasm/moduleBuilder.ts';
import type { ValueType } from './wasm/opcodes.ts';
import type { ArithmeticIndexes, Operation, Plain } from './x87Arithmetic.ts';
import { addFunction, addRounding, compute, roundingControl, roundingFlags, SIGN } from './x87Arithmetic.ts';

/** Number of parameters; they and the one result are i64. */
export const X87_PARAMETERS: Readonly<Record<X87Function, number>> = {
  x87Push: 3,
  x87PushNarrow: 3,
  x87PushRegister: 2,
  x87Exchange: 2,
  x87Copy: 3,
  x87ChangeSign: 3,
  x87Move: 3,
  x87RoundToInteger: 1,
  x87Add: 5,
  x87Subtract: 5,
  x87Multiply: 5,
  x87Divide: 5,
  x87AddNarrow: 4,
  x87SubtractNarrow: 4,
  x87MultiplyNarrow: 4,
  x87DivideNarrow: 4,
  x87Compare: 4,
  x87CompareNarrow: 4,
  x87Convert: 1,
  x87Stored: 3,
};

/** Registers are 8 bytes of the file of significands. */
const REGISTER_MASK = 0x38;

function giveUpIf(x: Expressions, condition: Expression): void {
  x.when(condition, () => x.give(x.i64(0)));
}

interface PlainRegister extends Plain {
  /** The register: 8 times its physical number. */
  readonly at: number;
}

/** The FPU in one instruction: status and tag word are in locals until it ends, so that each is loaded and stored once. */
class Fpu {
  readonly #x: Expressions;
  readonly #status: number;
  readonly #tag: number;

  /** Gives up unless no exception is unmasked or waits, and the FPU is there. */
  constructor(x: Expressions) {
    this.#x = x;
    this.#status = x.keep('i32', x.load('i32_load', OFFSET.X87_STATUS));
    const control = x.op('i32_and', x.load('i32_load', OFFSET.X87_CONTROL), x.i32(STATUS.EXCEPTIONS));
    const masks = x.op('i32_xor', control, x.i32(STATUS.EXCEPTIONS));
    const missing = x.op('i32_and', x.load('i32_load', OFFSET.CR0), x.i32(CR0.EM | CR0.TS));
    const pending = x.op('i32_and', x.local(this.#status), x.i32(STATUS.SUMMARY));
    giveUpIf(x, x.op('i32_or', masks, x.op('i32_or', missing, pending)));
    this.#tag = x.keep('i32', x.load('i32_load', OFFSET.X87_TAG));
  }

  /** The register of ST(i), given 8 × i: bits 13:11 of the status word are TOP. */
  register(i: Expression): number {
    const x = this.#x;
    const top = x.op('i32_shr_u', x.local(this.#status), x.i32(8));
    return x.keep('i32', x.op('i32_and', x.op('i32_add', top, i), x.i32(REGISTER_MASK)));
  }

  isEmpty(at: number): Expression {
    const x = this.#x;
    const own = x.op('i32_shr_u', x.local(this.#tag), x.op('i32_shr_u', x.local(at), x.i32(2)));
    return x.op('i32_eq', x.op('i32_and', own, x.i32(3)), x.i32(TAG.EMPTY));
  }

  /** ST(i), given 8 × i, if it is plain. */
  read(i: Expression): PlainRegister {
    const x = this.#x;
    const at = this.register(i);
    giveUpIf(x, this.isEmpty(at));
    const half = x.op('i32_shr_u', x.local(at), x.i32(1));
    const top = x.keep('i32', x.load('i32_load', OFFSET.X87_EXPONENT, half));
    const significand = x.keep('i64', x.load('i64_load', OFFSET.X87_SIGNIFICAND, x.local(at)));
    const exponent = x.op('i32_and', x.local(top), x.i32(MAX_EXPONENT));
    const finite = x.op('i32_lt_u', x.op('i32_sub', exponent, x.i32(1)), x.i32(MAX_EXPONENT - 1));
    const normal = x.op('i32_and', finite, x.op('i64_lt_s', x.local(significand), x.i64(0)));
    x.when(x.op('i32_eqz', normal), () => {
      const nothing = x.op('i64_eqz', x.local(significand));
      giveUpIf(x, x.op('i32_eqz', x.op('i32_and', x.op('i32_eqz', exponent), nothing)));
    });
    return { at, top, significand };
  }

  /** The same of a parameter. */
  given(i: number): PlainRegister {
    return this.read(this.#x.op('i32_wrap_i64', this.#x.local(i)));
  }

  /** Writes a register with its tag. */
  write(at: number, top: Expression, significand: number): void {
    const x = this.#x;
    x.store('i32_store', OFFSET.X87_EXPONENT, top, x.op('i32_shr_u', x.local(at), x.i32(1)));
    x.store('i64_store', OFFSET.X87_SIGNIFICAND, x.local(significand), x.local(at));
    // TAG.ZERO is 1 and TAG.VALID 0.
    this.#setTag(at, x.op('i64_eqz', x.local(significand)));
  }

  #setTag(at: number, tag: Expression): void {
    const x = this.#x;
    const shift = x.op('i32_shr_u', x.local(at), x.i32(2));
    const mask = x.op('i32_xor', x.op('i32_shl', x.i32(TAG.EMPTY), shift), x.i32(-1));
    const others = x.op('i32_and', x.local(this.#tag), mask);
    x.set(this.#tag, x.op('i32_or', others, x.op('i32_shl', tag, shift)));
  }

  /** Status bits: those of a mask go, others come. */
  setStatus(mask: number, bits: Expression): void {
    const x = this.#x;
    x.set(this.#status, x.op('i32_or', x.op('i32_and', x.local(this.#status), x.i32(~mask)), bits));
  }

  clearC1(): void {
    this.setStatus(STATUS.C1, this.#x.i32(0));
  }

  /** TOP becomes a register's number. */
  setTop(at: Expression): void {
    const x = this.#x;
    const top = x.op('i32_shl', x.op('i32_and', at, x.i32(REGISTER_MASK)), x.i32(8));
    this.setStatus(STATUS.TOP, top);
  }

  push({ top, significand }: Plain, rip: number): void {
    const x = this.#x;
    const at = this.register(x.i32(-8));
    giveUpIf(x, x.op('i32_eqz', this.isEmpty(at)));
    this.clearC1();
    this.setTop(x.local(at));
    this.write(at, x.local(top), significand);
    this.end(rip);
  }

  /** Pops so many registers, 0 to 2, as a parameter says. */
  pop(count: number): void {
    const x = this.#x;
    const one = () => {
      const at = this.register(x.i32(0));
      this.#setTag(at, x.i32(TAG.EMPTY));
      this.setTop(x.op('i32_add', x.local(at), x.i32(8)));
    };
    x.when(x.op('i64_ne', x.local(count), x.i64(0)), () => {
      one();
      x.when(x.op('i64_eq', x.local(count), x.i64(2)), one);
    });
  }

  /**
   * Ends the instruction, which becomes the last one, and pushes what its function gives.
   *
   * @see SDM "x87 FPU Instruction and Data (Operand) Pointers", 8.1.8 of volume 1
   */
  end(rip: number, result: Expression = this.#x.i64(1)): void {
    const x = this.#x;
    x.store('i32_store', OFFSET.X87_STATUS, x.local(this.#status));
    x.store('i32_store', OFFSET.X87_TAG, x.local(this.#tag));
    x.store('i64_store', OFFSET.X87_INSTRUCTION_POINTER, x.local(rip));
    const selector = x.load('i32_load', OFFSET.SEG_SELECTOR + 4 * CS);
    x.store('i32_store', OFFSET.X87_INSTRUCTION_SELECTOR, selector);
    result();
  }
}

const valuesOf = (x: Expressions, { top, significand }: Plain) => [x.local(top), x.local(significand)];

/** Writes the functions, with what they share. */
class X87Writer {
  readonly #module: ModuleBuilder;
  readonly #arithmetic: ArithmeticIndexes;
  /** (bits, kind) -> sign and exponent, negative where it is not plain; significand. */
  readonly #widen: number;
  /** (a, significand of a, b, significand of b) -> CF and ZF of the comparison. */
  readonly #compare: number;
  /** (sign and exponent, significand, kind) -> what {@link convert} gives. */
  readonly #toFloat: number;
  readonly #toInteger: number;

  constructor(module: ModuleBuilder, multiplyHigh: number) {
    this.#module = module;
    this.#arithmetic = addRounding(module, multiplyHigh);
    this.#widen = addFunction(module, ['i64', 'i32'], ['i32', 'i64'], writeWiden);
    this.#compare = addFunction(module, ['i32', 'i64', 'i32', 'i64'], ['i32'], writeCompare);
    const stored: [ValueType[], ValueType[]] = [['i32', 'i64', 'i32'], ['i32']];
    this.#toFloat = addFunction(module, ...stored, (x, ...parameters) => this.#writeToFloat(x, parameters));
    this.#toInteger = addFunction(module, ...stored, (x, ...parameters) =>
      this.#writeToInteger(x, parameters),
    );
  }

  add(name: X87Function, write: (x: Expressions, fpu: Fpu, ...parameters: number[]) => void): number {
    const parameters = Array.from({ length: X87_PARAMETERS[name] }, (): ValueType => 'i64');
    const body = (x: Expressions, ...locals: number[]) => write(x, new Fpu(x), ...locals);
    return addFunction(this.#module, parameters, ['i64'], body, name);
  }

  /** What a memory operand holds. */
  #narrow(x: Expressions, bits: number, kind: number): Plain {
    const top = x.fn.allocate('i32');
    const significand = x.fn.allocate('i64');
    x.call(this.#widen, x.local(bits), x.op('i32_wrap_i64', x.local(kind)))();
    x.take(top, significand);
    giveUpIf(x, x.op('i32_lt_s', x.local(top), x.i32(0)));
    return { top, significand };
  }

  /** (sign and exponent, significand, RIP): a number that is plain. */
  push(x: Expressions, fpu: Fpu, top: number, significand: number, rip: number): void {
    fpu.push({ top: x.keep('i32', x.op('i32_wrap_i64', x.local(top))), significand }, rip);
  }

  /** (bits, kind, RIP) */
  pushNarrow(x: Expressions, fpu: Fpu, bits: number, kind: number, rip: number): void {
    fpu.push(this.#narrow(x, bits, kind), rip);
  }

  /** (8 × i, RIP) */
  pushRegister(fpu: Fpu, i: number, rip: number): void {
    fpu.push(fpu.given(i), rip);
  }

  /** (8 × i, RIP) */
  exchange(x: Expressions, fpu: Fpu, i: number, rip: number): void {
    const first = fpu.read(x.i32(0));
    const second = fpu.given(i);
    fpu.write(first.at, x.local(second.top), second.significand);
    fpu.write(second.at, x.local(first.top), first.significand);
    fpu.clearC1();
    fpu.end(rip);
  }

  /** (8 × i of the destination, registers to pop, RIP) */
  copy(x: Expressions, fpu: Fpu, i: number, pops: number, rip: number): void {
    const from = fpu.read(x.i32(0));
    const to = fpu.register(x.op('i32_wrap_i64', x.local(i)));
    fpu.write(to, x.local(from.top), from.significand);
    fpu.clearC1();
    fpu.pop(pops);
    fpu.end(rip);
  }

  /** (bits of the sign and exponent that stay, bits that change, RIP) */
  changeSign(x: Expressions, fpu: Fpu, kept: number, changed: number, rip: number): void {
    const { at, top, significand } = fpu.read(x.i32(0));
    const masked = x.op('i32_and', x.local(top), x.op('i32_wrap_i64', x.local(kept)));
    fpu.write(at, x.op('i32_xor', masked, x.op('i32_wrap_i64', x.local(changed))), significand);
    fpu.clearC1();
    fpu.end(rip);
  }

  /** (8 × i, whether ST(0) becomes a copy of it, RIP) */
  move(x: Expressions, fpu: Fpu, i: number, moves: number, rip: number): void {
    const to = fpu.read(x.i32(0));
    const from = fpu.given(i);
    x.when(x.op('i64_ne', x.local(moves), x.i64(0)), () =>
      fpu.write(to.at, x.local(from.top), from.significand),
    );
    fpu.end(rip);
  }

  /** (RIP) */
  roundToInteger(x: Expressions, fpu: Fpu, rip: number): void {
    const { at, top, significand } = fpu.read(x.i32(0));
    const magnitude = x.op('i32_and', x.local(top), x.i32(MAX_EXPONENT));
    const exponent = x.keep('i32', x.op('i32_sub', magnitude, x.i32(BIAS)));
    const hasFraction = x.op('i32_lt_s', x.local(exponent), x.i32(63));
    const flags = x.keep('i32', x.i32(0));
    x.when(x.op('i32_and', hasFraction, x.op('i64_ne', x.local(significand), x.i64(0))), () => {
      const rest = splitAtPoint(x, exponent, significand);
      x.set(top, x.op('i32_and', x.local(top), x.i32(SIGN)));
      const up = x.keep(
        'i32',
        x.call(
          this.#arithmetic.roundsUp,
          x.local(top),
          roundingControl(x),
          x.local(significand),
          x.local(rest),
        ),
      );
      x.set(flags, roundingFlags(x, rest, up));
      x.set(significand, x.op('i64_add', x.local(significand), x.op('i64_extend_i32_u', x.local(up))));
      x.when(x.op('i64_ne', x.local(significand), x.i64(0)), () => {
        const zeros = x.keep('i64', x.op('i64_clz', x.local(significand)));
        x.set(significand, x.op('i64_shl', x.local(significand), x.local(zeros)));
        const rounded = x.op('i32_sub', x.i32(BIAS + 63), x.op('i32_wrap_i64', x.local(zeros)));
        x.set(top, x.op('i32_or', x.local(top), rounded));
      });
    });
    fpu.write(at, x.local(top), significand);
    fpu.setStatus(STATUS.C1, x.local(flags));
    fpu.end(rip);
  }

  /** (8 × i of the first operand, of the second, of the destination, registers to pop, RIP) */
  arithmetic(x: Expressions, fpu: Fpu, operation: Operation, parameters: readonly number[]): void {
    const [first, second, destination, pops, rip] = parameters as [number, number, number, number, number];
    const a = fpu.given(first);
    const b = fpu.given(second);
    const isFirst = x.op('i64_eq', x.local(first), x.local(destination));
    const to = x.keep('i32', x.op('select', x.local(a.at), x.local(b.at), isFirst));
    const result = compute(x, operation, a, b, this.#arithmetic);
    fpu.write(to, x.local(result.top), result.significand);
    fpu.setStatus(STATUS.C1, x.local(result.flags));
    fpu.pop(pops);
    fpu.end(rip);
  }

  /** (bits, kind, whether memory is the first operand, RIP) */
  arithmeticNarrow(x: Expressions, fpu: Fpu, operation: Operation, parameters: readonly number[]): void {
    const [bits, kind, reversed, rip] = parameters as [number, number, number, number];
    const a = fpu.read(x.i32(0));
    const b = this.#narrow(x, bits, kind);
    x.when(x.op('i64_ne', x.local(reversed), x.i64(0)), () => {
      for (const value of valuesOf(x, a)) value();
      for (const value of valuesOf(x, b)) value();
      x.take(a.top, a.significand);
      x.take(b.top, b.significand);
    });
    const result = compute(x, operation, a, b, this.#arithmetic);
    fpu.write(a.at, x.local(result.top), result.significand);
    fpu.setStatus(STATUS.C1, x.local(result.flags));
    fpu.end(rip);
  }

  /** Delivers CF and ZF as C0 and C3, or with `toFlags` as the result, bit 1 set; pops. */
  #deliver(x: Expressions, fpu: Fpu, relation: number, pops: number, toFlags: Expression, rip: number): void {
    fpu.clearC1();
    x.when(x.op('i32_eqz', toFlags), () =>
      fpu.setStatus(STATUS.C0 | STATUS.C2 | STATUS.C3, x.op('i32_shl', x.local(relation), x.i32(8))),
    );
    fpu.pop(pops);
    fpu.end(rip, x.op('i64_extend_i32_u', x.op('i32_or', x.local(relation), x.i32(FLAG.FIXED))));
  }

  /** (8 × i, registers to pop, whether the result goes to the flags, RIP) */
  compare(x: Expressions, fpu: Fpu, i: number, pops: number, toFlags: number, rip: number): void {
    const a = fpu.read(x.i32(0));
    const b = fpu.given(i);
    const relation = x.keep('i32', x.call(this.#compare, ...valuesOf(x, a), ...valuesOf(x, b)));
    this.#deliver(x, fpu, relation, pops, x.op('i32_wrap_i64', x.local(toFlags)), rip);
  }

  /** (bits, kind, registers to pop, RIP) */
  compareNarrow(x: Expressions, fpu: Fpu, bits: number, kind: number, pops: number, rip: number): void {
    const a = fpu.read(x.i32(0));
    const b = this.#narrow(x, bits, kind);
    const relation = x.keep('i32', x.call(this.#compare, ...valuesOf(x, a), ...valuesOf(x, b)));
    this.#deliver(x, fpu, relation, pops, x.i32(0), rip);
  }

  /**
   * (kind) -> 1 with the PE and C1 that storing ST(0) sets; ACCESS_VALUE is what is to be stored. For 80 bits that is the
   * significand, and ACCESS_VECTOR the sign and exponent.
   */
  convert(x: Expressions, fpu: Fpu, kind: number): void {
    const value = fpu.read(x.i32(0));
    const is = (limit: number) => x.op('i64_lt_u', x.local(kind), x.i64(limit));
    const args = [...valuesOf(x, value), x.op('i32_wrap_i64', x.local(kind))];
    const result = x.fn.allocate('i32');
    x.when(
      x.op('i64_eq', x.local(kind), x.i64(NARROW_KIND.FLOAT80)),
      () => {
        x.store('i64_store', OFFSET.ACCESS_VALUE, x.local(value.significand));
        x.store('i64_store', OFFSET.ACCESS_VECTOR, x.op('i64_extend_i32_u', x.local(value.top)));
        x.set(result, x.i32(1));
      },
      () =>
        x.when(
          is(NARROW_KIND.FLOAT64 + 1),
          () => x.set(result, x.call(this.#toFloat, ...args)),
          () => x.set(result, x.call(this.#toInteger, ...args)),
        ),
    );
    x.op('i64_extend_i32_u', x.local(result))();
  }

  /** (what {@link convert} gave, registers to pop, RIP): the value is stored. */
  stored(x: Expressions, fpu: Fpu, flags: number, pops: number, rip: number): void {
    const bits = x.op('i32_wrap_i64', x.local(flags));
    fpu.setStatus(STATUS.C1, x.op('i32_and', bits, x.i32(EXCEPTION.PRECISION | STATUS.C1)));
    fpu.pop(pops);
    fpu.end(rip);
  }

  /** (sign and exponent, significand, kind) -> see {@link convert}; 0 where the result is not normal for sure. */
  #writeToFloat(x: Expressions, parameters: readonly number[]): void {
    const [top, significand, kind] = parameters as [number, number, number];
    const isDouble = x.op('i32_eq', x.local(kind), x.i32(NARROW_KIND.FLOAT64));
    const choose = (type: ValueType, double: number, single: number) => {
      const constant = (value: number) => (type === 'i32' ? x.i32(value) : x.i64(value));
      return x.keep(type, x.op('select', constant(double), constant(single), isDouble));
    };
    const fraction = choose('i64', 52, 23);
    const signAt = choose('i64', 63, 31);
    const sign = x.keep('i32', x.op('i32_and', x.local(top), x.i32(SIGN)));
    const wide = x.op('i64_extend_i32_u', x.op('i32_shr_u', x.local(sign), x.i32(15)));
    const signBit = x.keep('i64', x.op('i64_shl', wide, x.local(signAt)));
    x.when(x.op('i64_eqz', x.local(significand)), () => {
      x.store('i64_store', OFFSET.ACCESS_VALUE, x.local(signBit));
      x.give(x.i32(1));
    });
    const rebias = choose('i32', BIAS - 1023, BIAS - 127);
    const magnitude = x.op('i32_and', x.local(top), x.i32(MAX_EXPONENT));
    const exponent = x.keep('i32', x.op('i32_sub', magnitude, x.local(rebias)));
    const most = choose('i32', 0x7ff - 3, 0xff - 3);
    // From 1 to the largest but one: neither tiny nor an overflow when rounded.
    const fromOne = x.op('i32_sub', x.local(exponent), x.i32(1));
    x.when(x.op('i32_lt_u', x.local(most), fromOne), () => x.give(x.i32(0)));
    const width = x.op('i64_add', x.local(fraction), x.i64(1));
    const rest = x.keep('i64', x.op('i64_shl', x.local(significand), width));
    x.set(
      significand,
      x.op('i64_shr_u', x.local(significand), x.op('i64_sub', x.i64(63), x.local(fraction))),
    );
    const up = x.keep(
      'i32',
      x.call(
        this.#arithmetic.roundsUp,
        x.local(sign),
        roundingControl(x),
        x.local(significand),
        x.local(rest),
      ),
    );
    // The significand's integer bit adds one to the exponent, and a carry another one.
    const below = x.op('i64_extend_i32_u', fromOne);
    const image = x.op('i64_add', x.op('i64_shl', below, x.local(fraction)), x.local(significand));
    const rounded = x.op('i64_add', image, x.op('i64_extend_i32_u', x.local(up)));
    x.store('i64_store', OFFSET.ACCESS_VALUE, x.op('i64_or', rounded, x.local(signBit)));
    x.op('i32_or', roundingFlags(x, rest, up), x.i32(1))();
  }

  /** The same for integers; INTEGER kinds plus 3 truncate. */
  #writeToInteger(x: Expressions, parameters: readonly number[]): void {
    const [top, significand, kind] = parameters as [number, number, number];
    x.when(x.op('i64_eqz', x.local(significand)), () => {
      x.store('i64_store', OFFSET.ACCESS_VALUE, x.i64(0));
      x.give(x.i32(1));
    });
    const truncates = x.keep('i32', x.op('i32_lt_s', x.i32(NARROW_KIND.INTEGER64), x.local(kind)));
    const width = x.op('i32_sub', x.local(kind), x.i32(NARROW_KIND.INTEGER16));
    const order = x.op('i32_sub', width, x.op('i32_mul', x.local(truncates), x.i32(3)));
    /** 16, 32 or 64, minus one. */
    const bits = x.keep('i32', x.op('i32_sub', x.op('i32_shl', x.i32(16), order), x.i32(1)));
    const sign = x.keep('i32', x.op('i32_and', x.local(top), x.i32(SIGN)));
    const magnitude = x.op('i32_and', x.local(top), x.i32(MAX_EXPONENT));
    const exponent = x.keep('i32', x.op('i32_sub', magnitude, x.i32(BIAS)));
    x.when(x.op('i32_ge_s', x.local(exponent), x.local(bits)), () => x.give(x.i32(0)));
    const rest = splitAtPoint(x, exponent, significand);
    const control = x.op('select', x.i32(ROUNDING.ZERO), roundingControl(x), x.local(truncates));
    const up = x.keep(
      'i32',
      x.call(this.#arithmetic.roundsUp, x.local(sign), control, x.local(significand), x.local(rest)),
    );
    x.set(significand, x.op('i64_add', x.local(significand), x.op('i64_extend_i32_u', x.local(up))));
    const limit = x.op('i64_shr_u', x.local(significand), x.op('i64_extend_i32_u', x.local(bits)));
    x.when(x.op('i64_ne', limit, x.i64(0)), () => x.give(x.i32(0)));
    const negative = x.op('i64_sub', x.i64(0), x.local(significand));
    x.store('i64_store', OFFSET.ACCESS_VALUE, x.op('select', negative, x.local(significand), x.local(sign)));
    x.op('i32_or', roundingFlags(x, rest, up), x.i32(1))();
  }
}

/** The significand becomes the integer part of a number with an exponent of at most 62, and this gives the rest. */
function splitAtPoint(x: Expressions, exponent: number, significand: number): number {
  const rest = x.keep('i64', x.i64(1));
  x.when(
    x.op('i32_lt_s', x.local(exponent), x.i32(0)),
    () => {
      // Half and more.
      x.when(x.op('i32_eq', x.local(exponent), x.i32(-1)), () => x.set(rest, x.local(significand)));
      x.set(significand, x.i64(0));
    },
    () => {
      const above = x.keep('i64', x.op('i64_extend_i32_u', x.local(exponent)));
      x.set(rest, x.op('i64_shl', x.local(significand), x.op('i64_add', x.local(above), x.i64(1))));
      const below = x.op('i64_sub', x.i64(63), x.local(above));
      x.set(significand, x.op('i64_shr_u', x.local(significand), below));
    },
  );
  return rest;
}

function writeWiden(x: Expressions, bits: number, kind: number): void {
  const none = () => x.give(x.i32(-1), x.i64(0));
  const widenFloat = (size: 32 | 64, fraction: number, bias: number) => {
    const most = 2 ** (size - 1 - fraction) - 1;
    const upper = x.keep('i32', x.op('i32_wrap_i64', x.op('i64_shr_u', x.local(bits), x.i64(fraction))));
    const signAt = size - 1 - fraction;
    const sign = x.keep(
      'i32',
      x.op('i32_shl', x.op('i32_shr_u', x.local(upper), x.i32(signAt)), x.i32(Math.log2(SIGN))),
    );
    const exponent = x.keep('i32', x.op('i32_and', x.local(upper), x.i32(most)));
    x.when(x.op('i32_eqz', x.local(exponent)), () => {
      const isZero = x.op('i64_eqz', x.op('i64_shl', x.local(bits), x.i64(64 - fraction)));
      x.when(isZero, () => x.give(x.local(sign), x.i64(0)));
      none();
    });
    x.when(x.op('i32_eq', x.local(exponent), x.i32(most)), none);
    const below = x.op('i64_shl', x.local(bits), x.i64(63 - fraction));
    x.give(
      x.op('i32_or', x.local(sign), x.op('i32_add', x.local(exponent), x.i32(BIAS - bias))),
      x.op('i64_or', below, x.i64(INTEGER_BIT)),
    );
  };
  x.when(x.op('i32_eqz', x.local(kind)), () => widenFloat(32, 23, 127));
  x.when(x.op('i32_eq', x.local(kind), x.i32(NARROW_KIND.FLOAT64)), () => widenFloat(64, 52, 1023));
  // An integer, sign-extended.
  x.when(x.op('i64_eqz', x.local(bits)), () => x.give(x.i32(0), x.i64(0)));
  const negative = x.keep('i32', x.op('i64_lt_s', x.local(bits), x.i64(0)));
  x.when(x.local(negative), () => x.set(bits, x.op('i64_sub', x.i64(0), x.local(bits))));
  const zeros = x.keep('i64', x.op('i64_clz', x.local(bits)));
  const exponent = x.op('i32_sub', x.i32(BIAS + 63), x.op('i32_wrap_i64', x.local(zeros)));
  x.op('i32_or', x.op('i32_shl', x.local(negative), x.i32(Math.log2(SIGN))), exponent)();
  x.op('i64_shl', x.local(bits), x.local(zeros))();
}

/** CF: a is less; ZF: they are equal. */
function writeCompare(
  x: Expressions,
  a: number,
  significandA: number,
  b: number,
  significandB: number,
): void {
  x.when(x.op('i64_eqz', x.op('i64_or', x.local(significandA), x.local(significandB))), () =>
    x.give(x.i32(FLAG.ZF)),
  );
  x.when(x.op('i32_and', x.op('i32_xor', x.local(a), x.local(b)), x.i32(SIGN)), () =>
    x.give(x.op('i32_shr_u', x.op('i32_and', x.local(a), x.i32(SIGN)), x.i32(Math.log2(SIGN)))),
  );
  const sameExponent = x.op('i32_eq', x.local(a), x.local(b));
  const same = x.op('i64_eq', x.local(significandA), x.local(significandB));
  x.when(x.op('i32_and', sameExponent, same), () => x.give(x.i32(FLAG.ZF)));
  const smaller = x.op(
    'select',
    x.op('i64_lt_u', x.local(significandA), x.local(significandB)),
    x.op('i32_lt_u', x.local(a), x.local(b)),
    sameExponent,
  );
  x.op('i32_xor', smaller, x.op('i32_shr_u', x.local(a), x.i32(Math.log2(SIGN))))();
}

/** Adds all of them, exported by their names. */
export function addX87Functions(module: ModuleBuilder, multiplyHigh: number): Record<X87Function, number> {
  const writer = new X87Writer(module, multiplyHigh);
  const arithmetic = (name: X87Function, operation: Operation) =>
    writer.add(name, (x, fpu, ...parameters) => writer.arithmetic(x, fpu, operation, parameters));
  const narrow = (name: X87Function, operation: Operation) =>
    writer.add(name, (x, fpu, ...parameters) => writer.arithmeticNarrow(x, fpu, operation, parameters));
  return {
    x87Push: writer.add('x87Push', (x, fpu, a, b, c) => writer.push(x, fpu, a, b, c)),
    x87PushNarrow: writer.add('x87PushNarrow', (x, fpu, a, b, c) => writer.pushNarrow(x, fpu, a, b, c)),
    x87PushRegister: writer.add('x87PushRegister', (_x, fpu, a, b) => writer.pushRegister(fpu, a, b)),
    x87Exchange: writer.add('x87Exchange', (x, fpu, a, b) => writer.exchange(x, fpu, a, b)),
    x87Copy: writer.add('x87Copy', (x, fpu, a, b, c) => writer.copy(x, fpu, a, b, c)),
    x87ChangeSign: writer.add('x87ChangeSign', (x, fpu, a, b, c) => writer.changeSign(x, fpu, a, b, c)),
    x87Move: writer.add('x87Move', (x, fpu, a, b, c) => writer.move(x, fpu, a, b, c)),
    x87RoundToInteger: writer.add('x87RoundToInteger', (x, fpu, a) => writer.roundToInteger(x, fpu, a)),
    x87Add: arithmetic('x87Add', 'add'),
    x87Subtract: arithmetic('x87Subtract', 'subtract'),
    x87Multiply: arithmetic('x87Multiply', 'multiply'),
    x87Divide: arithmetic('x87Divide', 'divide'),
    x87AddNarrow: narrow('x87AddNarrow', 'add'),
    x87SubtractNarrow: narrow('x87SubtractNarrow', 'subtract'),
    x87MultiplyNarrow: narrow('x87MultiplyNarrow', 'multiply'),
    x87DivideNarrow: narrow('x87DivideNarrow', 'divide'),
    x87Compare: writer.add('x87Compare', (x, fpu, a, b, c, d) => writer.compare(x, fpu, a, b, c, d)),
    x87CompareNarrow: writer.add('x87CompareNarrow', (x, fpu, a, b, c, d) =>
      writer.compareNarrow(x, fpu, a, b, c, d),
    ),
    x87Convert: writer.add('x87Convert', (x, fpu, a) => writer.convert(x, fpu, a)),
    x87Stored: writer.add('x87Stored', (x, fpu, a, b, c) => writer.stored(x, fpu, a, b, c)),
  };
}
