/**
 * Gives the names of the program in an expression their meaning: what comes out is computed by an evaluator that
 * knows registers and memory only. The types of the program are at work here and nowhere else, so that a condition can
 * be computed where its symbols are not: beside the machine, each time a breakpoint is reached.
 *
 * A bare name is a variable of the frame, a variable with a fixed address, a register, an enumerator, a symbol: the
 * first of these that there is. `$name` is a register.
 */
import type { Member, ProgramType, RecordType, StaticMember, TypeNamespace } from '../symbols/program.ts';
import { type Expression, isFamily } from './ast.ts';
import { ExpressionError } from './errors.ts';
import { type BitRange, loadTree, numberTree, type ObjectPlace, plus, within } from './object.ts';
import { REGISTER_PARTS } from './registerNames.ts';
import { I64, type ScalarType, U64 } from './values.ts';

/** An object of the program: a variable, or a part of one. */
export interface BoundObject {
  readonly type: ProgramType;
  readonly place: ObjectPlace;
  /** A bit-field's bits, from the start of the place. */
  readonly range?: BitRange;
  /** Of a pointer that was optimized away: what it points to, if that still exists. */
  readonly implicit?: { readonly target: BoundObject | undefined };
}

/** What an expression means: an object, a value of a type of the program, or a value of the machine. */
export type Bound =
  | { readonly kind: 'object'; readonly object: BoundObject }
  | { readonly kind: 'value'; readonly type: ProgramType; readonly tree: Expression }
  | { readonly kind: 'machine'; readonly tree: Expression };

/** What the names of the program mean where the expression is used. */
export interface ProgramNames {
  isRegister(name: string): boolean;
  symbol(name: string): bigint | undefined;
  /** A variable. Throws an ExpressionError for one that exists and cannot be read here. */
  variable(name: string): BoundObject | undefined;
  staticMember(member: StaticMember): BoundObject | undefined;
  enumerator(name: string): { readonly value: bigint; readonly type: ProgramType } | undefined;
  type(name: string, namespace: TypeNamespace): ProgramType | undefined;
  /** Size of a pointer made by `&`. */
  readonly wordSize: 4 | 8;
}

/** Words of C and its relatives that stand for numbers, unless the program calls something so. */
const WORDS: ReadonlyMap<string, bigint> = new Map([
  ['true', 1n],
  ['false', 0n],
  ['NULL', 0n],
  ['nullptr', 0n],
]);

/** Structures in structures without names, or base classes: deeper than anybody writes. */
const DEEPEST_MEMBER = 32;

export function bind(expression: Expression, names: ProgramNames): Bound {
  return new Binder(names).bind(expression);
}

/** The expression as an evaluator takes it. */
export function bindValue(expression: Expression, names: ProgramNames): Expression {
  return valueTree(bind(expression, names), expression.offset);
}

/** The number a bound expression is: an array is its address, as in C. */
export function valueTree(bound: Bound, offset = 0): Expression {
  if (bound.kind !== 'object') return bound.tree;
  const { type, place, range } = bound.object;
  if (type.kind === 'array' || type.kind === 'function') {
    if (place.kind === 'memory') return place.address;
    throw new ExpressionError('this array is kept in registers and has no address', offset);
  }
  const scalar = scalarType(type);
  if (scalar === undefined) throw new ExpressionError(`${article(type)} is no number`, offset);
  return loadTree(place, range ?? { start: 0, bits: scalar.bits }, scalar, offset);
}

function article(type: ProgramType): string {
  return type.kind === 'void' ? '"void"' : `a value of type "${type.name}"`;
}

/** How the machine reads a scalar of the program; undefined where it is none, or larger than a register. */
export function scalarType(type: ProgramType): ScalarType | undefined {
  const { name } = type;
  const bits = (type.size ?? 0) * 8;
  if (bits !== 8 && bits !== 16 && bits !== 32 && bits !== 64) return undefined;
  switch (type.kind) {
    case 'integer':
    case 'enum':
      return { name, bits, signed: type.signed };
    case 'boolean':
    case 'pointer':
      return { name, bits, signed: false };
    case 'float':
      return bits >= 32 ? { name, bits, signed: false, isFloat: true } : undefined;
    default:
      return undefined;
  }
}

export function pointerTo(type: ProgramType, wordSize: 4 | 8): Extract<ProgramType, { kind: 'pointer' }> {
  const name = /\]$/.test(type.name)
    ? type.name.replace(/ ?(\[.*)$/, ' (*)$1')
    : `${type.name}${/[*&]$/.test(type.name) ? '' : ' '}*`;
  return { kind: 'pointer', name, size: wordSize, isReference: false, target: () => type };
}

/** The type with its members: a declaration is looked up in the whole program. */
export function complete(type: ProgramType, names: Pick<ProgramNames, 'type'>): ProgramType {
  if (type.kind !== 'record' || !type.isDeclaration || type.tagName === undefined) return type;
  return names.type(type.tagName, 'record') ?? type;
}

class Binder {
  readonly #names: ProgramNames;

  constructor(names: ProgramNames) {
    this.#names = names;
  }

  bind(node: Expression): Bound {
    switch (node.kind) {
      case 'number':
      case 'symbol':
        return machine(node);
      case 'name':
        return this.#name(node);
      case 'member':
        return this.#member(node);
      case 'index':
        return this.#index(node);
      case 'unary':
        return this.#unary(node);
      case 'binary':
        return this.#binary(node);
      case 'conditional':
        return machine({
          ...node,
          test: this.#tree(node.test),
          whenTrue: this.#tree(node.whenTrue),
          whenFalse: this.#tree(node.whenFalse),
        });
      case 'cast':
      case 'space':
      case 'bits':
        return machine({ ...node, operand: this.#tree(node.operand) });
      case 'memory':
        return machine({ ...node, address: this.#tree(node.address) });
      case 'programCast':
        return this.#cast(node);
      case 'sizeof':
        return machine(numberTree(BigInt(this.#sizeOf(node)), node.offset));
    }
  }

  #tree(node: Expression): Expression {
    return valueTree(this.bind(node), node.offset);
  }

  #name(node: Extract<Expression, { kind: 'name' }>): Bound {
    const { name, register, offset } = node;
    if (register) return machine(node);
    const variable = this.#names.variable(name);
    if (variable) return this.#dereferenced(variable, offset);
    const lower = name.toLowerCase();
    if (REGISTER_PARTS.has(lower) || this.#names.isRegister(lower)) return machine(node);
    const enumerator = this.#names.enumerator(name);
    if (enumerator)
      return {
        kind: 'value',
        type: enumerator.type,
        tree: constantTree(enumerator.value, enumerator.type, offset),
      };
    const address = this.#names.symbol(name);
    if (address !== undefined) return machine({ kind: 'symbol', name, address, offset });
    const word = WORDS.get(name);
    return machine(word === undefined ? node : numberTree(word, offset));
  }

  /** A reference stands for what it refers to. */
  #dereferenced(object: BoundObject, offset: number): Bound {
    const { type } = object;
    if (type.kind !== 'pointer' || !type.isReference) return { kind: 'object', object };
    const address = valueTree({ kind: 'object', object }, offset);
    return { kind: 'object', object: { type: type.target(), place: { kind: 'memory', address } } };
  }

  #member(node: Extract<Expression, { kind: 'member' }>): Bound {
    const { object: owner, member, offset } = node;
    if (owner.kind === 'name' && isFamily(owner.name)) return machine(node);
    let bound = this.bind(owner);
    if (bound.kind === 'machine') return machine({ ...node, object: bound.tree });
    if (typeOf(bound)?.kind === 'pointer') bound = this.#target(bound, offset);
    const object = bound.kind === 'object' ? bound.object : undefined;
    const type = object && complete(object.type, this.#names);
    if (!object || type?.kind !== 'record')
      throw new ExpressionError(`${article(typeOf(bound) as ProgramType)} has no members`, offset);
    if (type.isDeclaration)
      throw new ExpressionError(`"${type.name}" is not defined in the program's debug information`, offset);
    const found = this.#findMember(type, member, 0);
    if (found === undefined) throw new ExpressionError(`"${type.name}" has no member "${member}"`, offset);
    if ('place' in found) return this.#dereferenced(found, offset);
    return this.#dereferenced(memberObject(object.place, found.member, found.bitOffset), offset);
  }

  #findMember(
    type: RecordType,
    name: string,
    depth: number,
  ): { member: Member; bitOffset: number } | BoundObject | undefined {
    if (depth > DEEPEST_MEMBER) return undefined;
    const { members, statics } = type.parts();
    for (const member of members) {
      if (member.name === name) return { member, bitOffset: member.bitOffset };
      if (member.name !== undefined && !member.isBase) continue;
      const inner = complete(member.type(), this.#names);
      const found = inner.kind === 'record' ? this.#findMember(inner, name, depth + 1) : undefined;
      if (found && 'member' in found) return { ...found, bitOffset: found.bitOffset + member.bitOffset };
      if (found) return found;
    }
    const shared = statics.find((candidate) => candidate.name === name);
    return shared && this.#names.staticMember(shared);
  }

  /** What a pointer points to, or the first element of an array. */
  #target(bound: Exclude<Bound, { kind: 'machine' }>, offset: number): Bound {
    const type = typeOf(bound) as ProgramType;
    if (type.kind === 'array' && bound.kind === 'object')
      return this.#element(bound.object, numberTree(0n), offset);
    if (type.kind !== 'pointer') throw new ExpressionError(`${article(type)} is no pointer`, offset);
    const target = complete(type.target(), this.#names);
    if (target.kind === 'void') throw new ExpressionError(NO_SIZE, offset);
    if (bound.kind === 'object' && bound.object.implicit?.target)
      return { kind: 'object', object: bound.object.implicit.target };
    const place: ObjectPlace = { kind: 'memory', address: valueTree(bound, offset) };
    return { kind: 'object', object: { type: target, place } };
  }

  #index(node: Extract<Expression, { kind: 'index' }>): Bound {
    const { offset } = node;
    const base = this.bind(node.object);
    const index = this.#tree(node.index);
    if (base.kind === 'machine') return machine({ ...node, object: base.tree, index });
    const type = typeOf(base) as ProgramType;
    if (type.kind === 'array' && base.kind === 'object') return this.#element(base.object, index, offset);
    if (type.kind !== 'pointer')
      throw new ExpressionError(`${article(type)} is neither an array nor a pointer`, offset);
    const target = complete(type.target(), this.#names);
    const address = advanced(valueTree(base, offset), index, sizeOf(target, offset), '+');
    return { kind: 'object', object: { type: target, place: { kind: 'memory', address } } };
  }

  #element({ type, place }: BoundObject, index: Expression, offset: number): Bound {
    if (type.kind !== 'array') throw new ExpressionError(`${article(type)} is no array`, offset);
    const element = complete(type.element(), this.#names);
    const stride = type.stride ?? sizeOf(element, offset);
    if (place.kind === 'memory') {
      const address = advanced(place.address, index, stride, '+');
      return this.#dereferenced({ type: element, place: { kind: 'memory', address } }, offset);
    }
    if (index.kind !== 'number')
      throw new ExpressionError('this array is kept in registers: only a number can be its index', offset);
    return this.#dereferenced({ type: element, place: within(place, Number(index.value) * stride) }, offset);
  }

  #unary(node: Extract<Expression, { kind: 'unary' }>): Bound {
    const { operator, offset } = node;
    const operand = this.bind(node.operand);
    if (operand.kind === 'machine') return machine({ ...node, operand: operand.tree });
    if (operator === '*') {
      const target = this.#target(operand, offset);
      return target.kind === 'object' ? this.#dereferenced(target.object, offset) : target;
    }
    if (operator === '&') {
      const object = operand.kind === 'object' ? operand.object : undefined;
      if (object?.place.kind !== 'memory' || object.range)
        throw new ExpressionError('this value has no address', offset);
      return {
        kind: 'value',
        type: pointerTo(object.type, this.#names.wordSize),
        tree: object.place.address,
      };
    }
    return machine({ ...node, operand: valueTree(operand, offset) });
  }

  #binary(node: Extract<Expression, { kind: 'binary' }>): Bound {
    const { operator, offset } = node;
    const left = this.bind(node.left);
    const right = this.bind(node.right);
    const [leftTree, rightTree] = [valueTree(left, offset), valueTree(right, offset)];
    const [from, to] = [pointed(left), pointed(right)];
    if (operator === '+' || operator === '-') {
      if (from && to && operator === '-') {
        const bytes: Expression = { ...node, left: leftTree, right: rightTree };
        const signed: Expression = {
          kind: 'cast',
          type: { scalar: I64, pointers: 0 },
          operand: bytes,
          offset,
        };
        const size = numberTree(BigInt(sizeOf(complete(from, this.#names), offset)));
        return machine({ kind: 'binary', operator: '/', left: signed, right: size, offset });
      }
      const type = pointerTo(from ?? to ?? VOID, this.#names.wordSize);
      if (from && !to)
        return { kind: 'value', type, tree: this.#advance(leftTree, rightTree, from, operator, offset) };
      if (to && !from && operator === '+')
        return { kind: 'value', type, tree: this.#advance(rightTree, leftTree, to, '+', offset) };
    }
    return machine({ ...node, left: leftTree, right: rightTree });
  }

  #advance(
    pointer: Expression,
    count: Expression,
    target: ProgramType,
    operator: '+' | '-',
    offset: number,
  ): Expression {
    return advanced(pointer, count, sizeOf(complete(target, this.#names), offset), operator);
  }

  #cast(node: Extract<Expression, { kind: 'programCast' }>): Bound {
    const { operand, offset } = node;
    const type = this.#typeOfName(node);
    const bound = this.bind(operand);
    const scalar = scalarType(type);
    if (scalar === undefined) throw new ExpressionError(`nothing can be cast to "${type.name}"`, offset);
    // A pointer keeps the address space of what was cast: it is not cut to its own width.
    const tree = valueTree(bound, offset);
    if (type.kind === 'pointer') return { kind: 'value', type, tree };
    return {
      kind: 'value',
      type,
      tree: { kind: 'cast', type: { scalar, pointers: 0 }, operand: tree, offset },
    };
  }

  #typeOfName({
    name,
    namespace,
    pointers,
    offset,
  }: Pick<Extract<Expression, { kind: 'programCast' }>, 'name' | 'namespace' | 'pointers' | 'offset'>) {
    let type = this.#names.type(name, namespace);
    if (type === undefined)
      throw new ExpressionError(
        `the program has no type "${namespace === 'plain' || namespace === 'any' ? '' : `${NAMESPACE_WORDS[namespace]} `}${name}"`,
        offset,
      );
    for (let i = 0; i < pointers; i++) type = pointerTo(type, this.#names.wordSize);
    return type;
  }

  #sizeOf(node: Extract<Expression, { kind: 'sizeof' }>): number {
    const { operand, scalar, type, offset } = node;
    if (scalar) return scalar.pointers > 0 ? this.#names.wordSize : scalar.scalar.bits / 8;
    if (type) return sizeOf(complete(this.#typeOfName({ ...type, offset }), this.#names), offset);
    const bound = this.bind(operand as Expression);
    const bare = typeOf(bound);
    if (bare === undefined) throw new ExpressionError('the size of this value is not known', offset);
    return sizeOf(complete(bare, this.#names), offset);
  }
}

const NAMESPACE_WORDS = { record: 'struct', enum: 'enum' } as const;
const NO_SIZE = 'the size is not known: cast it first, such as *(u64*)rsp, or write [rsp]:8';
const VOID: ProgramType = { kind: 'void', name: 'void', size: undefined };

function machine(tree: Expression): Bound {
  return { kind: 'machine', tree };
}

export function typeOf(bound: Bound): ProgramType | undefined {
  return bound.kind === 'object' ? bound.object.type : bound.kind === 'value' ? bound.type : undefined;
}

/** What pointer arithmetic counts in: undefined for what is no pointer. */
function pointed(bound: Bound): ProgramType | undefined {
  const type = typeOf(bound);
  return type?.kind === 'pointer' ? type.target() : type?.kind === 'array' ? type.element() : undefined;
}

function sizeOf(type: ProgramType, offset: number): number {
  // As GNU C counts.
  if (type.kind === 'void' || type.kind === 'function') return 1;
  if (type.size === undefined) throw new ExpressionError(`the size of "${type.name}" is not known`, offset);
  return type.size;
}

function advanced(pointer: Expression, count: Expression, size: number, operator: '+' | '-'): Expression {
  const { offset } = pointer;
  if (count.kind === 'number')
    return plus(pointer, BigInt.asIntN(64, count.value) * BigInt(operator === '+' ? size : -size));
  const right: Expression =
    size === 1
      ? count
      : { kind: 'binary', operator: '*', left: count, right: numberTree(BigInt(size)), offset };
  return { kind: 'binary', operator, left: pointer, right, offset };
}

export function memberObject(place: ObjectPlace, member: Member, bitOffset = member.bitOffset): BoundObject {
  const type = member.type();
  if (member.bitSize === undefined) return { type, place: within(place, bitOffset / 8) };
  return { type, place, range: { start: bitOffset, bits: member.bitSize } };
}

function constantTree(value: bigint, type: ProgramType, offset: number): Expression {
  const scalar = scalarType(type) ?? (value < 0n ? I64 : U64);
  return { kind: 'cast', type: { scalar, pointers: 0 }, operand: numberTree(value, offset), offset };
}
