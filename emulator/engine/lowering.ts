/**
 * Lowers what a semantics function built (isa/ir.ts) to WebAssembly. What differs between the interpreter and the
 * translator (where operands come from, where registers and flags live, how one leaves) is in the subclasses.
 */
import { EmulatorBug } from '../base/errors.ts';
import type { Emitter } from '../isa/emitter.ts';
import type {
  Access,
  Bits,
  Block,
  Cell,
  Effect,
  Value,
  ValueType,
  VectorState,
  Where,
  X87Function,
} from '../isa/ir.ts';
import { cellOf, operandsOf, partsOf } from '../isa/ir.ts';
import { OFFSET, TLB_ENTRIES, TLB_READ, TLB_WRITE } from '../state/layout.ts';
import { VECTOR } from '../state/registers.ts';
import { lowerBulk } from './bulk.ts';
import { pushField64, storeField32, storeField64 } from './stateFields.ts';
import type { FunctionBuilder } from './wasm/functionBuilder.ts';
import type { OpName } from './wasm/opcodes.ts';

type OperandValue = Extract<
  Value,
  { kind: 'register' | 'immediate' | 'address' | 'condition' | 'call' | 'vector-register' | 'stack-register' }
>;
type SetRegister = Extract<Effect, { kind: 'set-register' }>;
type SetFlags = Extract<Effect, { kind: 'set-flags' }>;

export type AccessBits = Bits | 128 | 256;

const LOAD: Record<Bits, OpName> = {
  8: 'i64_load8_u',
  16: 'i64_load16_u',
  32: 'i64_load32_u',
  64: 'i64_load',
};
const STORE: Record<Bits, OpName> = {
  8: 'i64_store8',
  16: 'i64_store16',
  32: 'i64_store32',
  64: 'i64_store',
};

const ZERO_BYTES: readonly number[] = Array.from({ length: 16 }, () => 0);

export abstract class Lowering {
  readonly fn: FunctionBuilder;
  protected emitter!: Emitter;
  /** Whether the instruction itself said where to go on. */
  protected ended = false;
  /** Lowering a branch of an `if` of the instruction. */
  protected get insideBranch(): boolean {
    return this.#depth > 0;
  }

  #depth = 0;
  #number = 0;
  #temporaries: { type: ValueType; local: number }[] = [];
  readonly #variables = new Map<number, number>();

  constructor(fn: FunctionBuilder) {
    this.fn = fn;
  }

  /** Lowers one instruction. Gives whether it ended with a jump of its own on every path. */
  protected lower(emitter: Emitter): boolean {
    this.emitter = emitter;
    this.ended = false;
    this.#number = 0;
    emitter.prepare();
    this.#block(emitter.root);
    for (const { type, local } of this.#temporaries) this.fn.release(type, local);
    this.#temporaries = [];
    this.#variables.clear();
    return this.ended;
  }

  // What the products differ in

  protected abstract pushRegister(value: Extract<Value, { kind: 'register' }>): void;
  protected abstract pushImmediate(bits: Bits): void;
  protected abstract pushAddress(operand: number): void;
  /** Pushes 8 times the number of a stack register operand (i64). */
  protected abstract pushStackRegister(operand: number): void;
  protected abstract pushRip(): void;
  protected abstract pushNextRip(): void;
  protected abstract pushAddressMask(): void;
  protected abstract pushStackMask(): void;
  protected abstract pushCondition(condition: number): void;
  protected abstract pushFlags(): void;
  protected abstract pushSystemFlags(): void;
  protected abstract pushCall(value: Extract<Value, { kind: 'call' }>): void;
  protected abstract callX87(callee: X87Function): void;
  protected abstract setRegister(effect: SetRegister): void;
  protected abstract setFlags(effect: SetFlags): void;
  protected abstract setSystemFlag(mask: number, on: boolean): void;
  /** Pushes the checked linear address; may leave with a fault. */
  protected abstract pushLinear(where: Where, bits: AccessBits, write: boolean): void;
  /** Pushes the translation context (i64). */
  protected abstract pushContext(): void;
  /** The linear address is in the local: loads slowly and pushes the value, or leaves. */
  protected abstract slowLoad(linear: number, bits: Bits, write: boolean): void;
  protected abstract slowStore(linear: number, bits: Bits, value: () => void): void;
  /** Pushes the address of a vector register in the state. */
  protected abstract pushVectorPlace(operand: number, shift: number): void;
  /** The linear address is in the local: loads into ACCESS_VECTOR, or leaves. */
  protected abstract slowLoadVector(linear: number, bytes: number): void;
  /** Stores from ACCESS_VECTOR, or leaves. */
  protected abstract slowStoreVector(linear: number, bytes: number): void;
  protected abstract require(state: VectorState): void;
  protected abstract raise(vector: number): void;
  protected abstract jump(): void;
  protected abstract jumpTo(pushRip: () => void): void;
  /** Pushes the instructions that are left after the current one. */
  protected abstract pushBudget(): void;
  /** Counts so many instructions (a local) besides the current one. */
  protected abstract takeBudget(count: number): void;
  protected abstract jumpFar(pushRip: () => void): void;
  protected abstract repeat(): void;
  protected abstract next(): void;
  protected abstract system(): void;
  /** Whether nothing comes behind `slowLoad` and `slowStore`: they always leave. */
  protected slowAccessLeaves(): boolean {
    return false;
  }
  /** Whether the flags set by the current instruction are dead. */
  protected flagsDead(): boolean {
    return false;
  }

  // Values

  protected push(value: Value): void {
    const { fn } = this;
    if (value.kind === 'constant') {
      fn.code.i64Const(BigInt.asIntN(64, value.value));
      return;
    }
    if (value.local >= 0) {
      fn.code.localGet(value.local);
      return;
    }
    this.#compute(value);
    if (value.uses > 1) {
      value.local = this.temporary(value.type);
      fn.code.localTee(value.local);
    }
  }

  protected temporary(type: ValueType): number {
    const local = this.fn.allocate(type);
    this.#temporaries.push({ type, local });
    return local;
  }

  #compute(value: Value): void {
    const { fn } = this;
    switch (value.kind) {
      case 'binary':
        this.#binary(value);
        return;
      case 'unary':
        this.push(value.a);
        fn.op(value.op);
        return;
      case 'select':
        this.push(value.a);
        this.push(value.b);
        this.push(value.condition);
        fn.op('select');
        return;
      case 'variable':
        fn.code.localGet(this.#variable(value.variable));
        return;
      case 'field':
        fn.code.i32Const(0).memory(LOAD[value.bits], value.offset);
        return;
      case 'simd':
        for (const argument of value.args) this.push(argument);
        fn.code.simd(value.op, value.bytes);
        return;
      case 'rip':
        this.pushRip();
        return;
      case 'next-rip':
        this.pushNextRip();
        return;
      case 'address-mask':
        this.pushAddressMask();
        return;
      case 'stack-mask':
        this.pushStackMask();
        return;
      case 'flags':
        this.pushFlags();
        return;
      case 'cr0':
        pushField64(fn, OFFSET.CR0);
        return;
      case 'system-flags':
        this.pushSystemFlags();
        return;
      case 'result':
      case 'constant':
        throw new EmulatorBug(`${this.emitter.spec.key}: a ${value.kind} is computed by its effect`);
      default:
        this.#operand(value);
    }
  }

  #binary({ op, a, b }: Extract<Value, { kind: 'binary' }>): void {
    const { fn } = this;
    this.push(a);
    if (op !== 'i32_rotl') {
      this.push(b);
      fn.op(op);
      return;
    }
    fn.op('i32_wrap_i64');
    this.push(b);
    fn.op('i32_wrap_i64').op(op).op('i64_extend_i32_u');
  }

  #operand(value: OperandValue): void {
    switch (value.kind) {
      case 'register':
        this.pushRegister(value);
        return;
      case 'immediate':
        this.pushImmediate(value.bits);
        return;
      case 'address':
        this.pushAddress(value.operand);
        return;
      case 'condition':
        this.pushCondition(value.condition);
        return;
      case 'call':
        this.pushCall(value);
        return;
      case 'stack-register':
        this.pushStackRegister(value.operand);
        return;
      case 'vector-register':
        this.#vectorRegister(value);
    }
  }

  #vectorRegister({ operand, file, half }: Extract<Value, { kind: 'vector-register' }>): void {
    const { code } = this.fn;
    if (file === 'ymm') {
      this.pushVectorPlace(operand, 2);
      code.simdMemory('v128_load', OFFSET.YMM + 16 * half);
      return;
    }
    code.simd('v128_const', ZERO_BYTES);
    this.pushVectorPlace(operand, 0);
    code.memory('i64_load', OFFSET.X87_SIGNIFICAND).simd('i64x2_replace_lane', [0]);
  }

  #setVector({ operand, file, half, value }: Extract<Effect, { kind: 'set-vector' }>): void {
    const { code } = this.fn;
    if (file === 'ymm') {
      this.pushVectorPlace(operand, 2);
      this.push(value);
      code.simdMemory('v128_store', OFFSET.YMM + 16 * half);
      return;
    }
    this.pushVectorPlace(operand, 0);
    this.push(value);
    code.simd('i64x2_extract_lane', [0]).memory('i64_store', OFFSET.X87_SIGNIFICAND);
    this.pushVectorPlace(operand, 0);
    code.i32Const(1).op('i32_shr_u').i32Const(0xffff).memory('i32_store', OFFSET.X87_EXPONENT);
  }

  #variable(variable: number): number {
    let local = this.#variables.get(variable);
    if (local === undefined) {
      local = this.temporary('i64');
      this.#variables.set(variable, local);
    }
    return local;
  }

  // Effects

  #block(block: Block): void {
    for (const [i, effect] of block.effects.entries()) {
      const number = this.#number++;
      if (effect.kind === 'set-flags' && this.flagsDead()) continue;
      this.#capture(effect, number, block.orders[i] as number);
      this.#effect(effect);
    }
  }

  /** Puts into locals what later effects use, was read before this one, and is changed by it. */
  #capture(effect: Effect, number: number, order: number): void {
    if (effect.kind === 'if') {
      this.#captureForBranches(effect, number, order);
      return;
    }
    const cell = cellWritten(effect);
    if (cell === undefined) return;
    for (const leaf of this.emitter.leaves) {
      if (leaf.local >= 0 || leaf.last <= number || leaf.order > order) continue;
      if (clobbers(cell, cellOf(leaf))) this.#materialize(leaf);
    }
  }

  #captureForBranches(effect: Extract<Effect, { kind: 'if' }>, number: number, order: number): void {
    const inside = new Set<Value>();
    const cells: Cell[] = [];
    const visit = (block: Block): number => {
      let count = 0;
      for (const nested of block.effects) {
        count++;
        const cell = cellWritten(nested);
        if (cell !== undefined) cells.push(cell);
        for (const value of operandsOf(nested)) collect(value, inside);
        if (nested.kind === 'if') {
          count += visit(nested.taken);
          if (nested.otherwise) count += visit(nested.otherwise);
        }
      }
      return count;
    };
    const nestedCount = visit(effect.taken) + (effect.otherwise ? visit(effect.otherwise) : 0);
    const end = number + nestedCount;
    const depth = effect.taken.depth;
    for (const value of inside) {
      if (value.kind !== 'constant' && value.local < 0 && value.uses > 1 && value.block.depth < depth)
        this.#materialize(value);
    }
    for (const leaf of this.emitter.leaves) {
      if (leaf.local >= 0 || leaf.last <= end || leaf.order > order) continue;
      if (leaf.block.depth < depth && cells.some((cell) => clobbers(cell, cellOf(leaf))))
        this.#materialize(leaf);
    }
  }

  #materialize(value: Value): void {
    this.#compute(value);
    value.local = this.temporary(value.type);
    this.fn.code.localSet(value.local);
  }

  #effect(effect: Effect): void {
    const { fn } = this;
    switch (effect.kind) {
      case 'load':
        this.#load(effect.into, effect.where, effect.bits, effect.forWrite);
        return;
      case 'store':
        this.#store(effect.where, effect.bits, effect.value, effect.after);
        return;
      case 'set-register':
        this.setRegister(effect);
        return;
      case 'load-vector':
        this.#loadVector(effect);
        return;
      case 'store-vector':
        this.#storeVector(effect);
        return;
      case 'set-vector':
        this.#setVector(effect);
        return;
      case 'set-field':
        fn.code.i32Const(0);
        this.push(effect.value);
        fn.code.memory(STORE[effect.bits], effect.offset);
        return;
      case 'require':
        this.require(effect.state);
        return;
      case 'x87':
        for (const argument of effect.args) this.push(argument);
        this.callX87(effect.callee);
        effect.into.local = this.temporary('i64');
        fn.code.localSet(effect.into.local);
        return;
      case 'set-flags':
        this.setFlags(effect);
        return;
      case 'set-system-flag':
        this.setSystemFlag(effect.mask, effect.value);
        return;
      case 'set-variable':
        this.push(effect.value);
        fn.code.localSet(this.#variable(effect.variable));
        return;
      case 'if':
        this.#if(effect);
        return;
      case 'raise':
        this.push(effect.condition);
        fn.if();
        this.raise(effect.vector);
        fn.end();
        return;
      case 'jump':
        this.jump();
        this.ended = true;
        return;
      case 'jump-if':
        this.push(effect.condition);
        fn.if();
        this.jump();
        fn.end();
        return;
      case 'jump-to':
        this.jumpTo(() => this.push(effect.rip));
        this.ended = true;
        return;
      case 'jump-far':
        this.jumpFar(() => this.push(effect.rip));
        this.ended = true;
        return;
      case 'repeat-if': {
        const again = this.temporary('i32');
        this.push(effect.condition);
        fn.code.localSet(again);
        storeField32(fn, OFFSET.REPEATING, () => fn.code.localGet(again));
        fn.code.localGet(again);
        fn.if();
        storeField64(fn, OFFSET.REPETITIONS, () => {
          pushField64(fn, OFFSET.REPETITIONS);
          fn.code.i64Const(1n).op('i64_add');
        });
        this.repeat();
        fn.end();
        return;
      }
      case 'bulk':
        lowerBulk(effect, {
          fn: this.fn,
          temporary: (type) => this.temporary(type),
          push: (value) => this.push(value),
          pushTlbHit: (linear, write) => this.#lookUp(linear, 8, write),
          pushOffset: (linear, write) => this.#pushOffset(linear, write),
          pushBudget: () => this.pushBudget(),
          takeBudget: (count) => this.takeBudget(count),
        });
        return;
      case 'system':
        this.system();
        this.ended = true;
    }
  }

  #if(effect: Extract<Effect, { kind: 'if' }>): void {
    const { fn } = this;
    this.push(effect.condition);
    fn.if();
    this.#depth++;
    this.ended = false;
    this.#block(effect.taken);
    const thenEnded = this.ended;
    this.ended = false;
    if (effect.otherwise) {
      fn.else();
      this.#block(effect.otherwise);
    }
    fn.end();
    this.#depth--;
    this.ended = thenEnded && this.ended;
  }

  #load(into: Value, where: Where, bits: Bits, forWrite: Access | undefined): void {
    const { fn } = this;
    const linear = this.temporary('i64');
    into.local = this.temporary('i64');
    this.pushLinear(where, bits, forWrite !== undefined);
    fn.code.localSet(linear);
    this.#lookUp(linear, bits, forWrite !== undefined);
    fn.if('i64');
    this.#pushOffset(linear, forWrite !== undefined);
    if (forWrite) {
      forWrite.linear = linear;
      forWrite.offset = this.temporary('i32');
      fn.code.localTee(forWrite.offset);
    }
    fn.code.memory(LOAD[bits], 0);
    fn.else();
    if (forWrite && !this.slowAccessLeaves()) fn.code.i32Const(0).localSet(forWrite.offset);
    this.slowLoad(linear, bits, forWrite !== undefined);
    fn.end();
    fn.code.localSet(into.local);
  }

  #store(where: Where, bits: Bits, value: Value, after: Access | undefined): void {
    const { fn } = this;
    if (after) {
      // The load has found the place; offset 0 says that it took the slow way.
      const known = this.#stored(value);
      if (this.slowAccessLeaves()) {
        fn.code.localGet(after.offset);
        known();
        fn.code.memory(STORE[bits], 0);
        return;
      }
      fn.code.localGet(after.offset);
      fn.if();
      fn.code.localGet(after.offset);
      known();
      fn.code.memory(STORE[bits], 0);
      fn.else();
      this.slowStore(after.linear, bits, known);
      fn.end();
      return;
    }
    const linear = this.temporary('i64');
    this.pushLinear(where, bits, true);
    fn.code.localSet(linear);
    const known = this.#stored(value);
    this.#lookUp(linear, bits, true);
    fn.if();
    this.#pushOffset(linear, true);
    known();
    fn.code.memory(STORE[bits], 0);
    fn.else();
    this.slowStore(linear, bits, known);
    fn.end();
  }

  #vectorLinear(where: Where, bits: 128 | 256, write: boolean, aligned: boolean): number {
    const { fn } = this;
    const linear = this.temporary('i64');
    this.pushLinear(where, bits, write);
    fn.code.localSet(linear);
    if (aligned) {
      fn.code
        .localGet(linear)
        .op('i32_wrap_i64')
        .i32Const(bits / 8 - 1)
        .op('i32_and');
      fn.if();
      this.raise(VECTOR.GP);
      fn.end();
    }
    return linear;
  }

  #loadVector({ low, high, where, aligned }: Extract<Effect, { kind: 'load-vector' }>): void {
    const { fn } = this;
    const { code } = fn;
    const bits = high ? 256 : 128;
    const linear = this.#vectorLinear(where, bits, false, aligned);
    const offset = this.temporary('i32');
    this.#lookUp(linear, bits, false);
    fn.if('i32');
    this.#pushOffset(linear, false);
    fn.else();
    this.slowLoadVector(linear, bits / 8);
    code.i32Const(OFFSET.ACCESS_VECTOR);
    fn.end();
    code.localSet(offset);
    for (const [i, half] of [low, high].entries()) {
      if (half === undefined) continue;
      half.local = this.temporary('v128');
      code
        .localGet(offset)
        .simdMemory('v128_load', 16 * i)
        .localSet(half.local);
    }
  }

  #storeVector({ low, high, where, aligned }: Extract<Effect, { kind: 'store-vector' }>): void {
    const { fn } = this;
    const { code } = fn;
    const bits = high ? 256 : 128;
    const linear = this.#vectorLinear(where, bits, true, aligned);
    const store = (pushPlace: () => void, offset: number) => {
      for (const [i, half] of [low, high].entries()) {
        if (half === undefined) continue;
        pushPlace();
        this.push(half);
        code.simdMemory('v128_store', offset + 16 * i);
      }
    };
    for (const half of [low, high]) {
      if (half !== undefined && half.local < 0) this.#materialize(half);
    }
    const offset = this.temporary('i32');
    this.#lookUp(linear, bits, true);
    fn.if();
    this.#pushOffset(linear, true);
    code.localSet(offset);
    store(() => code.localGet(offset), 0);
    fn.else();
    store(() => code.i32Const(0), OFFSET.ACCESS_VECTOR);
    this.slowStoreVector(linear, bits / 8);
    fn.end();
  }

  /** A value that two paths push: in a local unless it is cheap. */
  #stored(value: Value): () => void {
    if (value.kind !== 'constant' && value.kind !== 'immediate' && value.local < 0) this.#materialize(value);
    return () => this.push(value);
  }

  #entry = -1;

  /**
   * Pushes whether the TLB has the page for this access. An access that leaves the page never hits: the page of its
   * last byte is compared with the entry of its first.
   */
  #lookUp(linear: number, bits: AccessBits, write: boolean): void {
    const { code } = this.fn;
    this.#entry = this.temporary('i32');
    // The page number modulo the number of entries, times 16.
    code.localGet(linear).op('i32_wrap_i64').i32Const(8).op('i32_shr_u');
    code
      .i32Const((TLB_ENTRIES - 1) << 4)
      .op('i32_and')
      .localTee(this.#entry);
    code.memory('i64_load', write ? TLB_WRITE : TLB_READ);
    code.localGet(linear);
    if (bits > 8) code.i64Const(BigInt(bits / 8 - 1)).op('i64_add');
    code.i64Const(-4096n).op('i64_and');
    this.pushContext();
    code.op('i64_or').op('i64_eq');
  }

  #pushOffset(linear: number, write: boolean): void {
    const { code } = this.fn;
    code.localGet(linear).op('i32_wrap_i64').localGet(this.#entry);
    code.memory('i32_load', (write ? TLB_WRITE : TLB_READ) + 8).op('i32_add');
  }
}

function cellWritten(effect: Effect): Cell | undefined {
  switch (effect.kind) {
    case 'set-register':
      return effect.operand >= 0 ? 'registers' : `register-${effect.register}`;
    case 'set-flags':
      return 'flags';
    case 'set-system-flag':
      return 'system-flags';
    case 'set-variable':
      return `variable-${effect.variable}`;
    case 'set-vector':
      return effect.file === 'mmx' ? 'mmx' : `vectors-${effect.half}`;
    default:
      return undefined;
  }
}

/** Whether writing one cell may change another: an operand's register may be any register. */
function clobbers(written: Cell, read: Cell | undefined): boolean {
  if (read === undefined) return false;
  if (written === read) return true;
  const register = (cell: Cell) => cell === 'registers' || cell.startsWith('register-');
  return register(written) && register(read) && (written === 'registers' || read === 'registers');
}

function collect(value: Value, into: Set<Value>): void {
  if (into.has(value)) return;
  into.add(value);
  for (const part of partsOf(value)) collect(part, into);
}
