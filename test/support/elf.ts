/** Builds small ELF files for tests: header, program headers, segments. */
export interface TestSegment {
  readonly physicalAddress: number;
  readonly virtualAddress?: bigint;
  readonly bytes: Uint8Array;
  readonly memorySize?: number;
  /** Program header type, PT_LOAD when absent. */
  readonly type?: number;
}

export interface TestElf {
  readonly bits: 32 | 64;
  readonly entry: bigint;
  readonly segments: readonly TestSegment[];
  readonly machine?: number;
  readonly type?: number;
}

const EM_386 = 3;
const EM_X86_64 = 62;
const ET_EXEC = 2;

/** The first segment's bytes start at file offset 0x1000, the others follow page by page. */
export function buildElf({ bits, entry, segments, machine, type = ET_EXEC }: TestElf): Uint8Array {
  const offsets: number[] = [];
  let end = 0x1000;
  for (const { bytes } of segments) {
    offsets.push(end);
    end += Math.ceil(Math.max(1, bytes.length) / 0x1000) * 0x1000;
  }
  const last = segments.length - 1;
  const file = new Uint8Array(last < 0 ? 0x1000 : offsets[last] + segments[last].bytes.length);
  const view = new DataView(file.buffer);
  const wide = bits === 64;
  file.set([0x7f, 0x45, 0x4c, 0x46, wide ? 2 : 1, 1, 1]);
  const u16 = (at: number, value: number) => view.setUint16(at, value, true);
  const u32 = (at: number, value: number) => view.setUint32(at, value, true);
  const word = (at: number, value: bigint | number) =>
    wide ? view.setBigUint64(at, BigInt(value), true) : u32(at, Number(BigInt(value) & 0xffff_ffffn));
  u16(0x10, type);
  u16(0x12, machine ?? (wide ? EM_X86_64 : EM_386));
  u32(0x14, 1);
  word(0x18, entry);
  const headerSize = wide ? 0x40 : 0x34;
  const entrySize = wide ? 0x38 : 0x20;
  word(wide ? 0x20 : 0x1c, headerSize);
  u16(wide ? 0x34 : 0x28, headerSize);
  u16(wide ? 0x36 : 0x2a, entrySize);
  u16(wide ? 0x38 : 0x2c, segments.length);
  for (const [index, segment] of segments.entries()) {
    const at = headerSize + index * entrySize;
    const virtualAddress = segment.virtualAddress ?? BigInt(segment.physicalAddress);
    const memorySize = segment.memorySize ?? segment.bytes.length;
    u32(at, segment.type ?? 1);
    word(at + (wide ? 0x08 : 0x04), offsets[index]);
    word(at + (wide ? 0x10 : 0x08), virtualAddress);
    word(at + (wide ? 0x18 : 0x0c), segment.physicalAddress);
    word(at + (wide ? 0x20 : 0x10), segment.bytes.length);
    word(at + (wide ? 0x28 : 0x14), memorySize);
    file.set(segment.bytes, offsets[index]);
  }
  return file;
}

/** A Multiboot 1 header with these flags and, for bit 16, address fields. */
export function multibootHeader(flags: number, addressFields: readonly number[] = []): Uint8Array {
  const words = [0x1bad_b002, flags, -(0x1bad_b002 + flags) >>> 0, ...addressFields];
  const bytes = new Uint8Array(words.length * 4);
  const view = new DataView(bytes.buffer);
  for (const [index, value] of words.entries()) view.setUint32(index * 4, value, true);
  return bytes;
}
