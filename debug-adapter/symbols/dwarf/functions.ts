/**
 * The functions of a unit and the functions inlined into them, with their addresses.
 *
 * @see DWARF 5, section 3.3 "Subroutine and Entry Point Entries", section 3.3.8 "Inlinable and Inlined Subroutines"
 */
import { type Address, NOWHERE } from '../address.ts';
import { type RangeIndex, RangeList } from '../rangeIndex.ts';
import {
  DW_AT_abstract_origin,
  DW_AT_call_column,
  DW_AT_call_file,
  DW_AT_call_line,
  DW_AT_entry_pc,
  DW_AT_specification,
  DW_FORM_addr,
  DW_LANG_C,
  DW_LANG_C11,
  DW_LANG_C17,
  DW_LANG_C89,
  DW_LANG_C99,
  DW_LANG_Mips_Assembler,
  DW_TAG_catch_block,
  DW_TAG_class_type,
  DW_TAG_compile_unit,
  DW_TAG_inlined_subroutine,
  DW_TAG_interface_type,
  DW_TAG_lexical_block,
  DW_TAG_module,
  DW_TAG_namespace,
  DW_TAG_partial_unit,
  DW_TAG_structure_type,
  DW_TAG_subprogram,
  DW_TAG_try_block,
  DW_TAG_union_type,
} from './constants.ts';
import { type DieReader, walk } from './die.ts';
import { isAddressIndex } from './forms.ts';
import { readRanges } from './ranges.ts';
import type { Unit } from './unit.ts';

/** No function: code that no entry describes. */
export const NO_SCOPE = -1;

/**
 * A function or an inlined function, with where it was called. The rows are in the order of the entries:
 * what is inlined into a function follows it.
 */
export interface Scope {
  /** Its entry, and the entry that has its name if it has none of its own, or -1. */
  readonly die: number;
  readonly origin: number;
  readonly inlined: boolean;
  /** The scope it is inlined into, or NO_SCOPE. */
  readonly parent: number;
  /** The last scope inside of it. */
  last: number;
  readonly entry: Address;
  /** Starts and ends in turn, as they are in the file: the first holds the entry as a rule. */
  readonly ranges: readonly Address[];
  /** A file number of the unit's line table. */
  readonly callFile: number;
  readonly callLine: number;
  readonly callColumn: number;
}

const BLOCKS: ReadonlySet<number> = new Set([
  DW_TAG_subprogram,
  DW_TAG_inlined_subroutine,
  DW_TAG_lexical_block,
  DW_TAG_compile_unit,
  DW_TAG_partial_unit,
  DW_TAG_namespace,
  DW_TAG_module,
  DW_TAG_try_block,
  DW_TAG_catch_block,
]);

const TYPES: ReadonlySet<number> = new Set([
  DW_TAG_structure_type,
  DW_TAG_class_type,
  DW_TAG_union_type,
  DW_TAG_interface_type,
]);

const C_LANGUAGES: ReadonlySet<number> = new Set([
  DW_LANG_C89,
  DW_LANG_C,
  DW_LANG_C99,
  DW_LANG_C11,
  DW_LANG_C17,
  DW_LANG_Mips_Assembler,
]);

/** Whether entries of that kind may have functions or static variables among their children. */
export function mayHoldCode(unit: Unit, tag: number): boolean {
  return BLOCKS.has(tag) || (TYPES.has(tag) && !C_LANGUAGES.has(unit.root.language));
}

export class FunctionTable {
  readonly scopes: readonly Scope[];
  /** Functions that are not inlined, by address. */
  private readonly index: RangeIndex;

  constructor(unit: Unit, isCode: (address: Address) => boolean) {
    this.scopes = readScopes(unit, isCode);
    const ranges = new RangeList();
    this.scopes.forEach((scope, i) => {
      if (scope.inlined) return;
      for (let r = 0; r < scope.ranges.length; r += 2) ranges.add(scope.ranges[r], scope.ranges[r + 1], i);
    });
    this.index = ranges.index();
  }

  /** The function an address is in, not looking at what is inlined there. */
  functionAt(address: Address): number {
    return this.index.find(address);
  }

  /** The function or innermost inlined function an address is in. */
  scopeAt(address: Address): number {
    let scope = this.index.find(address);
    if (scope < 0) return NO_SCOPE;
    for (let i = scope + 1; i <= this.scopes[scope].last; ) {
      const candidate = this.scopes[i];
      if (candidate.inlined && holds(candidate, address)) {
        scope = i;
        i++;
      } else i = candidate.last + 1;
    }
    return scope;
  }

  /** The scope and what it is inlined into, innermost first; the last is a function. */
  chain(scope: number): number[] {
    const chain: number[] = [];
    for (let i = scope; i >= 0; i = this.scopes[i].parent) chain.push(i);
    return chain;
  }

  /** Where the code of a scope begins: at its entry, or at a piece that was moved ahead in the same part of the function. */
  startOf(scope: number): Address {
    const { entry, ranges } = this.scopes[scope];
    const { ranges: parts } = this.scopes[this.functionAt(entry)] ?? { ranges };
    let floor = entry;
    for (let r = 0; r < parts.length; r += 2) if (entry >= parts[r] && entry < parts[r + 1]) floor = parts[r];
    let start = entry;
    for (let r = 0; r < ranges.length; r += 2) if (ranges[r] >= floor && ranges[r] < start) start = ranges[r];
    return start;
  }

  /** What is inlined directly into a scope. */
  *inlinedInto(scope: number): Generator<number> {
    for (let i = scope + 1; i <= this.scopes[scope].last; i = this.scopes[i].last + 1)
      if (this.scopes[i].parent === scope) yield i;
  }
}

export function holds(scope: Scope, address: Address): boolean {
  const { ranges } = scope;
  for (let r = 0; r < ranges.length; r += 2) if (address >= ranges[r] && address < ranges[r + 1]) return true;
  return false;
}

function readScopes(unit: Unit, isCode: (address: Address) => boolean): Scope[] {
  const scopes: Scope[] = [];
  /** The open scopes, and the depths of their entries. */
  const open: number[] = [];
  const depths: number[] = [];
  const closeTo = (depth: number): void => {
    while (depths.length > 0 && depths[depths.length - 1] >= depth) {
      depths.pop();
      scopes[open.pop() as number].last = scopes.length - 1;
    }
  };
  walk(unit.dieReader(), unit.header.root, (die, depth) => {
    closeTo(depth);
    if (die.tag === DW_TAG_subprogram || die.tag === DW_TAG_inlined_subroutine) {
      const inlined = die.tag === DW_TAG_inlined_subroutine;
      const parent = inlined && open.length > 0 ? open[open.length - 1] : NO_SCOPE;
      const scope = readScope(unit, die, inlined, parent, scopes.length);
      // An inlined function outside of any function has no frame to be shown in.
      if (scope.ranges.length > 0 && (inlined ? parent !== NO_SCOPE : isCode(scope.ranges[0]))) {
        open.push(scopes.length);
        depths.push(depth);
        scopes.push(scope);
      }
    }
    return mayHoldCode(unit, die.tag);
  });
  closeTo(0);
  return scopes;
}

function readScope(unit: Unit, die: DieReader, inlined: boolean, parent: number, index: number): Scope {
  die.decode();
  const ranges: Address[] = [];
  readRanges(unit, die, (start, end) => ranges.push(start, end));
  return {
    die: die.offset,
    origin: die.number(DW_AT_abstract_origin) ?? die.number(DW_AT_specification) ?? -1,
    inlined,
    parent,
    last: index,
    entry: entryOf(unit, die, ranges),
    ranges,
    callFile: die.number(DW_AT_call_file) ?? 0,
    callLine: die.number(DW_AT_call_line) ?? 0,
    callColumn: die.number(DW_AT_call_column) ?? 0,
  };
}

/** DW_AT_entry_pc is an address or, in DWARF 5, a distance from the first range. */
function entryOf(unit: Unit, die: DieReader, ranges: readonly Address[]): Address {
  const lowest = ranges.length > 0 ? ranges[0] : NOWHERE;
  const i = die.find(DW_AT_entry_pc);
  if (i < 0) return lowest;
  const form = die.forms[i];
  const entry =
    form === DW_FORM_addr || isAddressIndex(form)
      ? unit.address(form, die.values[i])
      : lowest + die.values[i];
  return Number.isNaN(entry) ? lowest : entry;
}
