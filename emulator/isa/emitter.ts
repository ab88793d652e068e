/**
 * The operand interface in which semantics are written. A semantics function reads like the manual's Operation
 * section: read the operands, compute, write the destination, say which flags follow from what.
 *
 * Integer values are i64 whatever the operand size; what `read` and `load` give is zero-extended. `write` stores the
 * low bits. Truth values are i32.
 */
import { EmulatorBug } from '../base/errors.ts';
import type { HandlerSpec } from './forms.ts';
import type {
  Access,
  Arithmetic64,
  Bits,
  Block,
  Compare64,
  CoreFunction,
  Effect,
  Logic32,
  Unary,
  Value,
  VectorState,
  Where,
  X87Function,
} from './ir.ts';
import { countUses } from './ir.ts';
import type { SimdOperation } from './vector/simd.ts';

type NewValue = Value extends infer V
  ? V extends Value
    ? Omit<V, 'block' | 'order' | 'uses' | 'last' | 'local'>
    : never
  : never;

export class Emitter {
  readonly spec: HandlerSpec;
  /** Operand size in bits: that of the first operand unless the row says otherwise. */
  readonly bits: Bits;
  readonly root: Block = { depth: 0, effects: [], orders: [] };
  /** Leaf values that read state, in order of creation. */
  readonly leaves: Value[] = [];
  variables = 0;
  readonly #values: Value[] = [];
  #counted = false;
  #block: Block = this.root;
  #made = 0;
  readonly #constants = new Map<bigint, Value>();
  readonly #openAccesses = new Map<number, Access>();

  readonly #immediate: bigint | undefined;

  /** @param immediate the instruction's, where it is known: what follows from it is not computed again. */
  constructor(spec: HandlerSpec, immediate?: bigint) {
    this.spec = spec;
    this.#immediate = immediate;
    this.bits = spec.bits as Bits;
  }

  /** Before each time that it is lowered: uses are counted, and no value is in a local. */
  prepare(): void {
    if (this.#counted) {
      for (const value of this.#values) value.local = -1;
      return;
    }
    countUses(this.root);
    this.#counted = true;
  }

  // Operands

  /** Operand `n`, zero-extended from its own size. */
  read(n: number): Value {
    const bits = this.spec.operandBits[n] as Bits;
    switch (this.spec.operands[n]) {
      case 'r':
        return this.#leaf({
          kind: 'register',
          type: 'i64',
          width: bits,
          operand: n,
          register: -1,
          bits,
          high: false,
        });
      case 'h':
        return this.#leaf({
          kind: 'register',
          type: 'i64',
          width: 8,
          operand: n,
          register: -1,
          bits: 8,
          high: true,
        });
      case 'i':
        if (this.#immediate !== undefined) return this.constant(this.#immediate);
        return this.#value({ kind: 'immediate', type: 'i64', width: bits, bits });
      case undefined:
        throw new EmulatorBug(`${this.spec.key} has no operand ${n}`);
      default:
        return this.#load({ kind: 'operand', operand: n }, bits, undefined);
    }
  }

  /** Operand `n` as the destination of a read-modify-write: a memory operand is checked for writing. */
  readForWrite(n: number): Value {
    if (!this.isMemory(n)) return this.read(n);
    const access: Access = { offset: -1, linear: -1 };
    this.#openAccesses.set(n, access);
    return this.#load({ kind: 'operand', operand: n }, this.spec.operandBits[n] as Bits, access);
  }

  /** Writes the low bits of `value` to operand `n`. A 32-bit register's upper half becomes zero. */
  write(n: number, value: Value): void {
    const bits = this.spec.operandBits[n] as Bits;
    if (!this.isMemory(n)) {
      const high = this.spec.operands[n] === 'h';
      this.#effect({
        kind: 'set-register',
        operand: n,
        register: -1,
        bits,
        high,
        value: this.#forRegister(value, bits),
      });
      return;
    }
    const after = this.#openAccesses.get(n);
    this.#effect({ kind: 'store', where: { kind: 'operand', operand: n }, bits, value, after });
  }

  isMemory(n: number): boolean {
    const kind = this.spec.operands[n];
    return kind === 'b' || kind === 'x' || kind === 'p' || kind === 's';
  }

  /** Offset of memory operand `n` in its segment, truncated to the address size: what LEA computes. */
  address(n: number): Value {
    return this.#leaf({ kind: 'address', type: 'i64', width: 64, operand: n });
  }

  /** A fixed register. */
  register(register: number, bits: Bits = this.bits, high = false): Value {
    return this.#leaf({ kind: 'register', type: 'i64', width: bits, operand: -1, register, bits, high });
  }

  setRegister(register: number, value: Value, bits: Bits = this.bits, high = false): void {
    this.#effect({
      kind: 'set-register',
      operand: -1,
      register,
      bits,
      high,
      value: this.#forRegister(value, bits),
    });
  }

  /** All ones up to the address size; registers that address memory implicitly are cut to it. */
  addressMask(): Value {
    return this.spec.flat
      ? this.constant(-1n)
      : this.#value({ kind: 'address-mask', type: 'i64', width: 64 });
  }

  /** All ones up to the stack pointer's size. */
  stackMask(): Value {
    return this.spec.flat ? this.constant(-1n) : this.#value({ kind: 'stack-mask', type: 'i64', width: 64 });
  }

  /** An offset in a segment: a linear address in the flat variants of string and stack rows. */
  inSegment(segment: number | 'operand', offset: Value): Where {
    return this.spec.flat ? { kind: 'linear', address: offset } : { kind: 'segment', segment, offset };
  }

  // Memory

  load(where: Where, bits: Bits): Value {
    return this.#load(where, bits, undefined);
  }

  /** A load whose place is then written through {@link storeAfter}. */
  loadForWrite(where: Where, bits: Bits): { value: Value; access: Access } {
    const access: Access = { offset: -1, linear: -1 };
    return { value: this.#load(where, bits, access), access };
  }

  store(where: Where, bits: Bits, value: Value): void {
    this.#effect({ kind: 'store', where, bits, value, after: undefined });
  }

  storeAfter(access: Access, where: Where, bits: Bits, value: Value): void {
    this.#effect({ kind: 'store', where, bits, value, after: access });
  }

  // Vectors

  /** The instruction is an exception unless instructions on this state are enabled. */
  require(state: VectorState): void {
    this.#effect({ kind: 'require', state });
  }

  /** Bits 127:0 (half 0) or 255:128 of vector register operand `n`; an MMX register with zeros above it. */
  vector(n: number, half: 0 | 1 = 0): Value {
    const file = this.spec.operands[n] === 'q' ? 'mmx' : 'ymm';
    return this.#leaf({ kind: 'vector-register', type: 'v128', width: 128, operand: n, file, half });
  }

  /** Writes 16 bytes of vector register operand `n`, or the 8 of an MMX register, which becomes a valid x87 NaN. */
  setVector(n: number, half: 0 | 1, value: Value): void {
    const file = this.spec.operands[n] === 'q' ? 'mmx' : 'ymm';
    this.#effect({ kind: 'set-vector', operand: n, file, half, value });
  }

  /** Memory operand `n`, 16 bytes or 32; `aligned`: #GP(0) unless the address is a multiple of the size. */
  loadVector(n: number, aligned: boolean): readonly [Value, Value | undefined] {
    const result = () => this.#value({ kind: 'result', type: 'v128', width: 128 });
    const low = result();
    const high = this.spec.operandBits[n] === 256 ? result() : undefined;
    this.#effect({ kind: 'load-vector', low, high, where: { kind: 'operand', operand: n }, aligned });
    return [low, high];
  }

  storeVector(n: number, low: Value, high: Value | undefined, aligned: boolean): void {
    this.#effect({ kind: 'store-vector', low, high, where: { kind: 'operand', operand: n }, aligned });
  }

  /** An operation on vectors. What takes or gives a lane does so as WebAssembly has it. */
  simd(op: SimdOperation, args: readonly Value[], bytes: readonly number[] = []): Value {
    const type =
      op.endsWith('_bitmask') || op === 'v128_any_true' || /^i(8|16|32)x\d+_extract/.test(op)
        ? 'i32'
        : op === 'i64x2_extract_lane'
          ? 'i64'
          : 'v128';
    return this.#value({ kind: 'simd', type, width: type === 'v128' ? 128 : 64, op, args, bytes });
  }

  /** A field of the CPU state, as an i64 with zeros above. */
  field(offset: number, bits: 32 | 64): Value {
    return this.#leaf({ kind: 'field', type: 'i64', width: bits, offset, bits });
  }

  setField(offset: number, bits: 32 | 64, value: Value): void {
    this.#effect({ kind: 'set-field', offset, bits, value });
  }

  // The x87 FPU

  /** 8 times the number of operand `n`, ST(i). */
  stackRegister(n: number): Value {
    return this.#value({ kind: 'stack-register', type: 'i64', width: 6, operand: n });
  }

  rip(): Value {
    return this.#value({ kind: 'rip', type: 'i64', width: 64 });
  }

  /** Does the usual of an x87 instruction: what it gives is 0 where the instruction has to be handed over. */
  x87(callee: X87Function, ...args: Value[]): Value {
    const into = this.#value({ kind: 'result', type: 'i64', width: 64 });
    this.#effect({ kind: 'x87', into, callee, args });
    return into;
  }

  // Arithmetic

  constant(value: bigint | number): Value {
    const key = BigInt.asUintN(64, BigInt(value));
    const known = this.#constants.get(key);
    if (known) return known;
    const made = this.#value({ kind: 'constant', type: 'i64', width: key.toString(2).length, value: key });
    this.#constants.set(key, made);
    return made;
  }

  add(a: Value, b: Value): Value {
    return this.binary('i64_add', a, b);
  }

  sub(a: Value, b: Value): Value {
    return this.binary('i64_sub', a, b);
  }

  and(a: Value, b: Value): Value {
    return this.binary('i64_and', a, b);
  }

  or(a: Value, b: Value): Value {
    return this.binary('i64_or', a, b);
  }

  xor(a: Value, b: Value): Value {
    return this.binary('i64_xor', a, b);
  }

  shl(a: Value, count: Value | number): Value {
    return this.binary('i64_shl', a, typeof count === 'number' ? this.constant(count) : count);
  }

  shr(a: Value, count: Value | number): Value {
    return this.binary('i64_shr_u', a, typeof count === 'number' ? this.constant(count) : count);
  }

  sar(a: Value, count: Value | number): Value {
    return this.binary('i64_shr_s', a, typeof count === 'number' ? this.constant(count) : count);
  }

  binary(op: Arithmetic64, a: Value, b: Value): Value {
    const known = evaluate(op, a, b);
    if (known !== undefined) return this.constant(known);
    return this.#value({ kind: 'binary', type: 'i64', width: resultWidth(op, a, b), op, a, b });
  }

  compare(op: Compare64, a: Value, b: Value): Value {
    return this.#value({ kind: 'binary', type: 'i32', width: 1, op, a, b });
  }

  isZero(a: Value): Value {
    return this.#value({
      kind: 'unary',
      type: 'i32',
      width: 1,
      op: a.type === 'i64' ? 'i64_eqz' : 'i32_eqz',
      a,
    });
  }

  isNotZero(a: Value): Value {
    return this.compare('i64_ne', a, this.constant(0));
  }

  logic(op: Logic32, a: Value, b: Value): Value {
    return this.#value({ kind: 'binary', type: 'i32', width: 1, op, a, b });
  }

  unary(op: Unary, a: Value): Value {
    const toI32 = op === 'i64_eqz' || op === 'i32_eqz' || op === 'i32_wrap_i64';
    const width =
      op === 'i64_extend_i32_u'
        ? a.width
        : op === 'i64_clz' || op === 'i64_ctz' || op === 'i64_popcnt'
          ? 7
          : 64;
    return this.#value({ kind: 'unary', type: toI32 ? 'i32' : 'i64', width: toI32 ? 1 : width, op, a });
  }

  /** A truth value as 0 or 1. */
  bit(condition: Value): Value {
    return this.unary('i64_extend_i32_u', condition);
  }

  select(condition: Value, a: Value, b: Value): Value {
    const known = truthOf(condition);
    if (known !== undefined) return known ? a : b;
    return this.#value({ kind: 'select', type: a.type, width: Math.max(a.width, b.width), condition, a, b });
  }

  call(callee: CoreFunction, ...args: Value[]): Value {
    return this.#value({ kind: 'call', type: 'i64', width: 64, callee, args });
  }

  /** The low `bits` of a value, the rest zero. */
  zeroExtend(value: Value, bits: Bits): Value {
    if (bits === 64 || value.width <= bits) return value;
    return this.and(value, this.constant((1n << BigInt(bits)) - 1n));
  }

  signExtend(value: Value, bits: Bits): Value {
    if (bits === 64 || value.width < bits) return value;
    return this.unary(
      bits === 32 ? 'i64_extend32_s' : bits === 16 ? 'i64_extend16_s' : 'i64_extend8_s',
      value,
    );
  }

  // Flags

  /** Flags of `a - b`, operands of the given size. */
  flagsOfSub(a: Value, b: Value, bits: Bits = this.bits): void {
    this.#flags('sub', this.#toTop(a, bits), this.#toTop(b, bits), bits);
  }

  flagsOfAdd(a: Value, b: Value, bits: Bits = this.bits): void {
    this.#flags('add', this.#toTop(a, bits), this.#toTop(b, bits), bits);
  }

  /** CF, OF and AF zero; ZF, SF, PF from the result. */
  flagsOfLogic(result: Value, bits: Bits = this.bits): void {
    this.#flags('sub', this.#toTop(result, bits), this.constant(0), bits);
  }

  /** ZF, SF, PF from the result; the others given as i64 values that are 0 or 1. */
  flagsOfResult(result: Value, parts: { cf?: Value; of?: Value; af?: Value }, bits: Bits = this.bits): void {
    let rest = parts.cf ?? this.constant(0);
    if (parts.of) rest = this.or(rest, this.shl(parts.of, 11));
    if (parts.af) rest = this.or(rest, this.shl(parts.af, 4));
    this.#flags('result', this.#toTop(result, bits), rest, bits);
  }

  /** All six flags from their RFLAGS positions in `flags`. */
  setFlags(flags: Value): void {
    this.#flags('flags', this.constant(0), flags, 64);
  }

  /** All six flags at their RFLAGS positions. */
  flags(): Value {
    return this.#leaf({ kind: 'flags', type: 'i64', width: 12 });
  }

  /** RFLAGS without the arithmetic flags. */
  systemFlags(): Value {
    return this.#leaf({ kind: 'system-flags', type: 'i64', width: 32 });
  }

  cr0(): Value {
    return this.#leaf({ kind: 'cr0', type: 'i64', width: 64 });
  }

  /** Whether condition code `condition` (its encoding) holds. */
  condition(condition: number): Value {
    return this.#leaf({ kind: 'condition', type: 'i32', width: 1, condition });
  }

  setSystemFlag(mask: number, value: boolean): void {
    this.#effect({ kind: 'set-system-flag', mask, value });
  }

  // Control

  nextRip(): Value {
    return this.#value({ kind: 'next-rip', type: 'i64', width: 64 });
  }

  /** Where a direct branch goes outside 64-bit mode: the way there is its record's immediate. */
  directTarget(): Value {
    const way = this.#value({ kind: 'immediate', type: 'i64', width: 64, bits: 64 });
    const mask = this.constant(this.bits === 16 ? 0xffff : 0xffff_ffff);
    return this.and(this.add(this.rip(), way), mask);
  }

  jump(): void {
    this.#effect({ kind: 'jump' });
  }

  jumpIf(condition: Value): void {
    this.#effect({ kind: 'jump-if', condition });
  }

  jumpTo(rip: Value): void {
    this.#effect({ kind: 'jump-to', rip });
  }

  /** To 64-bit code in another context: nothing that was known before holds there. */
  jumpFar(rip: Value): void {
    this.#effect({ kind: 'jump-far', rip });
  }

  repeatIf(condition: Value): void {
    this.#effect({ kind: 'repeat-if', condition });
  }

  raiseIf(condition: Value, vector: number): void {
    this.#effect({ kind: 'raise', condition, vector });
  }

  system(): void {
    this.#effect({ kind: 'system' });
  }

  /** A mutable value: for results of branches. */
  variable(initial: Value): { get(): Value; set(value: Value): void } {
    const variable = this.variables++;
    const set = (value: Value) => this.#effect({ kind: 'set-variable', variable, value });
    set(initial);
    return { get: () => this.#leaf({ kind: 'variable', type: 'i64', width: 64, variable }), set };
  }

  if(condition: Value, taken: () => void, otherwise?: () => void): void {
    const known = truthOf(condition);
    if (known !== undefined) {
      if (known) taken();
      else otherwise?.();
      return;
    }
    const outer = this.#block;
    const order = this.#made++;
    const inside = (body: () => void): Block => {
      const block: Block = { depth: outer.depth + 1, effects: [], orders: [] };
      this.#block = block;
      body();
      this.#block = outer;
      return block;
    };
    const takenBlock = inside(taken);
    const otherwiseBlock = otherwise && inside(otherwise);
    this.#effect({ kind: 'if', condition, taken: takenBlock, otherwise: otherwiseBlock }, order);
  }

  /** Elements copied or filled at once by a repeated string instruction, going up; see the effect. */
  bulk(count: Value, destination: Value, from: { source: Value } | { value: Value }): Value {
    const into = this.#value({ kind: 'result', type: 'i64', width: 64 });
    const { source, value } = { source: undefined, value: undefined, ...from };
    this.#effect({ kind: 'bulk', into, bits: this.bits, count, destination, source, value });
    return into;
  }

  #load(where: Where, bits: Bits, forWrite: Access | undefined): Value {
    const into = this.#value({ kind: 'result', type: 'i64', width: bits });
    this.#effect({ kind: 'load', into, where, bits, forWrite });
    return into;
  }

  #flags(flags: 'sub' | 'add' | 'result' | 'flags', a: Value, b: Value, bits: Bits): void {
    this.#effect({ kind: 'set-flags', flags, bits, a, b });
  }

  /** Shifted so that the most significant bit of the operand size is bit 63. */
  #toTop(value: Value, bits: Bits): Value {
    return bits === 64 ? value : this.shl(value, 64 - bits);
  }

  #forRegister(value: Value, bits: Bits): Value {
    return bits === 32 ? this.zeroExtend(value, 32) : value;
  }

  #effect(effect: Effect, order = this.#made++): void {
    this.#block.effects.push(effect);
    this.#block.orders.push(order);
  }

  #leaf(value: NewValue): Value {
    const made = this.#value(value);
    this.leaves.push(made);
    return made;
  }

  #value(value: NewValue): Value {
    // In this order: V8 takes eight times as long to add fields behind those that it copies.
    const made = { block: this.#block, order: this.#made++, uses: 0, last: -1, local: -1, ...value } as Value;
    this.#values.push(made);
    return made;
  }
}

/** What an operation on constants gives; undefined for others, and for a division by zero. */
function evaluate(op: Arithmetic64, a: Value, b: Value): bigint | undefined {
  if (a.kind !== 'constant' || b.kind !== 'constant') return undefined;
  const count = b.value & 63n;
  switch (op) {
    case 'i64_add':
      return a.value + b.value;
    case 'i64_sub':
      return a.value - b.value;
    case 'i64_mul':
      return a.value * b.value;
    case 'i64_and':
      return a.value & b.value;
    case 'i64_or':
      return a.value | b.value;
    case 'i64_xor':
      return a.value ^ b.value;
    case 'i64_shl':
      return a.value << count;
    case 'i64_shr_u':
      return a.value >> count;
    case 'i64_shr_s':
      return BigInt.asIntN(64, a.value) >> count;
    case 'i64_rem_u':
      return b.value === 0n ? undefined : a.value % b.value;
    default:
      return undefined;
  }
}

/** Whether a condition on constants holds; undefined for others. */
function truthOf(condition: Value): boolean | undefined {
  if (condition.kind === 'unary' && condition.op === 'i64_eqz')
    return condition.a.kind === 'constant' ? condition.a.value === 0n : undefined;
  if (condition.kind !== 'binary' || condition.a.kind !== 'constant' || condition.b.kind !== 'constant')
    return undefined;
  if (condition.op === 'i64_eq') return condition.a.value === condition.b.value;
  if (condition.op === 'i64_ne') return condition.a.value !== condition.b.value;
  return undefined;
}

function resultWidth(op: Arithmetic64, a: Value, b: Value): number {
  switch (op) {
    case 'i64_and':
      return Math.min(a.width, b.width);
    case 'i64_or':
    case 'i64_xor':
      return Math.max(a.width, b.width);
    case 'i64_shr_u':
      return b.kind === 'constant' ? Math.max(a.width - Number(b.value), 1) : a.width;
    case 'i64_shl':
      return b.kind === 'constant' ? Math.min(a.width + Number(b.value), 64) : 64;
    case 'i32_rotl':
      return 32;
    case 'i64_add':
      return Math.min(Math.max(a.width, b.width) + 1, 64);
    case 'i64_div_u':
      return a.width;
    case 'i64_rem_u':
      return Math.min(a.width, b.width);
    default:
      return 64;
  }
}
