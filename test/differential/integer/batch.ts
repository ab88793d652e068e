/**
 * Cases and their results, and the files in which native.c reads and writes them: numbers are 64 bits, little-endian.
 *
 * Batch: counts of mappings and cases, GS.base, whether there is vector state; mappings (address, size, writable, executable, accessible, position of
 * the content in the file); cases (RIP, RFLAGS, mode, 16 registers, two pokes of address, length and 64 bytes);
 * the cases' vector state (16 × 32 bytes of YMM registers, MXCSR, x87 control, status and abridged tag words, 8 × 16 bytes of ST
 * registers).
 * Results: for each case vector, error code, CR2, RIP, RFLAGS, registers, count of changes; then the changes (address,
 * length, bytes), then the vector state.
 */
import { CODE, CODE_SIZE, contentOf, GS_BASE, PAGE, PAGES } from './layout.ts';

/** Bytes that a case puts into memory before it starts. */
export interface Poke {
  readonly address: bigint;
  readonly bytes: Uint8Array;
}

/** The state in which an instruction starts. */
export interface Case {
  readonly mode: 64 | 32;
  readonly rip: bigint;
  readonly rflags: number;
  /** Registers by number. */
  readonly gpr: readonly bigint[];
  readonly pokes: readonly Poke[];
  /** {@link VECTOR_BYTES} bytes, in all cases or none. */
  readonly vectors?: Uint8Array;
}

/** What came of it. */
export interface Result {
  /** The exception that ended the case; 3 (INT3) when the instruction was executed. */
  readonly vector: number;
  readonly errorCode: bigint;
  readonly cr2: bigint;
  readonly rip: bigint;
  /** Status flags and DF. */
  readonly rflags: number;
  readonly gpr: readonly bigint[];
  /** Bytes of memory that differ from before the pokes. */
  readonly changes: readonly Poke[];
  readonly vectors?: Uint8Array;
}

export const VECTOR_BYTES = 16 * 32 + 4 * 8 + 8 * 16;

/** Status flags and DF. */
export const FLAGS = 0xcd5;

const HEADER = 4 * 8;
const MAPPING = 6 * 8;
const POKE_BYTES = 64;
const POKE = 2 * 8 + POKE_BYTES;
const CASE = (3 + 16) * 8 + 2 * POKE;

export function writeBatch(code: Uint8Array, cases: readonly Case[]): Uint8Array {
  const pages = PAGES.map((page) => ({ ...page, content: contentOf(page) }));
  const mappings = [
    { address: CODE, access: 'read', content: code, executable: true },
    ...pages.map((page) => ({ ...page, executable: false })),
  ];
  const hasVectors = cases[0]?.vectors !== undefined;
  const perCase = CASE + (hasVectors ? VECTOR_BYTES : 0);
  const contents = HEADER + mappings.length * MAPPING + cases.length * perCase;
  const file = new Uint8Array(contents + CODE_SIZE + pages.length * PAGE);
  const view = new DataView(file.buffer);
  let at = 0;
  const put = (...values: readonly (number | bigint | boolean)[]) => {
    for (const value of values) {
      view.setBigUint64(at, BigInt.asUintN(64, BigInt(value)), true);
      at += 8;
    }
  };
  put(mappings.length, cases.length, GS_BASE, hasVectors);
  let position = contents;
  for (const { address, access, executable, content } of mappings) {
    put(address, content.length, access === 'write', executable, access !== 'none', position);
    file.set(content, position);
    position += content.length;
  }
  for (const { rip, rflags, mode, gpr, pokes } of cases) {
    put(rip, rflags, mode, ...gpr);
    for (let i = 0; i < 2; i++) {
      const poke = pokes[i];
      put(poke?.address ?? CODE, poke?.bytes.length ?? 0);
      if (poke) file.set(poke.bytes, at);
      at += POKE_BYTES;
    }
  }
  for (const { vectors } of hasVectors ? cases : []) {
    file.set(vectors as Uint8Array, at);
    at += VECTOR_BYTES;
  }
  return file;
}

export function readResults(file: Uint8Array, count: number, withVectors: boolean): Result[] {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  let at = 0;
  const take = () => {
    at += 8;
    return view.getBigUint64(at - 8, true);
  };
  return Array.from({ length: count }, (): Result => {
    const [vector, errorCode, cr2, rip, rflags] = [take(), take(), take(), take(), take()];
    const gpr = Array.from({ length: 16 }, take);
    const changes = Array.from({ length: Number(take()) }, (): Poke => {
      const address = take();
      const length = Number(take());
      at += length;
      return { address, bytes: file.slice(at - length, at) };
    });
    const result = { vector: Number(vector), errorCode, cr2, rip, rflags: Number(rflags), gpr, changes };
    if (!withVectors) return result;
    at += VECTOR_BYTES;
    return { ...result, vectors: file.slice(at - VECTOR_BYTES, at) };
  });
}
