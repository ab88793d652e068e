/**
 * The container: ELF header, section and program headers, section contents. Little-endian x86 and
 * x86-64, 32-bit and 64-bit containers (64-bit kernels are often wrapped in ELF32 for Multiboot).
 * Contents are looked at when asked for; what a header claims is checked against the file first.
 *
 * @see System V Application Binary Interface, gABI 4.1, chapter 4 "Object Files", chapter 5 "Program Loading"
 */
import type { Address } from './address.ts';
import { ByteReader } from './byteReader.ts';
import {
  ELFCLASS32,
  ELFCLASS64,
  ELFCOMPRESS_ZLIB,
  ELFDATA2LSB,
  EM_386,
  EM_X86_64,
  PN_XNUM,
  SHF_ALLOC,
  SHF_COMPRESSED,
  SHF_TLS,
  SHN_XINDEX,
  SHT_NOBITS,
} from './elfConstants.ts';
import { hex, SymbolsError } from './errors.ts';
import { type RangeIndex, RangeList } from './rangeIndex.ts';
import { decodeText, encodeText, endOfString, equalsText } from './text.ts';

/** Unpacks a zlib stream (RFC 1950) that must give exactly `size` bytes, and never makes more than that. */
export type Inflate = (compressed: Uint8Array, size: number) => Uint8Array;

export interface SymbolFile {
  readonly path: string;
  readonly bytes: Uint8Array;
}

export interface ElfSection {
  readonly index: number;
  readonly nameOffset: number;
  readonly type: number;
  readonly flags: number;
  readonly address: Address;
  readonly offset: number;
  readonly size: number;
  readonly link: number;
  readonly info: number;
  readonly entrySize: number;
}

export interface ElfSegment {
  readonly type: number;
  readonly flags: number;
  readonly offset: number;
  readonly virtualAddress: Address;
  readonly physicalAddress: Address;
  readonly fileSize: number;
  readonly memorySize: number;
}

/** Deflate cannot pack better than this (RFC 1951: 258 bytes from 2 bits): a larger claim is false. */
const DEFLATE_LIMIT = 1032;

export class Elf {
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly is64: boolean;
  readonly type: number;
  readonly machine: number;
  readonly entry: Address;
  readonly sections: readonly ElfSection[];
  readonly segments: readonly ElfSegment[];
  private readonly inflate: Inflate;
  private readonly nameTable: Uint8Array;
  private readonly inflated = new Map<number, Uint8Array>();
  private allocatedRanges: RangeIndex | undefined;

  constructor(file: SymbolFile, inflate: Inflate) {
    this.path = file.path;
    this.bytes = file.bytes;
    this.inflate = inflate;
    const reader = new ByteReader(`${file.path}: ELF header`, file.bytes);
    this.is64 = this.checkIdentification();
    reader.seek(16);
    this.type = reader.u16();
    this.machine = reader.u16();
    if (this.machine !== EM_386 && this.machine !== EM_X86_64)
      throw new SymbolsError(
        'unsupportedFile',
        `${this.path} is for ELF machine ${this.machine}, not for x86`,
      );
    reader.u32();
    this.entry = reader.address(this.wordSize);
    const segmentTable = reader.unsigned(this.wordSize);
    const sectionTable = reader.unsigned(this.wordSize);
    reader.u32();
    reader.u16();
    const segmentEntry = reader.u16();
    const segmentCount = reader.u16();
    const sectionEntry = reader.u16();
    const sectionCount = reader.u16();
    const nameTableIndex = reader.u16();

    // Numbers too large for the header are in section 0 ("extended section numbering").
    const first = sectionTable === 0 ? undefined : this.readSections(sectionTable, sectionEntry, 1)[0];
    this.sections = first
      ? this.readSections(sectionTable, sectionEntry, sectionCount === 0 ? first.size : sectionCount)
      : [];
    this.segments = this.readSegments(
      segmentTable,
      segmentEntry,
      segmentCount === PN_XNUM && first ? first.info : segmentCount,
    );
    const names = this.sections[nameTableIndex === SHN_XINDEX && first ? first.link : nameTableIndex];
    this.nameTable = names ? this.fileBytes(names, 'section names') : new Uint8Array(0);
  }

  /** Bytes of an address or offset in this container. */
  get wordSize(): 4 | 8 {
    return this.is64 ? 8 : 4;
  }

  nameOf(section: ElfSection): string {
    const end =
      section.nameOffset < this.nameTable.length ? endOfString(this.nameTable, section.nameOffset) : -1;
    return end < 0 ? `section ${section.index}` : decodeText(this.nameTable, section.nameOffset, end);
  }

  /** The first section of that name that has contents in this file. */
  section(name: string): ElfSection | undefined {
    const wanted = encodeText(name);
    return this.sections.find(
      (section) => section.type !== SHT_NOBITS && equalsText(this.nameTable, section.nameOffset, wanted),
    );
  }

  /** What a section holds, decompressed if need be. */
  contents(section: ElfSection): Uint8Array {
    if (section.type === SHT_NOBITS) return new Uint8Array(0);
    if ((section.flags & SHF_COMPRESSED) === 0) return this.fileBytes(section, this.nameOf(section));
    let contents = this.inflated.get(section.index);
    if (!contents) {
      contents = this.decompress(section);
      this.inflated.set(section.index, contents);
    }
    return contents;
  }

  reader(section: ElfSection): ByteReader {
    return new ByteReader(`${this.path}: ${this.nameOf(section)}`, this.contents(section));
  }

  /** The section an address of the running program is in. */
  sectionAt(address: Address): ElfSection | undefined {
    if (!this.allocatedRanges) {
      const ranges = new RangeList();
      for (const section of this.sections)
        if ((section.flags & SHF_ALLOC) !== 0 && (section.flags & SHF_TLS) === 0)
          ranges.add(section.address, section.address + section.size, section.index);
      this.allocatedRanges = ranges.index();
    }
    const index = this.allocatedRanges.find(address);
    return index < 0 ? undefined : this.sections[index];
  }

  private checkIdentification(): boolean {
    const { bytes, path } = this;
    const magic = [0x7f, 0x45, 0x4c, 0x46];
    if (magic.some((byte, i) => bytes[i] !== byte))
      throw new SymbolsError('notElf', `${path} is not an ELF file`);
    if (bytes[4] !== ELFCLASS32 && bytes[4] !== ELFCLASS64)
      throw new SymbolsError('damagedFile', `${path} has the unknown ELF class ${bytes[4]}`);
    if (bytes[5] !== ELFDATA2LSB) throw new SymbolsError('unsupportedFile', `${path} is not little-endian`);
    return bytes[4] === ELFCLASS64;
  }

  private table(what: string, offset: number, entrySize: number, least: number, count: number): ByteReader {
    if (entrySize < least)
      throw new SymbolsError(
        'damagedFile',
        `${this.path}: entries of ${entrySize} bytes in the table of ${what}`,
      );
    if (!(offset + entrySize * count <= this.bytes.length))
      throw new SymbolsError(
        'damagedFile',
        `${this.path}: the table of ${count} ${what} at ${hex(offset)} reaches beyond the end of the file`,
      );
    return new ByteReader(`${this.path}: table of ${what}`, this.bytes);
  }

  private readSections(offset: number, entrySize: number, count: number): ElfSection[] {
    const reader = this.table('sections', offset, entrySize, this.is64 ? 64 : 40, count);
    const word = this.wordSize;
    const sections: ElfSection[] = [];
    for (let index = 0; index < count; index++) {
      reader.seek(offset + index * entrySize);
      const nameOffset = reader.u32();
      const type = reader.u32();
      const flags = reader.unsigned(word) & 0xffff;
      const address = reader.address(word);
      const start = reader.unsigned(word);
      const size = reader.unsigned(word);
      const link = reader.u32();
      const info = reader.u32();
      reader.unsigned(word);
      const entry = reader.unsigned(word);
      sections.push({
        index,
        nameOffset,
        type,
        flags,
        address,
        offset: start,
        size,
        link,
        info,
        entrySize: entry,
      });
    }
    return sections;
  }

  private readSegments(offset: number, entrySize: number, count: number): ElfSegment[] {
    if (count === 0) return [];
    const reader = this.table('segments', offset, entrySize, this.is64 ? 56 : 32, count);
    const word = this.wordSize;
    const segments: ElfSegment[] = [];
    for (let index = 0; index < count; index++) {
      reader.seek(offset + index * entrySize);
      const type = reader.u32();
      const earlyFlags = this.is64 ? reader.u32() : 0;
      const start = reader.unsigned(word);
      const virtualAddress = reader.address(word);
      const physicalAddress = reader.address(word);
      const fileSize = reader.unsigned(word);
      const memorySize = reader.unsigned(word);
      const flags = this.is64 ? earlyFlags : reader.u32();
      segments.push({ type, flags, offset: start, virtualAddress, physicalAddress, fileSize, memorySize });
    }
    return segments;
  }

  private fileBytes(section: ElfSection, name: string): Uint8Array {
    if (!(section.offset + section.size <= this.bytes.length))
      throw new SymbolsError(
        'damagedFile',
        `${this.path}: ${name} (${hex(section.size)} bytes at ${hex(section.offset)}) reaches beyond the end of the file`,
      );
    return this.bytes.subarray(section.offset, section.offset + section.size);
  }

  /** @see gABI 4.1, chapter 4 "Compressed sections" */
  private decompress(section: ElfSection): Uint8Array {
    const name = `${this.path}: ${this.nameOf(section)}`;
    const packed = this.fileBytes(section, this.nameOf(section));
    const header = new ByteReader(name, packed);
    const type = header.u32();
    if (this.is64) header.u32();
    const size = header.unsigned(this.wordSize);
    header.unsigned(this.wordSize);
    if (type !== ELFCOMPRESS_ZLIB)
      throw new SymbolsError(
        'compression',
        `${name} is compressed by method ${type}, of which only 1 (zlib) is supported`,
      );
    const stream = packed.subarray(header.position);
    if (!(size <= stream.length * DEFLATE_LIMIT))
      throw new SymbolsError(
        'compression',
        `${name} claims ${size} bytes in ${stream.length} compressed ones`,
      );
    let contents: Uint8Array | undefined;
    try {
      contents = this.inflate(stream, size);
    } catch {
      // What zlib reports is in its own words; the error below says what it means here.
    }
    if (contents?.length !== size) throw new SymbolsError('compression', `${name} cannot be decompressed`);
    return contents;
  }
}
