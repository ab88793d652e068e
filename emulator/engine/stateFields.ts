/** Fields of the CPU state in generated code. */
import type { FunctionBuilder } from './wasm/functionBuilder.ts';

/** Pushes a 4-byte CPU field. */
export function pushField32(fn: FunctionBuilder, offset: number): void {
  fn.code.i32Const(0).memory('i32_load', offset);
}

/** Pushes an 8-byte CPU field. */
export function pushField64(fn: FunctionBuilder, offset: number): void {
  fn.code.i32Const(0).memory('i64_load', offset);
}

/** Stores an i32 in a CPU field. */
export function storeField32(fn: FunctionBuilder, offset: number, push: () => void): void {
  fn.code.i32Const(0);
  push();
  fn.code.memory('i32_store', offset);
}

/** Stores an i64 in a CPU field. */
export function storeField64(fn: FunctionBuilder, offset: number, push: () => void): void {
  fn.code.i32Const(0);
  push();
  fn.code.memory('i64_store', offset);
}
