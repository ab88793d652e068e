/**
 * Where an object of the program is, as trees that an evaluator computes: in memory, or scattered over registers
 * and constants by an optimizer. A scalar in it becomes a tree that reads and can be assigned to.
 */
import type { Expression } from './ast.ts';
import { ExpressionError } from './errors.ts';
import { type ScalarType, unsignedType } from './values.ts';

/** The next `bits` of an object: those of a value from bit `offset` on; without a tree they were optimized away. */
export interface ObjectPart {
  readonly bits: number;
  readonly offset: number;
  readonly tree: Expression | undefined;
}

export type ObjectPlace =
  | { readonly kind: 'memory'; readonly address: Expression }
  | { readonly kind: 'parts'; readonly parts: readonly ObjectPart[] };

/** Bits of an object: where they start and how many there are. */
export interface BitRange {
  readonly start: number;
  readonly bits: number;
}

export function numberTree(value: bigint, offset = 0): Expression {
  return { kind: 'number', value: BigInt.asUintN(64, value), offset };
}

export function plus(tree: Expression, count: bigint): Expression {
  if (count === 0n) return tree;
  if (tree.kind === 'number') return numberTree(tree.value + count, tree.offset);
  const operator = count < 0n ? '-' : '+';
  const right = numberTree(count < 0n ? -count : count);
  return { kind: 'binary', operator, left: tree, right, offset: tree.offset };
}

/** The object `bytes` into another one. */
export function within(place: ObjectPlace, bytes: number): ObjectPlace {
  if (place.kind === 'memory') return { kind: 'memory', address: plus(place.address, BigInt(bytes)) };
  return { kind: 'parts', parts: slice(place.parts, bytes * 8, Number.POSITIVE_INFINITY) };
}

/** The tree of a scalar: what it evaluates to has the type, and is the place to assign to. */
export function loadTree(place: ObjectPlace, range: BitRange, type: ScalarType, offset: number): Expression {
  if (place.kind === 'parts') return heldTree(place.parts, range, type, offset);
  const isWhole = range.start % 8 === 0 && range.bits === type.bits;
  if (isWhole) return memoryTree(plus(place.address, BigInt(range.start / 8)), type, offset);
  const unit = storageUnit(range);
  if (unit === undefined) throw new ExpressionError('this bit-field spans more than 8 bytes', offset);
  const operand = memoryTree(plus(place.address, BigInt(unit.start / 8)), unsignedType(unit.bits), offset);
  return { kind: 'bits', operand, shift: range.start - unit.start, bits: range.bits, type, offset };
}

function memoryTree(address: Expression, type: ScalarType, offset: number): Expression {
  const operand: Expression = { kind: 'cast', type: { scalar: type, pointers: 1 }, operand: address, offset };
  return { kind: 'unary', operator: '*', operand, offset };
}

/** The smallest aligned word that holds all bits of a range, or 8 bytes from its first byte on. */
function storageUnit({ start, bits }: BitRange): BitRange | undefined {
  for (const size of [8, 16, 32, 64]) {
    const first = Math.floor(start / size) * size;
    if (start + bits <= first + size) return { start: first, bits: size };
  }
  const first = Math.floor(start / 8) * 8;
  return start + bits <= first + 64 ? { start: first, bits: 64 } : undefined;
}

function slice(parts: readonly ObjectPart[], start: number, bits: number): ObjectPart[] {
  const found: ObjectPart[] = [];
  let at = 0;
  for (const part of parts) {
    const from = Math.max(at, start);
    const to = Math.min(at + part.bits, start + bits);
    if (from < to) found.push({ ...part, bits: to - from, offset: part.offset + from - at });
    at += part.bits;
  }
  return found;
}

function heldTree(
  parts: readonly ObjectPart[],
  { start, bits }: BitRange,
  type: ScalarType,
  offset: number,
): Expression {
  const found = slice(parts, start, bits);
  const trees = found.map(({ tree, offset: shift, bits: width }): Expression => {
    if (tree === undefined) throw new ExpressionError('optimized out', offset);
    return { kind: 'bits', operand: tree, shift, bits: width, type: unsignedType(width), offset };
  });
  if (found.reduce((sum, part) => sum + part.bits, 0) < bits)
    throw new ExpressionError('optimized out', offset);
  if (trees.length === 1) return { ...(trees[0] as Extract<Expression, { kind: 'bits' }>), type };
  let position = 0;
  let whole = numberTree(0n, offset);
  trees.forEach((tree, index) => {
    const shifted: Expression = {
      kind: 'binary',
      operator: '<<',
      left: tree,
      right: numberTree(BigInt(position)),
      offset,
    };
    whole = { kind: 'binary', operator: '|', left: whole, right: shifted, offset };
    position += found[index].bits;
  });
  return { kind: 'bits', operand: whole, shift: 0, bits, type, offset };
}
