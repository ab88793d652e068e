/**
 * The code of one statement, for stepping over or into it.
 *
 * Optimized code of a statement is scattered: a row that does not start a statement belongs to the one
 * before it, and everything of one line in one function or inlined instance is one statement.
 */
import type { Address } from '../address.ts';
import type { Dwarf } from './dwarf.ts';
import type { FunctionTable, Scope } from './functions.ts';
import { type LineTable, ROW_END_SEQUENCE, ROW_IS_STATEMENT, rowAt } from './lineTable.ts';
import type { Unit } from './unit.ts';

export interface StatementOptions {
  /** Counts callers of inlined functions from the innermost instance: the statement is that of this frame. */
  readonly frame?: number;
  /** Whether functions inlined into the statement are part of it. Always so for a `frame` above 0. */
  readonly over?: boolean;
}

/** Starts and ends in turn, in order of address. Empty where no line is known. */
export function statementRanges(dwarf: Dwarf, address: Address, options: StatementOptions = {}): Address[] {
  const unit = dwarf.unitAt(address);
  const table = unit && dwarf.lines(unit);
  if (!table) return [];
  const row = rowAt(table, address);
  if (row < 0) return [];
  const functions = dwarf.functions(unit);
  const chain = functions ? functions.chain(functions.scopeAt(address)) : [];
  const frame = Math.min(options.frame ?? 0, Math.max(chain.length - 1, 0));
  if (!functions || chain.length === 0) return withoutFunction(table, row);
  const statement = new Statement(dwarf, unit, table, functions, chain[frame]);
  // Seen from a caller, the statement is the call.
  if (frame > 0) return statement.ranges(callSite(dwarf, unit, functions.scopes[chain[frame - 1]]), true);
  const key = statement.keyAt(address);
  return key === NO_LINE ? [] : statement.ranges(key, options.over === true);
}

/** A file of SourceFiles and a line in one number; NO_LINE for code without a line. */
type LineKey = number;

const NO_LINE: LineKey = -1;
const LINES = 0x1_0000_0000;

function callSite(dwarf: Dwarf, unit: Unit, scope: Scope): LineKey {
  return dwarf.fileOf(unit, scope.callFile) * LINES + scope.callLine;
}

/** One function or inlined instance, cut into statements. */
class Statement {
  private readonly dwarf: Dwarf;
  private readonly unit: Unit;
  private readonly table: LineTable;
  private readonly functions: FunctionTable;
  private readonly scope: number;

  constructor(dwarf: Dwarf, unit: Unit, table: LineTable, functions: FunctionTable, scope: number) {
    this.dwarf = dwarf;
    this.unit = unit;
    this.table = table;
    this.functions = functions;
    this.scope = scope;
  }

  /** The line whose statement an address belongs to. */
  keyAt(address: Address): LineKey {
    let found = NO_LINE;
    this.forEachPart((start, end, key) => {
      if (address >= start && address < end) found = key;
    });
    return found;
  }

  ranges(wanted: LineKey, over: boolean): Address[] {
    const parts: [Address, Address][] = [];
    this.forEachPart((start, end, key) => {
      if (key === wanted) parts.push([start, end]);
    });
    if (over)
      for (const inlined of this.functions.inlinedInto(this.scope)) {
        const scope = this.functions.scopes[inlined];
        if (callSite(this.dwarf, this.unit, scope) !== wanted) continue;
        for (let r = 0; r < scope.ranges.length; r += 2) parts.push([scope.ranges[r], scope.ranges[r + 1]]);
      }
    return merge(parts);
  }

  /** Visits the scope's own code, without what is inlined, in pieces that belong to one line. */
  private forEachPart(visit: (start: Address, end: Address, key: LineKey) => void): void {
    const { addresses, flags, lines, files } = this.table;
    const numbers = this.dwarf.files(this.unit)?.files;
    let key = NO_LINE;
    for (const [start, end] of this.ownRanges()) {
      let row = rowAt(this.table, start);
      if (row < 0) continue;
      // Rows without code at the very start: the last one counts, as everywhere.
      for (; (flags[row] & ROW_END_SEQUENCE) === 0 && addresses[row] < end; row++) {
        const own = lines[row] === 0 ? NO_LINE : (numbers?.[files[row]] ?? 0) * LINES + lines[row];
        if (own !== NO_LINE && ((flags[row] & ROW_IS_STATEMENT) !== 0 || key === NO_LINE)) key = own;
        const from = Math.max(addresses[row], start);
        const to = Math.min(addresses[row + 1], end);
        if (from < to) visit(from, to, key);
      }
    }
  }

  private ownRanges(): [Address, Address][] {
    const { scopes } = this.functions;
    const holes: [Address, Address][] = [];
    for (const inlined of this.functions.inlinedInto(this.scope)) {
      const { ranges } = scopes[inlined];
      for (let r = 0; r < ranges.length; r += 2) holes.push([ranges[r], ranges[r + 1]]);
    }
    const gaps = merge(holes);
    const own: [Address, Address][] = [];
    const { ranges } = scopes[this.scope];
    for (let r = 0; r < ranges.length; r += 2) {
      let start = ranges[r];
      for (let g = 0; g < gaps.length; g += 2) {
        if (gaps[g + 1] <= start || gaps[g] >= ranges[r + 1]) continue;
        if (gaps[g] > start) own.push([start, gaps[g]]);
        start = gaps[g + 1];
      }
      if (start < ranges[r + 1]) own.push([start, ranges[r + 1]]);
    }
    return own.sort((a, b) => a[0] - b[0]);
  }
}

/** Code that no function entry describes: the rows of the same line around an address. */
function withoutFunction(table: LineTable, row: number): Address[] {
  const { addresses, flags, lines, files } = table;
  const isSame = (other: number): boolean => lines[other] === lines[row] && files[other] === files[row];
  if (lines[row] === 0) return [];
  let first = row;
  while (first > 0 && (flags[first - 1] & ROW_END_SEQUENCE) === 0 && isSame(first - 1)) first--;
  let last = row;
  while ((flags[last] & ROW_END_SEQUENCE) === 0 && isSame(last)) last++;
  return [addresses[first], addresses[last]];
}

/** Ranges in order, with overlapping and adjacent ones made one. */
function merge(ranges: [Address, Address][]): Address[] {
  ranges.sort((a, b) => a[0] - b[0]);
  const merged: Address[] = [];
  for (const [start, end] of ranges) {
    const last = merged.length - 1;
    if (last > 0 && start <= merged[last]) merged[last] = Math.max(merged[last], end);
    else merged.push(start, end);
  }
  return merged;
}
