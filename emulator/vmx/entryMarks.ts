/**
 * Which entry checks have to run at the next VM entry of a VMCS. A check whose fields have not changed since it
 * passed is not run again; those that read memory or processor state always are.
 *
 * What a VM exit saves needs no check: it is processor state that came about under the controls of the same VMCS. A
 * change of the control words, or a store to the page of the VMCS, brings every check back.
 *
 * Intel SDM Vol. 3C, "VM Entries", 28.2 and 28.3.
 */
import { PAGE_FLAG, type PhysicalMemory } from '../mmu/physicalMemory.ts';
import { CONTROL, CONTROL_WORDS } from './controls.ts';
import type { EntryCheckRow, VmcsView } from './entryChecks/check.ts';
import { ENTRY_CHECKS, entryFailureOf, type FailedEntryCheck } from './entryChecks/evaluate.ts';
import { VMCS_FIELD, VMCS_FIELD_LIST } from './vmcsLayout.ts';

/** Sets of rows, a bit for each in the order of `ENTRY_CHECKS`. */
type RowSet = Int32Array;

const SET_WORDS = Math.ceil(ENTRY_CHECKS.length / 32);

function rowSet(contains: (row: EntryCheckRow) => boolean): RowSet {
  const set = new Int32Array(SET_WORDS);
  for (const [index, row] of ENTRY_CHECKS.entries()) if (contains(row)) set[index >> 5] |= 1 << (index & 31);
  return set;
}

const ALL = rowSet(() => true);
/** Rows that read memory, and those that look at the processor's mode. */
const READS_MEMORY = rowSet(({ alsoReads }) => alsoReads === 'memory');
const READS_MODE = rowSet(({ alsoReads }) => alsoReads === 'processorState');

/** The indexes of the rows that read a field, by its ordinal: all, and those that read its bits 31:0. */
const ROWS_OF_FIELD: readonly number[][] = VMCS_FIELD_LIST.map(() => []);
const ROWS_OF_LOW_HALF: readonly number[][] = VMCS_FIELD_LIST.map(() => []);
for (const [index, { needs, upperHalfOf }] of ENTRY_CHECKS.entries()) {
  for (const key of new Set(needs)) {
    const { ordinal } = VMCS_FIELD[key];
    ROWS_OF_FIELD[ordinal].push(index);
    if (upperHalfOf !== key) ROWS_OF_LOW_HALF[ordinal].push(index);
  }
}

const IS_CONTROL_WORD = new Uint8Array(VMCS_FIELD_LIST.length);
for (const { field } of CONTROL_WORDS) IS_CONTROL_WORD[VMCS_FIELD[field].ordinal] = 1;

/** Controls that VMMs switch all the time and that only the rows which name their word look at. */
const PRIMARY = VMCS_FIELD.PRIMARY_PROCESSOR_BASED_VM_EXECUTION_CONTROLS.ordinal;
const WINDOW_CONTROLS = CONTROL.interruptWindowExiting.mask | CONTROL.nmiWindowExiting.mask;

/** What is remembered of one VMCS. */
export class VmcsMarks {
  /** The control words may differ from what the view of the VMCS has loaded. */
  controlsChanged = true;
  /** Virtualization level of the guest; 0 while it has never been entered. */
  level = 0;
  /** RIP of the VMWRITE that wrote each field last, by ordinal; 0 is unknown. */
  writers: BigUint64Array | undefined = undefined;
  #writerWords: Int32Array | undefined = undefined;
  /** Rows that read something that has changed since they passed. */
  readonly #pending = ALL.slice();
  /** Rows that have read memory when they passed. */
  readonly #everyTime = new Int32Array(SET_WORDS);
  /** No row has to run. */
  #quiet = false;
  /** IA32_EFER.LMA when the rows passed. */
  #ia32eMode = false;

  everythingChanged(): void {
    this.#pending.set(ALL);
    this.#quiet = false;
    this.controlsChanged = true;
  }

  /** `low` and `high` are the bits that differ from before. */
  fieldChanged(ordinal: number, low: number, high: number): void {
    if (IS_CONTROL_WORD[ordinal] !== 0) {
      if (ordinal !== PRIMARY || (low & ~WINDOW_CONTROLS) !== 0) {
        this.everythingChanged();
        return;
      }
      this.controlsChanged = true;
    }
    const rows = high === 0 ? ROWS_OF_LOW_HALF[ordinal] : ROWS_OF_FIELD[ordinal];
    if (rows.length > 0) this.#quiet = false;
    for (const row of rows) this.#pending[row >> 5] |= 1 << (row & 31);
  }

  /** A VMWRITE of the running program wrote a field. */
  written(ordinal: number, ripLo: number, ripHi: number): void {
    this.writers ??= new BigUint64Array(VMCS_FIELD_LIST.length);
    this.#writerWords ??= new Int32Array(this.writers.buffer);
    this.#writerWords[2 * ordinal] = ripLo;
    this.#writerWords[2 * ordinal + 1] = ripHi;
  }

  /** Runs the rows that have to run, in the manual's order, up to the first that fails. */
  firstFailure(vmcs: VmcsView): FailedEntryCheck | undefined {
    const pending = this.#pending;
    const everyTime = this.#everyTime;
    const { ia32eMode } = vmcs.context;
    if (ia32eMode !== this.#ia32eMode) {
      this.#ia32eMode = ia32eMode;
      for (let word = 0; word < SET_WORDS; word++) pending[word] |= READS_MODE[word];
    } else if (this.#quiet) return undefined;
    let again = 0;
    for (let word = 0; word < SET_WORDS; word++) {
      for (let rows = pending[word] | everyTime[word]; rows !== 0; rows &= rows - 1) {
        // The lowest bit that is set.
        const bit = 31 - Math.clz32(rows & -rows);
        const row = ENTRY_CHECKS[word * 32 + bit];
        const failure = run(row, vmcs);
        if (failure !== undefined) return failure;
        const mask = 1 << bit;
        pending[word] &= ~mask;
        if ((READS_MEMORY[word] & mask) === 0) continue;
        if (row.applies?.(vmcs) ?? true) everyTime[word] |= mask;
        else everyTime[word] &= ~mask;
      }
      again |= everyTime[word];
    }
    this.#quiet = again === 0;
    return undefined;
  }
}

function run(row: EntryCheckRow, vmcs: VmcsView): FailedEntryCheck | undefined {
  const violation = row.check(vmcs);
  return violation === undefined ? undefined : { row, violation, outcome: entryFailureOf(row) };
}

/** The marks of every VMCS that was current since it was last cleared, by the address of its region. */
export class VmcsRegions {
  readonly #physical: PhysicalMemory;
  readonly #marks = new Map<number, VmcsMarks>();
  /** A store that is not the processor's own is about to write an active VMCS. */
  onForeignWrite: ((region: number, offset: number) => void) | undefined = undefined;
  /** Regions that were made current and not cleared since. */
  readonly #active = new Set<number>();
  #writingItself = false;

  constructor(physical: PhysicalMemory) {
    this.#physical = physical;
    physical.onWrite(PAGE_FLAG.VMCS, (address) => {
      if (this.#writingItself) return;
      const offset = address % 4096;
      const region = address - offset;
      this.#marks.get(region)?.everythingChanged();
      if (this.#active.has(region)) this.onForeignWrite?.(region, offset);
    });
  }

  of(address: number): VmcsMarks {
    let marks = this.#marks.get(address);
    if (marks === undefined) {
      marks = new VmcsMarks();
      this.#marks.set(address, marks);
      this.#physical.setPageFlag(address / 4096, PAGE_FLAG.VMCS);
    }
    return marks;
  }

  /** The level of the guest of a VMCS, undefined when it was not entered yet. */
  levelOf(address: number): number | undefined {
    const level = this.#marks.get(address)?.level ?? 0;
    return level === 0 ? undefined : level;
  }

  /** VMCLEAR: the region may be written by anybody from now on. The level stays with it. */
  cleared(address: number): void {
    this.#active.delete(address);
    const marks = this.#marks.get(address);
    if (marks === undefined) return;
    marks.everythingChanged();
    this.#physical.clearPageFlag(address / 4096, PAGE_FLAG.VMCS);
  }

  /** VMPTRLD after VMCLEAR: stores to the page are of interest again. */
  selected(address: number): VmcsMarks {
    const marks = this.of(address);
    this.#active.add(address);
    this.#physical.setPageFlag(address / 4096, PAGE_FLAG.VMCS);
    return marks;
  }

  /** The processor is about to write a region itself: others who listen to the page have to know. */
  announceOwnWrite(address: number): void {
    const others = PAGE_FLAG.CODE | PAGE_FLAG.WATCHED | PAGE_FLAG.SNAPSHOT;
    if ((this.#physical.pageFlags[address / 4096] & others) === 0) return;
    this.#writingItself = true;
    try {
      this.#physical.notifyWrite(address, 4096);
    } finally {
      this.#writingItself = false;
    }
  }

  /** Address and level of each VMCS that was entered, one after the other. */
  saveLevels(): number[] {
    return [...this.#marks].flatMap(([address, { level }]) => (level === 0 ? [] : [address, level]));
  }

  /** After a snapshot was restored: nothing that was checked before counts. */
  restoreLevels(levels: readonly number[]): void {
    this.forget();
    for (let i = 0; i + 1 < levels.length; i += 2) this.of(levels[i]).level = levels[i + 1];
  }

  forget(): void {
    this.#active.clear();
    for (const address of this.#marks.keys()) this.#physical.clearPageFlag(address / 4096, PAGE_FLAG.VMCS);
    this.#marks.clear();
  }
}
