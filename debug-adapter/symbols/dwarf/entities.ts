/**
 * What an entry is called and where it is declared. The facts may be spread over a chain of entries: a
 * definition refers to its declaration, an inlined instance to its abstract origin, also in other units.
 *
 * @see DWARF 5, section 2.13.2 "Declarations Completing Non-Defining Declarations", section 3.3.8.2
 */
import {
  DW_AT_abstract_origin,
  DW_AT_decl_file,
  DW_AT_decl_line,
  DW_AT_external,
  DW_AT_linkage_name,
  DW_AT_MIPS_linkage_name,
  DW_AT_name,
  DW_AT_specification,
} from './constants.ts';
import type { DieReader } from './die.ts';
import type { Dwarf } from './dwarf.ts';
import { NO_STRING, type StringRef } from './sections.ts';
import { typeOf } from './typeNames.ts';
import type { Unit } from './unit.ts';

/** Longer chains than any producer makes: origin, specification, declaration. */
const LONGEST_CHAIN = 8;

export interface Entity {
  readonly name: StringRef;
  readonly linkageName: StringRef;
  /** A number of SourceFiles, or 0. */
  readonly declarationFile: number;
  readonly declarationLine: number;
  readonly external: boolean;
  /** The entry of its type, as typeName takes it. */
  readonly type: number;
}

/** Visits an entry and those it refers to; `visit` returns whether it has seen enough. */
export function followEntity(
  dwarf: Dwarf,
  offset: number,
  visit: (die: DieReader, unit: Unit) => boolean,
): void {
  let at = offset;
  for (let hops = 0; hops < LONGEST_CHAIN && at >= 0; hops++) {
    const unit = dwarf.unitOf(at);
    const die = unit.die(at);
    // Taken now: the visitor may move the unit's cursor.
    const next = die.number(DW_AT_abstract_origin) ?? die.number(DW_AT_specification) ?? -1;
    if (visit(die, unit)) return;
    at = next;
  }
}

export function readEntity(dwarf: Dwarf, offset: number): Entity {
  const entity = {
    name: NO_STRING,
    linkageName: NO_STRING,
    declarationFile: 0,
    declarationLine: 0,
    external: false,
    type: -1,
  };
  followEntity(dwarf, offset, (die, unit) => {
    if (entity.name === NO_STRING) entity.name = unit.stringOf(die, DW_AT_name);
    if (entity.linkageName === NO_STRING) entity.linkageName = linkageNameOf(unit, die);
    if (entity.type === -1) entity.type = typeOf(dwarf, die);
    entity.external ||= die.number(DW_AT_external) === 1;
    const line = die.number(DW_AT_decl_line);
    if (entity.declarationLine === 0 && line !== undefined) {
      entity.declarationLine = line;
      entity.declarationFile = dwarf.fileOf(unit, die.number(DW_AT_decl_file) ?? 0);
    }
    return false;
  });
  return entity;
}

export function linkageNameOf(unit: Unit, die: DieReader): StringRef {
  const name = unit.stringOf(die, DW_AT_linkage_name);
  return name === NO_STRING ? unit.stringOf(die, DW_AT_MIPS_linkage_name) : name;
}
