/**
 * From the names of types and enumerators to their entries, over all units. Made by one walk, the first time a
 * name is asked for. Declarations are left out: what is looked for is what can be shown.
 */
import { hashOfName, NameIndex } from '../nameIndex.ts';
import { encodeText, equalsText } from '../text.ts';
import {
  DW_AT_declaration,
  DW_AT_name,
  DW_TAG_base_type,
  DW_TAG_enumeration_type,
  DW_TAG_enumerator,
  DW_TAG_typedef,
} from './constants.ts';
import { type DieReader, walk } from './die.ts';
import type { Dwarf } from './dwarf.ts';
import { mayHoldCode } from './functions.ts';
import { NO_STRING } from './sections.ts';
import { RECORD_TAGS } from './types.ts';
import type { Unit } from './unit.ts';

const TYPES: ReadonlySet<number> = new Set([
  ...RECORD_TAGS,
  DW_TAG_base_type,
  DW_TAG_enumeration_type,
  DW_TAG_typedef,
]);

/** What a name is looked up as: `struct foo` and `foo` are different names in C. */
export type TypeNamespace = 'record' | 'enum' | 'plain' | 'any';

export class TypeIndex {
  private readonly dwarf: Dwarf;
  private readonly types = new NameIndex();
  /** To the enumerations that have an enumerator of that name. */
  private readonly constants = new NameIndex();

  constructor(dwarf: Dwarf) {
    this.dwarf = dwarf;
    for (const unit of dwarf.units) dwarf.attempt(() => this.readUnit(unit));
  }

  /** The entry of a type; one of `unit`, where that is given and has one. */
  find(name: string, namespace: TypeNamespace, unit?: Unit): number | undefined {
    const found = this.entries(name).filter((offset) =>
      this.dwarf.attempt(() => isOf(this.dwarf.unitOf(offset).die(offset), namespace)),
    );
    return found.find((entry) => isWithin(entry, unit)) ?? found[0];
  }

  /** Enumerations that may have an enumerator of that name, those of `unit` first. */
  enumerations(name: string, unit?: Unit): number[] {
    const found = this.constants.find(hashOfName(encodeText(name), 0));
    return [
      ...found.filter((entry) => isWithin(entry, unit)),
      ...found.filter((entry) => !isWithin(entry, unit)),
    ];
  }

  private entries(name: string): number[] {
    const bytes = encodeText(name);
    const { dwarf } = this;
    return this.types.find(hashOfName(bytes, 0)).filter((offset) =>
      dwarf.attempt(() => {
        const unit = dwarf.unitOf(offset);
        const ref = unit.stringOf(unit.die(offset), DW_AT_name);
        if (ref === NO_STRING) return false;
        const text = dwarf.sections.textStart(ref);
        return equalsText(text.bytes, text.start, bytes);
      }),
    );
  }

  private readUnit(unit: Unit): void {
    let enumeration = -1;
    walk(unit.dieReader(), unit.header.root, (die) => {
      if (die.tag === DW_TAG_enumerator) {
        die.decode();
        this.add(this.constants, unit, die, enumeration);
        return false;
      }
      if (TYPES.has(die.tag)) {
        die.decode();
        if (die.number(DW_AT_declaration) !== 1) this.add(this.types, unit, die, die.offset);
        if (die.tag !== DW_TAG_enumeration_type) return mayHoldCode(unit, die.tag);
        enumeration = die.offset;
        return true;
      }
      return mayHoldCode(unit, die.tag);
    });
  }

  private add(index: NameIndex, unit: Unit, die: DieReader, entry: number): void {
    const ref = unit.stringOf(die, DW_AT_name);
    if (ref === NO_STRING) return;
    const { bytes, start } = this.dwarf.sections.textStart(ref);
    index.add(hashOfName(bytes, start), entry);
  }
}

function isOf({ tag }: DieReader, namespace: TypeNamespace): boolean {
  switch (namespace) {
    case 'record':
      return RECORD_TAGS.has(tag);
    case 'enum':
      return tag === DW_TAG_enumeration_type;
    case 'plain':
      return tag === DW_TAG_typedef || tag === DW_TAG_base_type;
    case 'any':
      return true;
  }
}

function isWithin(entry: number, unit: Unit | undefined): boolean {
  return unit !== undefined && entry >= unit.header.offset && entry < unit.header.end;
}
