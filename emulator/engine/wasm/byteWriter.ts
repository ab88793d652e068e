/** An append-only byte buffer with LEB128 and instruction helpers. Knows bytes, not x86. */
import type { SimdName } from '../../isa/vector/simd.ts';
import { SIMD } from '../../isa/vector/simd.ts';
import type { OpName } from './opcodes.ts';
import { OP } from './opcodes.ts';

export class ByteWriter {
  #bytes: Uint8Array;
  #length = 0;

  constructor(capacity = 1024) {
    this.#bytes = new Uint8Array(capacity);
  }

  get length(): number {
    return this.#length;
  }

  /** A view of what was written; valid until the next write. */
  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  clear(): void {
    this.#length = 0;
  }

  u8(value: number): this {
    if (this.#length === this.#bytes.length) this.#grow(1);
    this.#bytes[this.#length++] = value;
    return this;
  }

  raw(bytes: ArrayLike<number>): this {
    if (this.#length + bytes.length > this.#bytes.length) this.#grow(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
    return this;
  }

  /** Unsigned LEB128 of an unsigned 32-bit number. */
  u32(value: number): this {
    let rest = value >>> 0;
    while (rest > 0x7f) {
      this.u8((rest & 0x7f) | 0x80);
      rest >>>= 7;
    }
    return this.u8(rest);
  }

  /** Signed LEB128 of a signed 32-bit number. */
  s32(value: number): this {
    let rest = value | 0;
    for (;;) {
      const byte = rest & 0x7f;
      rest >>= 7;
      if ((rest === 0 && (byte & 0x40) === 0) || (rest === -1 && (byte & 0x40) !== 0)) return this.u8(byte);
      this.u8(byte | 0x80);
    }
  }

  /** Signed LEB128 of a 64-bit value. */
  s64(value: bigint): this {
    let rest = BigInt.asIntN(64, value);
    if (rest >= -0x8000_0000n && rest <= 0x7fff_ffffn) return this.s32(Number(rest));
    for (;;) {
      const byte = Number(rest & 0x7fn);
      rest >>= 7n;
      if ((rest === 0n && (byte & 0x40) === 0) || (rest === -1n && (byte & 0x40) !== 0)) return this.u8(byte);
      this.u8(byte | 0x80);
    }
  }

  /** A name: length and UTF-8 bytes; names here are ASCII. */
  name(text: string): this {
    this.u32(text.length);
    for (let i = 0; i < text.length; i++) this.u8(text.charCodeAt(i));
    return this;
  }

  op(name: OpName): this {
    return this.u8(OP[name]);
  }

  localGet(index: number): this {
    return this.u8(OP.local_get).u32(index);
  }

  localSet(index: number): this {
    return this.u8(OP.local_set).u32(index);
  }

  localTee(index: number): this {
    return this.u8(OP.local_tee).u32(index);
  }

  i32Const(value: number): this {
    return this.u8(OP.i32_const).s32(value);
  }

  i64Const(value: bigint): this {
    return this.u8(OP.i64_const).s64(value);
  }

  /** A load or store with its static offset; alignment hints are left at 1 byte. */
  memory(name: OpName, offset: number): this {
    return this.u8(OP[name]).u8(0).u32(offset);
  }

  /** An instruction on vectors with its lane numbers, shuffle or constant bytes. */
  simd(name: SimdName, bytes: readonly number[] = []): this {
    return this.u8(0xfd).u32(SIMD[name]).raw(bytes);
  }

  simdMemory(name: 'v128_load' | 'v128_store', offset: number): this {
    return this.simd(name).u8(0).u32(offset);
  }

  /** Takes destination, source and length; they may overlap. */
  memoryCopy(): this {
    return this.u8(0xfc).u32(10).u8(0).u8(0);
  }

  call(functionIndex: number): this {
    return this.u8(OP.call).u32(functionIndex);
  }

  #grow(need: number): void {
    const bigger = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + need + 64));
    bigger.set(this.bytes());
    this.#bytes = bigger;
  }
}
