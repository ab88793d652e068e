/** Variables of the program as variables of the protocol: their values as text, and what they can be opened to. */
import type { VariableRange } from '../context.ts';
import type { Expression } from '../expressions/ast.ts';
import {
  type BoundObject,
  complete,
  memberObject,
  type ProgramNames,
  scalarType,
  valueTree,
} from '../expressions/bind.ts';
import { ExpressionError } from '../expressions/errors.ts';
import { type ExpressionScope, evaluate, type Place, type Value } from '../expressions/evaluate.ts';
import { hex } from '../expressions/format.ts';
import { loadTree, numberTree, plus, within } from '../expressions/object.ts';
import { unsignedType } from '../expressions/values.ts';
import { formatMemoryReference } from '../memoryReference.ts';
import type { ProgramType, RecordType } from '../symbols/program.ts';
import { formatFloat } from './floats.ts';
import type { InspectedVariable } from './registers.ts';

/** How numbers are written: what the user chose for all of them, or for this one with a suffix such as `,x`. */
export type ValueFormat = 'hexadecimal' | 'decimal' | 'x' | 'd' | 'b' | 'o' | 'c' | 's';

/** A stopped machine as variables are read from it. */
export interface Reading {
  readonly names: ProgramNames;
  readonly scope: ExpressionScope;
  /** `symbol+0x10` of an address. */
  readonly describe: (address: bigint) => string | undefined;
  readonly format: ValueFormat;
  /** Whether registers can be written: those of a caller's frame are what was saved. */
  readonly isInnermost: boolean;
}

/** Reads again, later: what has been opened is shown as it is then. */
export type Reader = <T>(compute: (reading: Reading) => T) => Promise<T>;

/** Text of one line in the Variables view; what is copied may be longer. */
const LONGEST_SUMMARY = 120;
const LONGEST_STRING = 200;
const MOST_IN_SUMMARY = 16;
const DEEPEST_SUMMARY = 3;
const MOST_INDEXED = 2 ** 31 - 1;

const READ_ONLY = { attributes: ['readOnly'] };

export interface Shown {
  readonly name: string;
  readonly object: BoundObject;
  /** The expression that gives it; none where another variable of the name is in the way. */
  readonly expression: string | undefined;
}

/** What could not be found, with the reason where its value would be. */
export function unreadable(name: string, type: ProgramType | undefined, error: unknown): InspectedVariable {
  if (!(error instanceof ExpressionError)) throw error;
  return { name, value: `<${error.message}>`, ...(type && { type: type.name }), hint: READ_ONLY };
}

/** A variable with its value as it is now. */
export function showObject(reading: Reading, read: Reader, shown: Shown): InspectedVariable {
  const { name, expression } = shown;
  let object = shown.object;
  try {
    object = settled(reading, referred(reading, object));
    const place = placeOf(reading, object);
    const { type } = object;
    return {
      name,
      value: describeObject(reading, object),
      type: shown.object.type.name,
      ...(expression !== undefined && { evaluateName: expression }),
      ...memoryOf(reading, object),
      ...(place ? { place } : { hint: READ_ONLY }),
      ...(place && type.kind === 'float' && { floatSize: type.size as 4 | 8 }),
      ...opened(reading, read, object, expression),
    };
  } catch (error) {
    return { ...unreadable(name, shown.object.type, error), ...memoryOf(reading, object) };
  }
}

function computed(reading: Reading, tree: Expression): Value {
  return evaluate(tree, reading.scope);
}

/** A reference is what it refers to. */
function referred(reading: Reading, object: BoundObject): BoundObject {
  const { type } = object;
  if (type.kind !== 'pointer' || !type.isReference) return object;
  const address = valueTree({ kind: 'object', object });
  return { type: complete(type.target(), reading.names), place: { kind: 'memory', address } };
}

/** The object with its address computed, so that its parts do not compute it again. */
function settled(reading: Reading, object: BoundObject): BoundObject {
  const { place } = object;
  const type = complete(object.type, reading.names);
  if (place.kind !== 'memory' || place.address.kind === 'number') return { ...object, type };
  const { value, space } = computed(reading, place.address);
  const number = numberTree(value);
  const address: Expression = space ? { kind: 'space', ...space, operand: number, offset: 0 } : number;
  return { ...object, type, place: { kind: 'memory', address } };
}

function placeOf(reading: Reading, object: BoundObject): Place | undefined {
  const { type, range, place, implicit } = object;
  const scalar = scalarType(type);
  if (scalar === undefined || implicit) return undefined;
  const found = computed(reading, loadTree(place, range ?? { start: 0, bits: scalar.bits }, scalar, 0)).place;
  return found?.kind === 'register' && !reading.isInnermost ? undefined : found;
}

function memoryOf(reading: Reading, { type, place, range }: BoundObject): { memoryReference?: string } {
  try {
    const { level } = reading.scope;
    const linear = (address: bigint) => formatMemoryReference({ space: 'linear', level, address });
    if (type.kind === 'pointer') return { memoryReference: linear(bitsOf(reading, { type, place, range })) };
    if (place.kind !== 'memory' || range) return {};
    const { value, space } = computed(reading, place.address);
    return { memoryReference: space ? formatMemoryReference({ ...space, address: value }) : linear(value) };
  } catch (error) {
    if (error instanceof ExpressionError) return {};
    throw error;
  }
}

/** The bits of a scalar of any size. */
function bitsOf(reading: Reading, { type, place, range }: BoundObject): bigint {
  const { start, bits } = range ?? { start: 0, bits: (type.size ?? 0) * 8 };
  let value = 0n;
  for (let at = 0; at < bits; at += 64) {
    const width = Math.min(64, bits - at);
    const tree = loadTree(place, { start: start + at, bits: width }, unsignedType(width), 0);
    value |= computed(reading, tree).value << BigInt(at);
  }
  return value;
}

export function describeObject(reading: Reading, object: BoundObject, depth = 0): string {
  const { type } = object;
  switch (type.kind) {
    case 'array':
      return describeArray(reading, object, depth);
    case 'record':
      return describeRecord(reading, settled(reading, object), depth);
    case 'function':
      return describeAddress(reading, computed(reading, valueTree({ kind: 'object', object })).value, 64);
    case 'void':
      return '<void>';
    case 'pointer':
      if (object.implicit) return '<pointer that was optimized away>';
      break;
    case 'opaque':
      if (type.size === undefined || type.size > 64) return `<${type.size ?? 'unknown number of'} bytes>`;
  }
  return describeScalar(reading, type, bitsOf(reading, object), depth, object.range?.bits);
}

function describeScalar(
  reading: Reading,
  type: ProgramType,
  bits: bigint,
  depth: number,
  width = (type.size ?? 0) * 8,
): string {
  switch (type.kind) {
    case 'boolean':
      return bits === 0n ? 'false' : bits === 1n ? 'true' : hex(bits);
    case 'float':
      return formatFloat(bits, type.size, type.name);
    case 'pointer':
      return describePointer(reading, type, BigInt.asUintN(width, bits), depth);
    case 'enum':
      return describeEnum(reading, type, type.signed ? BigInt.asIntN(width, bits) : bits, width);
    case 'integer': {
      const value = type.signed ? BigInt.asIntN(width, bits) : BigInt.asUintN(width, bits);
      const isCharacter =
        type.isCharacter && !type.name.startsWith('uint8_t') && !type.name.startsWith('int8_t');
      const text = formatInteger(value, width, type.signed, reading.format, isCharacter);
      return isCharacter && !SUFFIXES.has(reading.format) ? `${value} ${quoted(value)}` : text;
    }
    default:
      return hex(bits, width);
  }
}

const SUFFIXES: ReadonlySet<ValueFormat> = new Set(['x', 'd', 'b', 'o', 'c', 's']);

/** A number as the user wants it; in hexadecimal mode, signed and small ones with their decimal value. */
export function formatInteger(
  value: bigint,
  bits: number,
  signed: boolean,
  format: ValueFormat,
  isCharacter = false,
): string {
  const pattern = BigInt.asUintN(bits, value);
  switch (format) {
    case 'x':
      return `0x${pattern.toString(16)}`;
    case 'b':
      return `0b${pattern.toString(2)}`;
    case 'o':
      return `0o${pattern.toString(8)}`;
    case 'c':
      return `${value} ${quoted(value)}`;
    case 'd':
    case 'decimal':
      return value.toString();
    default:
      if (value >= 0n && value <= 9n) return value.toString();
      if (isCharacter) return value.toString();
      if (signed) return `${value} (0x${pattern.toString(16)})`;
      return bits > 32 && value > 0xffff_ffffn
        ? `0x${pattern.toString(16)}`
        : `0x${pattern.toString(16)} (${value})`;
  }
}

const ESCAPES: Readonly<Record<number, string>> = {
  0: '\\0',
  7: '\\a',
  8: '\\b',
  9: '\\t',
  10: '\\n',
  11: '\\v',
  12: '\\f',
  13: '\\r',
  27: '\\e',
  34: '\\"',
  92: '\\\\',
};

/** A character as a string literal has it; whatever is not plain ASCII is a number. */
function escaped(code: number): string {
  if (ESCAPES[code] !== undefined) return ESCAPES[code];
  return code >= 32 && code < 127 ? String.fromCharCode(code) : `\\x${code.toString(16).padStart(2, '0')}`;
}

function quoted(value: bigint): string {
  const code = Number(BigInt.asUintN(32, value));
  if (value >= 0x100n && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff))
    return `'${String.fromCodePoint(code)}'`;
  const byte = code & 0xff;
  return byte === 39 ? "'\\''" : byte === 34 ? `'"'` : `'${escaped(byte)}'`;
}

function describeAddress({ describe }: Reading, value: bigint, bits: number): string {
  const symbol = value < 0x1000n ? undefined : describe(value);
  return symbol === undefined ? hex(value, bits) : `${hex(value, bits)} <${symbol}>`;
}

function describePointer(
  reading: Reading,
  type: Extract<ProgramType, { kind: 'pointer' }>,
  value: bigint,
  depth: number,
): string {
  const target = type.target();
  const address = describeAddress(reading, value, 64);
  if (!isText(target) || reading.format === 'x' || value === 0n || depth > 1) return address;
  const text = readText(reading, numberTree(value), LONGEST_STRING);
  return text === undefined ? address : `${hex(value)} ${text}`;
}

function isText(type: ProgramType): boolean {
  return type.kind === 'integer' && type.size === 1 && type.isCharacter;
}

/** The string at an address up to its zero, as a literal; undefined where nothing can be read. */
function readText(
  reading: Reading,
  address: Expression,
  most: number,
  isBounded = false,
): string | undefined {
  const { value, space } = computed(reading, address);
  const from = { ...(space ?? { space: 'linear' as const }), address: value };
  let text = '';
  for (let at = 0; at < most; ) {
    const start = from.address + BigInt(at);
    // Not beyond the page before that is known to be needed: the next may not be mapped.
    const count = Math.min(most - at, 4096 - Number(start & 0xfffn));
    const bytes = reading.scope.readMemory({ ...from, address: BigInt.asUintN(64, start) }, count);
    if (bytes.length === 0 && at === 0) return undefined;
    const end = bytes.indexOf(0);
    for (const byte of end < 0 ? bytes : bytes.subarray(0, end)) text += escaped(byte);
    if (end >= 0 || bytes.length < count) return `"${text}"`;
    at += count;
  }
  return isBounded ? `"${text}"` : `"${text}"…`;
}

/** The string in an array that is in registers; undefined where a part of it is not. */
function heldText(reading: Reading, array: BoundObject, most: number): string | undefined {
  let text = '';
  for (let index = 0; index < most; index++) {
    try {
      const byte = Number(bitsOf(reading, elementAt(array, index)));
      if (byte === 0) break;
      text += escaped(byte);
    } catch (error) {
      if (error instanceof ExpressionError) return undefined;
      throw error;
    }
  }
  return `"${text}"`;
}

function describeEnum(
  { format }: Reading,
  type: Extract<ProgramType, { kind: 'enum' }>,
  value: bigint,
  bits: number,
): string {
  const number = formatInteger(value, bits, type.signed, SUFFIXES.has(format) ? format : 'decimal');
  if (SUFFIXES.has(format)) return number;
  const enumerators = type.enumerators();
  const exact = enumerators.find(
    (candidate) => BigInt.asUintN(bits, candidate.value) === BigInt.asUintN(bits, value),
  );
  if (exact) return `${exact.name} (${number})`;
  const flags = enumerators.filter((candidate) => candidate.value > 0n);
  const isFlags = flags.length > 1 && flags.every((flag) => (flag.value & (flag.value - 1n)) === 0n);
  if (!isFlags || value <= 0n) return number;
  const set = flags.filter((flag) => (value & flag.value) !== 0n);
  const rest = set.reduce((left, flag) => left & ~flag.value, value);
  if (set.length === 0) return number;
  const names = [...set.map(({ name }) => name), ...(rest === 0n ? [] : [hex(rest)])];
  return `${names.join(' | ')} (${hex(value)})`;
}

function countOf(type: Extract<ProgramType, { kind: 'array' }>): number {
  return typeof type.count === 'number' && type.count > 0 ? Math.min(type.count, MOST_INDEXED) : 0;
}

function elementAt(object: BoundObject, index: number): BoundObject {
  const { type, place } = object;
  if (type.kind !== 'array') throw new ExpressionError('this is no array');
  const element = type.element();
  const stride = type.stride ?? element.size;
  if (stride === undefined) throw new ExpressionError(`the size of "${element.name}" is not known`);
  if (place.kind === 'memory') {
    const address = plus(place.address, BigInt(index) * BigInt(stride));
    return { type: element, place: { kind: 'memory', address } };
  }
  return { type: element, place: within(place, index * stride) };
}

function describeArray(reading: Reading, object: BoundObject, depth: number): string {
  const { type, place } = object;
  if (type.kind !== 'array') return '';
  const count = countOf(type);
  if (isText(type.element()) && count > 0 && !type.element().name.includes('int8_t')) {
    const most = Math.min(count, LONGEST_STRING);
    const inMemory = place.kind === 'memory';
    const text = inMemory
      ? readText(reading, place.address, most, count <= LONGEST_STRING)
      : heldText(reading, object, most);
    if (text !== undefined) return text;
    if (inMemory) throw new ExpressionError('cannot be read');
  }
  if (type.count === undefined) return '[of unknown length]';
  if (depth >= DEEPEST_SUMMARY) return '{…}';
  const parts: string[] = [];
  for (let index = 0; index < count; index++)
    if (
      !addPart(parts, index, () =>
        describeObject(reading, settled(reading, elementAt(object, index)), depth + 1),
      )
    )
      break;
  return `{${parts.join(', ')}}`;
}

/** Adds what is shown of one part behind its label; false where there is no room for more. */
function addPart(parts: string[], index: number, text: () => string, label = ''): boolean {
  const length = parts.reduce((sum, part) => sum + part.length + 2, 0);
  if (index >= MOST_IN_SUMMARY || length > LONGEST_SUMMARY) {
    parts.push('…');
    return false;
  }
  try {
    parts.push(`${label}${text()}`);
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error;
    parts.push(`${label}<${error.message}>`);
  }
  return true;
}

interface ShownMember {
  readonly name: string;
  readonly object: BoundObject;
  readonly isBase: boolean;
}

/** The members of a structure: those of anonymous ones among them, and of a variant only the one that there is. */
function membersOf(reading: Reading, object: BoundObject, depth = 0): ShownMember[] {
  const type = complete(object.type, reading.names);
  if (type.kind !== 'record' || depth > DEEPEST_SUMMARY * 4) return [];
  const { members, discriminant, variants } = type.parts();
  const variant = variants.length === 0 ? undefined : activeVariant(reading, type, object);
  return [...members, ...(variant?.members ?? [])].flatMap((member) => {
    const inner = memberObject(object.place, member);
    if (member.isBase) return [{ name: member.type().name, object: inner, isBase: true }];
    if (member.name === undefined)
      return member.bitSize === undefined ? membersOf(reading, inner, depth + 1) : [];
    if (member === discriminant) return [];
    return [{ name: member.name, object: inner, isBase: false }];
  });
}

function activeVariant(reading: Reading, type: RecordType, object: BoundObject) {
  const { discriminant, variants } = type.parts();
  const other = variants.find(({ value }) => value === undefined);
  if (!discriminant) return other ?? (variants.length === 1 ? variants[0] : undefined);
  const tag = memberObject(object.place, discriminant);
  const bits = (tag.type.size ?? 0) * 8;
  const value = bitsOf(reading, { ...tag, type: tag.type });
  return (
    variants.find(
      (variant) => variant.value !== undefined && BigInt.asUintN(bits, variant.value) === value,
    ) ?? other
  );
}

function describeRecord(reading: Reading, object: BoundObject, depth: number): string {
  const { type } = object;
  if (type.kind !== 'record') return '';
  if (type.isDeclaration) return '<incomplete type>';
  const members = membersOf(reading, object);
  const text = sliceText(reading, type, members);
  if (text !== undefined) return text;
  if (depth >= DEEPEST_SUMMARY) return '{…}';
  const parts: string[] = [];
  members.forEach((member, index) => {
    if (parts[parts.length - 1] === '…') return;
    const describe = () =>
      describeObject(reading, settled(reading, referred(reading, member.object)), depth + 1);
    addPart(parts, index, describe, member.isBase ? '' : `${member.name} = `);
  });
  return `{${parts.join(', ')}}`;
}

/** The text of a string slice of Rust (`&str`) or Zig (`[]const u8`). */
function sliceText(reading: Reading, type: RecordType, members: readonly ShownMember[]): string | undefined {
  if (type.tagName !== '&str' && type.tagName !== '[]const u8' && type.tagName !== '[]u8') return undefined;
  const [data, length] = [/^(data_)?ptr$/, /^len(gth)?$/].map((name) =>
    members.find((part) => name.test(part.name)),
  );
  if (!data || !length) return undefined;
  const count = bitsOf(reading, length.object);
  const most = Math.min(Number(count), LONGEST_STRING);
  const address = numberTree(bitsOf(reading, data.object));
  return most === 0 ? '""' : readText(reading, address, most, count <= BigInt(LONGEST_STRING));
}

/** What a variable can be opened to; nothing for a plain scalar. */
function opened(
  reading: Reading,
  read: Reader,
  object: BoundObject,
  expression: string | undefined,
): Pick<InspectedVariable, 'children' | 'indexed'> {
  const { type } = object;
  if (type.kind === 'array') {
    const count = countOf(type);
    if (count === 0) return {};
    return { indexed: count, children: (range) => elements(read, object, count, expression, range) };
  }
  if (type.kind === 'record')
    return type.isDeclaration
      ? {}
      : { children: () => read((now) => members(now, read, object, expression, '.')) };
  if (type.kind !== 'pointer') return {};
  if (object.implicit) {
    const { target } = object.implicit;
    if (!target) return {};
    return { children: () => read((now) => pointees(now, read, target, expression)) };
  }
  const target = complete(type.target(), reading.names);
  if (
    target.kind === 'void' ||
    target.kind === 'function' ||
    (target.kind === 'record' && target.isDeclaration)
  )
    return {};
  if (bitsOf(reading, object) === 0n) return {};
  const pointee = (): BoundObject => ({
    type: target,
    place: { kind: 'memory', address: valueTree({ kind: 'object', object }) },
  });
  return { children: () => read((now) => pointees(now, read, pointee(), expression)) };
}

function pointees(
  reading: Reading,
  read: Reader,
  target: BoundObject,
  expression: string | undefined,
): InspectedVariable[] {
  const object = settled(reading, target);
  if (object.type.kind === 'record') return members(reading, read, object, expression, '->');
  const name = expression === undefined ? undefined : `*${operand(expression)}`;
  return [showObject(reading, read, { name: name ?? '*', object, expression: name })];
}

function members(
  reading: Reading,
  read: Reader,
  object: BoundObject,
  expression: string | undefined,
  connector: '.' | '->',
): InspectedVariable[] {
  const base = expression === undefined ? undefined : operand(expression);
  const shown = membersOf(reading, object).map(({ name, object: member, isBase }) => {
    const path =
      isBase || base === undefined || !IDENTIFIER.test(name) ? undefined : `${base}${connector}${name}`;
    return showObject(reading, read, { name, object: member, expression: isBase ? expression : path });
  });
  const statics = object.type.kind === 'record' ? object.type.parts().statics : [];
  for (const shared of statics) {
    const found = reading.names.staticMember(shared);
    const path = base === undefined ? undefined : `${base}${connector}${shared.name}`;
    if (found) shown.push(showObject(reading, read, { name: shared.name, object: found, expression: path }));
  }
  return shown;
}

/** The most elements that are read at once; a client that pages asks for a hundred. */
const MOST_AT_ONCE = 10_000;

function elements(
  read: Reader,
  object: BoundObject,
  count: number,
  expression: string | undefined,
  range: VariableRange = {},
): Promise<InspectedVariable[]> {
  const start = Math.max(0, range.start ?? 0);
  const end = Math.min(count, start + Math.min(range.count || MOST_AT_ONCE, MOST_AT_ONCE));
  return read((reading) => {
    const shown: InspectedVariable[] = [];
    for (let index = start; index < end; index++) {
      const path = expression === undefined ? undefined : `${operand(expression)}[${index}]`;
      shown.push(
        showObject(reading, read, { name: `[${index}]`, object: elementAt(object, index), expression: path }),
      );
    }
    return shown;
  });
}

const IDENTIFIER = /^[A-Za-z_]\w*$/;

/** An expression before `.`, `->` or `[`. */
function operand(expression: string): string {
  return /^[\w.$`]+((\[\d+\]|->|\.)\w*)*$/.test(expression) ? expression : `(${expression})`;
}

/** How a variable is named in an expression. */
export function expressionOfName(name: string): string {
  return IDENTIFIER.test(name) ? name : `\`${name}\``;
}
