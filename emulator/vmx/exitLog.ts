/**
 * The record of VM exits: numbers copied from the VMCS when the exit happens, texts made when somebody asks. The last
 * exits are kept, all are counted. A record is 141 bytes: 32 words, a position, a cost and a level. Its words lie
 * together, because they are written more often than they are read; memory is taken as exits come.
 */
import type { CpuState } from '../state/cpuState.ts';
import { OFFSET } from '../state/layout.ts';
import { RAX, RCX } from '../state/registers.ts';
import { describeExit, usesRegisters } from './describeExit.ts';
import { type ExitReasonKey, exitReasonRow } from './exitReasons.ts';
import type { VmcsFieldKey } from './fields.ts';
import { SLOT } from './vmcs.ts';
import { VMCS_FIELD } from './vmcsLayout.ts';

const DEFAULT_CAPACITY = 32_768;
const BASIC_REASON = 0xffff;
/** Basic reasons that are told apart when exits are counted. */
export const COUNTED_REASONS = 128;
/** Exits whose memory is taken at once. */
const CHUNK_SHIFT = 14;
const CHUNK = 1 << CHUNK_SHIFT;

/**
 * Fields that are recorded with every exit. Of those with one word, bits 63:32 are 0 in what a VM exit saves; a VM entry
 * that fails saves nothing.
 */
const RECORDED = [
  ['VM_EXIT_REASON', 1],
  ['EXIT_QUALIFICATION', 2],
  ['GUEST_PHYSICAL_ADDRESS', 2],
  ['GUEST_LINEAR_ADDRESS', 2],
  ['VM_EXIT_INSTRUCTION_INFORMATION', 1],
  ['VM_EXIT_INTERRUPTION_INFORMATION', 1],
  ['VM_EXIT_INTERRUPTION_ERROR_CODE', 1],
  ['VM_EXIT_INSTRUCTION_LENGTH', 1],
  ['IDT_VECTORING_INFORMATION', 1],
  ['IDT_VECTORING_ERROR_CODE', 1],
  ['GUEST_RIP', 2],
  ['GUEST_RSP', 2],
  ['GUEST_RFLAGS', 1],
  ['GUEST_CR0', 1],
  ['GUEST_CR3', 2],
  ['GUEST_CR4', 1],
  ['GUEST_IA32_EFER', 2],
  ['GUEST_CS_SELECTOR', 1],
  ['GUEST_CS_ACCESS_RIGHTS', 1],
  ['GUEST_SS_ACCESS_RIGHTS', 1],
  ['GUEST_INTERRUPTIBILITY_STATE', 1],
  ['GUEST_ACTIVITY_STATE', 1],
  ['GUEST_PENDING_DEBUG_EXCEPTIONS', 1],
] as const satisfies readonly (readonly [VmcsFieldKey, 1 | 2])[];

type RecordedField = (typeof RECORDED)[number][0];

/** Words of the VMCS, in the order of a record. */
export const RECORDED_SLOTS: readonly number[] = RECORDED.flatMap(([key, words]) =>
  words === 2 ? [SLOT[key], SLOT[key] + 1] : [SLOT[key]],
);
/** Behind them, words of the processor: bits 31:0 of RAX and RCX. */
export const RECORDED_STATE: readonly number[] = [RAX, RCX].map(
  (register) => (OFFSET.GPR >> 2) + 2 * register,
);
/** Positions in a record. */
const AT = Object.fromEntries(RECORDED.map(([key]) => [key, RECORDED_SLOTS.indexOf(SLOT[key])])) as Readonly<
  Record<RecordedField, number>
>;
const REASON = AT.VM_EXIT_REASON;
const RIP = AT.GUEST_RIP;
const RAX_AT = RECORDED_SLOTS.length;
const RCX_AT = RAX_AT + 1;
const WORDS = RCX_AT + 1;
/** The words before this one say what the text says; with RAX and RCX for some reasons. */
const TEXT_WORDS = AT.VM_EXIT_INSTRUCTION_LENGTH;
const INTERRUPTION = AT.VM_EXIT_INTERRUPTION_INFORMATION;
/** 1 where the text of a reason names RAX or RCX. */
const USES_REGISTERS = Uint8Array.from({ length: COUNTED_REASONS }, (_, reason) =>
  usesRegisters(reason) ? 1 : 0,
);

/** Places in a record for those who read spans. */
export const EXIT_RECORD = { words: WORDS, reason: REASON, rip: RIP } as const;
/** Length of a text's key. */
export const TEXT_KEY_WORDS = TEXT_WORDS + 2;

const widthOf: ReadonlyMap<string, 1 | 2> = new Map(RECORDED);

/** One VM exit, for people. The debugger's `ExitRecord` without the vCPU. */
export interface LoggedExit {
  /** Counts from 0 at power-on. */
  readonly number: number;
  /** Instructions retired before. */
  readonly position: number;
  readonly level: number;
  /** Basic exit reason. */
  readonly reason: number;
  readonly entryFailure: boolean;
  readonly reasonKey: ExitReasonKey | 'unknown';
  readonly reasonName: string;
  readonly rip: bigint;
  readonly qualification: bigint;
  readonly guestPhysical: bigint;
  readonly guestLinear: bigint;
  readonly instructionLength: number;
  readonly interruptionInformation: number;
  readonly text: string;
  /** Ticks charged for the exit and the entry after it. */
  readonly cost: number;
}

export interface ExitCount {
  readonly key: ExitReasonKey | 'unknown';
  readonly name: string;
  readonly count: number;
  readonly cost: number;
}

/** Records that lie together. Whoever searches a million of them reads the numbers themselves. */
export interface ExitSpan {
  readonly words: Int32Array;
  readonly positions: Float64Array;
  readonly costs: Uint32Array;
  /** Of the first record. */
  readonly index: number;
  readonly count: number;
}

interface Chunk {
  readonly words: Int32Array;
  readonly positions: Float64Array;
  readonly costs: Uint32Array;
  readonly levels: Uint8Array;
}

export class ExitLog {
  /** Exits since power-on. */
  total = 0;
  readonly capacity: number;
  readonly #chunks: Chunk[] = [];
  #current: Chunk | undefined;
  readonly #record: Int32Array;
  readonly #counts = new Float64Array(COUNTED_REASONS);
  readonly #costsByReason = new Float64Array(COUNTED_REASONS);

  /** Of the exits of a processor. */
  constructor({ i32 }: CpuState, capacity = DEFAULT_CAPACITY) {
    this.capacity = capacity;
    const record = OFFSET.EXIT_RECORD >> 2;
    this.#record = i32.subarray(record, record + WORDS);
  }

  /** Number of the oldest exit that is kept. */
  get first(): number {
    return Math.max(0, this.total - this.capacity);
  }

  /** Takes the exit that {@link StateTransfers.recordExit} has gathered. */
  add(position: number, level: number, cost: number): void {
    const slot = this.total % this.capacity;
    const index = slot & (CHUNK - 1);
    const chunk = index === 0 || this.#current === undefined ? this.#openChunk(slot) : this.#current;
    const { words } = chunk;
    const at = index * WORDS;
    words.set(this.#record, at);
    chunk.positions[index] = position;
    chunk.costs[index] = cost;
    chunk.levels[index] = level;
    const reason = words[at + REASON] & (COUNTED_REASONS - 1);
    this.#counts[reason]++;
    this.#costsByReason[reason] += cost;
    this.total++;
  }

  /** The VM entry that follows an exit adds to its cost. */
  addEntryCost(cost: number): void {
    if (this.total === 0) return;
    const last = this.total - 1;
    const { costs } = this.#chunkOf(last);
    costs[this.#indexOf(last)] += cost;
    this.#costsByReason[this.#word(last, REASON) & (COUNTED_REASONS - 1)] += cost;
  }

  /** The exits from number `start` on that are still kept. */
  records(start: number, count: number): LoggedExit[] {
    const end = Math.min(start + count, this.total);
    const records: LoggedExit[] = [];
    for (let number = Math.max(start, this.first); number < end; number++) records.push(this.record(number));
    return records;
  }

  /** One exit that is still kept. */
  record(number: number): LoggedExit {
    const reason = this.reasonOf(number);
    const row = exitReasonRow(reason);
    const value = (key: RecordedField): bigint => this.#value(number, key);
    const qualification = value('EXIT_QUALIFICATION');
    const entryFailure = this.#word(number, REASON) < 0;
    // A VM-entry failure leaves these fields as they were.
    const guestPhysical = entryFailure ? 0n : value('GUEST_PHYSICAL_ADDRESS');
    const guestLinear = entryFailure ? 0n : value('GUEST_LINEAR_ADDRESS');
    const interruptionInformation = value('VM_EXIT_INTERRUPTION_INFORMATION');
    const chunk = this.#chunkOf(number);
    const index = this.#indexOf(number);
    return {
      number,
      position: chunk.positions[index],
      level: chunk.levels[index],
      reason,
      entryFailure,
      reasonKey: row?.key ?? 'unknown',
      reasonName: row?.name ?? `Exit reason ${reason}`,
      rip: this.ripOf(number),
      qualification,
      guestPhysical,
      guestLinear,
      instructionLength: entryFailure ? 0 : this.#word(number, AT.VM_EXIT_INSTRUCTION_LENGTH),
      interruptionInformation: entryFailure ? 0 : Number(interruptionInformation),
      text: describeExit(reason, {
        qualification,
        instructionInformation: value('VM_EXIT_INSTRUCTION_INFORMATION'),
        interruptionInformation,
        interruptionErrorCode: value('VM_EXIT_INTERRUPTION_ERROR_CODE'),
        guestLinearAddress: guestLinear,
        guestPhysicalAddress: guestPhysical,
        rax: BigInt(this.#word(number, RAX_AT) >>> 0),
        rcx: BigInt(this.#word(number, RCX_AT) >>> 0),
      }),
      cost: chunk.costs[index],
    };
  }

  // What a search looks at, without making anything.

  /** Basic exit reason. */
  reasonOf(number: number): number {
    return this.#word(number, REASON) & BASIC_REASON;
  }

  positionOf(number: number): number {
    return this.#chunkOf(number).positions[this.#indexOf(number)];
  }

  ripOf(number: number): bigint {
    return this.#value(number, 'GUEST_RIP');
  }

  /** Records from one that is kept on, as they lie together; at most `most`. */
  span(number: number, most: number): ExitSpan {
    const { words, positions, costs } = this.#chunkOf(number);
    const index = this.#indexOf(number);
    const count = Math.min(positions.length - index, this.total - number, most);
    return { words, positions, costs, index, count };
  }

  /** What VMREAD gave for a field right after the exit; undefined when that was not recorded. */
  fieldOf(number: number, key: VmcsFieldKey): bigint | undefined {
    const width = widthOf.get(key);
    if (width === undefined) return undefined;
    const { width: bits, mask } = VMCS_FIELD[key];
    // After a failed entry, bits 63:32 are what the hypervisor wrote.
    const isCut = width === 1 && (bits === 64 || bits === 'natural') && this.#word(number, REASON) < 0;
    return isCut ? undefined : this.#value(number, key as RecordedField) & mask;
  }

  /** How often each reason occurred and what it cost, most frequent first. */
  counts(): ExitCount[] {
    return exitCounts(this.#counts, this.#costsByReason);
  }

  /** Power-on. */
  reset(): void {
    this.total = 0;
    this.#current = undefined;
    this.#counts.fill(0);
    this.#costsByReason.fill(0);
  }

  #openChunk(slot: number): Chunk {
    const index = slot >> CHUNK_SHIFT;
    this.#chunks[index] ??= newChunk(Math.min(CHUNK, this.capacity - (index << CHUNK_SHIFT)));
    this.#current = this.#chunks[index];
    return this.#current;
  }

  #chunkOf(number: number): Chunk {
    return this.#chunks[(number % this.capacity) >> CHUNK_SHIFT];
  }

  #indexOf(number: number): number {
    return (number % this.capacity) & (CHUNK - 1);
  }

  #word(number: number, word: number): number {
    return this.#chunkOf(number).words[this.#indexOf(number) * WORDS + word];
  }

  #value(number: number, key: RecordedField): bigint {
    const low = BigInt(this.#word(number, AT[key]) >>> 0);
    if (widthOf.get(key) !== 2) return low;
    return (BigInt(this.#word(number, AT[key] + 1) >>> 0) << 32n) | low;
  }
}

/** Counts and costs by basic exit reason as rows, most frequent first. */
export function exitCounts(counts: Float64Array, costs: Float64Array): ExitCount[] {
  const rows: ExitCount[] = [];
  counts.forEach((count, reason) => {
    if (count === 0) return;
    const row = exitReasonRow(reason);
    rows.push({
      key: row?.key ?? 'unknown',
      name: row?.name ?? `Exit reason ${reason}`,
      count,
      cost: costs[reason],
    });
  });
  return rows.sort((a, b) => b.count - a.count);
}

/** Writes what the text of the record at word `at` is made of, and gives its hash. */
export function textKey(words: Int32Array, at: number, key: Int32Array): number {
  for (let i = 0; i < TEXT_WORDS; i++) key[i] = words[at + i];
  const uses = USES_REGISTERS[key[REASON] & (COUNTED_REASONS - 1)] !== 0;
  key[TEXT_WORDS] = uses ? words[at + RAX_AT] : 0;
  key[TEXT_WORDS + 1] = uses ? words[at + RCX_AT] : 0;
  // The words that differ most; equal hashes are compared anyway.
  let hash = mix(key[REASON], key[AT.EXIT_QUALIFICATION]);
  hash = mix(hash, key[AT.GUEST_PHYSICAL_ADDRESS] ^ key[INTERRUPTION]);
  hash = mix(hash, key[AT.GUEST_LINEAR_ADDRESS]);
  if (uses) hash = mix(mix(hash, key[TEXT_WORDS]), key[TEXT_WORDS + 1]);
  return hash ^ (hash >>> 15);
}

function newChunk(records: number): Chunk {
  return {
    words: new Int32Array(records * WORDS),
    positions: new Float64Array(records),
    costs: new Uint32Array(records),
    levels: new Uint8Array(records),
  };
}

/** One step of MurmurHash3. */
export function mix(hash: number, word: number): number {
  let key = Math.imul(word, 0xcc9e2d51);
  key = Math.imul((key << 15) | (key >>> 17), 0x1b873593);
  const mixed = hash ^ key;
  return (Math.imul((mixed << 13) | (mixed >>> 19), 5) + 0xe6546b64) | 0;
}
