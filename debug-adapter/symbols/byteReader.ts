import { type Address, addressOfHalves } from './address.ts';
import { hex, SymbolsError } from './errors.ts';
import { decodeText, endOfString } from './text.ts';

/**
 * A position in little-endian bytes. Each read is checked against the end, so that whatever a file says,
 * reading past its data is one clear error. Not for bytes outside the given section: positions are
 * relative to it, and messages name it.
 */
export class ByteReader {
  readonly name: string;
  readonly bytes: Uint8Array;
  position: number;
  end: number;
  private readonly view: DataView;

  constructor(name: string, bytes: Uint8Array, position = 0, end = bytes.length) {
    this.name = name;
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.position = position;
    this.end = end;
    if (!(end <= bytes.length)) this.truncated(end);
    if (!(position >= 0 && position <= end)) this.truncated(position);
  }

  get done(): boolean {
    return this.position >= this.end;
  }

  /** Moves to an offset of the section. */
  seek(position: number): void {
    if (!(position >= 0 && position <= this.end)) this.truncated(position);
    this.position = position;
  }

  skip(count: number): void {
    this.seek(this.position + count);
  }

  u8(): number {
    if (this.position >= this.end) this.truncated();
    return this.bytes[this.position++];
  }

  i8(): number {
    return (this.u8() << 24) >> 24;
  }

  u16(): number {
    return this.view.getUint16(this.take(2), true);
  }

  i16(): number {
    return this.view.getInt16(this.take(2), true);
  }

  u24(): number {
    const at = this.take(3);
    return this.bytes[at] | (this.bytes[at + 1] << 8) | (this.bytes[at + 2] << 16);
  }

  u32(): number {
    return this.view.getUint32(this.take(4), true);
  }

  i32(): number {
    return this.view.getInt32(this.take(4), true);
  }

  /** Exact up to 2^53; beyond it only good for being refused as an offset or a size. */
  u64(): number {
    const at = this.take(8);
    return this.view.getUint32(at + 4, true) * 0x1_0000_0000 + this.view.getUint32(at, true);
  }

  /** Exact within ±2^53. */
  i64(): number {
    const at = this.take(8);
    return this.view.getInt32(at + 4, true) * 0x1_0000_0000 + this.view.getUint32(at, true);
  }

  bigU64(): bigint {
    return this.view.getBigUint64(this.take(8), true);
  }

  /** An unsigned integer of 1, 2, 4 or 8 bytes. */
  unsigned(size: number): number {
    switch (size) {
      case 1:
        return this.u8();
      case 2:
        return this.u16();
      case 4:
        return this.u32();
      default:
        return this.u64();
    }
  }

  /** An address of 4 or 8 bytes. */
  address(size: number): Address {
    if (size === 4) return this.u32();
    const at = this.take(8);
    return addressOfHalves(this.view.getUint32(at, true), this.view.getUint32(at + 4, true));
  }

  /** LEB128, DWARF 5 section 7.6. Exact up to 2^53. */
  uleb(): number {
    let byte = this.u8();
    if (byte < 0x80) return byte;
    let value = byte & 0x7f;
    let scale = 128;
    do {
      byte = this.u8();
      if (scale < 2 ** 70) value += (byte & 0x7f) * scale;
      scale *= 128;
    } while (byte >= 0x80);
    return value;
  }

  /** Signed LEB128. Exact within ±2^53. */
  sleb(): number {
    let value = 0;
    let scale = 1;
    let byte: number;
    do {
      byte = this.u8();
      if (scale < 2 ** 70) {
        value += (byte & 0x7f) * scale;
        scale *= 128;
      }
    } while (byte >= 0x80);
    return byte & 0x40 ? value - scale : value;
  }

  /** Unsigned LEB128 modulo 2^64. */
  bigUleb(): bigint {
    let value = 0n;
    let shift = 0n;
    let byte: number;
    do {
      byte = this.u8();
      if (shift < 64n) value |= BigInt(byte & 0x7f) << shift;
      shift += 7n;
    } while (byte >= 0x80);
    return BigInt.asUintN(64, value);
  }

  /** Signed LEB128 modulo 2^64. */
  bigSleb(): bigint {
    let value = 0n;
    let shift = 0n;
    let byte: number;
    do {
      byte = this.u8();
      if (shift < 70n) {
        value |= BigInt(byte & 0x7f) << shift;
        shift += 7n;
      }
    } while (byte >= 0x80);
    return BigInt.asIntN(64, byte & 0x40 ? value - (1n << shift) : value);
  }

  skipLeb(): void {
    while (this.u8() >= 0x80);
  }

  /** An address in LEB128. */
  ulebAddress(): Address {
    const start = this.position;
    const value = this.uleb();
    if (value <= Number.MAX_SAFE_INTEGER) return value;
    this.position = start;
    const wide = this.bigUleb();
    return addressOfHalves(Number(wide & 0xffff_ffffn), Number(wide >> 32n));
  }

  /** Moves past a zero-terminated string and gives where it started. */
  skipString(): number {
    const start = this.position;
    const end = endOfString(this.bytes, start, this.end);
    if (end < 0) this.truncated();
    this.position = end + 1;
    return start;
  }

  string(): string {
    const start = this.skipString();
    return decodeText(this.bytes, start, this.position - 1);
  }

  private take(size: number): number {
    const at = this.position;
    if (at + size > this.end) this.truncated();
    this.position = at + size;
    return at;
  }

  private truncated(at = this.position): never {
    const where = this.bytes.length === 0 ? 'is missing or empty' : `ends before ${hex(at)} can be read`;
    throw new SymbolsError('damagedFile', `${this.name} ${where}`);
  }
}
