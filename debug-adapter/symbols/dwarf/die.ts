import type { ByteReader } from '../byteReader.ts';
import { hex, SymbolsError } from '../errors.ts';
import type { Abbreviation, AbbreviationTable, AttributePool } from './abbreviations.ts';
import {
  DW_AT_sibling,
  DW_FORM_block,
  DW_FORM_block1,
  DW_FORM_block2,
  DW_FORM_block4,
  DW_FORM_data1,
  DW_FORM_data2,
  DW_FORM_data4,
  DW_FORM_data8,
  DW_FORM_exprloc,
  DW_FORM_flag,
  DW_FORM_implicit_const,
  DW_FORM_indirect,
  DW_FORM_ref_addr,
  DW_FORM_ref_udata,
  DW_FORM_ref1,
  DW_FORM_ref2,
  DW_FORM_ref4,
  DW_FORM_ref8,
  DW_FORM_sdata,
  DW_FORM_udata,
} from './constants.ts';
import type { FormReader } from './forms.ts';

const NULL_ENTRY: Abbreviation = {
  tag: 0,
  hasChildren: false,
  start: 0,
  count: 0,
  constants: undefined,
  size: 0,
  has: 0,
};

/** Room for the attributes of an entry; more is made for those that have more. */
const USUAL_ATTRIBUTES = 24;

/**
 * Walks the DIEs of one unit, one at a time: `read` finds what a DIE is, `decode` its attributes, and
 * neither allocates, so that millions of them can be looked at.
 *
 * @see DWARF 5, section 7.5.2 "Debugging Information Entry"
 */
export class DieReader {
  /** Offset of the current DIE in its section. */
  offset = 0;
  /** 0 for the null entry that ends a list of siblings. */
  tag = 0;
  hasChildren = false;
  abbreviation: Abbreviation = NULL_ENTRY;
  /** By position in the abbreviation: forms as found, values and lengths as FormReader tells. */
  forms = new Uint16Array(USUAL_ATTRIBUTES);
  values = new Float64Array(USUAL_ATTRIBUTES);
  lengths = new Float64Array(USUAL_ATTRIBUTES);
  private readonly pool: AttributePool;
  private readonly table: AbbreviationTable;
  private readonly formReader: FormReader;
  private readonly reader: ByteReader;
  private attributes = 0;
  /** Where the next DIE starts, once that is known. */
  private following = -1;

  constructor(table: AbbreviationTable, formReader: FormReader) {
    this.table = table;
    this.pool = table.pool;
    this.formReader = formReader;
    this.reader = formReader.reader;
  }

  /** Offset of the end of the unit. */
  get unitEnd(): number {
    return this.reader.end;
  }

  read(offset: number): void {
    const { reader } = this;
    reader.seek(offset);
    const code = reader.uleb();
    this.offset = offset;
    this.attributes = reader.position;
    this.abbreviation = code === 0 ? NULL_ENTRY : this.table.get(code);
    this.tag = this.abbreviation.tag;
    this.hasChildren = this.abbreviation.hasChildren;
    const { size } = this.abbreviation;
    this.following = size < 0 ? -1 : this.attributes + size;
    if (this.following > reader.end)
      throw new SymbolsError(
        'damagedDebugInfo',
        `${reader.name}: the entry at ${hex(offset)} reaches beyond its unit`,
      );
  }

  /** Offset of the entry after the current one: its first child, if it has children. */
  next(): number {
    if (this.following < 0) {
      const { start, count } = this.abbreviation;
      const { forms } = this.pool;
      this.reader.position = this.attributes;
      for (let i = 0; i < count; i++) this.formReader.skip(forms[start + i]);
      this.following = this.reader.position;
    }
    return this.following;
  }

  /** Reads all attributes into `forms`, `values`, `lengths`. */
  decode(): void {
    const { formReader, abbreviation } = this;
    const { start, count, constants } = abbreviation;
    const { forms } = this.pool;
    if (count > this.values.length) {
      this.forms = new Uint16Array(count);
      this.values = new Float64Array(count);
      this.lengths = new Float64Array(count);
    }
    this.reader.position = this.attributes;
    for (let i = 0; i < count; i++) {
      const form = forms[start + i];
      if (form === DW_FORM_implicit_const) {
        this.forms[i] = form;
        this.values[i] = constants?.[i] ?? 0;
        this.lengths[i] = 0;
        continue;
      }
      formReader.read(form);
      this.forms[i] = formReader.form;
      this.values[i] = formReader.value;
      this.lengths[i] = formReader.length;
    }
    this.following = this.reader.position;
  }

  /** The position of an attribute in the arrays, or -1. */
  find(name: number): number {
    const { start, count, has } = this.abbreviation;
    if ((has & (name < 32 ? 1 << name : 1)) === 0) return -1;
    const { names } = this.pool;
    for (let i = 0; i < count; i++) if (names[start + i] === name) return i;
    return -1;
  }

  /** The form of an attribute before `decode`, or 0. */
  formOf(name: number): number {
    const i = this.find(name);
    return i < 0 ? 0 : this.pool.forms[this.abbreviation.start + i];
  }

  /** After `decode`: the number of a constant, flag, reference or offset attribute. */
  number(name: number): number | undefined {
    const i = this.find(name);
    return i < 0 ? undefined : this.values[i];
  }

  /** After `decode`: the exact value of a constant attribute; undefined when it is of another class. */
  constant(name: number): bigint | undefined {
    const i = this.find(name);
    if (i < 0) return undefined;
    switch (this.forms[i]) {
      case DW_FORM_data8:
      case DW_FORM_udata:
      case DW_FORM_sdata:
        return Number.isSafeInteger(this.values[i]) ? BigInt(this.values[i]) : this.wideConstant(i);
      case DW_FORM_data1:
      case DW_FORM_data2:
      case DW_FORM_data4:
      case DW_FORM_flag:
      case DW_FORM_implicit_const:
        return BigInt(this.values[i]);
      default:
        return undefined;
    }
  }

  /** After `decode`: the bytes of a block or an expression; undefined when the attribute is of another class. */
  block(name: number): Uint8Array | undefined {
    const i = this.find(name);
    if (i < 0 || !BLOCKS.has(this.forms[i])) return undefined;
    return this.reader.bytes.subarray(this.values[i], this.values[i] + this.lengths[i]);
  }

  /** After `decode`: the entry a reference attribute names; undefined when it is of another class. */
  reference(name: number): number | undefined {
    const i = this.find(name);
    return i >= 0 && REFERENCES.has(this.forms[i]) ? this.values[i] : undefined;
  }

  /** Where the entry after all children of the current one starts, if the entry says so. */
  sibling(): number | undefined {
    if ((this.abbreviation.has & (1 << DW_AT_sibling)) === 0) return undefined;
    this.decode();
    const sibling = this.values[this.find(DW_AT_sibling)];
    if (!(sibling > this.offset && sibling <= this.reader.end))
      throw new SymbolsError(
        'damagedDebugInfo',
        `${this.reader.name}: the entry at ${hex(this.offset)} has the bad sibling ${hex(sibling)}`,
      );
    return sibling;
  }

  /** A constant beyond what a number holds, read again from its place. */
  private wideConstant(index: number): bigint {
    const { start } = this.abbreviation;
    const { forms } = this.pool;
    const { reader } = this;
    reader.position = this.attributes;
    for (let i = 0; i < index; i++) this.formReader.skip(forms[start + i]);
    if (forms[start + index] === DW_FORM_indirect) reader.skipLeb();
    if (this.forms[index] === DW_FORM_data8) return reader.bigU64();
    return this.forms[index] === DW_FORM_udata ? reader.bigUleb() : reader.bigSleb();
  }
}

const BLOCKS: ReadonlySet<number> = new Set([
  DW_FORM_block,
  DW_FORM_block1,
  DW_FORM_block2,
  DW_FORM_block4,
  DW_FORM_exprloc,
]);

const REFERENCES: ReadonlySet<number> = new Set([
  DW_FORM_ref_addr,
  DW_FORM_ref1,
  DW_FORM_ref2,
  DW_FORM_ref4,
  DW_FORM_ref8,
  DW_FORM_ref_udata,
]);

/**
 * Visits the entries of a unit from `start` (a root) in order. `visit` says whether to look at the
 * children of the current entry.
 */
export function walk(die: DieReader, start: number, visit: (die: DieReader, depth: number) => boolean): void {
  let depth = 0;
  /** Above this depth, entries are only passed over. */
  let muted = Number.POSITIVE_INFINITY;
  let offset = start;
  do {
    die.read(offset);
    if (die.tag === 0) {
      depth--;
      if (depth <= muted) muted = Number.POSITIVE_INFINITY;
      offset = die.next();
      continue;
    }
    if (depth > muted) {
      // Inside what nobody wants to see.
      const sibling = die.hasChildren ? die.sibling() : undefined;
      if (die.hasChildren && sibling === undefined) depth++;
      offset = sibling ?? die.next();
      continue;
    }
    const wanted = visit(die, depth);
    if (!die.hasChildren) {
      offset = die.next();
      continue;
    }
    const sibling = wanted ? undefined : die.sibling();
    if (sibling === undefined) {
      if (!wanted) muted = depth;
      depth++;
    }
    offset = sibling ?? die.next();
  } while (depth > 0 && offset < die.unitEnd);
}
