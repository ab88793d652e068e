import { ByteReader } from '../byteReader.ts';
import type { Elf } from '../elf.ts';
import { hex, SymbolsError } from '../errors.ts';
import { decodeText, endOfString } from '../text.ts';

/** The sections DWARF 2 to 5 is spread over. A StringRef names one by its position in this list. */
const NAMES = [
  'info',
  'types',
  'line',
  'line_str',
  'str',
  'abbrev',
  'aranges',
  'ranges',
  'rnglists',
  'str_offsets',
  'addr',
  'frame',
  'loc',
  'loclists',
] as const;

export type SectionName = (typeof NAMES)[number];

/**
 * Where a string is, in one number, so that strings are compared and kept in indexes without being
 * decoded: the section's number × 2^40 + the offset. NO_STRING for what is in a file we do not have.
 */
export type StringRef = number;
export const NO_STRING: StringRef = -1;

const SECTION_UNIT = 2 ** 40;

/**
 * How often a section may be read through. Each table is read once; a file whose units all claim the same
 * large table would otherwise cost the square of its size.
 */
const MOST_READS = 8;
const FREE_READING = 65536;

export class DebugSection {
  readonly name: string;
  readonly bytes: Uint8Array;
  private readonly id: number;
  private spent = 0;

  constructor(name: string, id: number, bytes: Uint8Array) {
    this.name = name;
    this.id = id;
    this.bytes = bytes;
  }

  get length(): number {
    return this.bytes.length;
  }

  reader(position = 0, end = this.bytes.length): ByteReader {
    return new ByteReader(this.name, this.bytes, position, end);
  }

  /**
   * Reads the initial length at an offset: the reader stands behind it and ends with what it counts.
   *
   * @param what the name of what starts here, for the error when it reaches beyond the section
   * @see DWARF 5, section 7.4 "32-Bit and 64-Bit DWARF Formats"
   */
  counted(offset: number, what: string): { reader: ByteReader; offsetSize: 4 | 8 } {
    const reader = this.reader(offset);
    let length = reader.u32();
    let offsetSize: 4 | 8 = 4;
    if (length === 0xffff_ffff) {
      offsetSize = 8;
      length = reader.u64();
    }
    const end = reader.position + length;
    if (!(end <= this.length))
      throw new SymbolsError(
        'damagedDebugInfo',
        `${this.name}: the ${what} at ${hex(offset)} reaches beyond the section`,
      );
    reader.end = end;
    return { reader, offsetSize };
  }

  stringRef(offset: number): StringRef {
    return this.id * SECTION_UNIT + offset;
  }

  /** Counts bytes that an index has read, and refuses when no real file would need so many. */
  spend(count: number): void {
    this.spent += count;
    if (this.spent > this.bytes.length * MOST_READS + FREE_READING)
      throw new SymbolsError('tooComplex', `${this.name} is referred to again and again`);
  }
}

/** The debug sections of one ELF file, each looked up and decompressed when it is first used. */
export class DwarfSections {
  private readonly elf: Elf;
  private readonly loaded: (DebugSection | undefined)[] = [];

  constructor(elf: Elf) {
    this.elf = elf;
  }

  has(name: SectionName): boolean {
    return this.elf.section(`.debug_${name}`) !== undefined;
  }

  /** A missing section is an empty one: reading from it gives an error that says so. */
  get(name: SectionName): DebugSection {
    return this.at(NAMES.indexOf(name));
  }

  text(ref: StringRef): string {
    const { bytes, start, end } = this.textBytes(ref);
    return decodeText(bytes, start, end);
  }

  textBytes(ref: StringRef): { bytes: Uint8Array; start: number; end: number } {
    const { bytes, start, name } = this.textStart(ref);
    const end = start < bytes.length ? endOfString(bytes, start) : -1;
    if (end < 0) throw new SymbolsError('damagedDebugInfo', `${name} has no string at ${hex(start)}`);
    return { bytes, start, end };
  }

  /** Where a string starts; its end is not looked for. */
  textStart(ref: StringRef): { bytes: Uint8Array; start: number; name: string } {
    const id = Math.floor(ref / SECTION_UNIT);
    const section = this.at(id);
    return { bytes: section.bytes, start: ref - id * SECTION_UNIT, name: section.name };
  }

  private at(id: number): DebugSection {
    let section = this.loaded[id];
    if (!section) {
      const name = `.debug_${NAMES[id]}`;
      const found = this.elf.section(name);
      section = new DebugSection(
        `${this.elf.path}: ${name}`,
        id,
        found ? this.elf.contents(found) : new Uint8Array(0),
      );
      this.loaded[id] = section;
    }
    return section;
  }
}
