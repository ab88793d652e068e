/**
 * Names of types as C writes them, declarators and all: `unsigned char [16]`, `void (*)(int)`.
 *
 * @see DWARF 5, chapter 5 "Type Entries"
 */
import {
  DW_AT_count,
  DW_AT_lower_bound,
  DW_AT_name,
  DW_AT_type,
  DW_AT_upper_bound,
  DW_FORM_ref_sig8,
  DW_TAG_array_type,
  DW_TAG_atomic_type,
  DW_TAG_class_type,
  DW_TAG_const_type,
  DW_TAG_enumeration_type,
  DW_TAG_formal_parameter,
  DW_TAG_interface_type,
  DW_TAG_pointer_type,
  DW_TAG_reference_type,
  DW_TAG_restrict_type,
  DW_TAG_rvalue_reference_type,
  DW_TAG_structure_type,
  DW_TAG_subrange_type,
  DW_TAG_subroutine_type,
  DW_TAG_union_type,
  DW_TAG_unspecified_parameters,
  DW_TAG_volatile_type,
} from './constants.ts';
import { type DieReader, walk } from './die.ts';
import type { Dwarf } from './dwarf.ts';
import { NO_STRING } from './sections.ts';

/** More parts than any readable type has; a damaged type may refer to itself without end. */
const MOST_PARTS = 200;

/** A type that is not in the units we read. */
const NOT_HERE = -2;

const QUALIFIERS: ReadonlyMap<number, string> = new Map([
  [DW_TAG_const_type, 'const'],
  [DW_TAG_volatile_type, 'volatile'],
  [DW_TAG_restrict_type, 'restrict'],
  [DW_TAG_atomic_type, '_Atomic'],
]);

const POINTERS: ReadonlyMap<number, string> = new Map([
  [DW_TAG_pointer_type, '*'],
  [DW_TAG_reference_type, '&'],
  [DW_TAG_rvalue_reference_type, '&&'],
]);

const KEYWORDS: ReadonlyMap<number, string> = new Map([
  [DW_TAG_structure_type, 'struct'],
  [DW_TAG_union_type, 'union'],
  [DW_TAG_class_type, 'class'],
  [DW_TAG_interface_type, 'interface'],
  [DW_TAG_enumeration_type, 'enum'],
]);

/** What stands before and after the name that a type declares. */
interface Declarator {
  readonly before: string;
  readonly after: string;
  /** The name declared next must be put in parentheses: it is a pointer to an array or a function. */
  readonly isPostfix: boolean;
}

const UNKNOWN: Declarator = { before: '?', after: '', isPostfix: false };

/**
 * The name of a type by its entry; -1, which is no type, is void.
 *
 * @param dimensions how many dimensions of an array have been indexed: what is left of it is named
 */
export function typeName(dwarf: Dwarf, offset: number, dimensions = 0): string {
  const { before, after } = declarator(dwarf, offset, { left: MOST_PARTS }, dimensions);
  return `${before}${after}`.trim();
}

function declarator(dwarf: Dwarf, offset: number, parts: { left: number }, dimensions = 0): Declarator {
  if (offset === NOT_HERE || parts.left-- <= 0) return UNKNOWN;
  if (offset < 0) return { before: 'void', after: '', isPostfix: false };
  const unit = dwarf.unitOf(offset);
  const die = unit.die(offset);
  const { tag } = die;
  const name = unit.stringOf(die, DW_AT_name);
  const inner = typeOf(dwarf, die);
  const pointer = POINTERS.get(tag);
  if (pointer !== undefined) {
    const target = declarator(dwarf, inner, parts);
    return target.isPostfix
      ? { before: `${target.before}(${pointer}`, after: `)${target.after}`, isPostfix: false }
      : { before: `${spaced(target.before)}${pointer}`, after: target.after, isPostfix: false };
  }
  const qualifier = QUALIFIERS.get(tag);
  if (qualifier !== undefined) {
    const target = declarator(dwarf, inner, parts);
    return { ...target, before: qualified(target.before, qualifier) };
  }
  if (tag === DW_TAG_array_type) {
    const bounds = arrayBounds(dwarf, offset).slice(dimensions).join('');
    const target = declarator(dwarf, inner, parts);
    return { before: spaced(target.before), after: bounds + target.after, isPostfix: true };
  }
  if (tag === DW_TAG_subroutine_type) {
    const parameters = parameterTypes(dwarf, offset).map((type) => {
      if (type === undefined) return '...';
      const { before, after } = declarator(dwarf, type, parts);
      return `${before}${after}`;
    });
    const result = declarator(dwarf, inner, parts);
    const list = parameters.length === 0 ? 'void' : parameters.join(', ');
    return { before: spaced(result.before), after: `(${list})${result.after}`, isPostfix: true };
  }
  const text = name === NO_STRING ? undefined : dwarf.sections.text(name);
  const keyword = KEYWORDS.get(tag);
  const before = keyword === undefined ? (text ?? '?') : `${keyword} ${text ?? '{…}'}`;
  return { before, after: '', isPostfix: false };
}

/** The entry of a decoded entry's type: -1 without one, NOT_HERE for one in a file or section we do not read. */
export function typeOf(dwarf: Dwarf, die: DieReader): number {
  const i = die.find(DW_AT_type);
  if (i < 0) return -1;
  if (die.forms[i] === DW_FORM_ref_sig8) return dwarf.typeOfSignature(die.values[i]) ?? NOT_HERE;
  return die.values[i] < 0 ? NOT_HERE : die.values[i];
}

/** A qualifier stands before a name and after a pointer; that of an array is that of its elements, once. */
function qualified(before: string, qualifier: string): string {
  const bare = before.trimEnd();
  const space = before.slice(bare.length);
  if (/[*&]( ?(const|volatile|restrict|_Atomic))*$/.test(bare))
    return bare.endsWith(qualifier) ? before : `${bare}${/[*&]$/.test(bare) ? '' : ' '}${qualifier}${space}`;
  return bare.startsWith(`${qualifier} `) ? before : `${qualifier} ${before}`;
}

function spaced(text: string): string {
  return /[*&( ]$/.test(text) ? text : `${text} `;
}

/** More dimensions and parameters than are read by anybody are cut. */
const MOST_CHILDREN = 32;

function children(dwarf: Dwarf, offset: number, visit: (die: DieReader) => void): void {
  let seen = 0;
  walk(dwarf.unitOf(offset).dieReader(), offset, (die, depth) => {
    if (depth === 0) return true;
    if (seen++ < MOST_CHILDREN) {
      die.decode();
      visit(die);
    }
    return false;
  });
}

function arrayBounds(dwarf: Dwarf, offset: number): string[] {
  const bounds: string[] = [];
  children(dwarf, offset, (die) => {
    if (die.tag === DW_TAG_subrange_type) bounds.push(`[${constantCount(die) ?? ''}]`);
  });
  return bounds.length === 0 ? ['[]'] : bounds;
}

/** The number of elements that the decoded entry of a dimension gives, if it is a constant. */
export function constantCount(die: DieReader): number | undefined {
  const count = die.constant(DW_AT_count);
  if (count !== undefined) return Number(count);
  const upper = die.constant(DW_AT_upper_bound);
  // Some producers write -1, in as many bytes as a word has, for an array without a bound.
  if (upper === undefined || upper < 0n || upper === 0xffff_ffffn || upper >> 53n) return undefined;
  return Number(upper - (die.constant(DW_AT_lower_bound) ?? 0n)) + 1;
}

function parameterTypes(dwarf: Dwarf, offset: number): (number | undefined)[] {
  const types: (number | undefined)[] = [];
  children(dwarf, offset, (die) => {
    if (die.tag === DW_TAG_formal_parameter) types.push(typeOf(dwarf, die));
    else if (die.tag === DW_TAG_unspecified_parameters) types.push(undefined);
  });
  return types;
}
