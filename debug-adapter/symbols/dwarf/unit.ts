/**
 * Units: the header, the root entry and the tables that a unit's other data is read with.
 *
 * @see DWARF 5, section 7.5.1 "Unit Headers", section 3.1 "Unit Entries"
 */
import { type Address, NOWHERE } from '../address.ts';
import { hex, SymbolsError } from '../errors.ts';
import type { Problems } from '../problems.ts';
import type { AbbreviationTables } from './abbreviations.ts';
import {
  DW_AT_addr_base,
  DW_AT_comp_dir,
  DW_AT_dwo_name,
  DW_AT_GNU_addr_base,
  DW_AT_GNU_dwo_name,
  DW_AT_high_pc,
  DW_AT_language,
  DW_AT_loclists_base,
  DW_AT_low_pc,
  DW_AT_name,
  DW_AT_producer,
  DW_AT_ranges,
  DW_AT_rnglists_base,
  DW_AT_stmt_list,
  DW_AT_str_offsets_base,
  DW_FORM_addr,
  DW_UT_skeleton,
  DW_UT_split_compile,
  DW_UT_split_type,
  DW_UT_type,
} from './constants.ts';
import { DieReader } from './die.ts';
import { type Encoding, FormReader, isAddressIndex, isStringIndex } from './forms.ts';
import { type DebugSection, type DwarfSections, NO_STRING, type StringRef } from './sections.ts';

export interface UnitHeader extends Encoding {
  readonly section: 'info' | 'types';
  readonly offset: number;
  /** Offset of the next unit. */
  readonly end: number;
  readonly unitType: number;
  readonly abbreviations: number;
  /** Offset of the root entry. */
  readonly root: number;
  /** Type units: the signature, as it is in the file (its position), and the offset of the type's entry. */
  readonly signature: number;
  readonly typeOffset: number;
}

/** A pair of attributes that give a range list: by offset or by index. */
export interface RangesAttribute {
  readonly form: number;
  readonly value: number;
}

interface RootAttributes {
  readonly name: StringRef;
  readonly compilationFolder: StringRef;
  readonly language: number;
  /** Code in which gcc keeps variables described throughout the prologue, because it has optimized it. */
  readonly isOptimizedByGcc: boolean;
  /** Offset in .debug_line, or -1. */
  readonly lineTable: number;
  readonly lowPc: Address;
  /** As an address, also where the file gives a length. */
  readonly highPc: Address;
  readonly ranges: RangesAttribute | undefined;
  /** The name of the .dwo file that has the rest, when the debug information is split. */
  readonly splitName: StringRef;
}

/** Reads the headers of a section of units, up to the first that makes no sense. */
export function readUnitHeaders(
  section: DebugSection,
  kind: 'info' | 'types',
  problems: Problems,
): UnitHeader[] {
  const headers: UnitHeader[] = [];
  let offset = 0;
  try {
    while (offset < section.length) {
      const header = readUnitHeader(section, kind, offset, problems);
      if (typeof header !== 'number') headers.push(header);
      offset = typeof header === 'number' ? header : header.end;
    }
  } catch (error) {
    if (!(error instanceof SymbolsError)) throw error;
    problems.add(error);
  }
  return headers;
}

/** A header, or the offset of the next one where a unit is of a kind we cannot read. */
function readUnitHeader(
  section: DebugSection,
  kind: 'info' | 'types',
  offset: number,
  problems: Problems,
): UnitHeader | number {
  // Zero padding between units, as some linkers leave it.
  if (section.reader(offset).u32() === 0) return offset + 4;
  const { reader, offsetSize } = section.counted(offset, 'unit');
  const { end } = reader;
  const version = reader.u16();
  if (version < 2 || version > 5) {
    problems.add(
      new SymbolsError(
        'unsupportedDebugInfo',
        `${section.name}: the unit at ${hex(offset)} is DWARF ${version}`,
      ),
    );
    return end;
  }
  let unitType = kind === 'types' ? DW_UT_type : 0;
  let abbreviations = 0;
  if (version >= 5) unitType = reader.u8();
  else abbreviations = reader.unsigned(offsetSize);
  const addressSize = reader.u8();
  if (version >= 5) abbreviations = reader.unsigned(offsetSize);
  if (addressSize !== 4 && addressSize !== 8) {
    const what = `the unit at ${hex(offset)} has addresses of ${addressSize} bytes`;
    problems.add(new SymbolsError('unsupportedDebugInfo', `${section.name}: ${what}`));
    return end;
  }
  let signature = -1;
  let typeOffset = -1;
  if (unitType === DW_UT_type || unitType === DW_UT_split_type) {
    signature = reader.position;
    reader.skip(8);
    typeOffset = offset + reader.unsigned(offsetSize);
  } else if (unitType === DW_UT_skeleton || unitType === DW_UT_split_compile) reader.skip(8);
  const root = reader.position;
  return {
    section: kind,
    offset,
    end,
    version,
    addressSize,
    offsetSize,
    unitType,
    abbreviations,
    root,
    signature,
    typeOffset,
  };
}

/** Where the unit's own parts of the index tables start. */
interface Bases {
  readonly strings: number;
  readonly addresses: number;
  readonly rangeLists: number;
  readonly locationLists: number;
}

export class Unit {
  readonly index: number;
  readonly header: UnitHeader;
  readonly sections: DwarfSections;
  private readonly tables: AbbreviationTables;
  private rootAttributes: RootAttributes | undefined;
  private knownBases: Bases | undefined;
  private cursor: DieReader | undefined;

  constructor(index: number, header: UnitHeader, sections: DwarfSections, tables: AbbreviationTables) {
    this.index = index;
    this.header = header;
    this.sections = sections;
    this.tables = tables;
  }

  get isTypeUnit(): boolean {
    return this.header.unitType === DW_UT_type || this.header.unitType === DW_UT_split_type;
  }

  /** A cursor of its own for a walk through the unit. */
  dieReader(): DieReader {
    const { header, sections } = this;
    const section = sections.get(header.section);
    const reader = section.reader(header.root, header.end);
    const table = this.tables.get(header.abbreviations, header);
    return new DieReader(table, new FormReader(reader, header, section, sections, header.offset));
  }

  /** The unit's common cursor, with the entry at `offset` decoded: good until the next call. */
  die(offset: number): DieReader {
    const { header } = this;
    if (!(offset >= header.root && offset < header.end))
      throw new SymbolsError(
        'damagedDebugInfo',
        `${this.sections.get(header.section).name} has no entry at ${hex(offset)}`,
      );
    this.cursor ??= this.dieReader();
    this.cursor.read(offset);
    this.cursor.decode();
    return this.cursor;
  }

  get root(): RootAttributes {
    this.rootAttributes ??= this.readRoot();
    return this.rootAttributes;
  }

  get bases(): Bases {
    this.knownBases ??= this.readBases();
    return this.knownBases;
  }

  /** The string of an attribute, or NO_STRING. */
  stringOf(die: DieReader, name: number): StringRef {
    const i = die.find(name);
    return i < 0 ? NO_STRING : this.string(die.forms[i], die.values[i]);
  }

  /** A decoded string form, with an index into .debug_str_offsets looked up. */
  string(form: number, value: number): StringRef {
    if (!isStringIndex(form)) return value;
    const { offsetSize } = this.header;
    const reader = this.sections.get('str_offsets').reader(this.bases.strings + value * offsetSize);
    return this.sections.get('str').stringRef(reader.unsigned(offsetSize));
  }

  /** The address of an attribute of the address class, or NOWHERE. */
  addressOf(die: DieReader, name: number): Address {
    const i = die.find(name);
    return i < 0 ? NOWHERE : this.address(die.forms[i], die.values[i]);
  }

  /** A decoded address form, with an index into .debug_addr looked up. */
  address(form: number, value: number): Address {
    return isAddressIndex(form) ? this.indexedAddress(value) : value;
  }

  indexedAddress(index: number): Address {
    const { addressSize } = this.header;
    return this.sections
      .get('addr')
      .reader(this.bases.addresses + index * addressSize)
      .address(addressSize);
  }

  /** The end of a range that starts at `low`: DW_AT_high_pc is an address or a length. */
  highPc(die: DieReader, low: Address): Address {
    const i = die.find(DW_AT_high_pc);
    if (i < 0) return NOWHERE;
    const form = die.forms[i];
    return form === DW_FORM_addr || isAddressIndex(form)
      ? this.address(form, die.values[i])
      : low + die.values[i];
  }

  rangesOf(die: DieReader): RangesAttribute | undefined {
    const i = die.find(DW_AT_ranges);
    return i < 0 ? undefined : { form: die.forms[i], value: die.values[i] };
  }

  private readBases(): Bases {
    const { header } = this;
    const die = this.dieReader();
    die.read(header.root);
    die.decode();
    const tableHeader = header.offsetSize === 8 ? 16 : 8;
    return {
      strings: die.number(DW_AT_str_offsets_base) ?? (header.version >= 5 ? tableHeader : 0),
      addresses: die.number(DW_AT_addr_base) ?? die.number(DW_AT_GNU_addr_base) ?? tableHeader,
      rangeLists: die.number(DW_AT_rnglists_base) ?? tableHeader + 4,
      locationLists: die.number(DW_AT_loclists_base) ?? tableHeader + 4,
    };
  }

  private readRoot(): RootAttributes {
    const die = this.dieReader();
    die.read(this.header.root);
    die.decode();
    const lowPc = this.addressOf(die, DW_AT_low_pc);
    const split = this.stringOf(die, DW_AT_dwo_name);
    return {
      name: this.stringOf(die, DW_AT_name),
      compilationFolder: this.stringOf(die, DW_AT_comp_dir),
      language: die.number(DW_AT_language) ?? 0,
      isOptimizedByGcc: isOptimizedByGcc(this.sections, this.stringOf(die, DW_AT_producer)),
      lineTable: die.number(DW_AT_stmt_list) ?? -1,
      lowPc,
      highPc: this.highPc(die, lowPc),
      ranges: this.rangesOf(die),
      splitName: split === NO_STRING ? this.stringOf(die, DW_AT_GNU_dwo_name) : split,
    };
  }
}

/** gcc writes down its options: "GNU C17 12.2.0 -mno-red-zone -g -O2". The last level counts. */
function isOptimizedByGcc(sections: DwarfSections, producer: StringRef): boolean {
  const text = producer === NO_STRING ? '' : sections.text(producer);
  const levels = text.startsWith('GNU ') ? text.match(/ -O\S*/g) : null;
  return levels !== null && levels[levels.length - 1] !== ' -O0';
}
