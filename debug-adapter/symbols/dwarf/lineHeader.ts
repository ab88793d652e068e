/**
 * The header of a line number program: how its opcodes are to be read, and the files they speak of.
 *
 * @see DWARF 5, section 6.2.4 "The Line Number Program Header"; DWARF 4, section 6.2.4
 */
import type { ByteReader } from '../byteReader.ts';
import { hex, SymbolsError } from '../errors.ts';
import { DW_LNCT_directory_index, DW_LNCT_path } from './constants.ts';
import { type Encoding, FormReader, isStringIndex } from './forms.ts';
import { type DebugSection, NO_STRING, type StringRef } from './sections.ts';
import type { Unit } from './unit.ts';

export interface LineHeader extends Encoding {
  readonly offset: number;
  /** Where the program starts and ends. */
  readonly program: number;
  readonly end: number;
  readonly minimumInstructionLength: number;
  readonly maximumOperations: number;
  readonly defaultIsStatement: boolean;
  readonly lineBase: number;
  readonly lineRange: number;
  readonly opcodeBase: number;
  /** Operands of the opcodes 1 to opcodeBase - 1, at [opcode]. */
  readonly operandCounts: Uint8Array;
}

/** The lists of a header, by the numbers that programs and DIEs use; what a version does not number is NO_STRING. */
export interface FileLists {
  readonly directories: readonly StringRef[];
  readonly names: readonly StringRef[];
  /** The number of the directory of each name. */
  readonly directoryOf: readonly number[];
}

/** Reads the header at an offset of .debug_line, for a unit that refers to it. */
export function readLineHeader(unit: Unit, offset: number): { header: LineHeader; lists: FileLists } {
  const section = unit.sections.get('line');
  const { reader, offsetSize } = section.counted(offset, 'program');
  const { end } = reader;
  const version = reader.u16();
  if (version < 2 || version > 5)
    throw new SymbolsError(
      'unsupportedDebugInfo',
      `${section.name}: the program at ${hex(offset)} has version ${version}`,
    );
  let { addressSize } = unit.header;
  if (version >= 5) {
    const size = reader.u8();
    if (size !== 4 && size !== 8)
      throw new SymbolsError(
        'unsupportedDebugInfo',
        `${section.name}: addresses of ${size} bytes at ${hex(offset)}`,
      );
    addressSize = size;
    reader.u8();
  }
  const headerLength = reader.unsigned(offsetSize);
  const program = reader.position + headerLength;
  if (!(program <= end))
    throw new SymbolsError(
      'damagedDebugInfo',
      `${section.name}: the header at ${hex(offset)} reaches beyond its program`,
    );
  const minimumInstructionLength = reader.u8();
  const maximumOperations = version >= 4 ? reader.u8() : 1;
  const defaultIsStatement = reader.u8() !== 0;
  const lineBase = reader.i8();
  const lineRange = reader.u8();
  const opcodeBase = reader.u8();
  const operandCounts = new Uint8Array(Math.max(opcodeBase, 1));
  for (let opcode = 1; opcode < opcodeBase; opcode++) operandCounts[opcode] = reader.u8();
  reader.end = program;
  const encoding = { version, addressSize, offsetSize };
  const lists = version >= 5 ? readEntries5(unit, section, reader, encoding) : readEntries4(section, reader);
  section.spend(program - offset);
  const header = {
    ...encoding,
    offset,
    program,
    end,
    minimumInstructionLength,
    maximumOperations: maximumOperations || 1,
    defaultIsStatement,
    lineBase,
    lineRange,
    opcodeBase,
    operandCounts,
  };
  return { header, lists };
}

/** Versions 2 to 4: directory 0 is the compilation directory, files are numbered from 1. */
function readEntries4(section: DebugSection, reader: ByteReader): FileLists {
  const directories: StringRef[] = [NO_STRING];
  for (;;) {
    const start = reader.skipString();
    if (reader.position === start + 1) break;
    directories.push(section.stringRef(start));
  }
  const names: StringRef[] = [NO_STRING];
  const directoryOf: number[] = [0];
  for (;;) {
    const start = reader.skipString();
    if (reader.position === start + 1) break;
    names.push(section.stringRef(start));
    directoryOf.push(reader.uleb());
    reader.skipLeb();
    reader.skipLeb();
  }
  return { directories, names, directoryOf };
}

/** Version 5: entries say how they are written; both lists are numbered from 0. */
function readEntries5(unit: Unit, section: DebugSection, reader: ByteReader, encoding: Encoding): FileLists {
  const forms = new FormReader(reader, encoding, section, unit.sections, 0);
  const directories: StringRef[] = [];
  readEntryList(unit, forms, (path) => directories.push(path));
  const names: StringRef[] = [];
  const directoryOf: number[] = [];
  readEntryList(unit, forms, (path, directory) => {
    names.push(path);
    directoryOf.push(directory);
  });
  return { directories, names, directoryOf };
}

function readEntryList(
  unit: Unit,
  forms: FormReader,
  add: (path: StringRef, directory: number) => void,
): void {
  const { reader } = forms;
  const formatCount = reader.u8();
  const format: number[] = [];
  for (let i = 0; i < formatCount * 2; i++) format.push(reader.uleb());
  const count = reader.uleb();
  for (let i = 0; i < count; i++) {
    const start = reader.position;
    let path = NO_STRING;
    let directory = 0;
    for (let j = 0; j < format.length; j += 2) {
      const form = format[j + 1];
      if (format[j] === DW_LNCT_path) {
        forms.read(form);
        path = isStringIndex(forms.form) ? unit.string(forms.form, forms.value) : forms.value;
      } else if (format[j] === DW_LNCT_directory_index) {
        forms.read(form);
        directory = forms.value;
      } else forms.skip(form);
    }
    if (reader.position === start)
      throw new SymbolsError(
        'damagedDebugInfo',
        `${reader.name}: ${count} entries without contents at ${hex(start)}`,
      );
    add(path, directory);
  }
}
