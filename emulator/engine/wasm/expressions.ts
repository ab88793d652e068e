/**
 * Writes WebAssembly functions that compute a lot as nested expressions. An expression is what pushes its value: it is written
 * where it is used, once for every use; what is needed twice is put in a local with {@link Expressions.keep}.
 */
import type { FunctionBuilder } from './functionBuilder.ts';
import type { OpName, ValueType } from './opcodes.ts';

export type Expression = () => void;

export class Expressions {
  readonly fn: FunctionBuilder;

  constructor(fn: FunctionBuilder) {
    this.fn = fn;
  }

  /** A parameter or local. */
  local(index: number): Expression {
    return () => void this.fn.code.localGet(index);
  }

  i32(value: number): Expression {
    return () => void this.fn.code.i32Const(value);
  }

  i64(value: bigint | number): Expression {
    return () => void this.fn.code.i64Const(BigInt.asIntN(64, BigInt(value)));
  }

  op(name: OpName, ...operands: Expression[]): Expression {
    return () => {
      for (const operand of operands) operand();
      this.fn.op(name);
    };
  }

  load(name: OpName, offset: number, address: Expression = this.i32(0)): Expression {
    return () => {
      address();
      this.fn.code.memory(name, offset);
    };
  }

  store(name: OpName, offset: number, value: Expression, address: Expression = this.i32(0)): void {
    address();
    value();
    this.fn.code.memory(name, offset);
  }

  call(callee: number, ...args: Expression[]): Expression {
    return () => {
      for (const argument of args) argument();
      this.fn.code.call(callee);
    };
  }

  /** Computes a value now, into a new local. */
  keep(type: ValueType, value: Expression): number {
    const local = this.fn.allocate(type);
    this.set(local, value);
    return local;
  }

  set(local: number, value: Expression): void {
    value();
    this.fn.code.localSet(local);
  }

  /** Takes results from the stack, the last one first. */
  take(...locals: number[]): void {
    for (const local of locals.reverse()) this.fn.code.localSet(local);
  }

  when(condition: Expression, then: () => void, otherwise?: () => void): void {
    condition();
    this.fn.if();
    then();
    if (otherwise) {
      this.fn.else();
      otherwise();
    }
    this.fn.end();
  }

  /** Returns the values at once. */
  give(...values: Expression[]): void {
    for (const value of values) value();
    this.fn.op('return');
  }
}
