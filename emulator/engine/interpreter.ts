/**
 * Generates the interpreter: one WebAssembly module whose `run(record, budget)` executes decoded records. The hot
 * handlers are cases of one switch, all others are functions behind a table. `npm run build` writes the module to
 * dist/interpreter.wasm.
 */
import { assert } from '../base/errors.ts';
import { Emitter } from '../isa/emitter.ts';
import type { HandlerSpec } from '../isa/forms.ts';
import { encodeHandlers, expandHandlers, HANDLER_SECTION } from '../isa/handlers.ts';
import type { Bits, Effect, Value, VectorState, Where, X87Function } from '../isa/ir.ts';
import { PSEUDO, PSEUDO_COUNT, RECORD, RECORD_FLAG } from '../isa/record.ts';
import { CC_ADD, CC_FLAGS, CC_RESULT, CC_SUB } from '../state/flags.ts';
import { JUMP_CACHE, OFFSET, RECORD_SIZE, RECORDS, TRANSLATED, TRANSLATED_SHIFT } from '../state/layout.ts';
import type { CoreIndexes } from './coreFunctions.ts';
import { addCoreFunctions, pushGpr, pushKnownCondition } from './coreFunctions.ts';
import { CROSSING, pushJumpCacheHit, pushPageOf, pushRipOf, pushTranslated } from './jumpCache.ts';
import { LEAVE } from './leave.ts';
import type { AccessBits } from './lowering.ts';
import { Lowering } from './lowering.ts';
import { pushField32, pushField64, storeField32, storeField64 } from './stateFields.ts';
import type { Label } from './wasm/functionBuilder.ts';
import { FunctionBuilder } from './wasm/functionBuilder.ts';
import type { MemoryImport } from './wasm/moduleBuilder.ts';
import { ModuleBuilder } from './wasm/moduleBuilder.ts';
import type { OpName } from './wasm/opcodes.ts';

/** Parameters of `run` and of every handler function, then a local of both. */
const RECORD_LOCAL = 0;
const BUDGET_LOCAL = 1;
const IP_BASE_LOCAL = 2;

const REGISTER_BYTES = [RECORD.REGISTER0, RECORD.REGISTER1, RECORD.REGISTER2] as const;
const LOAD: Record<Bits, OpName> = {
  8: 'i64_load8_u',
  16: 'i64_load16_u',
  32: 'i64_load32_u',
  64: 'i64_load',
};
const STORE: Record<Bits, OpName> = { 8: 'i64_store8', 16: 'i64_store16', 32: 'i64_store', 64: 'i64_store' };
export const FLAG_KINDS = { sub: CC_SUB, add: CC_ADD, result: CC_RESULT, flags: CC_FLAGS } as const;

/** Where a handler goes on: cases of the switch branch, functions return. */
interface Continuation {
  /** To the next record: i32 on the stack. */
  goTo(): void;
  /** To the target of a taken direct branch, likewise. */
  branch(): void;
  /** To the RIP on the stack (i64). */
  lookUp(): void;
  /** Out, with a reason; the instruction is not retired. */
  leave(reason: number): void;
  /** After a slow access: a helper may have taken the budget away. */
  afterAccess(): void;
  /** Whether a handler can take more than its own instruction from the budget. */
  readonly sharesBudget: boolean;
}

class InterpreterLowering extends Lowering {
  readonly #core: CoreIndexes;
  readonly #continue: Continuation;

  constructor(fn: FunctionBuilder, core: CoreIndexes, continuation: Continuation) {
    super(fn);
    this.#core = core;
    this.#continue = continuation;
  }

  handler(spec: HandlerSpec): void {
    const emitter = new Emitter(spec);
    spec.row.emit(emitter);
    if (!this.lower(emitter)) this.next();
  }

  protected pushRegister({ operand, register, bits, high }: Extract<Value, { kind: 'register' }>): void {
    const { code } = this.fn;
    if (operand >= 0) {
      code.localGet(RECORD_LOCAL).memory('i32_load8_u', REGISTER_BYTES[operand] as number);
      code.memory(LOAD[bits], OFFSET.GPR);
    } else {
      code.i32Const(0).memory(LOAD[bits], OFFSET.GPR + 8 * register + (high ? 1 : 0));
    }
  }

  protected setRegister({
    operand,
    register,
    bits,
    high,
    value,
  }: Extract<Effect, { kind: 'set-register' }>): void {
    const { code } = this.fn;
    if (operand >= 0) code.localGet(RECORD_LOCAL).memory('i32_load8_u', REGISTER_BYTES[operand] as number);
    else code.i32Const(0);
    this.push(value);
    code.memory(STORE[bits], OFFSET.GPR + (operand >= 0 ? 0 : 8 * register + (high ? 1 : 0)));
  }

  protected pushImmediate(): void {
    this.fn.code.localGet(RECORD_LOCAL).memory('i64_load', RECORD.IMMEDIATE);
  }

  protected pushAddress(operand: number): void {
    const { code } = this.fn;
    const form = this.emitter.spec.operands[operand];
    if (form === 's') {
      code.localGet(RECORD_LOCAL).localGet(IP_BASE_LOCAL).call(this.#core.offset);
      return;
    }
    if (form === 'p') code.localGet(IP_BASE_LOCAL);
    else pushGpr(this.fn, RECORD_LOCAL, RECORD.BASE);
    if (form === 'x') {
      pushGpr(this.fn, RECORD_LOCAL, RECORD.INDEX);
      code.localGet(RECORD_LOCAL).memory('i64_load8_u', RECORD.SCALE).op('i64_shl').op('i64_add');
    }
    code.localGet(RECORD_LOCAL).memory('i64_load32_s', RECORD.DISPLACEMENT).op('i64_add');
  }

  protected pushLinear(where: Where, bits: AccessBits, write: boolean): void {
    const { code } = this.fn;
    if (where.kind === 'linear') {
      this.push(where.address);
      return;
    }
    if (where.kind === 'operand' && this.emitter.spec.operands[where.operand] !== 's') {
      this.pushAddress(where.operand);
      return;
    }
    const segment = where.kind === 'segment' && where.segment !== 'operand' ? where.segment : -1;
    code.localGet(RECORD_LOCAL).i32Const(segment);
    if (where.kind === 'operand') this.pushAddress(where.operand);
    else this.push(where.offset);
    code
      .i32Const(bits / 8)
      .i32Const(write ? 1 : 0)
      .call(this.#core.segmentLinear);
    this.#leaveIfSegmentFault();
  }

  /** -1 is a linear address in 64-bit mode and a failed check elsewhere. */
  #leaveIfSegmentFault(): void {
    const { code } = this.fn;
    const linear = this.temporary('i64');
    code.localTee(linear).i64Const(-1n).op('i64_eq');
    code
      .localGet(RECORD_LOCAL)
      .memory('i32_load8_u', RECORD.FLAGS)
      .i32Const(RECORD_FLAG.LEGACY)
      .op('i32_and');
    code.i32Const(0).op('i32_ne').op('i32_and');
    this.fn.if();
    this.#continue.leave(LEAVE.SEGMENT_FAULT);
    this.fn.end();
    code.localGet(linear);
  }

  protected pushStackRegister(operand: number): void {
    this.fn.code.localGet(RECORD_LOCAL).memory('i64_load8_u', REGISTER_BYTES[operand] as number);
  }

  protected pushRip(): void {
    const { code } = this.fn;
    code.localGet(IP_BASE_LOCAL).localGet(RECORD_LOCAL).memory('i64_load32_s', RECORD.OFFSET).op('i64_add');
  }

  protected pushNextRip(): void {
    const { code } = this.fn;
    this.pushRip();
    code.localGet(RECORD_LOCAL).memory('i64_load8_u', RECORD.LENGTH).op('i64_add');
  }

  protected pushAddressMask(): void {
    this.fn.code.localGet(RECORD_LOCAL).call(this.#core.addressMask);
  }

  protected pushStackMask(): void {
    this.fn.code.call(this.#core.stackMask);
  }

  protected pushCondition(condition: number): void {
    const { code } = this.fn;
    const even = condition & ~1;
    const known = even !== 0 && even !== 10;
    if (known) {
      pushField32(this.fn, OFFSET.CC_OP);
      code.i32Const(3).op('i32_and').op('i32_eqz');
      this.fn.if('i32');
      pushKnownCondition(
        this.fn,
        CC_SUB,
        even,
        () => pushField64(this.fn, OFFSET.CC_A),
        () => pushField64(this.fn, OFFSET.CC_B),
      );
      this.fn.else();
    }
    code.call(this.#core.conditions[even / 2] as number);
    if (known) this.fn.end();
    if (condition & 1) code.op('i32_eqz');
  }

  protected pushFlags(): void {
    this.fn.code.call(this.#core.flags);
  }

  protected pushSystemFlags(): void {
    pushField64(this.fn, OFFSET.RFLAGS);
  }

  protected pushCall({ callee, args }: Extract<Value, { kind: 'call' }>): void {
    for (const argument of args) this.push(argument);
    this.fn.code.call(this.#core[callee]);
  }

  protected callX87(callee: X87Function): void {
    this.fn.code.call(this.#core.x87[callee]);
  }

  protected setFlags({ flags, bits, a, b }: Extract<Effect, { kind: 'set-flags' }>): void {
    const { code } = this.fn;
    // Both are computed before either is stored: they may read the old flags.
    code.i32Const(0);
    this.push(a);
    code.i32Const(0);
    this.push(b);
    code.memory('i64_store', OFFSET.CC_B).memory('i64_store', OFFSET.CC_A);
    storeField32(this.fn, OFFSET.CC_OP, () => code.i32Const(FLAG_KINDS[flags] | (bits << 4)));
  }

  protected setSystemFlag(mask: number, on: boolean): void {
    const { code } = this.fn;
    storeField32(this.fn, OFFSET.RFLAGS, () => {
      pushField32(this.fn, OFFSET.RFLAGS);
      code.i32Const(on ? mask : ~mask).op(on ? 'i32_or' : 'i32_and');
    });
  }

  protected pushContext(): void {
    pushField64(this.fn, OFFSET.CONTEXT);
  }

  protected slowLoad(linear: number, bits: Bits, write: boolean): void {
    const { code } = this.fn;
    this.#pushPlace();
    code
      .localGet(linear)
      .i32Const(bits / 8)
      .i32Const(write ? 1 : 0)
      .call(this.#core.slowLoad);
    this.#endSlowAccess();
    pushField64(this.fn, OFFSET.ACCESS_VALUE);
  }

  protected slowStore(linear: number, bits: Bits, value: () => void): void {
    this.#pushPlace();
    this.fn.code.localGet(linear);
    value();
    this.fn.code.i32Const(bits / 8).call(this.#core.slowStore);
    this.#endSlowAccess();
  }

  protected pushVectorPlace(operand: number, shift: number): void {
    const { code } = this.fn;
    code.localGet(RECORD_LOCAL).memory('i32_load8_u', REGISTER_BYTES[operand] as number);
    if (shift > 0) code.i32Const(shift).op('i32_shl');
  }

  protected slowLoadVector(linear: number, bytes: number): void {
    this.#slowVector(linear, bytes, this.#core.slowLoadVector);
  }

  protected slowStoreVector(linear: number, bytes: number): void {
    this.#slowVector(linear, bytes, this.#core.slowStoreVector);
  }

  #slowVector(linear: number, bytes: number, callee: number): void {
    this.#pushPlace();
    this.fn.code.localGet(linear).i32Const(bytes).call(callee);
    this.#endSlowAccess();
  }

  protected require(state: VectorState): void {
    const vector = this.temporary('i32');
    this.fn.code.call(this.#core.vectorFault[state]).localTee(vector);
    this.fn.if();
    storeField32(this.fn, OFFSET.ACCESS_SIZE, () => this.fn.code.localGet(vector));
    this.#continue.leave(LEAVE.RAISE);
    this.fn.end();
  }

  #pushPlace(): void {
    this.fn.code.localGet(RECORD_LOCAL).localGet(BUDGET_LOCAL).localGet(IP_BASE_LOCAL);
  }

  #endSlowAccess(): void {
    this.fn.if();
    this.#continue.leave(LEAVE.FAULT);
    this.fn.end();
    this.#continue.afterAccess();
  }

  protected raise(vector: number): void {
    storeField32(this.fn, OFFSET.ACCESS_SIZE, () => this.fn.code.i32Const(vector));
    this.#continue.leave(LEAVE.RAISE);
  }

  protected jump(): void {
    this.fn.code.localGet(RECORD_LOCAL).memory('i32_load', RECORD.TARGET);
    this.#continue.branch();
  }

  protected jumpTo(pushRip: () => void): void {
    pushRip();
    this.#continue.lookUp();
  }

  protected pushBudget(): void {
    this.fn.code.localGet(BUDGET_LOCAL);
  }

  protected takeBudget(count: number): void {
    assert(this.#continue.sharesBudget, 'a handler that takes from the budget is a case of the switch');
    this.fn.code.localGet(BUDGET_LOCAL).localGet(count).op('i32_sub').localSet(BUDGET_LOCAL);
  }

  protected jumpFar(pushRip: () => void): void {
    this.jumpTo(pushRip);
  }

  protected repeat(): void {
    this.fn.code.localGet(RECORD_LOCAL);
    this.#continue.goTo();
  }

  protected next(): void {
    this.fn.code.localGet(RECORD_LOCAL).i32Const(RECORD_SIZE).op('i32_add');
    this.#continue.goTo();
  }

  protected system(): void {
    this.#continue.leave(LEAVE.SYSTEM);
  }
}

/** Translations that can be live at once: each is a module. */
export const TRANSLATION_SLOTS = 2048;
/** Interpretation that begins so often at one record costs as much as what a sample stands for. */
const OFTEN = 500;

/** What a handler function returns besides a record. */
const LOOK_UP = 0;
const LEFT = -1;

function addHandlerFunction(module: ModuleBuilder, core: CoreIndexes, spec: HandlerSpec): number {
  const fn = new FunctionBuilder(['i32', 'i32', 'i64'], ['i32']);
  const lowering = new InterpreterLowering(fn, core, {
    goTo: () => fn.op('return'),
    branch: () => fn.op('return'),
    lookUp: () => {
      const rip = fn.allocate('i64');
      fn.code.localSet(rip).i32Const(0).localGet(rip).memory('i64_store', OFFSET.RIP);
      fn.code.i32Const(LOOK_UP).op('return');
    },
    leave: (reason) => {
      storeField32(fn, OFFSET.LEAVE, () => {
        fn.code.localGet(RECORD_LOCAL).localGet(BUDGET_LOCAL).i32Const(1).op('i32_add');
        fn.code.localGet(IP_BASE_LOCAL).i32Const(reason).call(core.leave);
      });
      fn.code.i32Const(LEFT).op('return');
    },
    afterAccess: () => emptyBudgetWhenCut(fn),
    sharesBudget: false,
  });
  lowering.handler(spec);
  fn.op('unreachable');
  return module.add(fn);
}

function addRun(module: ModuleBuilder, core: CoreIndexes, hot: readonly HandlerSpec[]): number {
  const fn = new FunctionBuilder(['i32', 'i32'], ['i32']);
  const { code } = fn;
  fn.allocate('i64'); // IP_BASE_LOCAL
  const rip = fn.allocate('i64');
  const entry = fn.allocate('i32');
  const record = fn.allocate('i32');
  const pushPlace = (unretire: boolean) => {
    code.localGet(RECORD_LOCAL).localGet(BUDGET_LOCAL);
    if (unretire) code.i32Const(1).op('i32_add');
    code.localGet(IP_BASE_LOCAL);
  };
  const leaveWith = (reason: number, unretire: boolean) => {
    pushPlace(unretire);
    code.i32Const(reason).call(core.leave).op('return');
  };
  const unretire = () => code.localGet(BUDGET_LOCAL).i32Const(1).op('i32_add').localSet(BUDGET_LOCAL);

  pushField64(fn, OFFSET.IP_BASE);
  code.localSet(IP_BASE_LOCAL);
  const next = fn.loop();
  const system = fn.block();
  const lookUp = fn.block();
  code.localGet(BUDGET_LOCAL).op('i32_eqz');
  fn.if();
  leaveWith(LEAVE.BUDGET, false);
  fn.end();
  code.localGet(BUDGET_LOCAL).i32Const(1).op('i32_sub').localSet(BUDGET_LOCAL);

  const cold = fn.block();
  const cases: Label[] = [];
  for (let i = 0; i < PSEUDO_COUNT + hot.length; i++) cases.unshift(fn.block());
  code.localGet(RECORD_LOCAL).memory('i32_load16_u', RECORD.HANDLER);
  fn.brTable(cases, cold);

  const continuation: Continuation = {
    goTo: () => {
      code.localSet(RECORD_LOCAL);
      fn.br(next);
    },
    branch: () => {
      code.localTee(RECORD_LOCAL);
      pushTranslated(fn);
      code.i32Const(0).op('i32_le_s');
      fn.brIf(next);
      leaveWith(LEAVE.TRANSLATED, false);
    },
    lookUp: () => {
      code.localSet(rip);
      fn.br(lookUp);
    },
    leave: (reason) => {
      if (reason !== LEAVE.SYSTEM) {
        leaveWith(reason, true);
        return;
      }
      pushPlace(true);
      code.i32Const(reason).call(core.leave).op('drop');
      fn.br(system);
    },
    afterAccess: () => emptyBudgetWhenCut(fn),
    sharesBudget: true,
  };

  const pseudo: Record<number, () => void> = {
    [PSEUDO.LINK]: () => leaveWith(LEAVE.LINK, true),
    [PSEUDO.GOTO]: () => {
      unretire();
      code.localGet(RECORD_LOCAL).memory('i32_load', RECORD.TARGET);
      continuation.goTo();
    },
    [PSEUDO.GOTO_PAGE]: () => {
      unretire();
      code.localGet(IP_BASE_LOCAL).localGet(RECORD_LOCAL).memory('i64_load', RECORD.IMMEDIATE).op('i64_add');
      pushBranchMask(fn);
      code.op('i64_and');
      continuation.lookUp();
    },
    [PSEUDO.BREAK]: () => leaveWith(LEAVE.BREAK, true),
    [PSEUDO.CROSS]: () => {
      code.localGet(IP_BASE_LOCAL).localGet(RECORD_LOCAL).memory('i64_load32_s', RECORD.OFFSET).op('i64_add');
      code.i64Const(0x1000n).op('i64_add').localSet(rip);
      pushJumpCacheHit(fn, rip, entry, CROSSING);
      fn.if();
      code.localGet(RECORD_LOCAL).i32Const(RECORD_SIZE).op('i32_add').localTee(record);
      code
        .localGet(entry)
        .memory('i32_load', JUMP_CACHE + 8)
        .op('i32_eq');
      fn.if();
      unretire();
      code.localGet(record);
      continuation.goTo();
      fn.end();
      fn.end();
      leaveWith(LEAVE.CROSS, true);
    },
    [PSEUDO.REFETCH]: () => leaveWith(LEAVE.REFETCH, true),
    [PSEUDO.SYSTEM]: () => continuation.leave(LEAVE.SYSTEM),
    [PSEUDO.PORT]: () => {
      pushPlace(true);
      code.i32Const(LEAVE.SYSTEM).call(core.leave).op('drop');
      code.localGet(RECORD_LOCAL).call(core.port).localTee(BUDGET_LOCAL).i32Const(0).op('i32_lt_s');
      fn.brIf(system);
      code.localGet(RECORD_LOCAL).i32Const(RECORD_SIZE).op('i32_add');
      continuation.goTo();
    },
  };
  for (let i = 0; i < PSEUDO_COUNT; i++) {
    fn.end();
    (pseudo[i] as () => void)();
  }
  for (const spec of hot) {
    fn.end();
    new InterpreterLowering(fn, core, continuation).handler(spec);
  }

  fn.end(); // cold
  code.localGet(RECORD_LOCAL).localGet(BUDGET_LOCAL).localGet(IP_BASE_LOCAL);
  code
    .localGet(RECORD_LOCAL)
    .memory('i32_load16_u', RECORD.HANDLER)
    .i32Const(PSEUDO_COUNT + hot.length)
    .op('i32_sub');
  callIndirect(fn, module.type(['i32', 'i32', 'i64'], ['i32']));
  code.localTee(record).i32Const(0).op('i32_gt_s');
  fn.if();
  continuation.afterAccess();
  code.localGet(record);
  continuation.goTo();
  fn.end();
  code.localGet(record);
  fn.if();
  pushField32(fn, OFFSET.LEAVE);
  code.i32Const(LEAVE.SYSTEM).op('i32_eq');
  fn.brIf(system);
  pushField32(fn, OFFSET.LEAVE);
  fn.op('return');
  fn.end();
  continuation.afterAccess();
  pushField64(fn, OFFSET.RIP);
  code.localSet(rip);

  fn.end(); // lookUp
  pushJumpCacheHit(fn, rip, entry);
  fn.if();
  code
    .localGet(rip)
    .localGet(entry)
    .memory('i32_load', JUMP_CACHE + 8)
    .localTee(RECORD_LOCAL);
  code.memory('i64_load32_s', RECORD.OFFSET).op('i64_sub').localSet(IP_BASE_LOCAL);
  code.localGet(RECORD_LOCAL);
  continuation.branch();
  fn.end();
  storeField32(fn, OFFSET.REMAINING, () => code.localGet(BUDGET_LOCAL));
  code.i32Const(0).localGet(rip).memory('i64_store', OFFSET.RIP);
  code.i32Const(LEAVE.LOOKUP).op('return');

  fn.end(); // system
  code.call(core.system).localTee(RECORD_LOCAL).op('i32_eqz');
  fn.if();
  code.i32Const(LEAVE.SYSTEM).op('return');
  fn.end();
  pushField32(fn, OFFSET.REMAINING);
  code.localSet(BUDGET_LOCAL);
  pushField64(fn, OFFSET.IP_BASE);
  code.localSet(IP_BASE_LOCAL).localGet(RECORD_LOCAL);
  continuation.branch();
  fn.end(); // next
  fn.op('unreachable');
  return module.add(fn, 'run');
}

/**
 * Adds `execute(record, budget) -> LEAVE`: goes from translation to translation through the jump cache, and interprets
 * where there is none. `executeForced` leaves where a translation cannot go on, `execute` interprets until it comes to one
 * that can.
 */
function addExecute(module: ModuleBuilder, run: number, firstSlot: number, forced: boolean): void {
  const fn = new FunctionBuilder(['i32', 'i32'], ['i32']);
  const { code } = fn;
  const translated = fn.allocate('i32');
  const reason = fn.allocate('i32');
  const entry = fn.allocate('i32');
  const rip = fn.allocate('i64');
  const isReason = (value: number) => code.localGet(reason).i32Const(value).op('i32_eq');
  const takeRecord = () => {
    pushField32(fn, OFFSET.RECORD);
    code.localSet(RECORD_LOCAL);
  };
  /** Out, unless there is budget left. */
  const takeBudget = () => {
    pushField32(fn, OFFSET.REMAINING);
    code.localTee(BUDGET_LOCAL).op('i32_eqz');
    fn.if();
    code.i32Const(LEAVE.BUDGET).op('return');
    fn.end();
  };
  const next = fn.loop();
  const interpret = fn.block();
  code.localGet(RECORD_LOCAL);
  pushTranslated(fn);
  code.localTee(translated).i32Const(0).op('i32_le_s');
  fn.if();
  countBeginning(fn, translated);
  fn.br(interpret);
  fn.end();
  code
    .localGet(BUDGET_LOCAL)
    .localGet(translated)
    .i32Const((1 << TRANSLATED_SHIFT) - 1)
    .op('i32_and');
  code.localGet(translated).i32Const(TRANSLATED_SHIFT).op('i32_shr_u');
  code.i32Const(firstSlot).op('i32_add');
  callIndirect(fn, module.type(['i32', 'i32'], ['i32']));
  code.localSet(reason);
  takeBudget();
  isReason(LEAVE.TRANSLATED);
  fn.if();
  takeRecord();
  fn.br(next);
  fn.end();
  isReason(LEAVE.LOOKUP);
  fn.if();
  pushField64(fn, OFFSET.RIP);
  code.localSet(rip);
  pushJumpCacheHit(fn, rip, entry);
  fn.if();
  code
    .localGet(entry)
    .memory('i32_load', JUMP_CACHE + 8)
    .localSet(RECORD_LOCAL);
  storeField64(fn, OFFSET.IP_BASE, () => pushPageOf(fn, rip, RECORD_LOCAL));
  fn.br(next);
  fn.end();
  fn.end();
  if (!forced) {
    isReason(LEAVE.INTERPRET);
    isReason(LEAVE.SHORT);
    code.op('i32_or');
    fn.if();
    takeRecord();
    fn.br(interpret);
    fn.end();
  }
  code.localGet(reason).op('return');
  fn.end(); // interpret
  code.localGet(RECORD_LOCAL).localGet(BUDGET_LOCAL).call(run);
  code.localTee(reason).i32Const(LEAVE.TRANSLATED).op('i32_ne');
  fn.if();
  code.localGet(reason).op('return');
  fn.end();
  takeBudget();
  takeRecord();
  fn.br(next);
  fn.end();
  fn.op('unreachable');
  module.add(fn, forced ? 'executeForced' : 'execute');
}

/** Counts in TRANSLATED how often interpretation begins at the record; leaves to tell of it after every so many. */
function countBeginning(fn: FunctionBuilder, count: number): void {
  const { code } = fn;
  const pushPlace = () =>
    code
      .localGet(RECORD_LOCAL)
      .i32Const(Math.log2(RECORD_SIZE / 4))
      .op('i32_shr_u');
  const store = () => code.memory('i32_store', TRANSLATED - RECORDS / (RECORD_SIZE / 4));
  code.localGet(count).i32Const(-OFTEN).op('i32_le_s');
  fn.if();
  pushPlace();
  code.i32Const(0);
  store();
  storeField32(fn, OFFSET.RECORD, () => code.localGet(RECORD_LOCAL));
  storeField32(fn, OFFSET.REMAINING, () => code.localGet(BUDGET_LOCAL));
  storeField64(fn, OFFSET.RIP, () => pushRipOf(fn, RECORD_LOCAL));
  code.i32Const(LEAVE.OFTEN).op('return');
  fn.end();
  pushPlace();
  code.localGet(count).i32Const(1).op('i32_sub');
  store();
}

/** A slow access that cut the activation has taken the whole budget into CUT. */
function emptyBudgetWhenCut(fn: FunctionBuilder): void {
  fn.code.i32Const(0).localGet(BUDGET_LOCAL);
  pushField32(fn, OFFSET.CUT);
  fn.code.op('select').localSet(BUDGET_LOCAL);
}

/** Pushes the mask of a direct branch's target RIP. */
function pushBranchMask(fn: FunctionBuilder): void {
  const flag = (bit: number) =>
    fn.code.localGet(RECORD_LOCAL).memory('i32_load8_u', RECORD.FLAGS).i32Const(bit).op('i32_and');
  flag(RECORD_FLAG.BRANCH_16);
  fn.if('i64');
  fn.code.i64Const(0xffffn);
  fn.else();
  flag(RECORD_FLAG.LEGACY);
  fn.if('i64');
  fn.code.i64Const(0xffff_ffffn);
  fn.else();
  fn.code.i64Const(-1n);
  fn.end();
  fn.end();
}

function callIndirect(fn: FunctionBuilder, type: number): void {
  fn.op('call_indirect');
  fn.code.u32(type).u32(0);
}

/** The interpreter's module as bytes. */
export function generateInterpreter(memory: MemoryImport): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder(memory);
  const { specs, hotCount } = expandHandlers();
  const core = addCoreFunctions(module);
  const cold = specs.slice(hotCount).map((spec) => addHandlerFunction(module, core, spec));
  // Only the core module owns the table: a table that is imported costs memory and time in every module.
  module.table(cold, TRANSLATION_SLOTS);
  const run = addRun(module, core, specs.slice(0, hotCount));
  addExecute(module, run, cold.length, false);
  addExecute(module, run, cold.length, true);
  module.custom(HANDLER_SECTION, encodeHandlers(specs));
  return module.finish();
}
