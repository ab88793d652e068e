/**
 * The record of VM exits: numbers copied from the VMCS when the exit happens, texts made when somebody asks. The last
 * exits are kept, all are counted.
 */
import type { CpuState } from '../state/cpuState.ts';
import { OFFSET } from '../state/layout.ts';
import { describeExit } from './describeExit.ts';
import { type ExitReasonKey, exitReasonRow } from './exitReasons.ts';
import { SLOT } from './vmcs.ts';

const DEFAULT_CAPACITY = 32_768;
const BASIC_REASON = 0xffff;
const REASONS = 128;

/** Words of a record that are copied from the VMCS. */
const COPIED = [
  SLOT.VM_EXIT_REASON,
  SLOT.EXIT_QUALIFICATION,
  SLOT.EXIT_QUALIFICATION + 1,
  SLOT.GUEST_RIP,
  SLOT.GUEST_RIP + 1,
  SLOT.GUEST_PHYSICAL_ADDRESS,
  SLOT.GUEST_PHYSICAL_ADDRESS + 1,
  SLOT.GUEST_LINEAR_ADDRESS,
  SLOT.GUEST_LINEAR_ADDRESS + 1,
  SLOT.VM_EXIT_INSTRUCTION_LENGTH,
  SLOT.VM_EXIT_INSTRUCTION_INFORMATION,
  SLOT.VM_EXIT_INTERRUPTION_INFORMATION,
  SLOT.VM_EXIT_INTERRUPTION_ERROR_CODE,
] as const;
const VMCS_SLOTS = Int32Array.from(COPIED);

/** Positions in a record. */
const REASON = 0;
const QUALIFICATION = 1;
const RIP = 3;
const GUEST_PHYSICAL = 5;
const GUEST_LINEAR = 7;
const INSTRUCTION_LENGTH = 9;
const INSTRUCTION_INFORMATION = 10;
const INTERRUPTION_INFORMATION = 11;
const INTERRUPTION_ERROR_CODE = 12;
const RAX = VMCS_SLOTS.length;
const RCX = RAX + 1;
const LEVEL = RAX + 2;
const WORDS = RAX + 3;

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

export class ExitLog {
  /** Exits since power-on. */
  total = 0;
  readonly capacity: number;
  readonly #words: Int32Array;
  readonly #positions: Float64Array;
  readonly #costs: Float64Array;
  readonly #counts = new Float64Array(REASONS);
  readonly #costsByReason = new Float64Array(REASONS);

  constructor(capacity = DEFAULT_CAPACITY) {
    this.capacity = capacity;
    this.#words = new Int32Array(capacity * WORDS);
    this.#positions = new Float64Array(capacity);
    this.#costs = new Float64Array(capacity);
  }

  /** Takes an exit from the VMCS whose region starts at word `vmcs`; the guest's RAX and RCX are still loaded. */
  add(state: CpuState, vmcs: number, position: number, level: number, cost: number): void {
    const { i32 } = state;
    const words = this.#words;
    const slot = this.total % this.capacity;
    const at = slot * WORDS;
    for (let i = 0; i < VMCS_SLOTS.length; i++) words[at + i] = i32[vmcs + VMCS_SLOTS[i]];
    words[at + RAX] = i32[OFFSET.GPR >> 2];
    words[at + RCX] = i32[(OFFSET.GPR >> 2) + 2];
    words[at + LEVEL] = level;
    this.#positions[slot] = position;
    this.#costs[slot] = cost;
    this.#counts[words[at + REASON] & (REASONS - 1)]++;
    this.#costsByReason[words[at + REASON] & (REASONS - 1)] += cost;
    this.total++;
  }

  /** The VM entry that follows an exit adds to its cost. */
  addEntryCost(cost: number): void {
    if (this.total === 0) return;
    const slot = (this.total - 1) % this.capacity;
    this.#costs[slot] += cost;
    this.#costsByReason[this.#words[slot * WORDS + REASON] & (REASONS - 1)] += cost;
  }

  /** The exits from number `start` on that are still kept. */
  records(start: number, count: number): LoggedExit[] {
    const first = Math.max(start, this.total - this.capacity, 0);
    const end = Math.min(start + count, this.total);
    const records: LoggedExit[] = [];
    for (let number = first; number < end; number++) records.push(this.record(number));
    return records;
  }

  /** One exit that is still kept. */
  record(number: number): LoggedExit {
    const slot = number % this.capacity;
    const at = slot * WORDS;
    const words = this.#words;
    const pair = (word: number): bigint =>
      (BigInt(words[at + word + 1] >>> 0) << 32n) | BigInt(words[at + word] >>> 0);
    const word = (index: number): bigint => BigInt(words[at + index] >>> 0);
    const reason = words[at + REASON] & BASIC_REASON;
    const row = exitReasonRow(reason);
    const qualification = pair(QUALIFICATION);
    const entryFailure = words[at + REASON] < 0;
    // A VM-entry failure leaves these fields as they were.
    const guestPhysical = entryFailure ? 0n : pair(GUEST_PHYSICAL);
    const guestLinear = entryFailure ? 0n : pair(GUEST_LINEAR);
    return {
      number,
      position: this.#positions[slot],
      level: words[at + LEVEL],
      reason,
      entryFailure,
      reasonKey: row?.key ?? 'unknown',
      reasonName: row?.name ?? `Exit reason ${reason}`,
      rip: pair(RIP),
      qualification,
      guestPhysical,
      guestLinear,
      instructionLength: entryFailure ? 0 : words[at + INSTRUCTION_LENGTH],
      interruptionInformation: entryFailure ? 0 : words[at + INTERRUPTION_INFORMATION] >>> 0,
      text: describeExit(reason, {
        qualification,
        instructionInformation: word(INSTRUCTION_INFORMATION),
        interruptionInformation: word(INTERRUPTION_INFORMATION),
        interruptionErrorCode: word(INTERRUPTION_ERROR_CODE),
        guestLinearAddress: guestLinear,
        guestPhysicalAddress: guestPhysical,
        rax: word(RAX),
        rcx: word(RCX),
      }),
      cost: this.#costs[slot],
    };
  }

  /** How often each reason occurred and what it cost, most frequent first. */
  counts(): ExitCount[] {
    const counts: ExitCount[] = [];
    this.#counts.forEach((count, reason) => {
      if (count === 0) return;
      const row = exitReasonRow(reason);
      counts.push({
        key: row?.key ?? 'unknown',
        name: row?.name ?? `Exit reason ${reason}`,
        count,
        cost: this.#costsByReason[reason],
      });
    });
    return counts.sort((a, b) => b.count - a.count);
  }

  /** Power-on. */
  reset(): void {
    this.total = 0;
    this.#counts.fill(0);
    this.#costsByReason.fill(0);
  }
}
