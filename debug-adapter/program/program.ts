/**
 * The symbols of everything that was loaded, asked as one. A defect in debug information is told once and otherwise
 * means that nothing is known there: a program with damaged symbols still runs.
 */

import type { Inflate } from '../symbols/elf.ts';
import { SymbolsError } from '../symbols/errors.ts';
import {
  type AddressLine,
  type FunctionAt,
  type LineLocation,
  type NamedFunction,
  ProgramSymbols,
} from '../symbols/program.ts';
import { SymbolTable } from '../symbols/symbolTable.ts';
import type { ProgramValues } from '../symbols/values.ts';

export interface SymbolInput {
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly loadBias?: number;
}

export interface SymbolLocation {
  readonly name: string;
  readonly offset: number;
  readonly address: bigint;
  readonly size: number;
  readonly isFunction: boolean;
}

export class Program {
  readonly files: readonly ProgramSymbols[];
  readonly #onProblem: (text: string) => void;
  readonly #told = new Map<ProgramSymbols, number>();
  #names: string[] | undefined;

  /** Opens what can be opened; what cannot is told to `onProblem`. */
  constructor(inputs: readonly SymbolInput[], inflate: Inflate, onProblem: (text: string) => void) {
    this.#onProblem = onProblem;
    this.files = inputs.flatMap(({ path, bytes, loadBias }) => {
      try {
        return [ProgramSymbols.open({ path, bytes }, { inflate, loadBias: BigInt(loadBias ?? 0) })];
      } catch (error) {
        if (!(error instanceof SymbolsError)) throw error;
        onProblem(`No symbols: ${located(path, error.message)}`);
        return [];
      }
    });
  }

  get hasDebugInfo(): boolean {
    return this.files.some((file) => file.hasDebugInfo);
  }

  sources(): string[] {
    return [...new Set(this.#all((file) => file.sources()))];
  }

  lineToAddresses(path: string, line: number, column?: number): LineLocation[] {
    return this.#all((file) => file.lineToAddresses(path, line, column));
  }

  breakpointLocations(path: string, start: number, end: number): { line: number; column: number }[] {
    return this.#all((file) => file.breakpointLocations(path, start, end));
  }

  addressToLine(address: bigint): AddressLine | undefined {
    return this.#first((file) => file.addressToLine(address));
  }

  statementRange(
    address: bigint,
    options: { frame?: number; over?: boolean } = {},
  ): { start: bigint; end: bigint }[] {
    return [...(this.#first((file) => nonEmpty(file.statementRange(address, options))) ?? [])];
  }

  functionAt(address: bigint): FunctionAt | undefined {
    return this.#first((file) => file.functionAt(address));
  }

  functionsByName(name: string): NamedFunction[] {
    return this.#all((file) => file.functionsByName(name));
  }

  /** The variables of the file that an address is in. */
  valuesAt(address: bigint): ProgramValues | undefined {
    return this.#first((file) => (file.functionAt(address) ? file.values : undefined));
  }

  /** The first answer of a file about variables and types. */
  firstOfValues<T>(query: (values: ProgramValues) => T | undefined): T | undefined {
    return this.#first((file) => query(file.values));
  }

  /** The symbol an address is in, if it is within its size or, without one, close behind. */
  symbolAt(address: bigint): SymbolLocation | undefined {
    return this.#first((file) => {
      const found = file.symbolAt(address);
      return (
        found && {
          name: found.name,
          offset: found.offset,
          address: found.symbol.address,
          size: found.symbol.size,
          isFunction: found.symbol.kind === 'function',
        }
      );
    });
  }

  /** The address of a symbol; a function's is its entry. */
  symbol(name: string): bigint | undefined {
    return this.#first(
      (file) => file.symbolsByName(name)[0]?.address ?? file.functionsByName(name)[0]?.function?.entry,
    );
  }

  /** `kmain` or `kmain+0x10`. */
  describe(address: bigint): string | undefined {
    const found = this.symbolAt(address);
    return found && (found.offset === 0 ? found.name : `${found.name}+0x${found.offset.toString(16)}`);
  }

  /** Names of symbols that begin with `prefix`, at most `limit`. */
  namesBeginning(prefix: string, limit: number): string[] {
    this.#names ??= this.#collectNames();
    const found: string[] = [];
    for (const name of this.#names) {
      if (!name.startsWith(prefix)) continue;
      found.push(name);
      if (found.length === limit) break;
    }
    return found;
  }

  #collectNames(): string[] {
    const names = new Set<string>();
    for (const file of this.files)
      for (const { name } of new SymbolTable(file.elf).all()) if (name !== '') names.add(name);
    return [...names].sort();
  }

  #all<T>(query: (file: ProgramSymbols) => readonly T[]): T[] {
    return this.files.flatMap((file) => this.#ask(file, query) ?? []);
  }

  #first<T>(query: (file: ProgramSymbols) => T | undefined): T | undefined {
    for (const file of this.files) {
      const found = this.#ask(file, query);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  #ask<T>(file: ProgramSymbols, query: (file: ProgramSymbols) => T): T | undefined {
    try {
      return query(file);
    } catch (error) {
      if (!(error instanceof SymbolsError)) throw error;
      this.#onProblem(located(file.path, error.message));
      return undefined;
    } finally {
      const told = this.#told.get(file) ?? 0;
      for (const { message } of file.problems.slice(told)) this.#onProblem(located(file.path, message));
      this.#told.set(file, file.problems.length);
    }
  }
}

/** Most messages begin with the file; the others are told with it. */
function located(path: string, message: string): string {
  return message.startsWith(path) ? message : `${path}: ${message}`;
}

function nonEmpty<T>(list: readonly T[]): readonly T[] | undefined {
  return list.length > 0 ? list : undefined;
}
