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
import { CONTROL_WORDS } from './controls.ts';
import type { EntryCheckRow, VmcsView } from './entryChecks/check.ts';
import { ENTRY_CHECKS, entryFailureOf, type FailedEntryCheck } from './entryChecks/evaluate.ts';
import { VMCS_FIELD, VMCS_FIELD_LIST } from './vmcsLayout.ts';

const PENDING = 1;
/** Reads memory or processor state. */
const EVERY_TIME = 2;

const INITIAL_MARKS = Uint8Array.from(ENTRY_CHECKS, ({ alsoReads }) =>
  alsoReads === undefined ? 0 : EVERY_TIME,
);

/** The indexes of the rows that read a field, by its ordinal. */
const ROWS_OF_FIELD: readonly (readonly number[])[] = VMCS_FIELD_LIST.map(({ key }) =>
  ENTRY_CHECKS.flatMap((row, index) => (row.needs.includes(key) ? [index] : [])),
);

const EVERY_TIME_ROWS: readonly number[] = ENTRY_CHECKS.flatMap(({ alsoReads }, index) =>
  alsoReads === undefined ? [] : [index],
);

const IS_CONTROL_WORD = new Uint8Array(VMCS_FIELD_LIST.length);
for (const { field } of CONTROL_WORDS) IS_CONTROL_WORD[VMCS_FIELD[field].ordinal] = 1;

/** What is remembered of one VMCS. */
export class VmcsMarks {
  /** The control words may differ from what the view of the VMCS has loaded. */
  controlsChanged = true;
  /** Virtualization level of the guest; 0 while it has never been entered. */
  level = 0;
  #anyPending = true;
  readonly #rows = INITIAL_MARKS.slice();

  constructor() {
    this.everythingChanged();
  }

  everythingChanged(): void {
    for (let row = 0; row < this.#rows.length; row++) this.#rows[row] |= PENDING;
    this.#anyPending = true;
    this.controlsChanged = true;
  }

  fieldChanged(ordinal: number): void {
    if (IS_CONTROL_WORD[ordinal] !== 0) {
      this.everythingChanged();
      return;
    }
    for (const row of ROWS_OF_FIELD[ordinal]) {
      this.#rows[row] |= PENDING;
      this.#anyPending = true;
    }
  }

  /** Runs the rows that have to run, in the manual's order, up to the first that fails. */
  firstFailure(vmcs: VmcsView): FailedEntryCheck | undefined {
    const rows = this.#rows;
    if (!this.#anyPending) {
      for (const index of EVERY_TIME_ROWS) {
        const failure = run(ENTRY_CHECKS[index], vmcs);
        if (failure !== undefined) return failure;
      }
      return undefined;
    }
    for (let index = 0; index < rows.length; index++) {
      if (rows[index] === 0) continue;
      const failure = run(ENTRY_CHECKS[index], vmcs);
      if (failure !== undefined) return failure;
      rows[index] &= ~PENDING;
    }
    this.#anyPending = false;
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
  #writingItself = false;

  constructor(physical: PhysicalMemory) {
    this.#physical = physical;
    physical.onWrite(PAGE_FLAG.VMCS, (address) => {
      if (!this.#writingItself) this.#marks.get(address - (address % 4096))?.everythingChanged();
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
    const marks = this.#marks.get(address);
    if (marks === undefined) return;
    marks.everythingChanged();
    this.#physical.clearPageFlag(address / 4096, PAGE_FLAG.VMCS);
  }

  /** VMPTRLD after VMCLEAR: stores to the page are of interest again. */
  selected(address: number): VmcsMarks {
    const marks = this.of(address);
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
    for (const address of this.#marks.keys()) this.#physical.clearPageFlag(address / 4096, PAGE_FLAG.VMCS);
    this.#marks.clear();
  }
}
