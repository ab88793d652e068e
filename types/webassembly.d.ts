/**
 * The part of the WebAssembly JavaScript interface that Node, workers and browsers share. The emulator is compiled
 * without Node's and without the DOM's types, so that it runs in all of them; this file gives it WebAssembly.
 *
 * @see https://webassembly.github.io/spec/js-api/
 */
declare namespace WebAssembly {
  type ValueType = 'i32' | 'i64' | 'f32' | 'f64' | 'v128' | 'anyfunc' | 'externref';
  type ImportExportKind = 'function' | 'table' | 'memory' | 'global' | 'tag';
  type TableKind = 'anyfunc' | 'externref';
  // biome-ignore lint/complexity/noBannedTypes: the signature of an export is known only to the caller.
  type ExportValue = Function | Global | Memory | Table;
  type ImportValue = ExportValue | number | bigint;
  type Exports = Record<string, ExportValue>;
  type Imports = Record<string, Record<string, ImportValue>>;
  type BufferSource = ArrayBufferView<ArrayBuffer> | ArrayBuffer;

  interface ModuleExportDescriptor {
    name: string;
    kind: ImportExportKind;
  }

  interface ModuleImportDescriptor {
    module: string;
    name: string;
    kind: ImportExportKind;
  }

  class Module {
    constructor(bytes: BufferSource);
    static exports(module: Module): ModuleExportDescriptor[];
    static imports(module: Module): ModuleImportDescriptor[];
    static customSections(module: Module, name: string): ArrayBuffer[];
  }

  class Instance {
    constructor(module: Module, imports?: Imports);
    readonly exports: Exports;
  }

  interface MemoryDescriptor {
    initial: number;
    maximum?: number;
    shared?: boolean;
  }

  class Memory {
    constructor(descriptor: MemoryDescriptor);
    readonly buffer: ArrayBuffer;
    grow(pages: number): number;
  }

  interface TableDescriptor {
    element: TableKind;
    initial: number;
    maximum?: number;
  }

  class Table {
    constructor(descriptor: TableDescriptor, value?: unknown);
    readonly length: number;
    // biome-ignore lint/suspicious/noExplicitAny: an element has the type its module gave it.
    get(index: number): any;
    set(index: number, value?: unknown): void;
    grow(count: number, value?: unknown): number;
  }

  interface GlobalDescriptor {
    value: ValueType;
    mutable?: boolean;
  }

  class Global {
    constructor(descriptor: GlobalDescriptor, value?: number | bigint);
    value: number | bigint;
  }

  class CompileError extends Error {}
  class LinkError extends Error {}
  class RuntimeError extends Error {}

  function validate(bytes: BufferSource): boolean;
  function compile(bytes: BufferSource): Promise<Module>;
  function instantiate(module: Module, imports?: Imports): Promise<Instance>;
}
