/**
 * The translator's view of a page of decoded code: basic blocks. A block begins wherever execution may come to it other
 * than from the instruction before: at branch targets, behind branches, calls and what the interpreter has to do.
 */
import type { HandlerSpec } from '../isa/forms.ts';
import type { HandlerTable } from '../isa/handlers.ts';
import { isSystemRecord, PSEUDO, RECORD } from '../isa/record.ts';
import { RECORD_SIZE } from '../state/layout.ts';
import type { CodePage } from './codeCache.ts';

interface RegisterOperand {
  readonly number: number;
  readonly high: boolean;
}

/** By byte offset in the GPR file: a page of code has thousands of them. */
const REGISTER_OPERANDS: readonly RegisterOperand[] = Array.from({ length: 256 }, (_, byte) => ({
  number: byte >> 3,
  high: (byte & 7) !== 0,
}));

/** One decoded instruction as the translator reads it from its record. */
export interface TranslatedInstruction {
  readonly record: number;
  readonly spec: HandlerSpec;
  readonly offset: number;
  readonly length: number;
  readonly flags: number;
  readonly registers: readonly RegisterOperand[];
  readonly base: number;
  readonly index: number;
  readonly scale: number;
  readonly segment: number;
  readonly displacement: number;
  readonly immediate: bigint;
  readonly target: number;
}

export interface BasicBlock {
  /** Offset of its first instruction from the page base. */
  readonly offset: number;
  readonly instructions: readonly TranslatedInstruction[];
  /** Record after the last instruction, where it falls through to. */
  readonly next: number;
}

/** Reads decoded code from the machine's memory. */
export class RecordReader {
  readonly handlers: HandlerTable;
  readonly #u8: Uint8Array;
  readonly #u16: Uint16Array;
  readonly #i32: Int32Array;
  readonly #u64: BigUint64Array;

  constructor({ buffer }: WebAssembly.Memory, handlers: HandlerTable) {
    this.handlers = handlers;
    this.#u8 = new Uint8Array(buffer);
    this.#u16 = new Uint16Array(buffer);
    this.#i32 = new Int32Array(buffer);
    this.#u64 = new BigUint64Array(buffer);
  }

  /** Follows GOTOs to the record that does something. */
  resolve(record: number): number {
    let at = record;
    while (this.handler(at) === PSEUDO.GOTO) at = this.#i32[(at + RECORD.TARGET) >> 2] as number;
    return at;
  }

  handler(record: number): number {
    return this.#u16[(record + RECORD.HANDLER) >> 1] as number;
  }

  offset(record: number): number {
    return this.#i32[(record + RECORD.OFFSET) >> 2] as number;
  }

  instruction(record: number, spec: HandlerSpec): TranslatedInstruction {
    const u8 = this.#u8;
    const register = (at: number) => REGISTER_OPERANDS[u8[record + at] as number] as RegisterOperand;
    return {
      record,
      spec,
      offset: this.offset(record),
      length: u8[record + RECORD.LENGTH] as number,
      flags: u8[record + RECORD.FLAGS] as number,
      registers: [register(RECORD.REGISTER0), register(RECORD.REGISTER1), register(RECORD.REGISTER2)],
      base: (u8[record + RECORD.BASE] as number) >> 3,
      index: (u8[record + RECORD.INDEX] as number) >> 3,
      scale: u8[record + RECORD.SCALE] as number,
      segment: u8[record + RECORD.SEGMENT] as number,
      displacement: this.#i32[(record + RECORD.DISPLACEMENT) >> 2] as number,
      immediate: this.#u64[(record + RECORD.IMMEDIATE) >> 3] as bigint,
      target: this.#i32[(record + RECORD.TARGET) >> 2] as number,
    };
  }
}

export function hasDirectTarget(instruction: TranslatedInstruction): boolean {
  return instruction.spec.operands[0] === 'j';
}

/** Each iteration of a repeated string instruction is a block of one. */
export function repeats(spec: HandlerSpec): boolean {
  return spec.row.op.startsWith('REP');
}

/** The basic blocks of everything that is decoded in a page, by offset. */
export function blocksOf(reader: RecordReader, page: CodePage): BasicBlock[] {
  const instructions = new Map<number, TranslatedInstruction>();
  const leaders = new Set<number>();
  const continued = new Set<number>();
  for (const entry of page.entries) {
    if (entry === 0) continue;
    const record = reader.resolve(entry);
    const handler = reader.handler(record);
    const spec = reader.handlers.spec(handler);
    const next = reader.resolve(record + RECORD_SIZE);
    if (spec === undefined) {
      if (isSystemRecord(handler)) leaders.add(next);
      continue;
    }
    const instruction = reader.instruction(record, spec);
    instructions.set(record, instruction);
    const ends = spec.row.endsBlock === true;
    if (hasDirectTarget(instruction)) leaders.add(reader.resolve(instruction.target));
    if (repeats(spec)) leaders.add(record);
    if (hasDirectTarget(instruction) || repeats(spec) || spec.row.call !== undefined) leaders.add(next);
    // What follows a call is where it returns to.
    const behind = page.entries[instruction.offset + instruction.length];
    if (ends && behind) leaders.add(reader.resolve(behind));
    else if (!ends) continued.add(next);
  }
  const blocks: BasicBlock[] = [];
  for (const [record, { offset }] of instructions) {
    if (!leaders.has(record) && continued.has(record)) continue;
    blocks.push(blockAt(reader, record, offset, instructions, leaders));
  }
  return blocks.sort((a, b) => a.offset - b.offset);
}

function blockAt(
  reader: RecordReader,
  start: number,
  offset: number,
  known: ReadonlyMap<number, TranslatedInstruction>,
  leaders: ReadonlySet<number>,
): BasicBlock {
  const instructions: TranslatedInstruction[] = [];
  let record = start;
  for (;;) {
    const instruction = known.get(record);
    if (instruction === undefined) break;
    instructions.push(instruction);
    const { spec } = instruction;
    record += RECORD_SIZE;
    if (spec.row.endsBlock === true || hasDirectTarget(instruction) || repeats(spec)) break;
    if (leaders.has(reader.resolve(record))) break;
    record = reader.resolve(record);
  }
  return { offset, instructions, next: record };
}

/**
 * Those of the blocks that are reachable from the `first` ones by jumps and falling through, then the others, up to so many
 * instructions: what is decoded was executed, and each later addition translates everything anew.
 */
export function choose(
  reader: RecordReader,
  first: readonly BasicBlock[],
  blocks: readonly BasicBlock[],
  others: readonly BasicBlock[],
  limit: number,
): BasicBlock[] {
  const byRecord = new Map(blocks.map((block) => [recordOf(block), block]));
  const byOffset = new Map(blocks.map((block) => [block.offset, block]));
  const chosen = new Set<BasicBlock>();
  const work = [...first];
  let size = 0;
  for (let block = work.shift(); block !== undefined && size < limit; block = work.shift()) {
    if (chosen.has(block)) continue;
    chosen.add(block);
    size += block.instructions.length;
    const last = block.instructions.at(-1) as TranslatedInstruction;
    const next = byRecord.get(reader.resolve(block.next));
    const target = hasDirectTarget(last) ? byRecord.get(reader.resolve(last.target)) : undefined;
    // Behind a call goes on what calls.
    const behind = byOffset.get(last.offset + last.length);
    const ends = last.spec.row.endsBlock === true;
    if (target) work.push(target);
    if (next && !ends) work.push(next);
    if (ends && last.spec.row.op === 'CALL' && behind) work.push(behind);
  }
  for (const block of others) {
    if (size >= limit || chosen.has(block)) continue;
    chosen.add(block);
    size += block.instructions.length;
  }
  return [...chosen].sort((a, b) => a.offset - b.offset);
}

/**
 * Divides blocks into groups for one WebAssembly function each: what jumps or falls into each other stays together, and
 * groups are filled up to so many instructions. V8 takes more than twice the time for a function of twice the size.
 */
export function groupsOf(reader: RecordReader, blocks: readonly BasicBlock[], size: number): BasicBlock[][] {
  const numbers = new Map(blocks.map((block, i) => [recordOf(block), i]));
  const leaders = blocks.map((_, i) => i);
  const leaderOf = (block: number): number => {
    let at = block;
    while (leaders[at] !== at) at = leaders[at] as number;
    return at;
  };
  const join = (a: number, record: number) => {
    const b = numbers.get(reader.resolve(record));
    if (b === undefined) return;
    const [first, second] = [leaderOf(a), leaderOf(b)];
    leaders[Math.max(first, second)] = Math.min(first, second);
  };
  for (const [i, { instructions, next }] of blocks.entries()) {
    const last = instructions.at(-1) as TranslatedInstruction;
    if (hasDirectTarget(last) && last.spec.row.op !== 'CALL') join(i, last.target);
    if (last.spec.row.endsBlock !== true || last.spec.row.op === 'CALL') join(i, next);
  }
  const parts = new Map<number, BasicBlock[]>();
  for (const [i, block] of blocks.entries()) {
    const leader = leaderOf(i);
    const part = parts.get(leader);
    if (part) part.push(block);
    else parts.set(leader, [block]);
  }
  const groups: BasicBlock[][] = [];
  let room = 0;
  for (const part of parts.values()) {
    const instructions = part.reduce((sum, block) => sum + block.instructions.length, 0);
    if (instructions > room) {
      groups.push([]);
      room = size;
    }
    groups.at(-1)?.push(...part);
    room -= instructions;
  }
  for (const group of groups) group.sort((a, b) => a.offset - b.offset);
  return groups;
}

/** The record that a block begins with. */
export function recordOf(block: BasicBlock): number {
  return (block.instructions[0] as TranslatedInstruction).record;
}
