/**
 * The ELF symbol table (.symtab, else .dynsym): which symbol an address is in, and where a name is.
 * Both indexes are built when they are first asked.
 *
 * @see System V Application Binary Interface, gABI 4.1, chapter 4 "Symbol Table"
 */
import { type Address, addressOfHalves, bigIntOfAddress } from './address.ts';
import type { Elf, ElfSection } from './elf.ts';
import {
  SHN_ABS,
  SHN_COMMON,
  SHN_UNDEF,
  SHN_XINDEX,
  SHT_DYNSYM,
  SHT_SYMTAB,
  SHT_SYMTAB_SHNDX,
  STB_GLOBAL,
  STB_GNU_UNIQUE,
  STB_WEAK,
  STT_FILE,
  STT_FUNC,
  STT_GNU_IFUNC,
  STT_NOTYPE,
  STT_OBJECT,
  STT_SECTION,
  STT_TLS,
} from './elfConstants.ts';
import { hex, SymbolsError } from './errors.ts';
import { hashOfName, NameIndex } from './nameIndex.ts';
import { type RangeIndex, RangeList } from './rangeIndex.ts';
import { decodeText, encodeText, endOfString, equalsText } from './text.ts';

export interface ElfSymbol {
  readonly name: string;
  /** Unsigned, as linked: without a load bias. */
  readonly address: bigint;
  readonly size: number;
  readonly kind: 'function' | 'object' | 'label' | 'absolute';
  readonly binding: 'local' | 'global' | 'weak';
}

/** Where the fields of an entry are: Elf32_Sym, Elf64_Sym. */
const LAYOUT32 = { entry: 16, info: 12, section: 14, value: 4, size: 8 } as const;
const LAYOUT64 = { entry: 24, info: 4, section: 6, value: 8, size: 16 } as const;

export class SymbolTable {
  private readonly elf: Elf;
  private readonly table: ElfSection | undefined;
  private loaded:
    | {
        names: Uint32Array;
        infos: Uint8Array;
        sections: Uint32Array;
        values: Float64Array;
        sizes: Float64Array;
      }
    | undefined;
  private strings: Uint8Array = new Uint8Array(0);
  private ranges: RangeIndex | undefined;
  private nameIndex: NameIndex | undefined;

  constructor(elf: Elf) {
    this.elf = elf;
    this.table =
      elf.sections.find((section) => section.type === SHT_SYMTAB) ??
      elf.sections.find((section) => section.type === SHT_DYNSYM);
  }

  /** The symbol an address is in, or undefined: a symbol with a size ends there, a label at the next symbol. */
  at(address: Address): { symbol: ElfSymbol; offset: number } | undefined {
    this.ranges ??= this.buildRanges();
    const position = this.ranges.positionOf(address);
    if (position < 0) return undefined;
    const index = this.ranges.values[position];
    return { symbol: this.symbol(index), offset: address - this.ranges.starts[position] };
  }

  named(name: string): ElfSymbol[] {
    const { names } = this.load();
    if (!this.nameIndex) {
      this.nameIndex = new NameIndex();
      for (let i = 0; i < names.length; i++)
        if (this.isDefined(i)) this.nameIndex.add(hashOfName(this.strings, names[i]), i);
    }
    const bytes = encodeText(name);
    return this.nameIndex
      .find(hashOfName(bytes, 0))
      .filter((i) => equalsText(this.strings, names[i], bytes))
      .map((i) => this.symbol(i));
  }

  /** Every defined symbol, in the order of the table. */
  *all(): Generator<ElfSymbol> {
    const { names } = this.load();
    for (let i = 0; i < names.length; i++) if (this.isDefined(i)) yield this.symbol(i);
  }

  private symbol(index: number): ElfSymbol {
    const { names, infos, sections, values, sizes } = this.load();
    const type = infos[index] & 15;
    const binding = infos[index] >> 4;
    const end = endOfString(this.strings, names[index]);
    return {
      name: decodeText(this.strings, names[index], end < 0 ? names[index] : end),
      address: bigIntOfAddress(values[index]),
      size: sizes[index],
      kind:
        sections[index] === SHN_ABS
          ? 'absolute'
          : type === STT_FUNC || type === STT_GNU_IFUNC
            ? 'function'
            : type === STT_OBJECT
              ? 'object'
              : 'label',
      binding:
        binding === STB_GLOBAL || binding === STB_GNU_UNIQUE
          ? 'global'
          : binding === STB_WEAK
            ? 'weak'
            : 'local',
    };
  }

  /** Whether a symbol names an address: not a file, a section, an import or a thread-local offset. */
  private isDefined(index: number): boolean {
    const { names, infos, sections, values } = this.load();
    const type = infos[index] & 15;
    return (
      names[index] < this.strings.length &&
      this.strings[names[index]] !== 0 &&
      !Number.isNaN(values[index]) &&
      sections[index] !== SHN_UNDEF &&
      sections[index] !== SHN_COMMON &&
      type !== STT_SECTION &&
      type !== STT_FILE &&
      type !== STT_TLS
    );
  }

  /** Of symbols at one address the best known is added last, and so found: functions and objects, then globals. */
  private rank(index: number): number {
    const { infos, sizes } = this.load();
    const type = infos[index] & 15;
    const binding = infos[index] >> 4;
    return (
      (type !== STT_NOTYPE ? 8 : 0) +
      (sizes[index] > 0 ? 4 : 0) +
      (binding === STB_GLOBAL ? 2 : binding === STB_WEAK ? 1 : 0)
    );
  }

  private buildRanges(): RangeIndex {
    const { names, sections, values, sizes } = this.load();
    const order: number[] = [];
    for (let i = 0; i < names.length; i++) if (sections[i] !== SHN_ABS && this.isDefined(i)) order.push(i);
    order.sort((a, b) => values[a] - values[b] || this.rank(a) - this.rank(b) || a - b);
    const list = new RangeList();
    // One range for each address, so that the best known symbol is the one found there.
    for (let first = 0; first < order.length; ) {
      const start = values[order[first]];
      let next = first + 1;
      while (next < order.length && values[order[next]] === start) next++;
      const best = order[next - 1];
      const section = this.elf.sections[sections[best]];
      const sectionEnd = section ? section.address + section.size : start;
      const following = next < order.length ? values[order[next]] : sectionEnd;
      const end =
        sizes[best] > 0
          ? start + sizes[best]
          : start < sectionEnd
            ? Math.min(following, sectionEnd)
            : following;
      list.add(start, end, best);
      first = next;
    }
    return list.index();
  }

  private load(): NonNullable<SymbolTable['loaded']> {
    if (this.loaded) return this.loaded;
    const { elf, table } = this;
    const layout = elf.is64 ? LAYOUT64 : LAYOUT32;
    const contents = table ? elf.contents(table) : new Uint8Array(0);
    if (table && table.entrySize !== layout.entry)
      throw new SymbolsError(
        'damagedFile',
        `${elf.path}: entries of ${hex(table.entrySize)} bytes in the symbol table`,
      );
    const stringSection = table && elf.sections[table.link];
    if (stringSection) this.strings = elf.contents(stringSection);
    const view = new DataView(contents.buffer, contents.byteOffset, contents.byteLength);
    const extended = this.extendedSections();
    const count = Math.floor(contents.length / layout.entry);
    const loaded = {
      names: new Uint32Array(count),
      infos: new Uint8Array(count),
      sections: new Uint32Array(count),
      values: new Float64Array(count),
      sizes: new Float64Array(count),
    };
    for (let i = 0; i < count; i++) {
      const at = i * layout.entry;
      const value = at + layout.value;
      const size = at + layout.size;
      loaded.names[i] = view.getUint32(at, true);
      loaded.infos[i] = contents[at + layout.info];
      const section = view.getUint16(at + layout.section, true);
      loaded.sections[i] =
        section === SHN_XINDEX && extended && i * 4 + 4 <= extended.byteLength
          ? extended.getUint32(i * 4, true)
          : section;
      loaded.values[i] = elf.is64
        ? addressOfHalves(view.getUint32(value, true), view.getUint32(value + 4, true))
        : view.getUint32(value, true);
      loaded.sizes[i] =
        view.getUint32(size, true) + (elf.is64 ? view.getUint32(size + 4, true) * 0x1_0000_0000 : 0);
    }
    this.loaded = loaded;
    return loaded;
  }

  /** Section numbers that do not fit their 16 bits are in a table beside the symbols. */
  private extendedSections(): DataView | undefined {
    const section = this.elf.sections.find(
      (candidate) => candidate.type === SHT_SYMTAB_SHNDX && this.elf.sections[candidate.link] === this.table,
    );
    if (!section) return undefined;
    const contents = this.elf.contents(section);
    return new DataView(contents.buffer, contents.byteOffset, contents.byteLength);
  }
}
