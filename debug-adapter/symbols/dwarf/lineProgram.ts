/**
 * Runs a line number program, versions 2 to 5.
 *
 * @see DWARF 5, section 6.2 "Line Number Information"
 */
import { type Address, NOWHERE } from '../address.ts';
import { hex, SymbolsError } from '../errors.ts';
import { RangeList } from '../rangeIndex.ts';
import {
  DW_LNE_define_file,
  DW_LNE_end_sequence,
  DW_LNE_set_address,
  DW_LNS_advance_line,
  DW_LNS_advance_pc,
  DW_LNS_const_add_pc,
  DW_LNS_copy,
  DW_LNS_fixed_advance_pc,
  DW_LNS_negate_stmt,
  DW_LNS_set_basic_block,
  DW_LNS_set_column,
  DW_LNS_set_epilogue_begin,
  DW_LNS_set_file,
  DW_LNS_set_isa,
  DW_LNS_set_prologue_end,
} from './constants.ts';
import type { LineHeader } from './lineHeader.ts';
import {
  type LineTable,
  ROW_BASIC_BLOCK,
  ROW_END_SEQUENCE,
  ROW_EPILOGUE_BEGIN,
  ROW_IS_STATEMENT,
  ROW_PROLOGUE_END,
} from './lineTable.ts';
import type { DebugSection, StringRef } from './sections.ts';

/** The columns of a table while it grows; one set serves all programs, one after the other. */
class Rows {
  length = 0;
  addresses = new Float64Array(4096);
  files = new Uint32Array(4096);
  lines = new Uint32Array(4096);
  columns = new Uint16Array(4096);
  flags = new Uint8Array(4096);

  add(address: Address, file: number, line: number, column: number, flags: number): void {
    const i = this.length++;
    if (i === this.addresses.length) this.grow(i * 2);
    this.addresses[i] = address;
    this.files[i] = file;
    this.lines[i] = line;
    this.columns[i] = column > 0xffff ? 0 : column;
    this.flags[i] = flags;
  }

  /** Puts the rows of a sequence in order of address, which the standard promises but not every assembler. */
  sort(first: number, last: number): void {
    const order = new Uint32Array(last - first);
    for (let i = 0; i < order.length; i++) order[i] = first + i;
    order.sort((a, b) => this.addresses[a] - this.addresses[b] || a - b);
    for (const column of [this.addresses, this.files, this.lines, this.columns, this.flags]) {
      const sorted = Array.from(order, (i) => column[i]);
      column.set(sorted, first);
    }
  }

  private grow(size: number): void {
    const { addresses, files, lines, columns, flags } = this;
    this.addresses = new Float64Array(size);
    this.files = new Uint32Array(size);
    this.lines = new Uint32Array(size);
    this.columns = new Uint16Array(size);
    this.flags = new Uint8Array(size);
    this.addresses.set(addresses);
    this.files.set(files);
    this.lines.set(lines);
    this.columns.set(columns);
    this.flags.set(flags);
  }
}

const rows = new Rows();

/**
 * The table of a program. Sequences of code that the linker has thrown away, which start where no section
 * of the program is, are left out.
 */
export function runLineProgram(
  section: DebugSection,
  header: LineHeader,
  isCode: (address: Address) => boolean,
): LineTable {
  section.spend(header.end - header.program);
  const reader = section.reader(header.program, header.end);
  const { minimumInstructionLength, maximumOperations, lineBase, lineRange, opcodeBase, operandCounts } =
    header;
  rows.length = 0;
  const sequences = new RangeList();
  const first: number[] = [];
  const last: number[] = [];
  const defined = { names: [] as StringRef[], directoryOf: [] as number[] };

  const initialFlags = header.defaultIsStatement ? ROW_IS_STATEMENT : 0;
  let address: Address = 0;
  let operation = 0;
  let file = 1;
  let line = 1;
  let column = 0;
  let flags = initialFlags;
  let sequence = 0;
  let ordered = true;
  let exact = true;

  const advance = (operations: number): void => {
    if (maximumOperations === 1) {
      address += minimumInstructionLength * operations;
      return;
    }
    address += minimumInstructionLength * Math.floor((operation + operations) / maximumOperations);
    operation = (operation + operations) % maximumOperations;
  };
  const emit = (): void => {
    ordered &&= rows.length === sequence || rows.addresses[rows.length - 1] <= address;
    exact &&= Number.isSafeInteger(address);
    rows.add(address, file, line, column, flags);
    flags &= ROW_IS_STATEMENT;
  };
  const endSequence = (): void => {
    const end = rows.length;
    rows.add(address, file, line, column, flags | ROW_END_SEQUENCE);
    if (!ordered) rows.sort(sequence, end);
    const start = rows.addresses[sequence];
    exact &&= Number.isSafeInteger(address);
    // An end below the last row would leave rows outside their sequence.
    if (exact && end > sequence && start < address && rows.addresses[end - 1] <= address && isCode(start)) {
      sequences.add(start, address, first.length);
      first.push(sequence);
      last.push(end);
    } else rows.length = sequence;
    sequence = rows.length;
    address = 0;
    operation = 0;
    file = 1;
    line = 1;
    column = 0;
    flags = initialFlags;
    ordered = true;
    exact = true;
  };

  while (!reader.done) {
    const opcode = reader.u8();
    if (opcode >= opcodeBase) {
      if (lineRange === 0)
        throw new SymbolsError(
          'damagedDebugInfo',
          `${section.name}: line range 0 in the header at ${hex(header.offset)}`,
        );
      const adjusted = opcode - opcodeBase;
      const operations = (adjusted / lineRange) | 0;
      advance(operations);
      line += lineBase + (adjusted - operations * lineRange);
      emit();
      continue;
    }
    switch (opcode) {
      case 0: {
        const length = reader.uleb();
        const end = reader.position + length;
        if (length === 0) break;
        if (!(end <= reader.end))
          throw new SymbolsError(
            'damagedDebugInfo',
            `${section.name}: an opcode at ${hex(reader.position)} reaches beyond its program`,
          );
        const extended = reader.u8();
        if (extended === DW_LNE_end_sequence) endSequence();
        else if (extended === DW_LNE_set_address) {
          address = length === 9 || length === 5 ? reader.address(length - 1) : NOWHERE;
          operation = 0;
        } else if (extended === DW_LNE_define_file) {
          defined.names.push(section.stringRef(reader.skipString()));
          defined.directoryOf.push(reader.uleb());
        }
        reader.seek(end);
        break;
      }
      case DW_LNS_copy:
        emit();
        break;
      case DW_LNS_advance_pc:
        advance(reader.uleb());
        break;
      case DW_LNS_advance_line:
        line += reader.sleb();
        break;
      case DW_LNS_set_file:
        file = reader.uleb();
        break;
      case DW_LNS_set_column:
        column = reader.uleb();
        break;
      case DW_LNS_negate_stmt:
        flags ^= ROW_IS_STATEMENT;
        break;
      case DW_LNS_set_basic_block:
        flags |= ROW_BASIC_BLOCK;
        break;
      case DW_LNS_const_add_pc:
        if (lineRange !== 0) advance(((255 - opcodeBase) / lineRange) | 0);
        break;
      case DW_LNS_fixed_advance_pc:
        address += reader.u16();
        operation = 0;
        break;
      case DW_LNS_set_prologue_end:
        flags |= ROW_PROLOGUE_END;
        break;
      case DW_LNS_set_epilogue_begin:
        flags |= ROW_EPILOGUE_BEGIN;
        break;
      case DW_LNS_set_isa:
        reader.skipLeb();
        break;
      default:
        for (let i = 0; i < operandCounts[opcode]; i++) reader.skipLeb();
    }
  }
  // Rows after the last end of a sequence have no end.
  const count = sequence;
  return {
    header,
    defined,
    addresses: rows.addresses.slice(0, count),
    files: rows.files.slice(0, count),
    lines: rows.lines.slice(0, count),
    columns: rows.columns.slice(0, count),
    flags: rows.flags.slice(0, count),
    sequences: sequences.index(),
    first: Uint32Array.from(first),
    last: Uint32Array.from(last),
  };
}
