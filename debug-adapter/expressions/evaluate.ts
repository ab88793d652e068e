/**
 * Computes an expression against a stopped machine. Never has side effects: what can be assigned is returned as a
 * place, and assigning is the caller's decision.
 */
import type { DebugAddress } from '../../emulator/index.ts';
import {
  type BinaryOperator,
  type Expression,
  type ExpressionSpace,
  isFamily,
  type TypeName,
  type UnaryOperator,
} from './ast.ts';
import { ExpressionError } from './errors.ts';
import { REGISTER_PARTS } from './registerNames.ts';
import { binary, I64, normalize, type ScalarType, U64, unsignedType } from './values.ts';

/** A bit field of a register or of a VMCS field. */
export interface FieldPart {
  readonly key: string;
  readonly bit: number;
  readonly width: number;
}

/** A register, MSR or VMCS field as the scope gives it. */
export interface NamedValue {
  /** The machine's own name for it. */
  readonly name: string;
  readonly value: bigint;
  readonly bits: number;
  readonly fields: readonly FieldPart[];
}

/** Where an assignable value lives. `shift` and `bits` select a part of it. */
export type Place =
  | { readonly kind: 'register'; readonly name: string; readonly shift: number; readonly bits: number }
  | { readonly kind: 'vmcs'; readonly key: string; readonly shift: number; readonly bits: number }
  | {
      readonly kind: 'memory';
      readonly address: DebugAddress;
      readonly size: number;
      /** A bit-field of what is there. */
      readonly part?: { readonly shift: number; readonly bits: number };
    };

export interface Value {
  readonly value: bigint;
  readonly type: ScalarType;
  /** What it points to, when it was cast to a pointer. */
  readonly pointee?: TypeName;
  readonly place?: Place;
  /** The address space it is an address in, when the expression names one. */
  readonly space?: { readonly space: ExpressionSpace; readonly level: number | undefined };
  /** A symbol whose address it is. */
  readonly symbol?: string;
  readonly named?: NamedValue;
}

/** What the machine's own names mean: those of the program have been replaced by bind.ts. They arrive in lower case. */
export interface ExpressionScope {
  register(name: string): NamedValue | undefined;
  msr(name: string): NamedValue | undefined;
  vmcsField(key: string): NamedValue | undefined;
  /** Bytes from `address` on, fewer where memory ends. */
  readMemory(address: DebugAddress, count: number): Uint8Array;
  /** The level that addresses without one belong to; the running one when absent. */
  readonly level?: number;
}

export function evaluate(expression: Expression, scope: ExpressionScope): Value {
  switch (expression.kind) {
    case 'number':
      return { value: expression.value, type: expression.value >> 63n ? U64 : I64 };
    case 'symbol':
      return { value: expression.address, type: U64, symbol: expression.name };
    case 'name':
      return evaluateName(expression, scope);
    case 'member':
      return evaluateMember(expression, scope);
    case 'index':
      return evaluateIndex(expression, scope);
    case 'unary':
      return evaluateUnary(expression, scope);
    case 'binary':
      return evaluateBinary(expression, scope);
    case 'conditional':
      return evaluate(isTrue(expression.test, scope) ? expression.whenTrue : expression.whenFalse, scope);
    case 'cast':
      return cast(evaluate(expression.operand, scope), expression.type);
    case 'programCast':
      throw new ExpressionError(`the program has no type "${expression.name}"`, expression.offset);
    case 'sizeof':
      throw new ExpressionError('the size of this is not known', expression.offset);
    case 'bits':
      return bitsOf(expression, evaluate(expression.operand, scope));
    case 'memory': {
      const address = evaluate(expression.address, scope);
      return load(address, unsignedType(expression.size * 8), scope, expression.offset);
    }
    case 'space': {
      const { value } = evaluate(expression.operand, scope);
      return {
        value: normalize(value, U64),
        type: U64,
        space: { space: expression.space, level: expression.level },
      };
    }
  }
}

/** Whether a condition holds: its value is not zero. */
export function isTrue(expression: Expression, scope: ExpressionScope): boolean {
  return evaluate(expression, scope).value !== 0n;
}

/** The part of a register's or field's value that a place selects. */
export function extractPart(value: bigint, shift: number, bits: number): bigint {
  return (value >> BigInt(shift)) & ((1n << BigInt(bits)) - 1n);
}

function bitsOf(
  { shift, bits, type }: Extract<Expression, { kind: 'bits' }>,
  { value, place }: Value,
): Value {
  const part = extractPart(value, shift, bits);
  const read = type.signed ? BigInt.asIntN(bits, part) : part;
  return { value: normalize(read, type), type, ...(place && { place: narrowed(place, shift, bits) }) };
}

/** The place of some bits of what is at a place. */
function narrowed(place: Place, shift: number, bits: number): Place {
  if (place.kind !== 'memory') return { ...place, shift: place.shift + shift, bits };
  return { ...place, part: { shift: (place.part?.shift ?? 0) + shift, bits } };
}

/** The value with a part of it replaced. */
export function insertPart(whole: bigint, shift: number, bits: number, part: bigint): bigint {
  const mask = ((1n << BigInt(bits)) - 1n) << BigInt(shift);
  return (whole & ~mask) | ((part << BigInt(shift)) & mask);
}

function namedValue(named: NamedValue, place: Place): Value {
  const type = unsignedType(named.bits);
  return { value: normalize(named.value, type), type, place, named };
}

function registerValue(name: string, scope: ExpressionScope): Value | undefined {
  const part = REGISTER_PARTS.get(name);
  const named = scope.register(part?.register ?? name);
  if (named === undefined) return undefined;
  const { shift, bits } = part ?? { shift: 0, bits: named.bits };
  const place: Place = { kind: 'register', name: named.name, shift, bits };
  if (part === undefined || (shift === 0 && bits === named.bits)) return namedValue(named, place);
  return { value: extractPart(named.value, shift, bits), type: unsignedType(bits), place };
}

function evaluateName(expression: Extract<Expression, { kind: 'name' }>, scope: ExpressionScope): Value {
  const { name, register, offset } = expression;
  if (register) {
    const value = registerValue(name.toLowerCase(), scope);
    if (value === undefined) throw new ExpressionError(`there is no register "$${name}"`, offset);
    return value;
  }
  const value = registerValue(name.toLowerCase(), scope);
  if (value !== undefined) return value;
  if (isFamily(name))
    throw new ExpressionError(
      `"${name}" needs a name after it, such as ${name === 'vmcs' ? 'vmcs.guest_rip' : 'msr.ia32_efer'}`,
      offset,
    );
  throw new ExpressionError(`"${name}" is no register and no symbol of the program`, offset);
}

function evaluateMember(expression: Extract<Expression, { kind: 'member' }>, scope: ExpressionScope): Value {
  const { object, member, offset } = expression;
  if (object.kind === 'name' && isFamily(object.name)) {
    const named =
      object.name === 'vmcs' ? scope.vmcsField(member.toLowerCase()) : scope.msr(member.toLowerCase());
    if (named !== undefined)
      return object.name === 'vmcs'
        ? namedValue(named, { kind: 'vmcs', key: named.name, shift: 0, bits: named.bits })
        : namedValue(named, { kind: 'register', name: named.name, shift: 0, bits: named.bits });
    throw new ExpressionError(
      `${object.name === 'vmcs' ? 'the VMCS has no field' : 'there is no MSR'} "${member}"`,
      offset,
    );
  }
  return fieldOf(evaluate(object, scope), member, offset);
}

function fieldOf(object: Value, member: string, offset: number): Value {
  const { named, place } = object;
  if (named === undefined || place === undefined || place.kind === 'memory')
    throw new ExpressionError(`"${member}" is not a part of this value`, offset);
  const field = named.fields.find((candidate) => candidate.key.toLowerCase() === member.toLowerCase());
  if (field === undefined) throw new ExpressionError(`${named.name} has no field "${member}"`, offset);
  return {
    value: extractPart(named.value, field.bit, field.width),
    type: unsignedType(field.width),
    place: { ...place, shift: field.bit, bits: field.width },
  };
}

function evaluateIndex(expression: Extract<Expression, { kind: 'index' }>, scope: ExpressionScope): Value {
  const base = evaluate(expression.object, scope);
  if (base.pointee === undefined)
    throw new ExpressionError(
      'only a pointer can be indexed: cast it first, such as ((u32*)rsp)[1]',
      expression.offset,
    );
  return dereference(advance(base, evaluate(expression.index, scope).value), scope, expression.offset);
}

function pointeeSize(type: TypeName): number {
  return type.pointers > 0 ? 8 : type.scalar.bits / 8;
}

/** Pointer arithmetic: counts in elements. */
function advance(pointer: Value, count: bigint): Value {
  const size = BigInt(pointeeSize(pointer.pointee as TypeName));
  const { pointee, space } = pointer;
  return { value: normalize(pointer.value + count * size, U64), type: U64, pointee, space };
}

function dereference(pointer: Value, scope: ExpressionScope, offset: number): Value {
  const { pointee } = pointer;
  if (pointee === undefined)
    throw new ExpressionError(
      'the size is not known: cast it first, such as *(u64*)rsp, or write [rsp]:8',
      offset,
    );
  if (pointee.pointers === 0) return load(pointer, pointee.scalar, scope, offset);
  const inner = { scalar: pointee.scalar, pointers: pointee.pointers - 1 };
  return { ...load(pointer, U64, scope, offset), pointee: inner };
}

function load(address: Value, type: ScalarType, scope: ExpressionScope, offset: number): Value {
  const size = type.bits / 8;
  const space = address.space?.space ?? 'linear';
  const level = address.space?.level ?? (space === 'host-physical' ? undefined : scope.level);
  const place: DebugAddress = {
    space,
    address: normalize(address.value, U64),
    ...(level !== undefined && { level }),
  };
  const bytes = scope.readMemory(place, size);
  if (bytes.length < size)
    throw new ExpressionError(
      `cannot read ${size} byte${size === 1 ? '' : 's'} at 0x${place.address.toString(16)} (${place.space})`,
      offset,
    );
  let value = 0n;
  for (let i = size - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i]);
  return { value: normalize(value, type), type, place: { kind: 'memory', address: place, size } };
}

/** `(u16*)x` makes a pointer to u16; it stays an address in whatever space `x` was one. */
function cast(operand: Value, type: TypeName): Value {
  if (type.pointers > 0) {
    const pointee = { scalar: type.scalar, pointers: type.pointers - 1 };
    return { value: normalize(operand.value, U64), type: U64, pointee, space: operand.space };
  }
  return { value: normalize(operand.value, type.scalar), type: type.scalar };
}

function evaluateUnary(expression: Extract<Expression, { kind: 'unary' }>, scope: ExpressionScope): Value {
  const { operator, offset } = expression;
  const operand = evaluate(expression.operand, scope);
  const apply: Record<UnaryOperator, () => Value> = {
    '+': () => ({ value: operand.value, type: operand.type }),
    '-': () => binary('-', { value: 0n, type: I64 }, operand),
    '~': () => binary('^', operand, { value: -1n, type: I64 }),
    '!': () => ({ value: operand.value === 0n ? 1n : 0n, type: I64 }),
    '*': () => dereference(operand, scope, offset),
    '&': () => addressOf(operand, offset),
  };
  return apply[operator]();
}

function addressOf(operand: Value, offset: number): Value {
  if (operand.symbol !== undefined) return operand;
  if (operand.place?.kind !== 'memory') throw new ExpressionError('this value has no address', offset);
  const { address, space, level } = operand.place.address;
  const named =
    space === 'linear' && level === undefined ? undefined : { space: space as ExpressionSpace, level };
  return { value: address, type: U64, pointee: { scalar: operand.type, pointers: 0 }, space: named };
}

function evaluateBinary(expression: Extract<Expression, { kind: 'binary' }>, scope: ExpressionScope): Value {
  const { operator, offset } = expression;
  if (operator === '&&' || operator === '||') {
    const left = isTrue(expression.left, scope);
    const holds =
      operator === '&&' ? left && isTrue(expression.right, scope) : left || isTrue(expression.right, scope);
    return { value: holds ? 1n : 0n, type: I64 };
  }
  const left = evaluate(expression.left, scope);
  const right = evaluate(expression.right, scope);
  if (left.pointee && right.pointee === undefined && (operator === '+' || operator === '-'))
    return advance(left, operator === '+' ? right.value : -right.value);
  if (right.pointee && left.pointee === undefined && operator === '+') return advance(right, left.value);
  try {
    const result = binary(operator as Exclude<BinaryOperator, '&&' | '||'>, left, right);
    return ARITHMETIC.has(operator) ? { ...result, space: left.space ?? right.space } : result;
  } catch (error) {
    throw error instanceof ExpressionError ? new ExpressionError(error.message, offset) : error;
  }
}

/** Operators whose result is an address in the same space as an operand that is one. */
const ARITHMETIC: ReadonlySet<string> = new Set(['+', '-', '&', '|']);
