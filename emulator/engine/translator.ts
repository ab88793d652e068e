/**
 * The translator: decoded code of one page becomes a WebAssembly function with its operands constant and registers and
 * flags in locals. It is made from the same records and the same semantics as the interpreter, and leaves to the
 * interpreter for whatever is not plain: faults, MMIO, writes to code, system instructions.
 *
 * Every block charges its instructions at entry; every way out has a static (RIP, instructions not executed) pair.
 */
import { Emitter } from '../isa/emitter.ts';
import type { HandlerSpec } from '../isa/forms.ts';
import type { Bits, Effect, Value, VectorState, Where } from '../isa/ir.ts';
import { PSEUDO, RECORD, RECORD_FLAG } from '../isa/record.ts';
import { CC_ADD, CC_SUB } from '../state/flags.ts';
import { GPR_ZERO, OFFSET, RECORD_SIZE } from '../state/layout.ts';
import { handlerOf } from './codeCache.ts';
import { pushKnownCondition } from './coreFunctions.ts';
import { FLAG_KINDS } from './interpreter.ts';
import { LEAVE } from './leave.ts';
import { Lowering, pushField32, pushField64, storeField32, storeField64 } from './lowering.ts';
import type { Label } from './wasm/functionBuilder.ts';
import { FunctionBuilder } from './wasm/functionBuilder.ts';
import type { MemoryImport } from './wasm/moduleBuilder.ts';
import { ModuleBuilder } from './wasm/moduleBuilder.ts';

/** One decoded instruction as the translator reads it from its record. */
interface TranslatedInstruction {
  readonly record: number;
  readonly spec: HandlerSpec;
  readonly offset: number;
  readonly length: number;
  readonly flags: number;
  readonly registers: readonly { readonly number: number; readonly high: boolean }[];
  readonly base: number;
  readonly index: number;
  readonly scale: number;
  readonly segment: number;
  readonly displacement: number;
  readonly immediate: bigint;
  readonly target: number;
}

interface BasicBlock {
  /** Offset of its first instruction from the page base. */
  readonly offset: number;
  readonly instructions: TranslatedInstruction[];
  /** Record after the last instruction, where it falls through to. */
  next: number;
}

/** Reads decoded code from the machine's memory. */
export class RecordReader {
  readonly #view: DataView;

  constructor(memory: WebAssembly.Memory) {
    this.#view = new DataView(memory.buffer);
  }

  /** Follows GOTOs to the record that does something. */
  resolve(record: number): number {
    let at = record;
    while (this.handler(at) === PSEUDO.GOTO) at = this.#view.getInt32(at + RECORD.TARGET, true);
    return at;
  }

  handler(record: number): number {
    return this.#view.getUint16(record + RECORD.HANDLER, true);
  }

  offset(record: number): number {
    return this.#view.getInt32(record + RECORD.OFFSET, true);
  }

  instruction(record: number, spec: HandlerSpec): TranslatedInstruction {
    const view = this.#view;
    const register = (at: number) => {
      const byte = view.getUint8(record + at);
      return { number: byte >> 3, high: (byte & 7) !== 0 };
    };
    return {
      record,
      spec,
      offset: this.offset(record),
      length: view.getUint8(record + RECORD.LENGTH),
      flags: view.getUint8(record + RECORD.FLAGS),
      registers: [register(RECORD.REGISTER0), register(RECORD.REGISTER1), register(RECORD.REGISTER2)],
      base: view.getUint8(record + RECORD.BASE) >> 3,
      index: view.getUint8(record + RECORD.INDEX) >> 3,
      scale: view.getUint8(record + RECORD.SCALE),
      segment: view.getUint8(record + RECORD.SEGMENT),
      displacement: view.getInt32(record + RECORD.DISPLACEMENT, true),
      immediate: view.getBigUint64(record + RECORD.IMMEDIATE, true),
      target: view.getInt32(record + RECORD.TARGET, true),
    };
  }

  /** The blocks reachable from `entry` inside its page, `entry`'s first. */
  region(entry: number, limit = 256): BasicBlock[] {
    const blocks = new Map<number, BasicBlock>();
    const work = [this.resolve(entry)];
    while (work.length > 0 && blocks.size < limit) {
      const start = work.pop() as number;
      if (blocks.has(start)) continue;
      const block = this.#block(start);
      if (block.instructions.length === 0) continue;
      blocks.set(start, block);
      const last = block.instructions.at(-1) as TranslatedInstruction;
      if (hasDirectTarget(last)) work.push(this.resolve(last.target));
      if (last.spec.row.endsBlock !== true) work.push(this.resolve(block.next));
    }
    return [...blocks.values()];
  }

  #block(start: number): BasicBlock {
    const instructions: TranslatedInstruction[] = [];
    let record = start;
    for (;;) {
      const spec = handlerOf(this.handler(record));
      // A repeated instruction goes on at itself, so it begins a block.
      if (spec === undefined || (repeats(spec) && instructions.length > 0)) break;
      const instruction = this.instruction(record, spec);
      instructions.push(instruction);
      record += RECORD_SIZE;
      if (spec.row.endsBlock === true || hasDirectTarget(instruction) || repeats(spec)) break;
    }
    return { offset: this.offset(start), instructions, next: record };
  }
}

function hasDirectTarget(instruction: TranslatedInstruction): boolean {
  return instruction.spec.operands[0] === 'j';
}

/** Each iteration of a repeated string instruction is a block of one. */
function repeats(spec: HandlerSpec): boolean {
  return spec.row.op.startsWith('REP');
}

const BUDGET_LOCAL = 0;
const REGISTERS = 16;

/** Where the locals of a translated function are. */
interface Locals {
  readonly ipBase: number;
  readonly registers: number;
  readonly ccA: number;
  readonly ccB: number;
  readonly ccOp: number;
  readonly context: number;
  readonly block: number;
  readonly rip: number;
  readonly reason: number;
}

/** Functions that a translation imports from the interpreter's module and from TypeScript. */
export const TRANSLATION_IMPORTS = {
  /** Like the interpreter's, but refuse (1) what is not plain RAM, with nothing changed. */
  loadRam: { parameters: ['i32'], results: ['i32'] },
  storeRam: { parameters: [], results: ['i32'] },
  multiplyHighUnsigned: { parameters: ['i64', 'i64'], results: ['i64'] },
  multiplyHighSigned: { parameters: ['i64', 'i64'], results: ['i64'] },
  depositBits: { parameters: ['i64', 'i64'], results: ['i64'] },
  extractBits: { parameters: ['i64', 'i64'], results: ['i64'] },
  crc32: { parameters: ['i64', 'i64', 'i64'], results: ['i64'] },
  flags: { parameters: [], results: ['i64'] },
  mmxFault: { parameters: [], results: ['i32'] },
  sseFault: { parameters: [], results: ['i32'] },
  avxFault: { parameters: [], results: ['i32'] },
} as const;

const VECTOR_FAULT = { mmx: 'mmxFault', sse: 'sseFault', avx: 'avxFault' } as const;

class TranslatorLowering extends Lowering {
  readonly #locals: Locals;
  readonly #imports: Record<keyof typeof TRANSLATION_IMPORTS, number>;
  readonly #exit: Label;
  readonly #dispatch: Label;
  readonly #blocks: ReadonlyMap<number, number>;
  #instruction!: TranslatedInstruction;
  /** Instructions of the block that have not executed when the current one begins. */
  #unexecuted = 0;
  /** Kind of the flags' last source, where the block has set them. */
  #flagKind: number | undefined = undefined;
  #deadFlags = false;
  /** Vector state that the block has found enabled. */
  readonly #enabled = new Set<VectorState>();

  constructor(
    fn: FunctionBuilder,
    locals: Locals,
    imports: Record<keyof typeof TRANSLATION_IMPORTS, number>,
    labels: { exit: Label; dispatch: Label },
    blocks: ReadonlyMap<number, number>,
  ) {
    super(fn);
    this.#locals = locals;
    this.#imports = imports;
    this.#exit = labels.exit;
    this.#dispatch = labels.dispatch;
    this.#blocks = blocks;
  }

  block(block: BasicBlock, reader: RecordReader): void {
    const { fn } = this;
    const count = block.instructions.length;
    fn.code.localGet(BUDGET_LOCAL).i32Const(count).op('i32_lt_s');
    fn.if();
    this.#leaveAt(block.offset, 0, LEAVE.INTERPRET);
    fn.end();
    fn.code.localGet(BUDGET_LOCAL).i32Const(count).op('i32_sub').localSet(BUDGET_LOCAL);
    this.#flagKind = undefined;
    this.#enabled.clear();
    const dead = deadFlags(block);
    for (const [i, instruction] of block.instructions.entries()) {
      this.#instruction = instruction;
      this.#unexecuted = count - i;
      this.#deadFlags = dead[i] as boolean;
      const emitter = new Emitter(instruction.spec);
      instruction.spec.row.emit(emitter);
      if (this.lower(emitter)) return;
    }
    this.#goTo(reader.resolve(block.next), reader.offset(block.next));
  }

  /** Leaves with RIP at a page offset; `unexecuted` instructions of the block are given back. */
  #leaveAt(offset: number, unexecuted: number, reason: number): void {
    this.fn.code.localGet(this.#locals.ipBase).i64Const(BigInt(offset)).op('i64_add');
    this.#leaveWithRip(unexecuted, reason);
  }

  #leaveWithRip(unexecuted: number, reason: number): void {
    const { code } = this.fn;
    code.localSet(this.#locals.rip).i32Const(reason).localSet(this.#locals.reason);
    if (unexecuted > 0) code.localGet(BUDGET_LOCAL).i32Const(unexecuted).op('i32_add').localSet(BUDGET_LOCAL);
    this.fn.br(this.#exit);
  }

  /** The interpreter does the current instruction: nothing of it has happened. */
  #leaveToInterpreter(): void {
    this.#leaveAt(this.#instruction.offset, this.#unexecuted, LEAVE.INTERPRET);
  }

  #goTo(record: number, offset: number): void {
    const block = this.#blocks.get(record);
    if (block === undefined) {
      this.#leaveAt(offset, 0, LEAVE.LOOKUP);
      return;
    }
    this.fn.code.i32Const(block).localSet(this.#locals.block);
    this.fn.br(this.#dispatch);
  }

  #register(operand: number, register: number): { number: number; high: boolean } {
    return operand >= 0
      ? (this.#instruction.registers[operand] as { number: number; high: boolean })
      : { number: register, high: false };
  }

  protected pushRegister({ operand, register, bits, high }: Extract<Value, { kind: 'register' }>): void {
    const { code } = this.fn;
    const place = this.#register(operand, register);
    code.localGet(this.#locals.registers + place.number);
    if (high || place.high) code.i64Const(8n).op('i64_shr_u');
    if (bits < 64) code.i64Const((1n << BigInt(bits)) - 1n).op('i64_and');
  }

  protected setRegister({
    operand,
    register,
    bits,
    high,
    value,
  }: Extract<Effect, { kind: 'set-register' }>): void {
    const { code } = this.fn;
    const place = this.#register(operand, register);
    const local = this.#locals.registers + place.number;
    if (bits >= 32) {
      this.push(value);
      code.localSet(local);
      return;
    }
    const shift = high || place.high ? 8n : 0n;
    const mask = (1n << BigInt(bits)) - 1n;
    code
      .localGet(local)
      .i64Const(BigInt.asIntN(64, ~(mask << shift)))
      .op('i64_and');
    this.push(value);
    code.i64Const(mask).op('i64_and');
    if (shift) code.i64Const(shift).op('i64_shl');
    code.op('i64_or').localSet(local);
  }

  protected pushImmediate(): void {
    this.fn.code.i64Const(BigInt.asIntN(64, this.#instruction.immediate));
  }

  protected pushAddress(): void {
    const { code } = this.fn;
    const { base, index, scale, displacement, flags } = this.#instruction;
    code.i64Const(BigInt(displacement));
    if (flags & RECORD_FLAG.RIP_RELATIVE) code.localGet(this.#locals.ipBase).op('i64_add');
    if (base !== GPR_ZERO) code.localGet(this.#locals.registers + base).op('i64_add');
    if (index !== GPR_ZERO) {
      code
        .localGet(this.#locals.registers + index)
        .i64Const(BigInt(scale))
        .op('i64_shl')
        .op('i64_add');
    }
    const mask = this.#addressMask();
    if (mask !== -1n) code.i64Const(mask).op('i64_and');
  }

  #addressMask(): bigint {
    const { flags } = this.#instruction;
    if (flags & RECORD_FLAG.ADDRESS_16) return 0xffffn;
    return flags & RECORD_FLAG.ADDRESS_32 ? 0xffff_ffffn : -1n;
  }

  protected pushLinear(where: Where): void {
    const { code } = this.fn;
    if (where.kind === 'linear') {
      this.push(where.address);
      return;
    }
    if (where.kind === 'operand') this.pushAddress();
    else this.push(where.offset);
    const segment =
      where.kind === 'segment' && where.segment !== 'operand' ? where.segment : this.#instruction.segment;
    if (this.#instruction.flags & RECORD_FLAG.SEGMENT_BASE && segment >= 4) {
      pushField64(this.fn, OFFSET.SEG_BASE + 8 * segment);
      code.op('i64_add');
    }
  }

  protected pushNextRip(): void {
    const { offset, length } = this.#instruction;
    this.fn.code
      .localGet(this.#locals.ipBase)
      .i64Const(BigInt(offset + length))
      .op('i64_add');
  }

  protected pushAddressMask(): void {
    this.fn.code.i64Const(this.#addressMask());
  }

  protected pushStackMask(): void {
    this.fn.code.i64Const(-1n);
  }

  protected pushCondition(condition: number): void {
    const { code } = this.fn;
    const even = condition & ~1;
    const { ccA, ccB } = this.#locals;
    const kind = this.#flagKind;
    const known =
      (kind === CC_SUB || kind === CC_ADD) &&
      pushKnownCondition(
        this.fn,
        kind,
        even,
        () => code.localGet(ccA),
        () => code.localGet(ccB),
      );
    if (!known) {
      this.pushFlags();
      const flags = this.temporary('i64');
      code.localSet(flags);
      pushConditionOfFlags(this.fn, even, flags);
    }
    if (condition & 1) code.op('i32_eqz');
  }

  protected pushFlags(): void {
    this.#spillFlags();
    this.fn.code.call(this.#imports.flags);
  }

  #spillFlags(): void {
    const { code } = this.fn;
    storeField64(this.fn, OFFSET.CC_A, () => code.localGet(this.#locals.ccA));
    storeField64(this.fn, OFFSET.CC_B, () => code.localGet(this.#locals.ccB));
    storeField32(this.fn, OFFSET.CC_OP, () => code.localGet(this.#locals.ccOp));
  }

  protected pushSystemFlags(): void {
    pushField64(this.fn, OFFSET.RFLAGS);
  }

  protected pushCall({ callee, args }: Extract<Value, { kind: 'call' }>): void {
    for (const argument of args) this.push(argument);
    this.fn.code.call(this.#imports[callee]);
  }

  protected setFlags({ flags, bits, a, b }: Extract<Effect, { kind: 'set-flags' }>): void {
    const { code } = this.fn;
    this.push(a);
    this.push(b);
    code.localSet(this.#locals.ccB).localSet(this.#locals.ccA);
    code.i32Const(FLAG_KINDS[flags] | (bits << 4)).localSet(this.#locals.ccOp);
    // Set on one path only, the kind is not known afterwards.
    this.#flagKind = this.insideBranch ? undefined : FLAG_KINDS[flags];
  }

  protected override flagsDead(): boolean {
    return this.#deadFlags;
  }

  protected setSystemFlag(mask: number, on: boolean): void {
    storeField32(this.fn, OFFSET.RFLAGS, () => {
      pushField32(this.fn, OFFSET.RFLAGS);
      this.fn.code.i32Const(on ? mask : ~mask).op(on ? 'i32_or' : 'i32_and');
    });
  }

  protected pushContext(): void {
    this.fn.code.localGet(this.#locals.context);
  }

  protected slowLoad(linear: number, bits: Bits, write: boolean): void {
    const { code } = this.fn;
    storeField64(this.fn, OFFSET.ACCESS_ADDRESS, () => code.localGet(linear));
    storeField32(this.fn, OFFSET.ACCESS_SIZE, () => code.i32Const(bits / 8));
    code.i32Const(write ? 1 : 0).call(this.#imports.loadRam);
    this.fn.if();
    this.#leaveToInterpreter();
    this.fn.end();
    pushField64(this.fn, OFFSET.ACCESS_VALUE);
  }

  protected slowStore(linear: number, bits: Bits, value: () => void): void {
    const { code } = this.fn;
    storeField64(this.fn, OFFSET.ACCESS_ADDRESS, () => code.localGet(linear));
    storeField64(this.fn, OFFSET.ACCESS_VALUE, value);
    storeField32(this.fn, OFFSET.ACCESS_SIZE, () => code.i32Const(bits / 8));
    code.call(this.#imports.storeRam);
    this.fn.if();
    this.#leaveToInterpreter();
    this.fn.end();
  }

  protected pushVectorPlace(operand: number, shift: number): void {
    this.fn.code.i32Const(((this.#instruction.registers[operand] as { number: number }).number * 8) << shift);
  }

  protected slowLoadVector(): void {
    this.#leaveToInterpreter();
  }

  protected slowStoreVector(): void {
    this.#leaveToInterpreter();
  }

  /** The state stays enabled or disabled to the end of the block. */
  protected require(state: VectorState): void {
    if (this.#enabled.has(state)) return;
    this.fn.code.call(this.#imports[VECTOR_FAULT[state]]);
    this.fn.if();
    this.#leaveToInterpreter();
    this.fn.end();
    if (!this.insideBranch) this.#enabled.add(state);
  }

  protected raise(): void {
    this.#leaveToInterpreter();
  }

  protected jump(): void {
    const { target } = this.#instruction;
    const reader = this.#reader as RecordReader;
    const record = reader.resolve(target);
    const block = this.#blocks.get(record);
    if (block !== undefined) {
      this.fn.code.i32Const(block).localSet(this.#locals.block);
      this.fn.br(this.#dispatch);
      return;
    }
    this.#leaveAt(reader.offset(record), 0, LEAVE.LOOKUP);
  }

  #reader: RecordReader | undefined = undefined;

  set reader(reader: RecordReader) {
    this.#reader = reader;
  }

  protected jumpTo(pushRip: () => void): void {
    pushRip();
    this.#leaveWithRip(0, LEAVE.LOOKUP);
  }

  protected repeat(): void {
    const block = this.#blocks.get(this.#instruction.record);
    this.fn.code.i32Const(block as number).localSet(this.#locals.block);
    this.fn.br(this.#dispatch);
  }

  protected next(): void {
    // The block goes on by itself.
  }

  protected system(): void {
    this.#leaveToInterpreter();
  }
}

/** Pushes whether an even condition code holds for flags at their RFLAGS positions. */
function pushConditionOfFlags(fn: FunctionBuilder, condition: number, flags: number): void {
  const { code } = fn;
  const masks = [0x800n, 0x1n, 0x40n, 0x41n, 0x80n, 0x4n] as const;
  const mask = masks[condition / 2];
  if (mask !== undefined) {
    code.localGet(flags).i64Const(mask).op('i64_and').i64Const(0n).op('i64_ne');
    return;
  }
  code
    .localGet(flags)
    .i64Const(4n)
    .op('i64_shl')
    .localGet(flags)
    .op('i64_xor')
    .i64Const(0x800n)
    .op('i64_and');
  if (condition === 14) code.localGet(flags).i64Const(0x40n).op('i64_and').op('i64_or');
  code.i64Const(0n).op('i64_ne');
}

/** Whether nobody sees the flags that each instruction sets: all are set again before a read or a way out. */
function deadFlags(block: BasicBlock): boolean[] {
  const dead: boolean[] = [];
  let overwritten = false;
  for (let i = block.instructions.length - 1; i >= 0; i--) {
    const { row, operands } = (block.instructions[i] as TranslatedInstruction).spec;
    dead[i] = overwritten;
    const mayLeave =
      operands.some((kind) => kind === 'b' || kind === 'x' || kind === 'p' || kind === 's') ||
      row.variants !== undefined ||
      row.call !== undefined ||
      operands[0] === 'j' ||
      row.endsBlock === true;
    if (mayLeave || row.flags?.reads === true) overwritten = false;
    else if (row.flags?.writes === 'all') overwritten = true;
  }
  return dead;
}

/**
 * Translates the region of 64-bit code around `entry`. Undefined when its first instruction is not for the translator. The module
 * exports `run(budget) -> LEAVE`.
 */
export function translate(
  reader: RecordReader,
  entry: number,
  memory: MemoryImport,
): Uint8Array<ArrayBuffer> | undefined {
  const blocks = reader.region(entry);
  if (blocks[0]?.instructions[0]?.record !== reader.resolve(entry)) return undefined;
  const module = new ModuleBuilder(memory);
  const imports = Object.fromEntries(
    Object.entries(TRANSLATION_IMPORTS).map(([name, { parameters, results }]) => [
      name,
      module.importFunction(name, parameters, results),
    ]),
  ) as Record<keyof typeof TRANSLATION_IMPORTS, number>;
  const fn = new FunctionBuilder(['i32'], ['i32']);
  const { code } = fn;
  const locals: Locals = {
    ipBase: fn.allocate('i64'),
    ccA: fn.allocate('i64'),
    ccB: fn.allocate('i64'),
    context: fn.allocate('i64'),
    rip: fn.allocate('i64'),
    registers: fn.allocate('i64'),
    ...allocateRest(fn),
  };
  for (let r = 0; r < REGISTERS; r++) {
    pushField64(fn, OFFSET.GPR + 8 * r);
    code.localSet(locals.registers + r);
  }
  const load = (offset: number, local: number) => {
    pushField64(fn, offset);
    code.localSet(local);
  };
  load(OFFSET.IP_BASE, locals.ipBase);
  load(OFFSET.CC_A, locals.ccA);
  load(OFFSET.CC_B, locals.ccB);
  load(OFFSET.CONTEXT, locals.context);
  pushField32(fn, OFFSET.CC_OP);
  code.localSet(locals.ccOp);

  const exit = fn.block();
  const dispatch = fn.loop();
  const labels = blocks.map(() => undefined as Label | undefined);
  for (let i = blocks.length - 1; i >= 0; i--) labels[i] = fn.block();
  code.localGet(locals.block);
  fn.brTable(labels.slice(0, -1) as Label[], labels.at(-1) as Label);
  const numbers = new Map(
    blocks.map((block, i) => [(block.instructions[0] as TranslatedInstruction).record, i]),
  );
  const lowering = new TranslatorLowering(fn, locals, imports, { exit, dispatch }, numbers);
  lowering.reader = reader;
  for (const block of blocks) {
    fn.end();
    lowering.block(block, reader);
  }
  fn.op('unreachable');
  fn.end();
  fn.op('unreachable');
  fn.end();
  for (let r = 0; r < REGISTERS; r++)
    storeField64(fn, OFFSET.GPR + 8 * r, () => code.localGet(locals.registers + r));
  storeField64(fn, OFFSET.CC_A, () => code.localGet(locals.ccA));
  storeField64(fn, OFFSET.CC_B, () => code.localGet(locals.ccB));
  storeField32(fn, OFFSET.CC_OP, () => code.localGet(locals.ccOp));
  storeField64(fn, OFFSET.RIP, () => code.localGet(locals.rip));
  storeField32(fn, OFFSET.REMAINING, () => code.localGet(BUDGET_LOCAL));
  code.localGet(locals.reason);
  module.add(fn, 'run');
  return module.finish();
}

function allocateRest(fn: FunctionBuilder): Pick<Locals, 'ccOp' | 'block' | 'reason'> {
  for (let r = 1; r < REGISTERS; r++) fn.allocate('i64');
  return { ccOp: fn.allocate('i32'), block: fn.allocate('i32'), reason: fn.allocate('i32') };
}
