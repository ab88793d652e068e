/**
 * What the webview knows of the list of exits: a few rows of many. It asks for one part at a time; while an answer is
 * on its way, only what is wanted last counts. Knows neither the page nor VS Code.
 */
import type { ExitFilter, ExitPage, ExitReasonCount, ExitRow } from '../../debug-adapter/protocol/exits.ts';

/** Rows are asked for in whole blocks. */
const BLOCK = 32;
/** Rows before and behind what is in view that are asked for with it, so that scrolling finds them. */
const AHEAD = 128;
/** Rows that are remembered. */
const MOST_ROWS = 4096;
/** Milliseconds between two requests for a search that is not at its end. */
const PATIENCE = 30;

export interface ExitListOptions {
  /** Asks for a part: without a start, for the last entries. */
  readonly request: (id: number, part: { start?: number; count: number; filter: ExitFilter }) => void;
  /** Something is known that was not. */
  readonly changed: (change: { readonly dropped: number }) => void;
  readonly after: (milliseconds: number, callback: () => void) => void;
}

export class ExitList {
  total = 0;
  /** Number of the oldest exit that is kept. */
  kept = 0;
  /** Places of the entries: `first` to `end` - 1. */
  first = 0;
  end = 0;
  isComplete = true;
  searched = 0;
  reasons: readonly ExitReasonCount[] = [];
  hypervisor: ExitPage['hypervisor'] | undefined;
  problem: string | undefined;
  /** Whether the newest entries are wanted, whatever is in view. */
  follows = true;

  readonly #options: ExitListOptions;
  #filter: ExitFilter = {};
  readonly #rows = new Map<number, ExitRow>();
  #lastId = 0;
  #waitingFor: number | undefined;
  /** What the request that is on its way asked for. */
  #asked = '';
  #wanted = { from: 0, to: 0 };
  #isStale = false;
  #isAlive = false;

  constructor(options: ExitListOptions) {
    this.#options = options;
  }

  get length(): number {
    return this.end - this.first;
  }

  get isLoading(): boolean {
    return this.#waitingFor !== undefined;
  }

  get filter(): ExitFilter {
    return this.#filter;
  }

  row(entry: number): ExitRow | undefined {
    return this.#rows.get(entry);
  }

  /** Another machine: nothing of the list holds any more. Without one, nothing is asked for. */
  reset(isAlive: boolean): void {
    this.total = 0;
    this.kept = 0;
    this.hypervisor = undefined;
    this.reasons = [];
    this.#forget();
    this.#waitingFor = undefined;
    this.#isAlive = isAlive;
    if (isAlive) this.refresh();
  }

  setFilter(filter: ExitFilter): void {
    if (JSON.stringify(filter) === JSON.stringify(this.#filter)) return;
    this.#filter = filter;
    this.#forget();
    this.#waitingFor = undefined;
    if (this.#isAlive) this.refresh();
  }

  /** Entries `from` to `to` - 1 are in view. */
  want(from: number, to: number): void {
    this.#wanted = { from, to };
    this.#askForMissing();
  }

  /** There may be more than is known. */
  refresh(): void {
    if (!this.#isAlive) return;
    this.#isStale = true;
    if (this.#waitingFor === undefined) this.#askForNews();
  }

  receive(id: number, page: ExitPage): void {
    if (id !== this.#waitingFor) return;
    this.#waitingFor = undefined;
    this.problem = undefined;
    const dropped = page.first - this.first;
    const { total, kept, first, end, isComplete, searched, reasons, hypervisor } = page;
    Object.assign(this, { total, kept, first, end, isComplete, searched, reasons, hypervisor });
    for (const [index, row] of page.rows.entries()) this.#remember(page.start + index, row);
    this.#options.changed({ dropped: Math.max(0, dropped) });
    if (this.#waitingFor !== undefined) return;
    if (this.#isStale) this.#askForNews();
    else if (!isComplete) this.#options.after(PATIENCE, () => this.refresh());
    else this.#askForMissing();
  }

  fail(id: number, reason: string): void {
    if (id !== this.#waitingFor) return;
    this.#waitingFor = undefined;
    this.problem = reason;
    this.#options.changed({ dropped: 0 });
  }

  #forget(): void {
    this.first = 0;
    this.end = 0;
    this.searched = 0;
    this.isComplete = Object.keys(this.#filter).length === 0;
    this.problem = undefined;
    this.#rows.clear();
    this.#asked = '';
  }

  /** Counts, and the rows that are to be shown with them: the last, or those in view that are missing. */
  #askForNews(): void {
    this.#isStale = false;
    const count = this.#wanted.to - this.#wanted.from;
    this.#asked = '';
    if (this.follows) this.#ask({ count: Math.max(count, BLOCK) });
    else this.#ask(this.#missing(0) ?? { start: this.#wanted.from, count: 0 });
  }

  #askForMissing(): void {
    if (this.#waitingFor !== undefined) return;
    // What is in view comes first; while the end is followed nothing else will be.
    const near = this.follows ? undefined : this.#missing(AHEAD / 2);
    if (near === undefined && this.#missing(0) === undefined) return;
    const missing = this.#missing(this.follows ? 0 : AHEAD);
    if (missing === undefined) return;
    // What was asked for and did not come is not there.
    const asked = JSON.stringify([missing, this.end]);
    if (asked === this.#asked) return;
    this.#asked = asked;
    this.#ask(missing);
  }

  /** What is not known of the rows in view and so many before and behind them. */
  #missing(ahead: number): { start: number; count: number } | undefined {
    const from = Math.max(this.#wanted.from - ahead, this.first);
    const to = Math.min(this.#wanted.to + ahead, this.end);
    let start = from;
    while (start < to && this.#rows.has(start)) start++;
    let end = to;
    while (end > start && this.#rows.has(end - 1)) end--;
    if (start >= end) return undefined;
    const block = Math.floor(start / BLOCK) * BLOCK;
    return { start: block, count: Math.ceil(end / BLOCK) * BLOCK - block };
  }

  #ask(part: { start?: number; count: number }): void {
    this.#waitingFor = ++this.#lastId;
    this.#options.request(this.#lastId, { ...part, filter: this.#filter });
  }

  #remember(entry: number, row: ExitRow): void {
    // Written anew, so that what was seen last is forgotten last.
    this.#rows.delete(entry);
    this.#rows.set(entry, row);
    if (this.#rows.size <= MOST_ROWS) return;
    const [oldest] = this.#rows.keys();
    this.#rows.delete(oldest);
  }
}
