/**
 * Abbreviation tables: the shape of each kind of DIE. Declarations are read one after the other until the
 * one asked for has been seen, because finding a unit's root should not cost its whole table.
 *
 * @see DWARF 5, section 7.5.3 "Abbreviations Tables"
 */
import type { ByteReader } from '../byteReader.ts';
import { hex, SymbolsError } from '../errors.ts';
import { DW_FORM_implicit_const } from './constants.ts';
import { type Encoding, fixedFormSize } from './forms.ts';
import type { DebugSection } from './sections.ts';

/** More attributes than any producer writes; a DIE could otherwise cost far more than its bytes. */
const MOST_ATTRIBUTES = 256;

export interface Abbreviation {
  readonly tag: number;
  readonly hasChildren: boolean;
  /** Where its attributes start in the AttributePool, and how many there are. */
  readonly start: number;
  readonly count: number;
  /** Values of attributes with DW_FORM_implicit_const, by position. */
  readonly constants: readonly number[] | undefined;
  /** Bytes of all attributes together, or -1 when that depends on the DIE. */
  readonly size: number;
  /** A bit for each attribute name below 32, and bit 0 for any higher one: a quick "not here". */
  readonly has: number;
}

/** Names and forms of the attributes of all abbreviations: a kernel has millions. */
export class AttributePool {
  names = new Uint16Array(1024);
  forms = new Uint16Array(1024);
  length = 0;

  add(name: number, form: number): void {
    if (this.length === this.names.length) {
      const { names, forms } = this;
      this.names = new Uint16Array(this.length * 2);
      this.names.set(names);
      this.forms = new Uint16Array(this.length * 2);
      this.forms.set(forms);
    }
    this.names[this.length] = name;
    this.forms[this.length++] = form;
  }
}

/** Codes below this are found in an array; producers number from 1. */
const SMALL = 4096;

export class AbbreviationTable {
  readonly pool: AttributePool;
  private readonly section: DebugSection;
  private readonly reader: ByteReader;
  private readonly start: number;
  private readonly encoding: Encoding;
  private readonly small: (Abbreviation | undefined)[] = [];
  private readonly large = new Map<number, Abbreviation>();
  private complete = false;

  constructor(section: DebugSection, pool: AttributePool, offset: number, encoding: Encoding) {
    this.section = section;
    this.pool = pool;
    this.start = offset;
    this.reader = section.reader(offset);
    this.encoding = encoding;
  }

  get(code: number): Abbreviation {
    const known = this.small[code];
    if (known) return known;
    for (;;) {
      const found = code < SMALL ? this.small[code] : this.large.get(code);
      if (found) return found;
      if (this.complete)
        throw new SymbolsError(
          'damagedDebugInfo',
          `${this.section.name} has no abbreviation ${code} in the table at ${hex(this.start)}`,
        );
      const start = this.reader.position;
      try {
        this.readNext(start);
      } catch (error) {
        this.reader.position = start;
        throw error;
      }
    }
  }

  private readNext(at: number): void {
    const { reader, pool } = this;
    const code = reader.uleb();
    if (code === 0) {
      this.complete = true;
      return;
    }
    const tag = reader.uleb();
    const hasChildren = reader.u8() !== 0;
    const start = pool.length;
    let constants: number[] | undefined;
    let count = 0;
    let size = 0;
    let has = 0;
    for (;;) {
      const name = reader.uleb();
      const form = reader.uleb();
      if (form === DW_FORM_implicit_const) {
        constants ??= [];
        constants[count] = reader.sleb();
      }
      if (name === 0 && form === 0) break;
      if (name > 0xffff || form > 0xffff || count === MOST_ATTRIBUTES)
        throw new SymbolsError('damagedDebugInfo', `${reader.name}: bad abbreviation at ${hex(at)}`);
      pool.add(name, form);
      has |= name < 32 ? 1 << name : 1;
      const bytes = fixedFormSize(form, this.encoding);
      size = bytes < 0 || size < 0 ? -1 : size + bytes;
      count++;
    }
    this.section.spend(reader.position - at);
    const abbreviation = { tag, hasChildren, start, count, constants, size, has };
    if (code < SMALL) this.small[code] ??= abbreviation;
    else if (!this.large.has(code)) this.large.set(code, abbreviation);
  }
}

/** The tables of a section. Units share them: all those that one run of clang or dwz made, for example. */
export class AbbreviationTables {
  private readonly section: DebugSection;
  private readonly pool = new AttributePool();
  private readonly tables = new Map<number, AbbreviationTable>();

  constructor(section: DebugSection) {
    this.section = section;
  }

  get(offset: number, encoding: Encoding): AbbreviationTable {
    const { addressSize, offsetSize, version } = encoding;
    const key = offset * 8 + (addressSize >> 3) * 4 + (offsetSize >> 3) * 2 + (version <= 2 ? 1 : 0);
    let table = this.tables.get(key);
    if (!table) {
      table = new AbbreviationTable(this.section, this.pool, offset, encoding);
      this.tables.set(key, table);
    }
    return table;
  }
}
