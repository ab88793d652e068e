/**
 * Types of the source language, read when something asks for them. A type knows its own entry only: what it
 * points to, holds or is made of is another question, so that a type that refers to itself costs nothing.
 *
 * @see DWARF 5, chapter 5 "Type Entries"
 */
import { SymbolsError } from '../errors.ts';
import {
  DW_AT_bit_offset,
  DW_AT_bit_size,
  DW_AT_bit_stride,
  DW_AT_byte_size,
  DW_AT_byte_stride,
  DW_AT_const_value,
  DW_AT_count,
  DW_AT_data_bit_offset,
  DW_AT_data_member_location,
  DW_AT_declaration,
  DW_AT_discr,
  DW_AT_discr_value,
  DW_AT_encoding,
  DW_AT_external,
  DW_AT_name,
  DW_AT_upper_bound,
  DW_ATE_address,
  DW_ATE_boolean,
  DW_ATE_float,
  DW_ATE_signed,
  DW_ATE_signed_char,
  DW_ATE_UTF,
  DW_ATE_unsigned,
  DW_ATE_unsigned_char,
  DW_TAG_array_type,
  DW_TAG_atomic_type,
  DW_TAG_base_type,
  DW_TAG_class_type,
  DW_TAG_const_type,
  DW_TAG_enumeration_type,
  DW_TAG_enumerator,
  DW_TAG_inheritance,
  DW_TAG_interface_type,
  DW_TAG_member,
  DW_TAG_pointer_type,
  DW_TAG_reference_type,
  DW_TAG_restrict_type,
  DW_TAG_rvalue_reference_type,
  DW_TAG_structure_type,
  DW_TAG_subrange_type,
  DW_TAG_subroutine_type,
  DW_TAG_typedef,
  DW_TAG_union_type,
  DW_TAG_unspecified_type,
  DW_TAG_variable,
  DW_TAG_variant,
  DW_TAG_variant_part,
  DW_TAG_volatile_type,
} from './constants.ts';
import { type DieReader, walk } from './die.ts';
import type { Dwarf } from './dwarf.ts';
import { evaluateExpression } from './expression.ts';
import { NO_STRING } from './sections.ts';
import { constantCount, typeName, typeOf } from './typeNames.ts';
import type { Unit } from './unit.ts';

interface Common {
  /** As the source names it: `const struct point *`. */
  readonly name: string;
  /** In bytes, where the debug information knows it. */
  readonly size: number | undefined;
}

export interface Member {
  /** Undefined for an anonymous structure or union, whose members count as those of the one around it. */
  readonly name: string | undefined;
  readonly type: () => ProgramType;
  /** From the start of the structure, in bits, counted from the lowest of each byte. */
  readonly bitOffset: number;
  /** Bits of a bit-field. */
  readonly bitSize: number | undefined;
  readonly isBase: boolean;
}

/** A member that all objects of a class share; its entry is a declaration. */
export interface StaticMember {
  readonly name: string;
  readonly type: () => ProgramType;
  readonly entry: number;
}

/** Members that are there only for some values of a discriminant: an enum of Rust. */
export interface Variant {
  /** Undefined for the variant of all other values. */
  readonly value: bigint | undefined;
  readonly members: readonly Member[];
}

export interface RecordParts {
  readonly members: readonly Member[];
  readonly statics: readonly StaticMember[];
  readonly discriminant: Member | undefined;
  readonly variants: readonly Variant[];
}

export interface Enumerator {
  readonly name: string;
  readonly value: bigint;
}

/** How many elements an array has: undefined is unknown, an expression or an entry gives it at run time. */
export type ElementCount =
  | number
  | undefined
  | { readonly expression: Uint8Array; readonly isUpperBound: boolean; readonly unit: number }
  | { readonly entry: number; readonly isUpperBound: boolean };

export type ProgramType =
  | (Common & { readonly kind: 'void' })
  /** What this debugger cannot read, or does not need to: only its bytes are known. */
  | (Common & { readonly kind: 'opaque' })
  | (Common & { readonly kind: 'function' })
  | (Common & { readonly kind: 'boolean'; readonly size: number })
  | (Common & { readonly kind: 'float'; readonly size: number })
  | (Common & {
      readonly kind: 'integer';
      readonly size: number;
      readonly signed: boolean;
      /** A character of a byte, or a code point. */
      readonly isCharacter: boolean;
    })
  | (Common & {
      readonly kind: 'enum';
      readonly size: number;
      readonly signed: boolean;
      readonly enumerators: () => readonly Enumerator[];
    })
  | (Common & {
      readonly kind: 'pointer';
      readonly size: number;
      readonly isReference: boolean;
      readonly target: () => ProgramType;
    })
  | (Common & {
      readonly kind: 'array';
      readonly element: () => ProgramType;
      readonly count: ElementCount;
      /** Bytes from one element to the next, where that is not the size of one. */
      readonly stride: number | undefined;
    })
  | (Common & {
      readonly kind: 'record';
      readonly keyword: 'struct' | 'union' | 'class';
      /** Its bare name, by which a declaration finds its definition. */
      readonly tagName: string | undefined;
      readonly isDeclaration: boolean;
      readonly parts: () => RecordParts;
    });

export type RecordType = Extract<ProgramType, { kind: 'record' }>;
export type ArrayType = Extract<ProgramType, { kind: 'array' }>;
export type PointerType = Extract<ProgramType, { kind: 'pointer' }>;

const VOID: ProgramType = { kind: 'void', name: 'void', size: undefined };
const UNKNOWN: ProgramType = { kind: 'opaque', name: '?', size: undefined };

/** Longer chains of typedefs and qualifiers than anybody writes. */
const LONGEST_CHAIN = 64;
/** More members, enumerators and dimensions than any program has. */
const MOST_CHILDREN = 20_000;
const MOST_DIMENSIONS = 16;

/** Kinds of types that are another one by a different name. */
const ALIASES: ReadonlySet<number> = new Set([
  DW_TAG_typedef,
  DW_TAG_const_type,
  DW_TAG_volatile_type,
  DW_TAG_restrict_type,
  DW_TAG_atomic_type,
  DW_TAG_subrange_type,
]);

const POINTERS: ReadonlySet<number> = new Set([
  DW_TAG_pointer_type,
  DW_TAG_reference_type,
  DW_TAG_rvalue_reference_type,
]);

const KEYWORDS: ReadonlyMap<number, 'struct' | 'union' | 'class'> = new Map([
  [DW_TAG_structure_type, 'struct'],
  [DW_TAG_union_type, 'union'],
  [DW_TAG_class_type, 'class'],
  [DW_TAG_interface_type, 'class'],
]);

export const RECORD_TAGS: ReadonlySet<number> = new Set(KEYWORDS.keys());

const SIGNED: ReadonlySet<number> = new Set([DW_ATE_signed, DW_ATE_signed_char]);
const CHARACTERS: ReadonlySet<number> = new Set([DW_ATE_signed_char, DW_ATE_unsigned_char, DW_ATE_UTF]);
const INTEGERS: ReadonlySet<number> = new Set([
  DW_ATE_address,
  DW_ATE_signed,
  DW_ATE_signed_char,
  DW_ATE_unsigned,
  DW_ATE_unsigned_char,
  DW_ATE_UTF,
]);

export class Types {
  private readonly dwarf: Dwarf;
  private readonly known = new Map<number, ProgramType>();

  constructor(dwarf: Dwarf) {
    this.dwarf = dwarf;
  }

  /** The type of an entry; -1, which is no type, is void. A damaged one is opaque, and the defect is told. */
  at(offset: number): ProgramType {
    if (offset === -1) return VOID;
    if (offset < 0) return UNKNOWN;
    let type = this.known.get(offset);
    if (!type) {
      type = this.dwarf.attempt(() => this.read(offset)) ?? UNKNOWN;
      this.known.set(offset, type);
    }
    return type;
  }

  private read(offset: number): ProgramType {
    const name = typeName(this.dwarf, offset);
    let at = offset;
    for (let hops = 0; hops < LONGEST_CHAIN; hops++) {
      const unit = this.dwarf.unitOf(at);
      const die = unit.die(at);
      const inner = typeOf(this.dwarf, die);
      if (!ALIASES.has(die.tag)) return this.readPlain(at, name, unit, die, inner);
      if (inner === -1) return { ...VOID, name };
      if (inner < 0) break;
      at = inner;
    }
    return { ...UNKNOWN, name };
  }

  /** The entry of `die`, which is decoded, under a name that may be that of an alias. */
  private readPlain(at: number, name: string, unit: Unit, die: DieReader, inner: number): ProgramType {
    const { tag } = die;
    const size = sizeOf(die);
    if (POINTERS.has(tag))
      return {
        kind: 'pointer',
        name,
        size: wordSize(size) ?? unit.header.addressSize,
        isReference: tag !== DW_TAG_pointer_type,
        target: () => this.at(inner),
      };
    const keyword = KEYWORDS.get(tag);
    if (keyword) {
      const ref = unit.stringOf(die, DW_AT_name);
      let parts: RecordParts | undefined;
      return {
        kind: 'record',
        name,
        size,
        keyword,
        tagName: ref === NO_STRING ? undefined : this.dwarf.sections.text(ref),
        isDeclaration: die.number(DW_AT_declaration) === 1,
        parts: () => (parts ??= this.dwarf.attempt(() => this.readRecord(at)) ?? NO_PARTS),
      };
    }
    switch (tag) {
      case DW_TAG_base_type:
        return baseType(name, size, die.number(DW_AT_encoding) ?? 0);
      case DW_TAG_enumeration_type: {
        // The underlying type has the sign; without one the values tell.
        const underlying = inner >= 0 ? this.at(inner) : undefined;
        let enumerators: readonly Enumerator[] | undefined;
        const read = () => (enumerators ??= this.dwarf.attempt(() => this.readEnumerators(at)) ?? []);
        const bytes = wordSize(size ?? underlying?.size);
        if (bytes === undefined) return { kind: 'opaque', name, size };
        const signed =
          underlying?.kind === 'integer' ? underlying.signed : read().some(({ value }) => value < 0n);
        return { kind: 'enum', name, size: bytes, signed, enumerators: read };
      }
      case DW_TAG_array_type:
        return this.readArray(at, name, inner, size, die);
      case DW_TAG_subroutine_type:
        return { kind: 'function', name, size: undefined };
      case DW_TAG_unspecified_type:
        return { ...VOID, name };
      default:
        return { kind: 'opaque', name, size };
    }
  }

  private readArray(
    at: number,
    name: string,
    inner: number,
    size: number | undefined,
    die: DieReader,
  ): ProgramType {
    const bits = die.number(DW_AT_bit_stride);
    if (bits !== undefined && bits % 8 !== 0) return { kind: 'opaque', name, size };
    const stride = die.number(DW_AT_byte_stride) ?? (bits === undefined ? undefined : bits / 8);
    const counts: ElementCount[] = [];
    this.children(at, (child, unit) => {
      if (child.tag === DW_TAG_subrange_type && counts.length < MOST_DIMENSIONS)
        counts.push(elementCount(child, unit));
      else if (child.tag === DW_TAG_enumeration_type) counts.push(undefined);
    });
    if (counts.length === 0) counts.push(undefined);
    const dimension = (index: number, ofName: string): ProgramType => {
      const isLast = index === counts.length - 1;
      let element: ProgramType | undefined;
      const elementOf = () =>
        (element ??= isLast ? this.at(inner) : dimension(index + 1, typeName(this.dwarf, at, index + 1)));
      const count = counts[index];
      const { size: each } = typeof count === 'number' ? elementOf() : UNKNOWN;
      const step = isLast ? (stride ?? each) : each;
      return {
        kind: 'array',
        name: ofName,
        size: typeof count === 'number' && step !== undefined ? boundedSize(count * step) : undefined,
        element: elementOf,
        count,
        stride: isLast ? stride : undefined,
      };
    };
    return dimension(0, name);
  }

  private readEnumerators(at: number): Enumerator[] {
    const found: Enumerator[] = [];
    this.children(at, (die, unit) => {
      if (die.tag !== DW_TAG_enumerator) return;
      const value = die.constant(DW_AT_const_value);
      const name = this.nameOf(unit, die);
      if (value !== undefined && name !== undefined) found.push({ name, value });
    });
    return found;
  }

  private readRecord(at: number): RecordParts {
    const members: Member[] = [];
    const statics: StaticMember[] = [];
    let variantPart = -1;
    this.children(at, (die, unit) => {
      if (die.tag === DW_TAG_variant_part) variantPart = die.offset;
      const isStatic =
        die.tag === DW_TAG_variable ||
        (die.tag === DW_TAG_member &&
          (die.number(DW_AT_declaration) === 1 || die.number(DW_AT_external) === 1) &&
          die.find(DW_AT_data_member_location) < 0);
      if (isStatic) {
        const name = this.nameOf(unit, die);
        const type = typeOf(this.dwarf, die);
        if (name !== undefined) statics.push({ name, type: () => this.at(type), entry: die.offset });
      } else if (die.tag === DW_TAG_member || die.tag === DW_TAG_inheritance) {
        const member = this.readMember(unit, die);
        if (member) members.push(member);
      }
    });
    return { members, statics, ...this.readVariants(variantPart) };
  }

  /** A member; undefined for one whose place only an object tells: a virtual base class. */
  private readMember(unit: Unit, die: DieReader): Member | undefined {
    const type = typeOf(this.dwarf, die);
    const common = {
      name: this.nameOf(unit, die),
      type: () => this.at(type),
      isBase: die.tag === DW_TAG_inheritance,
    };
    const start = memberStart(die, unit);
    if (start === undefined) return undefined;
    const bitSize = die.number(DW_AT_bit_size);
    if (bitSize === undefined) return { ...common, bitOffset: start * 8, bitSize };
    const dataBits = die.number(DW_AT_data_bit_offset);
    if (dataBits !== undefined) return { ...common, bitOffset: dataBits, bitSize };
    // DWARF 2 counts from the highest bit of the storage unit.
    const fromTop = die.number(DW_AT_bit_offset) ?? 0;
    const storage = die.number(DW_AT_byte_size) ?? common.type().size ?? 0;
    return { ...common, bitOffset: start * 8 + storage * 8 - fromTop - bitSize, bitSize };
  }

  private readVariants(variantPart: number): Pick<RecordParts, 'discriminant' | 'variants'> {
    if (variantPart < 0) return { discriminant: undefined, variants: [] };
    const discriminantEntry = this.dwarf.unitOf(variantPart).die(variantPart).number(DW_AT_discr);
    let discriminant: Member | undefined;
    const entries: { at: number; value: bigint | undefined }[] = [];
    this.children(variantPart, (die, unit) => {
      if (die.tag === DW_TAG_member && die.offset === discriminantEntry)
        discriminant = this.readMember(unit, die);
      else if (die.tag === DW_TAG_variant)
        entries.push({ at: die.offset, value: die.constant(DW_AT_discr_value) });
    });
    const variants = entries.map(({ at, value }) => {
      const members: Member[] = [];
      this.children(at, (die, unit) => {
        const member = die.tag === DW_TAG_member ? this.readMember(unit, die) : undefined;
        if (member) members.push(member);
      });
      return { value, members };
    });
    return { discriminant, variants };
  }

  private nameOf(unit: Unit, die: DieReader): string | undefined {
    const ref = unit.stringOf(die, DW_AT_name);
    return ref === NO_STRING ? undefined : this.dwarf.sections.text(ref);
  }

  /** Visits the direct children of an entry, decoded, with a cursor that the visitor may keep using. */
  private children(offset: number, visit: (die: DieReader, unit: Unit) => void): void {
    const unit = this.dwarf.unitOf(offset);
    let left = MOST_CHILDREN;
    walk(unit.dieReader(), offset, (die, depth) => {
      if (depth === 0) return true;
      if (left-- <= 0) throw new SymbolsError('tooComplex', `A type has more than ${MOST_CHILDREN} parts`);
      die.decode();
      visit(die, unit);
      return false;
    });
  }
}

const NO_PARTS: RecordParts = { members: [], statics: [], discriminant: undefined, variants: [] };

function sizeOf(die: DieReader): number | undefined {
  const size = die.constant(DW_AT_byte_size);
  return size === undefined ? undefined : boundedSize(Number(size));
}

/** A size that cannot be is not known. */
function boundedSize(size: number): number | undefined {
  return size >= 0 && size < 2 ** 47 ? size : undefined;
}

function wordSize(size: number | undefined): number | undefined {
  return size !== undefined && size >= 1 && size <= 16 ? size : undefined;
}

function baseType(name: string, size: number | undefined, encoding: number): ProgramType {
  const bytes = wordSize(size);
  if (bytes === undefined) return { kind: 'opaque', name, size };
  if (encoding === DW_ATE_boolean) return { kind: 'boolean', name, size: bytes };
  if (encoding === DW_ATE_float) return { kind: 'float', name, size: bytes };
  if (!INTEGERS.has(encoding)) return { kind: 'opaque', name, size };
  return {
    kind: 'integer',
    name,
    size: bytes,
    signed: SIGNED.has(encoding),
    isCharacter: CHARACTERS.has(encoding),
  };
}

function elementCount(die: DieReader, unit: Unit): ElementCount {
  const constant = constantCount(die);
  if (constant !== undefined) return constant;
  for (const name of [DW_AT_count, DW_AT_upper_bound]) {
    const isUpperBound = name === DW_AT_upper_bound;
    const expression = die.block(name);
    if (expression) return { expression, isUpperBound, unit: unit.index };
    const entry = die.reference(name);
    if (entry !== undefined) return { entry, isUpperBound };
  }
  return undefined;
}

/** Bytes from the start of the structure; DWARF 2 wrote them as an expression that adds them. */
function memberStart(die: DieReader, unit: Unit): number | undefined {
  const expression = die.block(DW_AT_data_member_location);
  if (!expression) return Number(die.constant(DW_AT_data_member_location) ?? 0n);
  try {
    const location = evaluateExpression(
      expression,
      {
        addressSize: unit.header.addressSize,
        readMemory: () => undefined,
        register: () => undefined,
      },
      [0n],
    );
    return location.kind === 'memory' ? boundedSize(Number(location.address)) : undefined;
  } catch (error) {
    if (error instanceof SymbolsError) return undefined;
    throw error;
  }
}
