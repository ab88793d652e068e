/**
 * SSE4A: bit fields of the low quadword, and scalar non-temporal stores. AMD's processors have it.
 *
 * AMD APM Vol. 4, "EXTRQ", "INSERTQ", "MOVNTSD", "MOVNTSS".
 */
import { APM } from '../../base/reference.ts';
import { Lanes, type VectorBody, type VectorExecution } from './execute.ts';
import { type VectorSystemRow, vectorRow } from './systemForms.ts';

const A = new Lanes();
const B = new Lanes();

interface Field {
  readonly mask: bigint;
  readonly index: bigint;
}

/** A length of 0 means 64 bits. */
function field(length: number, index: number): Field {
  return { mask: (1n << BigInt(length & 63 || 64)) - 1n, index: BigInt(index & 63) };
}

/** Length and index from the two immediates, or from two bytes of a register. */
function fieldOf(x: VectorExecution, firstByte: number): Field {
  const { instruction } = x;
  if (instruction.operandCount > 2) return field(x.immediate, instruction.farSelector);
  return field(B.u8[firstByte] as number, B.u8[firstByte + 1] as number);
}

/** Bits 127:64 of the destination are undefined: they become zero. */
function finish(x: VectorExecution, low: bigint): undefined {
  A.u64[0] = BigInt.asUintN(64, low);
  A.u64[1] = 0n;
  x.write(0, A);
}

const extract: VectorBody = (x) => {
  x.read(0, A);
  if (x.instruction.operandCount === 2) x.read(1, B);
  const { mask, index } = fieldOf(x, 0);
  return finish(x, ((A.u64[0] as bigint) >> index) & mask);
};

const insert: VectorBody = (x) => {
  x.read(0, A);
  x.read(1, B);
  const { mask, index } = fieldOf(x, 8);
  const kept = (A.u64[0] as bigint) & ~(mask << index);
  return finish(x, kept | (((B.u64[0] as bigint) & mask) << index));
};

const storeScalar =
  (bytes: 4 | 8): VectorBody =>
  (x) => {
    x.read(1, A);
    return x.write(0, A, { bytes }) ? undefined : false;
  };

// biome-ignore format: rows are read as a table
export const SSE4A_ROWS: readonly VectorSystemRow[] = [
  vectorRow('EXTRQ', [{ operands: 'v128 i8 i8', feature: 'SSE4A' }, { operands: 'v128 v128', feature: 'SSE4A' }], extract, APM('EXTRQ', 'vol. 4')),
  vectorRow('INSERTQ', [{ operands: 'v128 v128 i8 i8', feature: 'SSE4A' }, { operands: 'v128 v128', feature: 'SSE4A' }], insert, APM('INSERTQ', 'vol. 4')),
  vectorRow('MOVNTSS', [{ operands: 'm32 v128', feature: 'SSE4A' }], storeScalar(4), APM('MOVNTSS', 'vol. 4')),
  vectorRow('MOVNTSD', [{ operands: 'm64 v128', feature: 'SSE4A' }], storeScalar(8), APM('MOVNTSD', 'vol. 4')),
];
