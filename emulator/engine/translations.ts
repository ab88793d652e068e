/** Translated regions by their entry record, compiled at first use and dropped when code changes. */
import type { CodeCache } from './codeCache.ts';
import { RecordReader, translate } from './translator.ts';
import type { MemoryImport } from './wasm/moduleBuilder.ts';

/** Where the memory of all generated code is declared the same: a module and the memory it imports must agree. */
export const MEMORY_IMPORT: MemoryImport = { shared: false, minimumPages: 1, maximumPages: 65536 };

export interface TranslationImports {
  /** The interpreter's slow accesses, but for plain RAM alone: 0 done, 1 refused with nothing changed. */
  loadRam(write: number): number;
  storeRam(): number;
  /** Exports of the interpreter's module. */
  readonly interpreter: WebAssembly.Exports;
}

export class Translations {
  readonly #code: CodeCache;
  readonly #reader: RecordReader;
  readonly #imports: WebAssembly.Imports;
  readonly #regions = new Map<number, ((budget: number) => number) | null>();
  #generation = -1;
  /** Regions compiled so far. */
  count = 0;

  constructor(memory: WebAssembly.Memory, code: CodeCache, imports: TranslationImports) {
    this.#code = code;
    this.#reader = new RecordReader(memory);
    const { loadRam, storeRam } = imports;
    this.#imports = { env: { ...imports.interpreter, memory, loadRam, storeRam } };
  }

  /** The translation of the region that starts at `record`; undefined when it is the interpreter's. */
  at(record: number): ((budget: number) => number) | undefined {
    if (this.#generation !== this.#code.generation) {
      this.#regions.clear();
      this.#generation = this.#code.generation;
    }
    let region = this.#regions.get(record);
    if (region === undefined) {
      region = this.#compile(record);
      this.#regions.set(record, region);
    }
    return region ?? undefined;
  }

  #compile(record: number): ((budget: number) => number) | null {
    const bytes = translate(this.#reader, record, MEMORY_IMPORT);
    if (bytes === undefined) return null;
    this.count++;
    const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), this.#imports);
    return instance.exports.run as (budget: number) => number;
  }
}
