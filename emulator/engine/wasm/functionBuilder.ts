/**
 * Writes the body of one WebAssembly function: typed locals with free lists, and labels whose branch depth is resolved
 * when the branch is written. `finish` asserts that every block was closed.
 */
import { assert } from '../../base/errors.ts';
import { ByteWriter } from './byteWriter.ts';
import type { OpName, ValueType } from './opcodes.ts';
import { OP, TYPE } from './opcodes.ts';

/** An open block, loop or if: branch to it with {@link FunctionBuilder.br}. */
export interface Label {
  readonly level: number;
}

export class FunctionBuilder {
  readonly code = new ByteWriter(512);
  readonly parameters: readonly ValueType[];
  readonly results: readonly ValueType[];
  readonly #locals: ValueType[] = [];
  readonly #free: Record<ValueType, number[]> = { i32: [], i64: [], v128: [] };
  #level = 0;

  constructor(parameters: readonly ValueType[], results: readonly ValueType[]) {
    this.parameters = parameters;
    this.results = results;
  }

  /** A local of the type: a freed one or a new one. Its value is unspecified. */
  allocate(type: ValueType): number {
    const reused = this.#free[type].pop();
    if (reused !== undefined) return reused;
    this.#locals.push(type);
    return this.parameters.length + this.#locals.length - 1;
  }

  release(type: ValueType, local: number): void {
    this.#free[type].push(local);
  }

  block(type: 'void' | ValueType = 'void'): Label {
    this.code.u8(OP.block).u8(TYPE[type]);
    return { level: ++this.#level };
  }

  loop(): Label {
    this.code.u8(OP.loop).u8(TYPE.void);
    return { level: ++this.#level };
  }

  if(type: 'void' | ValueType = 'void'): Label {
    this.code.u8(OP.if).u8(TYPE[type]);
    return { level: ++this.#level };
  }

  else(): void {
    this.code.u8(OP.else);
  }

  end(): void {
    assert(this.#level > 0, 'end without an open block');
    this.#level--;
    this.code.u8(OP.end);
  }

  br(label: Label): void {
    this.code.u8(OP.br).u32(this.#depth(label));
  }

  brIf(label: Label): void {
    this.code.u8(OP.br_if).u32(this.#depth(label));
  }

  brTable(labels: readonly Label[], otherwise: Label): void {
    this.code.u8(OP.br_table).u32(labels.length);
    for (const label of labels) this.code.u32(this.#depth(label));
    this.code.u32(this.#depth(otherwise));
  }

  op(name: OpName): this {
    this.code.u8(OP[name]);
    return this;
  }

  /** The function's entry in the code section: size, locals, body. */
  finish(): Uint8Array {
    assert(this.#level === 0, `${this.#level} blocks still open`);
    const head = new ByteWriter(16);
    const runs: { type: ValueType; count: number }[] = [];
    for (const type of this.#locals) {
      const last = runs.at(-1);
      if (last?.type === type) last.count++;
      else runs.push({ type, count: 1 });
    }
    head.u32(runs.length);
    for (const run of runs) head.u32(run.count).u8(TYPE[run.type]);
    const out = new ByteWriter(head.length + this.code.length + 8);
    out.u32(head.length + this.code.length + 1);
    out.raw(head.bytes()).raw(this.code.bytes()).u8(OP.end);
    return out.bytes();
  }

  #depth(label: Label): number {
    assert(label.level <= this.#level, 'branch to a closed block');
    return this.#level - label.level;
  }
}
