/**
 * Assembles a WebAssembly module: types, imported functions, one imported memory, functions, a function table and
 * exports.
 *
 * @see WebAssembly 2.0, "Modules", 5.5
 */
import { assert } from '../../base/errors.ts';
import { ByteWriter } from './byteWriter.ts';
import type { FunctionBuilder } from './functionBuilder.ts';
import { OP, TYPE, type ValueType } from './opcodes.ts';

const SECTION = {
  custom: 0,
  type: 1,
  import: 2,
  function: 3,
  table: 4,
  export: 7,
  element: 9,
  code: 10,
} as const;
const EXTERNAL = { function: 0, table: 1, memory: 2 } as const;
const FUNCTION_REFERENCE = 0x70;

/** How the machine's memory is declared; importer and memory must agree. */
export interface MemoryImport {
  readonly shared: boolean;
  readonly minimumPages: number;
  readonly maximumPages: number;
}

export class ModuleBuilder {
  readonly #types: string[] = [];
  readonly #typeBytes: Uint8Array[] = [];
  readonly #imports: { name: string; type: number }[] = [];
  readonly #functions: { type: number; body: FunctionBuilder }[] = [];
  readonly #exports: { name: string; index: number }[] = [];
  #table: readonly number[] = [];
  #freeSlots = 0;
  readonly #custom: { name: string; bytes: Uint8Array }[] = [];
  readonly #memory: MemoryImport;

  constructor(memory: MemoryImport) {
    this.#memory = memory;
  }

  type(parameters: readonly ValueType[], results: readonly ValueType[]): number {
    const key = `${parameters.join()}:${results.join()}`;
    const known = this.#types.indexOf(key);
    if (known >= 0) return known;
    const writer = new ByteWriter(16).u8(0x60).u32(parameters.length);
    for (const type of parameters) writer.u8(TYPE[type]);
    writer.u32(results.length);
    for (const type of results) writer.u8(TYPE[type]);
    this.#types.push(key);
    this.#typeBytes.push(writer.bytes());
    return this.#types.length - 1;
  }

  /** Imports `env.name`; all imports come before the first {@link add}. Gives the function index. */
  importFunction(name: string, parameters: readonly ValueType[], results: readonly ValueType[]): number {
    assert(this.#functions.length === 0, 'imports come before functions');
    this.#imports.push({ name, type: this.type(parameters, results) });
    return this.#imports.length - 1;
  }

  /** The index that the next {@link add} will give. */
  get nextFunction(): number {
    return this.#imports.length + this.#functions.length;
  }

  /** Adds a function whose body may still be written until {@link finish}. Gives the function index. */
  add(body: FunctionBuilder, exportName?: string): number {
    const index = this.nextFunction;
    this.#functions.push({ type: this.type(body.parameters, body.results), body });
    if (exportName !== undefined) this.#exports.push({ name: exportName, index });
    return index;
  }

  /** Fills the module's own table, number 0, with these functions; exported as `table` when it has free slots. */
  table(functions: readonly number[], freeSlots = 0): void {
    this.#table = functions;
    this.#freeSlots = freeSlots;
  }

  /** A section that means nothing to WebAssembly. */
  custom(name: string, bytes: Uint8Array): void {
    this.#custom.push({ name, bytes });
  }

  finish(): Uint8Array<ArrayBuffer> {
    const out = new ByteWriter(16384).raw([0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00]);
    const section = (id: number, write: (writer: ByteWriter) => void) => {
      const writer = new ByteWriter();
      write(writer);
      out.u8(id).u32(writer.length).raw(writer.bytes());
    };
    section(SECTION.type, (writer) => {
      writer.u32(this.#typeBytes.length);
      for (const bytes of this.#typeBytes) writer.raw(bytes);
    });
    section(SECTION.import, (writer) => {
      writer.u32(this.#imports.length + 1);
      for (const { name, type } of this.#imports)
        writer.name('env').name(name).u8(EXTERNAL.function).u32(type);
      const { shared, minimumPages, maximumPages } = this.#memory;
      writer
        .name('env')
        .name('memory')
        .u8(EXTERNAL.memory)
        .u8(shared ? 3 : 1);
      writer.u32(minimumPages).u32(maximumPages);
    });
    section(SECTION.function, (writer) => {
      writer.u32(this.#functions.length);
      for (const { type } of this.#functions) writer.u32(type);
    });
    if (this.#table.length > 0) {
      section(SECTION.table, (writer) =>
        writer
          .u32(1)
          .u8(FUNCTION_REFERENCE)
          .u8(1)
          .u32(this.#table.length + this.#freeSlots)
          .u32(this.#table.length + this.#freeSlots),
      );
    }
    section(SECTION.export, (writer) => {
      writer.u32(this.#exports.length + (this.#freeSlots > 0 ? 1 : 0));
      for (const { name, index } of this.#exports) writer.name(name).u8(EXTERNAL.function).u32(index);
      if (this.#freeSlots > 0) writer.name('table').u8(EXTERNAL.table).u32(0);
    });
    if (this.#table.length > 0) {
      section(SECTION.element, (writer) => {
        writer.u32(1).u32(0).i32Const(0).u8(OP.end).u32(this.#table.length);
        for (const index of this.#table) writer.u32(index);
      });
    }
    section(SECTION.code, (writer) => {
      writer.u32(this.#functions.length);
      for (const { body } of this.#functions) writer.raw(body.finish());
    });
    for (const { name, bytes } of this.#custom)
      section(SECTION.custom, (writer) => writer.name(name).raw(bytes));
    return out.bytes().slice();
  }
}
