/**
 * The one door to the symbols of a program: lines, functions, variables, symbols and unwinding, in
 * addresses of the running program. Nothing is read before it is asked for.
 *
 * What a query cannot read because of a defect in one unit is absent from its answer and told in
 * `problems`; a file that cannot be used at all is a SymbolsError when it is opened.
 */
import { type Address, addressOfBigInt, bigIntOfAddress } from './address.ts';
import type {
  AddressLine,
  AddressRange,
  FunctionAt,
  LineLocation,
  NamedFunction,
  ProgramFunction,
  ProgramVariable,
  SourcePosition,
  SymbolAt,
} from './answers.ts';
import { CallFrames, type UnwindOutcome } from './cfi.ts';
import {
  addressesOfLine,
  afterPrologue,
  breakpointPositions,
  type LineAddress,
} from './dwarf/breakpoints.ts';
import { DW_AT_location } from './dwarf/constants.ts';
import { Dwarf } from './dwarf/dwarf.ts';
import { type Entity, followEntity, readEntity } from './dwarf/entities.ts';
import { evaluateExpression, type ReadMemory } from './dwarf/expression.ts';
import type { FunctionTable, Scope } from './dwarf/functions.ts';
import { rowAt, startsStatement } from './dwarf/lineTable.ts';
import { DebugNames } from './dwarf/names.ts';
import { NO_STRING, type StringRef } from './dwarf/sections.ts';
import { type StatementOptions, statementRanges } from './dwarf/stepping.ts';
import { typeName } from './dwarf/typeNames.ts';
import type { Unit } from './dwarf/unit.ts';
import { Elf, type Inflate, type SymbolFile } from './elf.ts';
import { ET_DYN, ET_EXEC } from './elfConstants.ts';
import { buildId, debugLink } from './elfNotes.ts';
import { SymbolsError } from './errors.ts';
import { Problems } from './problems.ts';
import type { FrameRegisters } from './registers.ts';
import { type ElfSymbol, SymbolTable } from './symbolTable.ts';
import { ProgramValues } from './values.ts';

export type * from './answers.ts';
export type { LocalVariable } from './dwarf/locals.ts';
export type { TypeNamespace } from './dwarf/typeIndex.ts';
export type { Member, ProgramType, RecordType, StaticMember } from './dwarf/types.ts';

export interface OpenOptions {
  readonly inflate: Inflate;
  /** Where the program runs, less where it was linked. */
  readonly loadBias?: bigint;
}

export class ProgramSymbols {
  readonly path: string;
  readonly elf: Elf;
  readonly loadBias: bigint;
  /** Variables of the source language. */
  readonly values: ProgramValues;
  private readonly defects = new Problems();
  private readonly dwarf: Dwarf;
  private readonly symbols: SymbolTable;
  private readonly callFrames: CallFrames;
  private names: DebugNames | undefined;

  private constructor(elf: Elf, loadBias: bigint) {
    this.path = elf.path;
    this.elf = elf;
    this.loadBias = loadBias;
    this.dwarf = new Dwarf(elf, this.defects);
    this.symbols = new SymbolTable(elf);
    this.callFrames = new CallFrames(elf, loadBias, this.defects);
    this.values = new ProgramValues(this.dwarf, this.callFrames, loadBias, () => this.debugNames());
  }

  static open(file: SymbolFile, options: OpenOptions): ProgramSymbols {
    const elf = new Elf(file, options.inflate);
    if (elf.type !== ET_EXEC && elf.type !== ET_DYN)
      throw new SymbolsError(
        'unsupportedFile',
        `${file.path} is not a linked program (ELF type ${elf.type})`,
      );
    return new ProgramSymbols(elf, options.loadBias ?? 0n);
  }

  /** Defects found so far, each told once. */
  get problems(): readonly SymbolsError[] {
    return this.defects.list;
  }

  get hasDebugInfo(): boolean {
    return this.dwarf.sections.has('info');
  }

  get buildId(): string | undefined {
    return this.defects.attempt(() => buildId(this.elf));
  }

  /** The file that has the debug information, where it was separated from the program. */
  get debugLink(): { readonly fileName: string; readonly crc: number } | undefined {
    return this.defects.attempt(() => debugLink(this.elf));
  }

  /** All source paths, as the debug information has them made absolute. Nobody has checked that they exist. */
  sources(): readonly string[] {
    this.dwarf.readAllFiles();
    return this.dwarf.sources.all();
  }

  /**
   * Where to stop for a line, or for the next one that has code: one address for each function and each
   * inlined instance, in order of address. A relative path means every file whose path ends in it.
   */
  lineToAddresses(path: string, line: number, column?: number): LineLocation[] {
    const labelOf = (address: Address): number => Number(this.labelAt(address)?.symbol.address ?? -1n);
    const found = addressesOfLine(this.dwarf, this.filesOf(path), line, column, labelOf);
    return found.map((location) => this.location(location));
  }

  addressToLine(address: bigint): AddressLine | undefined {
    const at = this.internal(address);
    const unit = this.dwarf.unitAt(at);
    const table = unit && this.dwarf.lines(unit);
    const row = table ? rowAt(table, at) : -1;
    if (!table || row < 0 || table.lines[row] === 0) return undefined;
    const file = this.dwarf.fileOf(unit, table.files[row]);
    if (file === 0) return undefined;
    return {
      path: this.dwarf.sources.path(file),
      line: table.lines[row],
      column: table.columns[row],
      isStatement: startsStatement(table, row),
      start: this.external(table.addresses[row]),
      end: this.external(table.addresses[row + 1]),
    };
  }

  /** The code of the statement an address belongs to; empty where no line is known. */
  statementRange(address: bigint, options: StatementOptions = {}): AddressRange[] {
    return this.ranges(statementRanges(this.dwarf, this.internal(address), options));
  }

  /** The function an address is in, and the frames that its source shows there. */
  functionAt(address: bigint): FunctionAt | undefined {
    const at = this.internal(address);
    const unit = this.dwarf.unitAt(at);
    const functions = unit && this.dwarf.functions(unit);
    if (!functions) return undefined;
    const chain = functions.chain(functions.scopeAt(at));
    if (chain.length === 0) return undefined;
    let position: SourcePosition | undefined = this.positionAt(address);
    const frames = chain.map((index) => {
      const scope = functions.scopes[index];
      const { name, linkageName } = this.entity(scope.die);
      const frame = {
        name: this.text(name),
        linkageName: this.text(linkageName),
        isInlined: scope.inlined,
        begins: at === scope.entry || at === functions.startOf(index),
        position,
      };
      position = this.callSite(unit, scope);
      return frame;
    });
    return { function: this.functionOf(unit, functions, chain[chain.length - 1]), frames };
  }

  /** The functions of a name or linkage name, also those that only exist inlined. */
  functionsByName(name: string): NamedFunction[] {
    const entries = new Set(this.debugNames().functions(name));
    const units = new Set(
      [...entries].flatMap((entry) => this.defects.attempt(() => this.dwarf.unitOf(entry)) ?? []),
    );
    const found: NamedFunction[] = [];
    for (const unit of units) {
      const functions = this.dwarf.functions(unit);
      if (!functions) continue;
      const inlinedAt: bigint[] = [];
      const own: NamedFunction[] = [];
      functions.scopes.forEach((scope, index) => {
        if (!this.refersTo(scope, entries)) return;
        if (scope.inlined) inlinedAt.push(this.external(scope.entry));
        else own.push({ name, function: this.functionOf(unit, functions, index), inlinedAt: [] });
      });
      // The instances go with the function of their unit; a unit has one of a name as a rule.
      if (own.length > 0) own[0] = { ...own[0], inlinedAt };
      else if (inlinedAt.length > 0) own.push({ name, function: undefined, inlinedAt });
      found.push(...own);
    }
    return found;
  }

  /** Variables with a fixed address, of a name or linkage name. */
  variablesByName(name: string): ProgramVariable[] {
    return this.debugNames()
      .variables(name)
      .flatMap((entry) => this.variable(entry));
  }

  /** Every variable with a fixed address. */
  *variables(): Generator<ProgramVariable> {
    for (const entry of this.debugNames().allVariables()) yield* this.variable(entry);
  }

  symbolAt(address: bigint): SymbolAt | undefined {
    const found = this.labelAt(this.internal(address));
    return found && { name: found.symbol.name, offset: found.offset, symbol: this.biased(found.symbol) };
  }

  symbolsByName(name: string): ElfSymbol[] {
    const symbols = this.defects.attempt(() => this.symbols.named(name)) ?? [];
    return symbols.map((symbol) => this.biased(symbol));
  }

  /** The lines and columns of a file, in a range of lines, where a breakpoint can be set. */
  breakpointLocations(path: string, startLine: number, endLine: number): { line: number; column: number }[] {
    return breakpointPositions(this.dwarf, this.filesOf(path), startLine, endLine);
  }

  /**
   * The registers of the caller, or undefined where the unwind information does not give them. `readMemory`
   * reads the program's memory; what it throws passes through.
   */
  unwind(frame: FrameRegisters, readMemory: ReadMemory): FrameRegisters | undefined {
    const outcome = this.unwindOutcome(frame, readMemory);
    return outcome.kind === 'caller' ? outcome.frame : undefined;
  }

  /** The same, telling an outermost frame from code without unwind information. */
  unwindOutcome(frame: FrameRegisters, readMemory: ReadMemory): UnwindOutcome {
    return this.callFrames.unwind(frame, readMemory);
  }

  private labelAt(address: Address): ReturnType<SymbolTable['at']> {
    return this.defects.attempt(() => this.symbols.at(address));
  }

  private debugNames(): DebugNames {
    this.names ??= new DebugNames(this.dwarf);
    return this.names;
  }

  private filesOf(path: string): number[] {
    this.dwarf.readAllFiles();
    return this.dwarf.sources.find(path);
  }

  private internal(address: bigint): Address {
    return addressOfBigInt(address - this.loadBias);
  }

  private external(address: Address): bigint {
    return BigInt.asUintN(64, bigIntOfAddress(address) + this.loadBias);
  }

  private ranges(pairs: readonly Address[]): AddressRange[] {
    const ranges: AddressRange[] = [];
    for (let i = 0; i < pairs.length; i += 2)
      ranges.push({ start: this.external(pairs[i]), end: this.external(pairs[i + 1]) });
    return ranges;
  }

  private location({ address, file, line, column, isStatement }: LineAddress): LineLocation {
    return {
      address: this.external(address),
      path: this.dwarf.sources.path(file),
      line,
      column,
      isStatement,
    };
  }

  private positionAt(address: bigint): SourcePosition | undefined {
    const found = this.addressToLine(address);
    return found && { path: found.path, line: found.line, column: found.column };
  }

  private callSite(unit: Unit, scope: Scope): SourcePosition | undefined {
    const file = this.dwarf.fileOf(unit, scope.callFile);
    if (file === 0 || scope.callLine === 0) return undefined;
    return { path: this.dwarf.sources.path(file), line: scope.callLine, column: scope.callColumn };
  }

  private entity(entry: number): Entity {
    return this.defects.attempt(() => readEntity(this.dwarf, entry)) ?? NO_ENTITY;
  }

  private text(ref: StringRef): string | undefined {
    return ref === NO_STRING ? undefined : this.defects.attempt(() => this.dwarf.sections.text(ref));
  }

  private declaration({ declarationFile, declarationLine }: Entity): SourcePosition | undefined {
    if (declarationFile === 0 || declarationLine === 0) return undefined;
    return { path: this.dwarf.sources.path(declarationFile), line: declarationLine, column: 0 };
  }

  private functionOf(unit: Unit, functions: FunctionTable, index: number): ProgramFunction {
    const scope = functions.scopes[index];
    const entity = this.entity(scope.die);
    return {
      name: this.text(entity.name),
      linkageName: this.text(entity.linkageName),
      entry: this.external(scope.entry),
      body: this.external(afterPrologue(this.dwarf, unit, functions, index)),
      ranges: this.ranges(scope.ranges),
      declaration: this.declaration(entity),
      isExternal: entity.external,
    };
  }

  /** Whether a scope is one of some entries, or an instance of one. */
  private refersTo(scope: Scope, entries: ReadonlySet<number>): boolean {
    if (entries.has(scope.die)) return true;
    let found = false;
    this.defects.attempt(() =>
      followEntity(this.dwarf, scope.origin, (die) => {
        found = entries.has(die.offset);
        return found;
      }),
    );
    return found;
  }

  private variable(entry: number): ProgramVariable[] {
    const { dwarf } = this;
    const found = this.defects.attempt(() => {
      const unit = dwarf.unitOf(entry);
      const die = unit.die(entry);
      const i = die.find(DW_AT_location);
      const { bytes } = dwarf.sections.get('info');
      const expression = bytes.subarray(die.values[i], die.values[i] + die.lengths[i]);
      const location = evaluateExpression(expression, {
        addressSize: unit.header.addressSize,
        loadBias: this.loadBias,
        readMemory: () => undefined,
        register: () => undefined,
        indexedAddress: (index) => bigIntOfAddress(unit.indexedAddress(index)),
      });
      if (location.kind !== 'memory') return undefined;
      const entity = readEntity(dwarf, entry);
      return {
        name: this.text(entity.name),
        linkageName: this.text(entity.linkageName),
        address: BigInt.asUintN(64, location.address),
        typeName: typeName(dwarf, entity.type),
        declaration: this.declaration(entity),
        isExternal: entity.external,
      };
    });
    return found ? [found] : [];
  }

  private biased(symbol: ElfSymbol): ElfSymbol {
    if (symbol.kind === 'absolute') return symbol;
    return { ...symbol, address: BigInt.asUintN(64, symbol.address + this.loadBias) };
  }
}

const NO_ENTITY: Entity = {
  name: NO_STRING,
  linkageName: NO_STRING,
  declarationFile: 0,
  declarationLine: 0,
  external: false,
  type: -1,
};
