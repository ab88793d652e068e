/**
 * Arithmetic on the entries of a DWARF expression's stack. An entry has a base type or the generic type:
 * an integer of the size of an address whose sign depends on the operation.
 *
 * @see DWARF 5, section 2.5.1.4 "Arithmetic and Logical Operations", section 2.5.1.5 "Control Flow Operations"
 */
import { SymbolsError } from '../errors.ts';
import * as op from './expressionOpcodes.ts';

/** A base type; undefined is the generic type. */
export type ValueType = { readonly size: number; readonly signed: boolean } | undefined;

export interface StackValue {
  /** Unsigned, of the type's size. */
  readonly bits: bigint;
  readonly type: ValueType;
}

export class StackArithmetic {
  private readonly addressSize: number;
  private readonly nameOf: (opcode: number) => string;

  constructor(addressSize: number, nameOf: (opcode: number) => string) {
    this.addressSize = addressSize;
    this.nameOf = nameOf;
  }

  value(bits: bigint, type: ValueType): StackValue {
    return { bits: BigInt.asUintN(this.sizeOf(type) * 8, bits), type };
  }

  /** The number a value stands for; generic values count as signed. */
  signed(value: StackValue): bigint {
    return value.type?.signed === false ? value.bits : BigInt.asIntN(this.sizeOf(value.type) * 8, value.bits);
  }

  unary(opcode: number, value: StackValue): StackValue {
    const signed = this.signed(value);
    if (opcode === op.DW_OP_not) return this.value(~value.bits, value.type);
    return this.value(opcode === op.DW_OP_neg || signed < 0n ? -signed : signed, value.type);
  }

  binary(opcode: number, left: StackValue, right: StackValue): StackValue {
    return this.value(this.compute(opcode, left, right), left.type);
  }

  compare(opcode: number, left: StackValue, right: StackValue): bigint {
    this.checkTypes(opcode, left, right);
    const [a, b] = [this.signed(left), this.signed(right)];
    switch (opcode) {
      case op.DW_OP_eq:
        return a === b ? 1n : 0n;
      case op.DW_OP_ne:
        return a !== b ? 1n : 0n;
      case op.DW_OP_lt:
        return a < b ? 1n : 0n;
      case op.DW_OP_le:
        return a <= b ? 1n : 0n;
      case op.DW_OP_gt:
        return a > b ? 1n : 0n;
      default:
        return a >= b ? 1n : 0n;
    }
  }

  private compute(opcode: number, left: StackValue, right: StackValue): bigint {
    const { bits: a, type } = left;
    const { bits: b } = right;
    const width = BigInt(this.sizeOf(type) * 8);
    switch (opcode) {
      case op.DW_OP_shl:
        return b >= width ? 0n : a << b;
      case op.DW_OP_shr:
        return b >= width ? 0n : a >> b;
      case op.DW_OP_shra:
        return BigInt.asIntN(Number(width), a) >> (b >= width ? width : b);
    }
    this.checkTypes(opcode, left, right);
    switch (opcode) {
      case op.DW_OP_and:
        return a & b;
      case op.DW_OP_or:
        return a | b;
      case op.DW_OP_xor:
        return a ^ b;
      case op.DW_OP_plus:
        return a + b;
      case op.DW_OP_minus:
        return a - b;
      case op.DW_OP_mul:
        return a * b;
    }
    if (b === 0n) throw new SymbolsError('expression', `${this.nameOf(opcode)} divides by zero`);
    // Of generic values the quotient is signed and the remainder is not.
    if (opcode === op.DW_OP_div) return this.signed(left) / this.signed(right);
    return type?.signed ? this.signed(left) % this.signed(right) : a % b;
  }

  private checkTypes(opcode: number, left: StackValue, right: StackValue): void {
    if (left.type?.size !== right.type?.size || left.type?.signed !== right.type?.signed)
      throw new SymbolsError('expression', `${this.nameOf(opcode)} of values of different types`);
  }

  private sizeOf(type: ValueType): number {
    return type?.size ?? this.addressSize;
  }
}
