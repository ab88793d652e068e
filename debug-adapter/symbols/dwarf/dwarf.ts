/**
 * The debug information of one program: units, found by offset and by address, and the tables made of
 * each unit when something in it is first asked for. A defect in one unit leaves the others usable: it is
 * told once, in `problems`, and that unit's table is absent.
 *
 * @see DWARF 5, chapter 2 "General Description", section 6.1 "Accelerated Access"
 */
import type { Address } from '../address.ts';
import type { Elf } from '../elf.ts';
import { hex, SymbolsError } from '../errors.ts';
import { folderOf } from '../paths.ts';
import type { Problems } from '../problems.ts';
import { type RangeIndex, RangeList } from '../rangeIndex.ts';
import { AbbreviationTables } from './abbreviations.ts';
import { readAddressRanges } from './aranges.ts';
import { FunctionTable } from './functions.ts';
import { type LineHeader, readLineHeader } from './lineHeader.ts';
import { runLineProgram } from './lineProgram.ts';
import type { LineTable } from './lineTable.ts';
import { readRangeList } from './ranges.ts';
import { DwarfSections, NO_STRING } from './sections.ts';
import { SourceFiles } from './sourceFiles.ts';
import { readUnitHeaders, Unit } from './unit.ts';

/** The files of a line table header, by its own numbers and by those of SourceFiles. */
export interface UnitFiles {
  readonly header: LineHeader;
  files: Uint32Array;
}

export class Dwarf {
  readonly sections: DwarfSections;
  readonly sources: SourceFiles;
  readonly problems: Problems;
  /** Whether an address is in a section of the running program: other code was discarded by the linker. */
  readonly isCode: (address: Address) => boolean;
  private readonly path: string;
  private unitList: readonly Unit[] | undefined;
  private addressIndex: RangeIndex | undefined;
  private fileIndex: Map<number, number[]> | undefined;
  private readonly filesByLineTable = new Map<number, UnitFiles | undefined>();
  private signatures: Map<bigint, number> | undefined;
  private readonly lineTables = new Map<number, LineTable | undefined>();
  private readonly functionTables = new Map<number, FunctionTable | undefined>();

  constructor(elf: Elf, problems: Problems) {
    this.problems = problems;
    this.path = elf.path;
    this.sections = new DwarfSections(elf);
    this.sources = new SourceFiles(this.sections, folderOf(elf.path));
    this.isCode = (address) => elf.sectionAt(address) !== undefined;
  }

  /** The units of .debug_info, in order. */
  get units(): readonly Unit[] {
    this.unitList ??=
      this.attempt(() => {
        const tables = new AbbreviationTables(this.sections.get('abbrev'));
        const headers = readUnitHeaders(this.sections.get('info'), 'info', this.problems);
        return headers.map((header, i) => new Unit(i, header, this.sections, tables));
      }) ?? [];
    return this.unitList;
  }

  /** The unit that an offset of .debug_info is in. */
  unitOf(offset: number): Unit {
    const { units } = this;
    let low = 0;
    let high = units.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (units[middle].header.offset <= offset) low = middle + 1;
      else high = middle;
    }
    const unit = units[low - 1];
    if (!unit || !(offset < unit.header.end))
      throw new SymbolsError(
        'damagedDebugInfo',
        `${this.sections.get('info').name} has no unit at ${hex(offset)}`,
      );
    return unit;
  }

  unitAt(address: Address): Unit | undefined {
    this.addressIndex ??= this.buildAddressIndex();
    const index = this.addressIndex.find(address);
    return index < 0 ? undefined : this.units[index];
  }

  /** The files a unit's line table names, or undefined when it has none. */
  files(unit: Unit): UnitFiles | undefined {
    return this.attempt(() => {
      const offset = unit.root.lineTable;
      if (offset < 0) return undefined;
      return this.once(this.filesByLineTable, offset, () => {
        const { header, lists } = readLineHeader(unit, offset);
        return { header, files: this.sources.filesOf(unit, lists) };
      });
    });
  }

  lines(unit: Unit): LineTable | undefined {
    const files = this.files(unit);
    if (!files) return undefined;
    const { header } = files;
    return this.once(this.lineTables, header.offset, () => {
      const table = runLineProgram(this.sections.get('line'), header, this.isCode);
      if (table.defined.names.length > 0) {
        const { directories } = readLineHeader(unit, header.offset).lists;
        const more = this.sources.filesOf(unit, { directories, ...table.defined });
        files.files = Uint32Array.from([...files.files, ...more]);
      }
      return table;
    });
  }

  functions(unit: Unit): FunctionTable | undefined {
    return this.once(this.functionTables, unit.index, () => new FunctionTable(unit, this.isCode));
  }

  /** The number in `sources` of a file that a unit numbers, or 0. */
  fileOf(unit: Unit, file: number): number {
    return this.files(unit)?.files[file] ?? 0;
  }

  /** The units whose line tables name a file. Asking once reads the headers of all line tables. */
  unitsOfFile(file: number): readonly Unit[] {
    const index = this.buildFileIndex();
    return (index.get(file) ?? []).map((unit) => this.units[unit]);
  }

  /** Makes `sources` complete. */
  readAllFiles(): void {
    this.buildFileIndex();
  }

  /** The entry of the type that a signature, by its position in .debug_info, names; those of DWARF 4 are elsewhere. */
  typeOfSignature(position: number): number | undefined {
    const section = this.sections.get('info');
    if (!this.signatures) {
      this.signatures = new Map();
      for (const { header, isTypeUnit } of this.units)
        if (isTypeUnit) this.signatures.set(section.reader(header.signature).bigU64(), header.typeOffset);
    }
    return this.signatures.get(section.reader(position).bigU64());
  }

  attempt<T>(read: () => T): T | undefined {
    return this.problems.attempt(read);
  }

  private once<T>(known: Map<number, T | undefined>, key: number, read: () => T): T | undefined {
    if (known.has(key)) return known.get(key);
    const result = this.attempt(read);
    known.set(key, result);
    return result;
  }

  /** .debug_aranges for the units that are in it; the others tell their ranges themselves. */
  private buildAddressIndex(): RangeIndex {
    const { units } = this;
    const list = new RangeList();
    const known = new Set<number>();
    const add = (unit: Unit, start: Address, end: Address): void => {
      known.add(unit.index);
      if (this.isCode(start)) list.add(start, end, unit.index);
    };
    this.attempt(() =>
      readAddressRanges(this.sections.get('aranges'), (offset, start, end) => {
        const unit = this.unitOf(offset);
        if (unit.header.offset === offset) add(unit, start, end);
      }),
    );
    const rangeless: Unit[] = [];
    for (const unit of units) {
      if (known.has(unit.index) || unit.isTypeUnit) continue;
      this.attempt(() => {
        const { root } = unit;
        if (root.splitName !== NO_STRING) {
          const name = this.sections.text(root.splitName);
          this.problems.add(
            new SymbolsError(
              'unsupportedDebugInfo',
              `${this.path}: part of the debug information is in ${name}`,
            ),
          );
        }
        if (root.ranges) readRangeList(unit, root.ranges, (start, end) => add(unit, start, end));
        else if (root.lowPc < root.highPc) add(unit, root.lowPc, root.highPc);
        if (!known.has(unit.index) && root.lineTable >= 0) rangeless.push(unit);
      });
    }
    this.addLineSequences(rangeless, known, add);
    return list.index();
  }

  /** Units that do not tell their ranges have those of their line tables, unless it is that of another unit. */
  private addLineSequences(
    rangeless: readonly Unit[],
    known: ReadonlySet<number>,
    add: (unit: Unit, start: Address, end: Address) => void,
  ): void {
    if (rangeless.length === 0) return;
    const taken = new Set<number>();
    for (const unit of this.units)
      if (known.has(unit.index)) this.attempt(() => taken.add(unit.root.lineTable));
    for (const unit of rangeless) {
      if (taken.has(unit.root.lineTable)) continue;
      taken.add(unit.root.lineTable);
      const lines = this.lines(unit);
      if (!lines) continue;
      const { starts, ends } = lines.sequences;
      for (let i = 0; i < starts.length; i++) add(unit, starts[i], ends[i]);
    }
  }

  private buildFileIndex(): Map<number, number[]> {
    if (this.fileIndex) return this.fileIndex;
    const index = new Map<number, number[]>();
    const seen = new Set<UnitFiles>();
    for (const unit of this.units) {
      if (unit.isTypeUnit) continue;
      const files = this.files(unit);
      // Partial units share a table with the unit that has the code.
      if (!files || seen.has(files)) continue;
      seen.add(files);
      for (const file of files.files) {
        const units = index.get(file);
        if (!units) index.set(file, [unit.index]);
        else if (units[units.length - 1] !== unit.index) units.push(unit.index);
      }
    }
    this.fileIndex = index;
    return index;
  }
}
