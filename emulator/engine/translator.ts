/**
 * The translator: decoded code of one page becomes a WebAssembly function with its operands constant and registers and
 * flags in locals. It is made from the same records and the same semantics as the interpreter, and leaves to the
 * interpreter for whatever is not plain: faults, MMIO, writes to code, system instructions.
 *
 * Every block charges its instructions at entry; every way out has a static (record, instructions not executed) pair, or a
 * RIP that was computed.
 */
import { assert } from '../base/errors.ts';
import type { Effect, Value, VectorState, Where, X87Function } from '../isa/ir.ts';
import { PSEUDO, RECORD, RECORD_FLAG } from '../isa/record.ts';
import { CC_ADD, CC_FLAGS, CC_RESULT, CC_SUB } from '../state/flags.ts';
import { GPR_ZERO, JUMP_CACHE, OFFSET, TRANSLATED_SHIFT } from '../state/layout.ts';
import { FLAG } from '../state/registers.ts';
import type { Meaning, Meanings } from './analysis.ts';
import { deadFlags, REGISTERS, registersOf } from './analysis.ts';
import type { BasicBlock, RecordReader, TranslatedInstruction } from './blocks.ts';
import { recordOf } from './blocks.ts';
import { pushKnownCondition } from './coreFunctions.ts';
import { FLAG_KINDS } from './interpreter.ts';
import { pushJumpCacheHit, pushPageOf, pushTranslated } from './jumpCache.ts';
import { LEAVE } from './leave.ts';
import { Lowering } from './lowering.ts';
import type { Container, Region } from './regions.ts';
import { containerOf } from './regions.ts';
import { pushField32, pushField64, storeField32, storeField64 } from './stateFields.ts';
import { pushVectorFault } from './vectorFunctions.ts';
import type { Label } from './wasm/functionBuilder.ts';
import { FunctionBuilder } from './wasm/functionBuilder.ts';
import type { MemoryImport } from './wasm/moduleBuilder.ts';
import { ModuleBuilder } from './wasm/moduleBuilder.ts';
import { X87_PARAMETERS } from './x87Functions.ts';

/** Parameters of a translation's `run`. */
const BUDGET_LOCAL = 0;
const BLOCK_LOCAL = 1;

/** Where the locals of a translated function are. */
interface Locals {
  readonly ipBase: number;
  readonly registers: number;
  readonly ccA: number;
  readonly ccB: number;
  readonly ccOp: number;
  readonly context: number;
  readonly rip: number;
  readonly reason: number;
  /** Entry of the jump cache, record. */
  readonly entry: number;
  readonly record: number;
}

/** Functions that a translation imports from the interpreter's module. */
export const TRANSLATION_IMPORTS = {
  multiplyHighUnsigned: { parameters: ['i64', 'i64'], results: ['i64'] },
  multiplyHighSigned: { parameters: ['i64', 'i64'], results: ['i64'] },
  depositBits: { parameters: ['i64', 'i64'], results: ['i64'] },
  extractBits: { parameters: ['i64', 'i64'], results: ['i64'] },
  crc32: { parameters: ['i64', 'i64', 'i64'], results: ['i64'] },
  flags: { parameters: [], results: ['i64'] },
} as const;

type ImportIndexes = Record<keyof typeof TRANSLATION_IMPORTS, number> & Partial<Record<X87Function, number>>;

/** The ways out of a translated function: RIP is that of the local `record`, or in the local `rip`. */
interface Exits {
  readonly atRecord: Label;
  readonly atRip: Label;
}

/** Labels of a container: its beginning, and the ends of `block`s in front of its items. */
interface ContainerLabels {
  readonly loop: Label;
  readonly items: readonly Label[];
}

class TranslatorLowering extends Lowering {
  readonly #locals: Locals;
  readonly #imports: ImportIndexes;
  readonly #exits: Exits;
  readonly #region: Region;
  readonly #labels = new Map<Container, ContainerLabels>();
  readonly #blocks: ReadonlyMap<number, number>;
  readonly #reader: RecordReader;
  readonly #slot: number;
  /** Where the local `rip` is looked up: in one place, and only if some instruction jumps there. */
  #lookUp: Label | undefined = undefined;
  #looksUp = false;
  /** Number of the block that is being lowered. */
  #current = 0;
  #instruction!: TranslatedInstruction;
  /** Instructions of the block that have not executed when the current one begins. */
  #unexecuted = 0;
  /** Kind of the flags' last source and its operand size, as CC_OP has them; undefined where it is not known. */
  #flagSource: number | undefined = undefined;
  /** The same at the end of each block that is lowered. */
  readonly #flagSources: (number | undefined)[] = [];
  #deadFlags = false;
  /** Vector state that the block has found enabled. */
  readonly #enabled = new Set<VectorState>();

  constructor(
    fn: FunctionBuilder,
    locals: Locals,
    imports: ImportIndexes,
    exits: Exits,
    code: {
      readonly reader: RecordReader;
      readonly slot: number;
      readonly region: Region;
      /** Numbers of blocks by their first records. */
      readonly blocks: ReadonlyMap<number, number>;
    },
  ) {
    super(fn);
    this.#locals = locals;
    this.#imports = imports;
    this.#exits = exits;
    this.#region = code.region;
    this.#blocks = code.blocks;
    this.#reader = code.reader;
    this.#slot = code.slot;
  }

  /** The whole of a container; `block` lowers one block. */
  container(container: Container, block: (number: number) => void): void {
    const { fn } = this;
    const { items, first, last } = container;
    const loop = fn.loop();
    const isRoot = container.parent === undefined;
    if (isRoot) this.#lookUp = fn.block();
    const labels: Label[] = new Array(items.length);
    for (let i = items.length - 1; i > 0; i--) labels[i] = fn.block();
    this.#labels.set(container, { loop, items: labels });
    if (container.switches) {
      labels[0] = fn.block();
      const targets: Label[] = [];
      for (const [i, item] of items.entries()) {
        const end = typeof item === 'number' ? item : item.last;
        while (targets.length <= end - first) targets.push(labels[i] as Label);
      }
      assert(targets.length === last - first + 1, 'a container has all blocks of its range');
      fn.code.localGet(BLOCK_LOCAL);
      if (first > 0) fn.code.i32Const(first).op('i32_sub');
      fn.brTable(targets, labels[0]);
      fn.end();
    }
    for (const [i, item] of items.entries()) {
      if (i > 0) fn.end();
      if (typeof item === 'number') block(item);
      else this.container(item, block);
    }
    if (isRoot) {
      fn.op('unreachable');
      fn.end();
      if (this.#looksUp) this.#lookUpRip();
    }
    fn.end();
  }

  /** The label in front of the block is closed already. `meanings` are those of its instructions. */
  block(number: number, block: BasicBlock, meanings: readonly Meaning[]): void {
    const { fn } = this;
    const count = block.instructions.length;
    this.#current = number;
    const needed = this.#region.needed[number];
    if (needed !== undefined) {
      fn.code.localGet(BUDGET_LOCAL).i32Const(needed).op('i32_lt_s');
      fn.if();
      this.#leaveAt(recordOf(block), 0, LEAVE.SHORT);
      fn.end();
    }
    fn.code.localGet(BUDGET_LOCAL).i32Const(count).op('i32_sub').localSet(BUDGET_LOCAL);
    this.#flagSource = this.#flagSourceBefore(number);
    this.#enabled.clear();
    const dead = deadFlags(meanings);
    let ended = false;
    for (const [i, instruction] of block.instructions.entries()) {
      this.#instruction = instruction;
      this.#unexecuted = count - i;
      this.#deadFlags = dead[i] as boolean;
      ended = this.lower((meanings[i] as Meaning).emitter);
    }
    this.#flagSources[number] = this.#flagSource;
    if (!ended) this.#goTo(this.#reader.resolve(block.next), this.#reader.offset(block.next), true);
  }

  /** Where all ways to a block agree on it, and it is known already. */
  #flagSourceBefore(number: number): number | undefined {
    const before = this.#region.before[number] as readonly number[];
    const [first] = before;
    if (first === undefined || before.some((block) => block >= number)) return undefined;
    const source = this.#flagSources[first];
    return before.every((block) => this.#flagSources[block] === source) ? source : undefined;
  }

  #targetOf({ target }: TranslatedInstruction): number {
    return this.#reader.resolve(target);
  }

  /** Leaves with RIP at a record of this page; `unexecuted` instructions of the block are given back. */
  #leaveAt(record: number, unexecuted: number, reason: number): void {
    const { code } = this.fn;
    code.i32Const(record).localSet(this.#locals.record).i32Const(reason).localSet(this.#locals.reason);
    if (unexecuted > 0) code.localGet(BUDGET_LOCAL).i32Const(unexecuted).op('i32_add').localSet(BUDGET_LOCAL);
    this.fn.br(this.#exits.atRecord);
  }

  /** Leaves with the RIP on the stack. */
  #leaveForRip(): void {
    this.fn.code.localSet(this.#locals.rip).i32Const(LEAVE.LOOKUP).localSet(this.#locals.reason);
    this.fn.br(this.#exits.atRip);
  }

  /** The interpreter does the current instruction: nothing of it has happened. */
  #leaveToInterpreter(): void {
    this.#leaveAt(this.#instruction.record, this.#unexecuted, LEAVE.INTERPRET);
  }

  #goTo(record: number, offset: number, falls: boolean): void {
    const block = this.#blocks.get(record);
    if (block === undefined) this.#leaveFor(record, offset);
    else this.#goToBlock(block, falls);
  }

  /** To a place outside of the region: whoever executes finds its record without looking it up when it is in this page. */
  #leaveFor(record: number, offset: number): void {
    if (this.#reader.handler(record) !== PSEUDO.GOTO_PAGE) {
      this.#leaveAt(record, 0, LEAVE.TRANSLATED);
      return;
    }
    this.fn.code.localGet(this.#locals.ipBase).i64Const(BigInt(offset)).op('i64_add');
    this.#leaveForRip();
  }

  /** `falls`: nothing of the current block comes behind. */
  #goToBlock(to: number, falls: boolean): void {
    const { around, root } = this.#region;
    let container = containerOf(around, this.#current, to);
    // A call back is no loop.
    const back = to <= this.#current;
    if (back && container.first !== to) container = root;
    let switches = back && container.switches;
    for (let at = around[to] as Container; at !== container; at = at.parent as Container) {
      assert(at.switches || at.first === to, 'a jump into a loop that has no switch');
      switches ||= at.switches;
    }
    if (switches) this.fn.code.i32Const(to).localSet(BLOCK_LOCAL);
    if (falls && to === this.#current + 1) return;
    const labels = this.#labels.get(container) as ContainerLabels;
    if (back) this.fn.br(labels.loop);
    else this.fn.br(labels.items[itemOf(container, to)] as Label);
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

  protected pushStackRegister(operand: number): void {
    const { number } = this.#instruction.registers[operand] as { number: number };
    this.fn.code.i64Const(BigInt(8 * number));
  }

  protected pushRip(): void {
    this.fn.code.localGet(this.#locals.ipBase).i64Const(BigInt(this.#instruction.offset)).op('i64_add');
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
    const kind = this.#flagSource === undefined ? undefined : this.#flagSource & 3;
    const known = this.#pushConditionOf(kind, even, ccA, ccB);
    if (!known) {
      this.pushFlags();
      const flags = this.temporary('i64');
      code.localSet(flags);
      pushConditionOfFlags(this.fn, even, flags);
    }
    if (condition & 1) code.op('i32_eqz');
  }

  /** Pushes whether an even condition holds where the kind of the flags is known; false when there is no short way. */
  #pushConditionOf(kind: number | undefined, even: number, ccA: number, ccB: number): boolean {
    const { code } = this.fn;
    if (kind === CC_SUB || kind === CC_ADD) {
      return pushKnownCondition(
        this.fn,
        kind,
        even,
        () => code.localGet(ccA),
        () => code.localGet(ccB),
      );
    }
    if (kind === CC_FLAGS) {
      pushConditionOfFlags(this.fn, even, ccB);
      return true;
    }
    if (kind !== CC_RESULT) return false;
    if (even === 0 || even === 2) pushConditionOfFlags(this.fn, even, ccB);
    else if (even === 4) code.localGet(ccA).op('i64_eqz');
    else if (even === 8) code.localGet(ccA).i64Const(0n).op('i64_lt_s');
    else return false;
    return true;
  }

  protected pushFlags(): void {
    const source = this.#flagSource;
    if (source === undefined) {
      this.#spillFlags();
      this.fn.code.call(this.#imports.flags);
    } else this.#pushFlagsOf(source & 3, BigInt(64 - (source >> 4)));
  }

  /** The twin of what the core function does for any kind. `shift`: how far operands are shifted to the top. */
  #pushFlagsOf(kind: number, shift: bigint): void {
    const { code } = this.fn;
    const { ccA, ccB } = this.#locals;
    if (kind === CC_FLAGS) {
      code.localGet(ccB);
      return;
    }
    let result = ccA;
    if (kind === CC_RESULT) code.localGet(ccB);
    else {
      result = this.temporary('i64');
      code
        .localGet(ccA)
        .localGet(ccB)
        .op(kind === CC_SUB ? 'i64_sub' : 'i64_add')
        .localSet(result);
      // CF, then OF in the sign of what two exclusive ORs have in common, then AF.
      if (kind === CC_SUB) code.localGet(ccA).localGet(ccB);
      else code.localGet(result).localGet(ccA);
      code.op('i64_lt_u').op('i64_extend_i32_u');
      code.localGet(ccA).localGet(result).op('i64_xor');
      code.localGet(ccB).localGet(kind === CC_SUB ? ccA : result);
      code.op('i64_xor').op('i64_and').i64Const(63n).op('i64_shr_u').i64Const(11n).op('i64_shl').op('i64_or');
      code.localGet(ccA).localGet(ccB).op('i64_xor').localGet(result).op('i64_xor');
      code.i64Const(shift).op('i64_shr_u').i64Const(BigInt(FLAG.AF)).op('i64_and').op('i64_or');
    }
    code.localGet(result).op('i64_eqz').op('i64_extend_i32_u').i64Const(6n).op('i64_shl').op('i64_or');
    code.localGet(result).i64Const(63n).op('i64_shr_u').i64Const(7n).op('i64_shl').op('i64_or');
    code.localGet(result).i64Const(shift).op('i64_shr_u').i64Const(0xffn).op('i64_and').op('i64_popcnt');
    code.i64Const(1n).op('i64_and').op('i64_eqz').op('i64_extend_i32_u').i64Const(2n).op('i64_shl');
    code.op('i64_or');
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

  protected callX87(callee: X87Function): void {
    this.fn.code.call(this.#imports[callee] as number);
  }

  protected setFlags({ flags, bits, a, b }: Extract<Effect, { kind: 'set-flags' }>): void {
    const { code } = this.fn;
    this.push(a);
    this.push(b);
    code.localSet(this.#locals.ccB).localSet(this.#locals.ccA);
    code.i32Const(FLAG_KINDS[flags] | (bits << 4)).localSet(this.#locals.ccOp);
    // Set on one path only, the kind is not known afterwards.
    this.#flagSource = this.insideBranch ? undefined : FLAG_KINDS[flags] | (bits << 4);
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

  /** Whether it is a page that the TLB does not know, a device or a fault: the interpreter finds out. */
  protected slowLoad(): void {
    this.#leaveToInterpreter();
  }

  protected slowStore(): void {
    this.#leaveToInterpreter();
  }

  protected override slowAccessLeaves(): boolean {
    return true;
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
    pushVectorFault(this.fn, state);
    this.fn.if();
    this.#leaveToInterpreter();
    this.fn.end();
    if (!this.insideBranch) this.#enabled.add(state);
  }

  protected raise(): void {
    this.#leaveToInterpreter();
  }

  protected jump(): void {
    const record = this.#targetOf(this.#instruction);
    this.#goTo(record, this.#reader.offset(record), false);
  }

  protected jumpTo(pushRip: () => void): void {
    pushRip();
    this.fn.code.localSet(this.#locals.rip);
    this.#looksUp = true;
    this.fn.br(this.#lookUp as Label);
  }

  /** Where the jump cache knows a block of this module for the local `rip`, it goes on there: most calls return this way. */
  #lookUpRip(): void {
    const { fn } = this;
    const { code } = fn;
    const { rip, entry, record, reason, ipBase } = this.#locals;
    pushJumpCacheHit(fn, rip, entry);
    fn.if();
    code
      .localGet(entry)
      .memory('i32_load', JUMP_CACHE + 8)
      .localSet(record);
    // The page may be mapped elsewhere too.
    pushPageOf(fn, rip, record);
    code.localSet(ipBase).localGet(record);
    pushTranslated(fn);
    code.localTee(entry).i32Const(TRANSLATED_SHIFT).op('i32_shr_u').i32Const(this.#slot).op('i32_eq');
    fn.if();
    code
      .localGet(entry)
      .i32Const((1 << TRANSLATED_SHIFT) - 1)
      .op('i32_and')
      .localSet(BLOCK_LOCAL);
    fn.br((this.#labels.get(this.#region.root) as ContainerLabels).loop);
    fn.end();
    code.i32Const(LEAVE.TRANSLATED).localSet(reason);
    fn.br(this.#exits.atRecord);
    fn.end();
    code.localGet(rip);
    this.#leaveForRip();
  }

  protected pushBudget(): void {
    this.fn.code.localGet(BUDGET_LOCAL);
  }

  protected takeBudget(count: number): void {
    this.fn.code.localGet(BUDGET_LOCAL).localGet(count).op('i32_sub').localSet(BUDGET_LOCAL);
  }

  protected jumpFar(pushRip: () => void): void {
    pushRip();
    this.#leaveForRip();
  }

  protected repeat(): void {
    this.#goToBlock(this.#current, false);
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

/** The number of the item of a container that a block lies in. */
function itemOf(container: Container, block: number): number {
  return container.items.findIndex((item) => (typeof item === 'number' ? item : item.last) >= block);
}

/** What becomes one function: blocks of one page of 64-bit code, in the order of their offsets. */
export interface TranslatedFunction {
  readonly blocks: readonly BasicBlock[];
  readonly region: Region;
  /** The number by which TRANSLATED will know it. */
  readonly slot: number;
}

/** The module exports `run0`, `run1` … of type (budget, block) -> LEAVE; `sizes` are those of the functions, in bytes. */
export function translate(
  reader: RecordReader,
  meanings: Meanings,
  functions: readonly TranslatedFunction[],
  memory: MemoryImport,
): { readonly module: Uint8Array<ArrayBuffer>; readonly sizes: readonly number[] } {
  const module = new ModuleBuilder(memory);
  const imports = Object.fromEntries(
    Object.entries(TRANSLATION_IMPORTS).map(([name, { parameters, results }]) => [
      name,
      module.importFunction(name, parameters, results),
    ]),
  ) as ImportIndexes;
  const meant = functions.map(({ blocks }) =>
    blocks.map(({ instructions }) => instructions.map((instruction) => meanings.of(instruction))),
  );
  for (const name of new Set(meant.flat(2).flatMap(({ x87 }) => x87))) {
    const parameters = Array.from({ length: X87_PARAMETERS[name] }, () => 'i64' as const);
    imports[name] = module.importFunction(name, parameters, ['i64']);
  }
  const sizes = functions.map((translated, i) => {
    const fn = translateFunction(reader, translated, imports, meant[i] as readonly Meaning[][]);
    module.add(fn, `run${i}`);
    return fn.code.length;
  });
  return { module: module.finish(), sizes };
}

function translateFunction(
  reader: RecordReader,
  { blocks, region, slot }: TranslatedFunction,
  imports: ImportIndexes,
  meanings: readonly (readonly Meaning[])[],
): FunctionBuilder {
  const registers = registersOf(blocks, meanings);
  const fn = new FunctionBuilder(['i32', 'i32'], ['i32']);
  const { code } = fn;
  const locals = allocateLocals(fn);
  const load = (offset: number, local: number) => {
    pushField64(fn, offset);
    code.localSet(local);
  };
  for (const r of registers.used) load(OFFSET.GPR + 8 * r, locals.registers + r);
  load(OFFSET.IP_BASE, locals.ipBase);
  load(OFFSET.CC_A, locals.ccA);
  load(OFFSET.CC_B, locals.ccB);
  load(OFFSET.CONTEXT, locals.context);
  pushField32(fn, OFFSET.CC_OP);
  code.localSet(locals.ccOp);

  const atRip = fn.block();
  const atRecord = fn.block();
  const numbers = new Map(blocks.map((block, i) => [recordOf(block), i]));
  const lowering = new TranslatorLowering(
    fn,
    locals,
    imports,
    { atRecord, atRip },
    {
      reader,
      slot,
      region,
      blocks: numbers,
    },
  );
  lowering.container(region.root, (number) => {
    lowering.block(number, blocks[number] as BasicBlock, meanings[number] as Meaning[]);
  });
  fn.op('unreachable');
  fn.end();
  storeField32(fn, OFFSET.RECORD, () => code.localGet(locals.record));
  // The page may be mapped elsewhere too.
  storeField64(fn, OFFSET.IP_BASE, () => code.localGet(locals.ipBase));
  code.localGet(locals.ipBase).localGet(locals.record).memory('i64_load32_s', RECORD.OFFSET).op('i64_add');
  code.localSet(locals.rip);
  fn.end();
  for (const r of registers.written)
    storeField64(fn, OFFSET.GPR + 8 * r, () => code.localGet(locals.registers + r));
  storeField64(fn, OFFSET.CC_A, () => code.localGet(locals.ccA));
  storeField64(fn, OFFSET.CC_B, () => code.localGet(locals.ccB));
  storeField32(fn, OFFSET.CC_OP, () => code.localGet(locals.ccOp));
  storeField64(fn, OFFSET.RIP, () => code.localGet(locals.rip));
  storeField32(fn, OFFSET.REMAINING, () => code.localGet(BUDGET_LOCAL));
  code.localGet(locals.reason);
  return fn;
}

function allocateLocals(fn: FunctionBuilder): Locals {
  const locals = {
    ipBase: fn.allocate('i64'),
    ccA: fn.allocate('i64'),
    ccB: fn.allocate('i64'),
    context: fn.allocate('i64'),
    rip: fn.allocate('i64'),
    registers: fn.allocate('i64'),
  };
  for (let r = 1; r < REGISTERS; r++) fn.allocate('i64');
  return {
    ...locals,
    ccOp: fn.allocate('i32'),
    reason: fn.allocate('i32'),
    entry: fn.allocate('i32'),
    record: fn.allocate('i32'),
  };
}
