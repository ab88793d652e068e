/**
 * The entries of .eh_frame and .debug_frame: common information (CIE) and frame descriptions (FDE), and
 * the index from addresses to them.
 *
 * @see DWARF 5, section 6.4.1 "Structure of Call Frame Information"
 * @see Linux Standard Base 5.0, Core Generic, section 10.6 "Exception Frames" (.eh_frame)
 */
import type { Address } from './address.ts';
import { ByteReader } from './byteReader.ts';
import type { Elf, ElfSection } from './elf.ts';
import { hex, SymbolsError } from './errors.ts';
import type { Problems } from './problems.ts';
import { type RangeIndex, RangeList } from './rangeIndex.ts';
import { I386, type RegisterNumbering, X86_64 } from './registers.ts';

export interface CommonInformation {
  readonly offset: number;
  readonly numbering: RegisterNumbering;
  readonly codeAlignment: number;
  readonly dataAlignment: number;
  /** The column of the return address. */
  readonly returnColumn: number;
  /** How addresses in frame descriptions are written (DW_EH_PE_*). */
  readonly encoding: number;
  /** Whether a description starts with the length of augmentation data. */
  readonly augmented: boolean;
  /** The code is entered by an interrupt or a signal, not by a call. */
  readonly isSignalFrame: boolean;
  /** Initial instructions. */
  readonly start: number;
  readonly end: number;
}

export interface FrameDescription {
  readonly common: CommonInformation;
  readonly low: Address;
  readonly high: Address;
  readonly start: number;
  readonly end: number;
}

/** Pointer encodings, LSB section 10.5.1: the low four bits are the format, the next three what it is relative to. */
const DW_EH_PE_absptr = 0x00;
const DW_EH_PE_uleb128 = 0x01;
const DW_EH_PE_udata2 = 0x02;
const DW_EH_PE_udata4 = 0x03;
const DW_EH_PE_udata8 = 0x04;
const DW_EH_PE_sleb128 = 0x09;
const DW_EH_PE_sdata2 = 0x0a;
const DW_EH_PE_sdata4 = 0x0b;
const DW_EH_PE_sdata8 = 0x0c;
const DW_EH_PE_pcrel = 0x10;
const DW_EH_PE_textrel = 0x20;
const DW_EH_PE_datarel = 0x30;
const DW_EH_PE_omit = 0xff;

/** Return address columns tell the machine, also where the container is that of another one. */
const NUMBERINGS: Readonly<Record<number, RegisterNumbering>> = { 16: X86_64, 8: I386 };

export class CallFrameSection {
  readonly name: string;
  private readonly elf: Elf;
  private readonly section: ElfSection;
  private readonly isEh: boolean;
  private bytes: Uint8Array | undefined;
  private readonly problems: Problems;
  private readonly commons = new Map<number, CommonInformation>();
  private index: RangeIndex | undefined;

  constructor(elf: Elf, section: ElfSection, isEh: boolean, problems: Problems) {
    this.elf = elf;
    this.section = section;
    this.isEh = isEh;
    this.problems = problems;
    this.name = `${elf.path}: ${elf.nameOf(section)}`;
  }

  find(address: Address): FrameDescription | undefined {
    this.index ??= this.buildIndex();
    const offset = this.index.find(address);
    return offset < 0 ? undefined : this.description(offset);
  }

  /** All descriptions, in order of address. */
  *all(): Generator<FrameDescription> {
    this.index ??= this.buildIndex();
    for (const offset of this.index.values) {
      const description = this.description(offset);
      if (description) yield description;
    }
  }

  reader(start = 0, end?: number): ByteReader {
    this.bytes ??= this.elf.contents(this.section);
    return new ByteReader(this.name, this.bytes, start, end);
  }

  /** An address written in an encoding; relative ones are made absolute. */
  address(reader: ByteReader, encoding: number, wordSize: 4 | 8): Address {
    const at = this.section.address + reader.position;
    const value = this.encoded(reader, encoding & 0x0f, wordSize);
    return this.wrap(value + this.baseOf(encoding, at), wordSize);
  }

  private buildIndex(): RangeIndex {
    const list = new RangeList();
    const reader = this.reader();
    this.problems.attempt(() => {
      while (!reader.done) {
        const offset = reader.position;
        const entry = this.entry(offset);
        if (entry && !entry.isCommon)
          this.problems.attempt(() => {
            const description = this.description(offset);
            if (description && this.elf.sectionAt(description.low))
              list.add(description.low, description.high, offset);
          });
        reader.seek(entry ? entry.end : offset + 4);
      }
    });
    return list.index();
  }

  /** What kind of entry starts at an offset; undefined for the zero that ends .eh_frame. */
  private entry(
    offset: number,
  ): { reader: ByteReader; end: number; isCommon: boolean; common: number } | undefined {
    const reader = this.reader(offset);
    let length = reader.u32();
    if (length === 0) return undefined;
    const is64 = length === 0xffff_ffff;
    if (is64) length = reader.u64();
    const end = reader.position + length;
    if (!(end <= reader.end))
      throw new SymbolsError(
        'damagedDebugInfo',
        `${this.name}: the entry at ${hex(offset)} reaches beyond the section`,
      );
    reader.end = end;
    const at = reader.position;
    // In .eh_frame the CIE is found by its distance from this field, and the field has 4 bytes always.
    if (this.isEh) {
      const distance = reader.u32();
      return { reader, end, isCommon: distance === 0, common: at - distance };
    }
    const common = reader.unsigned(is64 ? 8 : 4);
    return { reader, end, isCommon: common === (is64 ? 2 ** 64 : 0xffff_ffff), common };
  }

  private description(offset: number): FrameDescription | undefined {
    const entry = this.entry(offset);
    if (!entry || entry.isCommon) return undefined;
    const { reader, end } = entry;
    const common = this.common(entry.common);
    const { wordSize } = common.numbering;
    const low = this.address(reader, common.encoding, wordSize);
    const size = this.encoded(reader, common.encoding & 0x07 || DW_EH_PE_absptr, wordSize);
    if (common.augmented) reader.skip(reader.uleb());
    return { common, low, high: low + size, start: reader.position, end };
  }

  private common(offset: number): CommonInformation {
    let common = this.commons.get(offset);
    if (!common) {
      common = this.readCommon(offset);
      this.commons.set(offset, common);
    }
    return common;
  }

  private readCommon(offset: number): CommonInformation {
    const entry = this.entry(offset);
    if (!entry?.isCommon)
      throw new SymbolsError(
        'damagedDebugInfo',
        `${this.name} has no common information entry at ${hex(offset)}`,
      );
    const { reader, end } = entry;
    const version = reader.u8();
    if (version !== 1 && version !== 3 && version !== 4)
      throw new SymbolsError(
        'unsupportedDebugInfo',
        `${this.name}: the entry at ${hex(offset)} has version ${version}`,
      );
    const augmentation = reader.string();
    if (version === 4) reader.skip(2);
    const codeAlignment = reader.uleb();
    const dataAlignment = reader.sleb();
    const returnColumn = version === 1 ? reader.u8() : reader.uleb();
    const numbering = NUMBERINGS[returnColumn];
    if (!numbering)
      throw new SymbolsError(
        'unsupportedDebugInfo',
        `${this.name}: the entry at ${hex(offset)} has return address column ${returnColumn}, not that of x86`,
      );
    let encoding = DW_EH_PE_absptr;
    let isSignalFrame = false;
    const augmented = augmentation.startsWith('z');
    if (augmented) {
      const size = reader.uleb();
      const start = reader.position + size;
      for (const letter of augmentation.slice(1)) {
        if (letter === 'R') encoding = reader.u8();
        else if (letter === 'S') isSignalFrame = true;
        else if (letter === 'L') reader.u8();
        else if (letter === 'P') {
          const personality = reader.u8();
          if (personality !== DW_EH_PE_omit) this.encoded(reader, personality & 0x0f, numbering.wordSize);
        }
        // The length says where unknown augmentations end.
        else break;
      }
      reader.seek(start);
    }
    // Without augmentation data the letters are all there is; assemblers write them so into .debug_frame.
    else if (augmentation === 'S') isSignalFrame = true;
    else if (augmentation !== '')
      throw new SymbolsError(
        'unsupportedDebugInfo',
        `${this.name}: augmentation "${augmentation}" at ${hex(offset)}`,
      );
    return {
      offset,
      numbering,
      codeAlignment,
      dataAlignment,
      returnColumn,
      encoding,
      augmented,
      isSignalFrame,
      start: reader.position,
      end,
    };
  }

  private encoded(reader: ByteReader, format: number, wordSize: 4 | 8): number {
    switch (format) {
      case DW_EH_PE_absptr:
        return reader.address(wordSize);
      case DW_EH_PE_uleb128:
        return reader.ulebAddress();
      case DW_EH_PE_sleb128:
        return reader.sleb();
      case DW_EH_PE_udata2:
        return reader.u16();
      case DW_EH_PE_udata4:
        return reader.u32();
      case DW_EH_PE_udata8:
      case DW_EH_PE_sdata8:
        return reader.address(8);
      case DW_EH_PE_sdata2:
        return reader.i16();
      case DW_EH_PE_sdata4:
        return reader.i32();
      default:
        throw new SymbolsError('unsupportedDebugInfo', `${this.name}: pointer encoding ${hex(format)}`);
    }
  }

  private baseOf(encoding: number, at: Address): Address {
    switch (encoding & 0xf0) {
      case 0:
        return 0;
      case DW_EH_PE_pcrel:
        return at;
      case DW_EH_PE_textrel:
        return this.elf.section('.text')?.address ?? 0;
      case DW_EH_PE_datarel:
        return this.elf.section('.got')?.address ?? 0;
      default:
        throw new SymbolsError('unsupportedDebugInfo', `${this.name}: pointer encoding ${hex(encoding)}`);
    }
  }

  private wrap(address: Address, wordSize: 4 | 8): Address {
    return wordSize === 4 ? address >>> 0 : address;
  }
}
