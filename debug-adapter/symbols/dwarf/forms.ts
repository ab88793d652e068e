/**
 * Attribute forms: how a value is written. One decoder serves DIEs and line table headers.
 *
 * @see DWARF 5, section 7.5.5 "Classes and Forms", section 7.5.6 "Form Encodings"
 */
import type { ByteReader } from '../byteReader.ts';
import { hex, SymbolsError } from '../errors.ts';
import {
  DW_FORM_addr,
  DW_FORM_addrx,
  DW_FORM_addrx1,
  DW_FORM_addrx2,
  DW_FORM_addrx3,
  DW_FORM_addrx4,
  DW_FORM_block,
  DW_FORM_block1,
  DW_FORM_block2,
  DW_FORM_block4,
  DW_FORM_data1,
  DW_FORM_data2,
  DW_FORM_data4,
  DW_FORM_data8,
  DW_FORM_data16,
  DW_FORM_exprloc,
  DW_FORM_flag,
  DW_FORM_flag_present,
  DW_FORM_GNU_addr_index,
  DW_FORM_GNU_ref_alt,
  DW_FORM_GNU_str_index,
  DW_FORM_GNU_strp_alt,
  DW_FORM_implicit_const,
  DW_FORM_indirect,
  DW_FORM_line_strp,
  DW_FORM_loclistx,
  DW_FORM_ref_addr,
  DW_FORM_ref_sig8,
  DW_FORM_ref_sup4,
  DW_FORM_ref_sup8,
  DW_FORM_ref_udata,
  DW_FORM_ref1,
  DW_FORM_ref2,
  DW_FORM_ref4,
  DW_FORM_ref8,
  DW_FORM_rnglistx,
  DW_FORM_sdata,
  DW_FORM_sec_offset,
  DW_FORM_string,
  DW_FORM_strp,
  DW_FORM_strp_sup,
  DW_FORM_strx,
  DW_FORM_strx1,
  DW_FORM_strx2,
  DW_FORM_strx3,
  DW_FORM_strx4,
  DW_FORM_udata,
} from './constants.ts';
import { type DebugSection, type DwarfSections, NO_STRING } from './sections.ts';

/** What the size of a form depends on. */
export interface Encoding {
  readonly version: number;
  readonly addressSize: 4 | 8;
  readonly offsetSize: 4 | 8;
}

/** Bytes of a form, or -1 when the value itself says. */
export function fixedFormSize(form: number, encoding: Encoding): number {
  switch (form) {
    case DW_FORM_flag_present:
    case DW_FORM_implicit_const:
      return 0;
    case DW_FORM_data1:
    case DW_FORM_flag:
    case DW_FORM_ref1:
    case DW_FORM_strx1:
    case DW_FORM_addrx1:
      return 1;
    case DW_FORM_data2:
    case DW_FORM_ref2:
    case DW_FORM_strx2:
    case DW_FORM_addrx2:
      return 2;
    case DW_FORM_strx3:
    case DW_FORM_addrx3:
      return 3;
    case DW_FORM_data4:
    case DW_FORM_ref4:
    case DW_FORM_ref_sup4:
    case DW_FORM_strx4:
    case DW_FORM_addrx4:
      return 4;
    case DW_FORM_data8:
    case DW_FORM_ref8:
    case DW_FORM_ref_sig8:
    case DW_FORM_ref_sup8:
      return 8;
    case DW_FORM_data16:
      return 16;
    case DW_FORM_addr:
      return encoding.addressSize;
    case DW_FORM_ref_addr:
      return encoding.version <= 2 ? encoding.addressSize : encoding.offsetSize;
    case DW_FORM_strp:
    case DW_FORM_line_strp:
    case DW_FORM_strp_sup:
    case DW_FORM_sec_offset:
    case DW_FORM_GNU_ref_alt:
    case DW_FORM_GNU_strp_alt:
      return encoding.offsetSize;
    default:
      return -1;
  }
}

export function isStringIndex(form: number): boolean {
  return (
    (form >= DW_FORM_strx1 && form <= DW_FORM_strx4) ||
    form === DW_FORM_strx ||
    form === DW_FORM_GNU_str_index
  );
}

export function isAddressIndex(form: number): boolean {
  return (
    (form >= DW_FORM_addrx1 && form <= DW_FORM_addrx4) ||
    form === DW_FORM_addrx ||
    form === DW_FORM_GNU_addr_index
  );
}

/**
 * Decodes values at a reader's position. After `read`, `value` holds by class of the form:
 * address: Address · index (strx, addrx, rnglistx, loclistx): the index · constant: the number (exact
 * within ±2^53; data16: its position) · string: StringRef · block, exprloc: position, with `length` (0 for
 * all others) ·
 * flag: 0 or 1 · reference: offset in the section (ref_sig8: position of the signature) · section offset.
 * References and strings in a supplementary file, which we do not read, are NO_STRING.
 */
export class FormReader {
  readonly reader: ByteReader;
  /** The form found, other than the one asked for when that is DW_FORM_indirect. */
  form = 0;
  value = 0;
  length = 0;
  private readonly encoding: Encoding;
  private readonly section: DebugSection;
  private readonly sections: DwarfSections;
  /** What unit-relative references are relative to. */
  private readonly base: number;

  constructor(
    reader: ByteReader,
    encoding: Encoding,
    section: DebugSection,
    sections: DwarfSections,
    base: number,
  ) {
    this.reader = reader;
    this.encoding = encoding;
    this.section = section;
    this.sections = sections;
    this.base = base;
  }

  read(form: number): void {
    const { reader } = this;
    this.form = form;
    this.length = 0;
    switch (form) {
      case DW_FORM_addr:
        this.value = reader.address(this.encoding.addressSize);
        return;
      case DW_FORM_data1:
      case DW_FORM_strx1:
      case DW_FORM_addrx1:
        this.value = reader.u8();
        return;
      case DW_FORM_data2:
      case DW_FORM_strx2:
      case DW_FORM_addrx2:
        this.value = reader.u16();
        return;
      case DW_FORM_strx3:
      case DW_FORM_addrx3:
        this.value = reader.u24();
        return;
      case DW_FORM_data4:
      case DW_FORM_strx4:
      case DW_FORM_addrx4:
        this.value = reader.u32();
        return;
      case DW_FORM_data8:
        this.value = reader.u64();
        return;
      case DW_FORM_udata:
      case DW_FORM_strx:
      case DW_FORM_addrx:
      case DW_FORM_loclistx:
      case DW_FORM_rnglistx:
      case DW_FORM_GNU_addr_index:
      case DW_FORM_GNU_str_index:
        this.value = reader.uleb();
        return;
      case DW_FORM_sdata:
        this.value = reader.sleb();
        return;
      case DW_FORM_data16:
      case DW_FORM_ref_sig8:
        this.value = reader.position;
        reader.skip(form === DW_FORM_data16 ? 16 : 8);
        return;
      case DW_FORM_string:
        this.value = this.section.stringRef(reader.skipString());
        return;
      case DW_FORM_strp:
        this.value = this.sections.get('str').stringRef(reader.unsigned(this.encoding.offsetSize));
        return;
      case DW_FORM_line_strp:
        this.value = this.sections.get('line_str').stringRef(reader.unsigned(this.encoding.offsetSize));
        return;
      case DW_FORM_strp_sup:
      case DW_FORM_GNU_strp_alt:
      case DW_FORM_GNU_ref_alt:
        reader.skip(this.encoding.offsetSize);
        this.value = NO_STRING;
        return;
      case DW_FORM_ref_sup4:
      case DW_FORM_ref_sup8:
        reader.skip(form === DW_FORM_ref_sup4 ? 4 : 8);
        this.value = NO_STRING;
        return;
      case DW_FORM_block1:
        this.block(reader.u8());
        return;
      case DW_FORM_block2:
        this.block(reader.u16());
        return;
      case DW_FORM_block4:
        this.block(reader.u32());
        return;
      case DW_FORM_block:
      case DW_FORM_exprloc:
        this.block(reader.uleb());
        return;
      case DW_FORM_flag:
        this.value = reader.u8() === 0 ? 0 : 1;
        return;
      case DW_FORM_flag_present:
        this.value = 1;
        return;
      case DW_FORM_ref1:
        this.value = this.base + reader.u8();
        return;
      case DW_FORM_ref2:
        this.value = this.base + reader.u16();
        return;
      case DW_FORM_ref4:
        this.value = this.base + reader.u32();
        return;
      case DW_FORM_ref8:
        this.value = this.base + reader.u64();
        return;
      case DW_FORM_ref_udata:
        this.value = this.base + reader.uleb();
        return;
      case DW_FORM_ref_addr:
        this.value = reader.unsigned(
          this.encoding.version <= 2 ? this.encoding.addressSize : this.encoding.offsetSize,
        );
        return;
      case DW_FORM_sec_offset:
        this.value = reader.unsigned(this.encoding.offsetSize);
        return;
      case DW_FORM_indirect: {
        const actual = reader.uleb();
        if (actual === DW_FORM_indirect || actual === DW_FORM_implicit_const) this.unknown(actual);
        this.read(actual);
        return;
      }
      default:
        this.unknown(form);
    }
  }

  /** Moves past a value without looking at it. */
  skip(form: number): void {
    const size = fixedFormSize(form, this.encoding);
    if (size >= 0) this.reader.skip(size);
    else this.read(form);
  }

  private block(length: number): void {
    this.value = this.reader.position;
    this.length = length;
    this.reader.skip(length);
  }

  private unknown(form: number): never {
    const where = `${this.reader.name} at ${hex(this.reader.position)}`;
    throw new SymbolsError(
      'damagedDebugInfo',
      `${where}: attribute form ${hex(form)} is not one of DWARF 2 to 5`,
    );
  }
}
