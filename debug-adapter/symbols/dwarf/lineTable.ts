import type { Address } from '../address.ts';
import type { RangeIndex } from '../rangeIndex.ts';
import type { FileLists, LineHeader } from './lineHeader.ts';

export const ROW_IS_STATEMENT = 1;
export const ROW_BASIC_BLOCK = 2;
export const ROW_PROLOGUE_END = 4;
export const ROW_EPILOGUE_BEGIN = 8;
export const ROW_END_SEQUENCE = 16;

/**
 * The rows a line number program has made, by column. Rows of a sequence stand together in order of
 * address and end with an ROW_END_SEQUENCE row; an address belongs to the last row at or below it.
 *
 * @see DWARF 5, section 6.2.2 "State Machine Registers"
 */
export interface LineTable {
  readonly header: LineHeader;
  /** Files that the program itself has added to those of the header. */
  readonly defined: Pick<FileLists, 'names' | 'directoryOf'>;
  readonly addresses: Float64Array;
  /** Numbers of files in the header. */
  readonly files: Uint32Array;
  readonly lines: Uint32Array;
  readonly columns: Uint16Array;
  readonly flags: Uint8Array;
  /** Sequences by address; the values are positions in `first` and `last`. */
  readonly sequences: RangeIndex;
  /** Rows of each sequence: the first, and the one that ends it. */
  readonly first: Uint32Array;
  readonly last: Uint32Array;
}

/** The row an address belongs to, or -1. */
export function rowAt(table: LineTable, address: Address): number {
  const sequence = table.sequences.find(address);
  if (sequence < 0) return -1;
  let low = table.first[sequence];
  let high = table.last[sequence];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (table.addresses[middle] <= address) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** The first row at an address that belongs to a sequence, or -1: where a function's rows start. */
export function firstRowAt(table: LineTable, address: Address): number {
  let row = rowAt(table, address);
  const { addresses, flags } = table;
  while (row > 0 && addresses[row - 1] === addresses[row] && (flags[row - 1] & ROW_END_SEQUENCE) === 0) row--;
  return row;
}

/**
 * Whether a statement starts where a row does. A compiler writes several rows for one address: what matters is that one
 * of them, for the same line, is marked.
 */
export function startsStatement(table: LineTable, row: number): boolean {
  const { addresses, flags, lines, files } = table;
  for (let each = row; each >= 0 && addresses[each] === addresses[row]; each--) {
    if (each < row && (flags[each] & ROW_END_SEQUENCE) !== 0) return false;
    const isSameLine = lines[each] === lines[row] && files[each] === files[row];
    if (isSameLine && (flags[each] & ROW_IS_STATEMENT) !== 0) return true;
  }
  return false;
}
