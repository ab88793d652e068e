/**
 * From source lines to the addresses where a debugger stops for them.
 *
 * @see DWARF 5, section 6.2.2 "State Machine Registers" (is_stmt, prologue_end)
 */
import type { Address } from '../address.ts';
import { DW_LANG_Mips_Assembler } from './constants.ts';
import type { Dwarf } from './dwarf.ts';
import { type FunctionTable, NO_SCOPE } from './functions.ts';
import {
  firstRowAt,
  type LineTable,
  ROW_END_SEQUENCE,
  ROW_IS_STATEMENT,
  ROW_PROLOGUE_END,
} from './lineTable.ts';
import type { Unit } from './unit.ts';

export interface LineAddress {
  readonly address: Address;
  /** A number of SourceFiles. */
  readonly file: number;
  readonly line: number;
  readonly column: number;
  readonly isStatement: boolean;
}

interface Candidate {
  readonly row: number;
  readonly address: Address;
  /** Small is good: 0 for a row with code in the main part of its function. */
  readonly rank: number;
}

/**
 * The addresses of a line, or of the next line that has code: one for each function and each inlined
 * instance, after the prologue where the line is a function's first. `labelOf` tells apart the functions
 * of code that no entry describes.
 */
export function addressesOfLine(
  dwarf: Dwarf,
  files: readonly number[],
  line: number,
  column: number | undefined,
  labelOf: (address: Address) => number,
): LineAddress[] {
  const tables = tablesOf(dwarf, files);
  let target = Number.POSITIVE_INFINITY;
  for (const { table, wanted } of tables)
    forEachRow(table, wanted, (row) => {
      if (table.lines[row] >= line && table.lines[row] < target) target = table.lines[row];
    });
  const called = target > line ? inlinedCalls(dwarf, tables, line, target - 1) : [];
  if (called.length > 0) {
    const first = Math.min(...called.map((call) => call.line));
    return distinct(called.filter((call) => call.line === first));
  }
  const found: LineAddress[] = [];
  for (const { table, wanted, numbers } of tables) {
    const rows: number[] = [];
    forEachRow(table, wanted, (row) => {
      if (table.lines[row] === target) rows.push(row);
    });
    const inColumn = column === undefined ? rows : rows.filter((row) => table.columns[row] === column);
    for (const row of onePerScope(dwarf, table, inColumn.length > 0 ? inColumn : rows, labelOf)) {
      const file = numbers[table.files[row]];
      const moved = afterPrologueOf(dwarf, table, row);
      // Inlined code at the start of a function is of another file: the line asked for is what counts.
      const shown = numbers[table.files[moved]] === file ? moved : row;
      found.push({
        address: table.addresses[moved],
        file,
        line: table.lines[shown],
        column: table.columns[shown],
        isStatement: (table.flags[moved] & ROW_IS_STATEMENT) !== 0,
      });
    }
  }
  return distinct(found);
}

function distinct(found: LineAddress[]): LineAddress[] {
  found.sort((a, b) => a.address - b.address);
  return found.filter((location, i) => i === 0 || location.address !== found[i - 1].address);
}

/** Where the inlined calls of some lines begin: a line with nothing else has no row in the line table. */
function inlinedCalls(
  dwarf: Dwarf,
  tables: readonly WantedTable[],
  first: number,
  last: number,
): LineAddress[] {
  const found: LineAddress[] = [];
  for (const { unit, wanted, numbers } of tables) {
    const functions = dwarf.functions(unit);
    functions?.scopes.forEach(({ inlined, callLine: line, callColumn: column, callFile, ranges }, scope) => {
      if (!inlined || line < first || line > last || !wanted.has(callFile) || ranges.length === 0) return;
      const address = functions.startOf(scope);
      found.push({ address, file: numbers[callFile], line, column, isStatement: true });
    });
  }
  return found;
}

/** The lines and columns in a range of lines where a breakpoint can be, in order. */
export function breakpointPositions(
  dwarf: Dwarf,
  files: readonly number[],
  first: number,
  last: number,
): { line: number; column: number }[] {
  const positions = new Map<number, { line: number; column: number }>();
  const tables = tablesOf(dwarf, files);
  for (const { table, wanted } of tables)
    forEachRow(table, wanted, (row) => {
      const line = table.lines[row];
      const column = table.columns[row];
      if (line >= first && line <= last) positions.set(line * 0x1_0000 + column, { line, column });
    });
  for (const { line, column } of inlinedCalls(dwarf, tables, first, last))
    positions.set(line * 0x1_0000 + column, { line, column });
  return [...positions.values()].sort((a, b) => a.line - b.line || a.column - b.column);
}

/** Where the body of a function starts: the end of the prologue as the compiler marks it, else its second row. */
export function afterPrologue(dwarf: Dwarf, unit: Unit, functions: FunctionTable, scope: number): Address {
  const { entry, ranges } = functions.scopes[scope];
  const table = dwarf.lines(unit);
  const row = table ? bodyRow(unit, table, entry, endOfRange(ranges, entry)) : -1;
  return table && row >= 0 ? table.addresses[row] : entry;
}

/**
 * The row of a function's body, or -1 where the function is to be stopped at its entry: in assembly, and in
 * code that gcc has optimized, where the second row may be behind a branch and the arguments are known anyway.
 */
function bodyRow(unit: Unit, table: LineTable, entry: Address, end: Address): number {
  const { language, isOptimizedByGcc } = unit.root;
  if (language === DW_LANG_Mips_Assembler) return -1;
  const { addresses, flags, lines } = table;
  const first = firstRowAt(table, entry);
  if (first < 0 || addresses[first] !== entry) return -1;
  let second = -1;
  for (let row = first; (flags[row] & ROW_END_SEQUENCE) === 0 && addresses[row] < end; row++) {
    if ((flags[row] & ROW_PROLOGUE_END) !== 0) return row;
    const isStatement = (flags[row] & ROW_IS_STATEMENT) !== 0;
    if (second < 0 && row > first && isStatement && lines[row] !== 0) second = row;
  }
  return isOptimizedByGcc ? -1 : second;
}

/** The row to stop at for a row that a line was found in: another one where it starts a function. */
function afterPrologueOf(dwarf: Dwarf, table: LineTable, row: number): number {
  const address = table.addresses[row];
  const unit = dwarf.unitAt(address);
  const functions = unit && dwarf.functions(unit);
  if (!functions) return row;
  const scope = functions.functionAt(address);
  if (scope === NO_SCOPE || functions.scopes[scope].entry !== address) return row;
  // Other lines may have rows there too, that have no code of their own.
  const first = firstRowAt(table, address);
  if (table.lines[first] !== table.lines[row] || table.files[first] !== table.files[row]) return row;
  const body = bodyRow(unit, table, address, endOfRange(functions.scopes[scope].ranges, address));
  return body < 0 ? row : body;
}

function onePerScope(
  dwarf: Dwarf,
  table: LineTable,
  rows: readonly number[],
  labelOf: (address: Address) => number,
): number[] {
  const best = new Map<string, Candidate>();
  for (const row of rows) {
    const address = table.addresses[row];
    const unit = dwarf.unitAt(address);
    const functions = unit && dwarf.functions(unit);
    const scope = functions?.scopeAt(address) ?? NO_SCOPE;
    const key = scope === NO_SCOPE ? `label ${labelOf(address)}` : `${unit?.index} ${scope}`;
    const ranges = functions && scope !== NO_SCOPE ? functions.scopes[scope].ranges : [];
    const isCold = ranges.length > 0 && !(address >= ranges[0] && address < ranges[1]);
    const isEmpty = table.addresses[row + 1] === address;
    const candidate = { row, address, rank: (isCold ? 2 : 0) + (isEmpty ? 1 : 0) };
    const known = best.get(key);
    if (!known || candidate.rank < known.rank || (candidate.rank === known.rank && address < known.address))
      best.set(key, candidate);
  }
  return Array.from(best.values(), (candidate) => candidate.row);
}

/** The line tables that name a file: which of their numbers mean it, and what all their numbers mean. */
/** A line table, and which of its files are wanted: by number in the unit. */
interface WantedTable {
  readonly unit: Unit;
  readonly table: LineTable;
  readonly wanted: ReadonlySet<number>;
  /** The number of SourceFiles for each number in the unit. */
  readonly numbers: Uint32Array;
}

function tablesOf(dwarf: Dwarf, files: readonly number[]): WantedTable[] {
  const units = new Map<number, Unit>();
  for (const file of files) for (const unit of dwarf.unitsOfFile(file)) units.set(unit.index, unit);
  const tables: WantedTable[] = [];
  for (const unit of units.values()) {
    const table = dwarf.lines(unit);
    const numbers = dwarf.files(unit)?.files;
    if (!table || !numbers) continue;
    const wanted = new Set<number>();
    numbers.forEach((file, number) => {
      if (files.includes(file)) wanted.add(number);
    });
    tables.push({ unit, table, wanted, numbers });
  }
  return tables;
}

/** Visits the rows of some files where a statement starts. */
function forEachRow(table: LineTable, wanted: ReadonlySet<number>, visit: (row: number) => void): void {
  const { files, flags, lines } = table;
  for (let row = 0; row < files.length; row++)
    if (
      (flags[row] & (ROW_IS_STATEMENT | ROW_END_SEQUENCE)) === ROW_IS_STATEMENT &&
      lines[row] !== 0 &&
      wanted.has(files[row])
    )
      visit(row);
}

function endOfRange(ranges: readonly Address[], address: Address): Address {
  for (let r = 0; r < ranges.length; r += 2)
    if (address >= ranges[r] && address < ranges[r + 1]) return ranges[r + 1];
  return address;
}
