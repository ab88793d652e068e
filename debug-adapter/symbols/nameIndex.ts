/**
 * From names to numbers (symbols, DIEs) without decoding a name: a chained hash table over the bytes of
 * the string sections. A hash may be shared by several names, so who asks compares the bytes.
 */
export class NameIndex {
  private heads: Int32Array;
  private next: Int32Array = new Int32Array(64);
  private hashes: Uint32Array = new Uint32Array(64);
  private values: Uint32Array = new Uint32Array(64);
  length = 0;

  constructor() {
    this.heads = new Int32Array(64).fill(-1);
  }

  add(hash: number, value: number): void {
    if (this.length === this.next.length) this.grow();
    this.hashes[this.length] = hash;
    this.values[this.length] = value;
    const bucket = hash & (this.heads.length - 1);
    this.next[this.length] = this.heads[bucket];
    this.heads[bucket] = this.length++;
  }

  /** The values of a hash in the order they were added. */
  find(hash: number): number[] {
    const found: number[] = [];
    for (let i = this.heads[hash & (this.heads.length - 1)]; i >= 0; i = this.next[i])
      if (this.hashes[i] === hash) found.push(this.values[i]);
    return found.reverse();
  }

  /** Everything in the index, in the order it was added. */
  entries(): Uint32Array {
    return this.values.subarray(0, this.length);
  }

  private grow(): void {
    const size = this.length * 2;
    const hashes = new Uint32Array(size);
    hashes.set(this.hashes);
    const values = new Uint32Array(size);
    values.set(this.values);
    this.hashes = hashes;
    this.values = values;
    this.next = new Int32Array(size);
    this.heads = new Int32Array(size).fill(-1);
    for (let i = 0; i < this.length; i++) {
      const bucket = hashes[i] & (size - 1);
      this.next[i] = this.heads[bucket];
      this.heads[bucket] = i;
    }
  }
}

/** Bytes of a name that are hashed: a hostile file must not make hashing slow. */
const HASHED = 64;

/** FNV-1a over the start of a zero-terminated name. */
export function hashOfName(bytes: Uint8Array, start: number): number {
  let hash = 0x811c9dc5;
  const limit = Math.min(bytes.length, start + HASHED);
  for (let i = start; i < limit; i++) {
    const byte = bytes[i];
    if (byte === 0) break;
    hash = Math.imul(hash ^ byte, 0x01000193);
  }
  return hash >>> 0;
}
