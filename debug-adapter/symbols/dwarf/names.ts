/**
 * From the names of functions and of variables with a fixed address to their entries. Made by one walk
 * over all units, the first time a name is asked for.
 */
import { hashOfName, NameIndex } from '../nameIndex.ts';
import { encodeText, equalsText } from '../text.ts';
import {
  DW_AT_abstract_origin,
  DW_AT_declaration,
  DW_AT_location,
  DW_AT_name,
  DW_AT_specification,
  DW_FORM_ref_addr,
  DW_TAG_inlined_subroutine,
  DW_TAG_subprogram,
  DW_TAG_variable,
} from './constants.ts';
import { type DieReader, walk } from './die.ts';
import type { Dwarf } from './dwarf.ts';
import { linkageNameOf, readEntity } from './entities.ts';
import { DW_OP_addr, DW_OP_addrx } from './expressionOpcodes.ts';
import { mayHoldCode } from './functions.ts';
import { NO_STRING, type StringRef } from './sections.ts';
import type { Unit } from './unit.ts';

export class DebugNames {
  private readonly dwarf: Dwarf;
  private readonly functionIndex = new NameIndex();
  private readonly variableIndex = new NameIndex();

  constructor(dwarf: Dwarf) {
    this.dwarf = dwarf;
    for (const unit of dwarf.units) dwarf.attempt(() => this.readUnit(unit));
  }

  /** The entries of functions with that name or linkage name: definitions and abstract instances. */
  functions(name: string): number[] {
    return this.entries(this.functionIndex, name);
  }

  variables(name: string): number[] {
    return this.entries(this.variableIndex, name);
  }

  /** All variables with a fixed address. */
  allVariables(): Iterable<number> {
    return new Set(this.variableIndex.entries());
  }

  private entries(index: NameIndex, name: string): number[] {
    const bytes = encodeText(name);
    const { dwarf } = this;
    const isNamed = (ref: StringRef): boolean => {
      if (ref === NO_STRING) return false;
      const text = dwarf.sections.textStart(ref);
      return equalsText(text.bytes, text.start, bytes);
    };
    const found = new Set(index.find(hashOfName(bytes, 0)));
    return [...found].filter((offset) =>
      dwarf.attempt(() => {
        const entity = readEntity(dwarf, offset);
        return isNamed(entity.name) || isNamed(entity.linkageName);
      }),
    );
  }

  private readUnit(unit: Unit): void {
    walk(unit.dieReader(), unit.header.root, (die) => {
      switch (die.tag) {
        case DW_TAG_subprogram:
          die.decode();
          if (die.find(DW_AT_declaration) < 0) this.addDefinition(this.functionIndex, unit, die);
          return true;
        case DW_TAG_inlined_subroutine:
          // One whose origin has its name in another unit could not be found from there.
          if (isElsewhere(die)) this.addDefinition(this.functionIndex, unit, die);
          return true;
        case DW_TAG_variable:
          if (die.find(DW_AT_location) >= 0) {
            die.decode();
            if (hasFixedAddress(unit, die)) this.addDefinition(this.variableIndex, unit, die);
          }
          return false;
        default:
          return mayHoldCode(unit, die.tag);
      }
    });
  }

  /**
   * Adds an entry under its names. What only refers to an abstract instance of its own unit is found
   * through that one.
   */
  private addDefinition(index: NameIndex, unit: Unit, die: DieReader): void {
    const name = unit.stringOf(die, DW_AT_name);
    const linkageName = linkageNameOf(unit, die);
    if (name !== NO_STRING) {
      this.add(index, name, die.offset);
      this.add(index, linkageName, die.offset);
    } else if (die.find(DW_AT_specification) >= 0 || index === this.variableIndex || isElsewhere(die)) {
      const entity = readEntity(this.dwarf, die.offset);
      this.add(index, entity.name, die.offset);
      this.add(index, entity.linkageName, die.offset);
    }
  }

  private add(index: NameIndex, ref: StringRef, entry: number): void {
    if (ref === NO_STRING) return;
    const { bytes, start } = this.dwarf.sections.textStart(ref);
    index.add(hashOfName(bytes, start), entry);
  }
}

/** Variables with a fixed address that a unit defines outside of functions. */
export function variablesOfUnit(unit: Unit): number[] {
  const found: number[] = [];
  walk(unit.dieReader(), unit.header.root, (die) => {
    if (die.tag === DW_TAG_variable && die.find(DW_AT_location) >= 0) {
      die.decode();
      if (hasFixedAddress(unit, die)) found.push(die.offset);
    }
    return die.tag !== DW_TAG_subprogram && mayHoldCode(unit, die.tag);
  });
  return found;
}

function isElsewhere(die: DieReader): boolean {
  return die.formOf(DW_AT_abstract_origin) === DW_FORM_ref_addr;
}

/** Whether the location is one address: DW_OP_addr or DW_OP_addrx and nothing else. */
function hasFixedAddress(unit: Unit, die: DieReader): boolean {
  const i = die.find(DW_AT_location);
  const length = die.lengths[i];
  if (length === 0) return false;
  const { bytes } = unit.sections.get('info');
  const start = die.values[i];
  if (bytes[start] === DW_OP_addr) return length === 1 + unit.header.addressSize;
  if (bytes[start] !== DW_OP_addrx) return false;
  let end = start + 1;
  while (bytes[end] >= 0x80) end++;
  return end + 1 === start + length;
}
