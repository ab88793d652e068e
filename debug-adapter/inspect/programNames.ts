/** What the names of a program mean in a frame, and at an address that a breakpoint waits at. */
import type { Expression } from '../expressions/ast.ts';
import type { BoundObject, ProgramNames } from '../expressions/bind.ts';
import { ExpressionError } from '../expressions/errors.ts';
import {
  loadTree,
  numberTree,
  type ObjectPart,
  type ObjectPlace,
  plus,
  within,
} from '../expressions/object.ts';
import { unsignedType } from '../expressions/values.ts';
import type { MachineState } from '../machine/targetScope.ts';
import type { Program } from '../program/program.ts';
import { SymbolsError } from '../symbols/errors.ts';
import type { LocalVariable, ProgramType, ValueLocation, ValueSource } from '../symbols/program.ts';
import { X86_64_REGISTERS } from '../symbols/registers.ts';
import type { FixedPlace, ProgramValues, ValueFrame } from '../symbols/values.ts';
import { codeMode, type Frame } from './stack.ts';

type Names = Omit<ProgramNames, 'isRegister'>;

/** What is the same in every frame: variables with a fixed address, types, enumerators, symbols. */
function globalNames(program: Program, near: bigint | undefined): Names {
  const own = near === undefined ? undefined : program.valuesAt(near);
  const first = <T>(query: (values: ProgramValues, at: bigint | undefined) => T | undefined): T | undefined =>
    (own && query(own, near)) ?? program.firstOfValues((values) => query(values, undefined));
  return {
    symbol: (name) => program.symbol(name),
    variable: (name) =>
      first((values, at) => {
        const found = values.staticNamed(name, at);
        return found && staticObject(values, found);
      }),
    staticMember: ({ name, entry }) =>
      first((values) => {
        const found = values.staticMember(name, entry);
        return found && staticObject(values, found);
      }),
    enumerator: (name) => first((values, at) => values.enumerator(name, at)),
    type: (name, namespace) => first((values, at) => values.typeNamed(name, namespace, at)),
    wordSize: 8,
  };
}

/** A variable whose place no frame has to tell. */
export function staticObject(
  values: ProgramValues,
  variable: { readonly entry: number; readonly type: ProgramType },
): BoundObject | undefined {
  const place = values.fixedPlace(variable, 0n);
  return place === undefined || place === 'optimizedOut' ? undefined : boundTo(place, variable.type);
}

function boundTo(place: FixedPlace, type: ProgramType): BoundObject {
  switch (place.kind) {
    case 'memory': {
      const base = place.register === undefined ? numberTree(0n) : registerTree(place.register);
      return { type, place: { kind: 'memory', address: plus(base, place.offset) } };
    }
    case 'register':
      return { type, place: partsOf([{ bits: 64, offset: 0, tree: registerTree(place.name) }]) };
    case 'bytes':
      return { type, place: heldBytes(place.bytes) };
  }
}

/** Names for a condition at an address; without one, only what is the same everywhere. */
export function namesAt(
  program: Program,
  address: bigint | undefined,
  isRegister: (name: string) => boolean,
): ProgramNames {
  const global = globalNames(program, address);
  const values = address === undefined ? undefined : program.valuesAt(address);
  return {
    ...global,
    isRegister,
    variable(name) {
      const local = address === undefined ? undefined : visible(values?.localsAt(address) ?? []).get(name);
      if (!values || !local || address === undefined) return global.variable(name);
      return readable(() => {
        const place = values.fixedPlace(local, address);
        if (place === 'optimizedOut') throw new ExpressionError(`"${name}" has been optimized out here`);
        if (place === undefined || !hasFixedSize(local.type))
          throw new ExpressionError(
            `where "${name}" is cannot be told beforehand: a condition cannot use it`,
          );
        return boundTo(place, local.type);
      });
    },
  };
}

function hasFixedSize(type: ProgramType): boolean {
  return type.kind !== 'array' || typeof type.count === 'number' || type.count === undefined;
}

/** The names of a frame of a stopped machine. */
export class FrameNames implements ProgramNames {
  readonly wordSize: 4 | 8;
  readonly #state: MachineState;
  readonly #frame: Frame | undefined;
  readonly #values: ProgramValues | undefined;
  readonly #global: Names;
  readonly #isRegister: (name: string) => boolean;
  #visible: ReadonlyMap<string, LocalVariable> | undefined;

  constructor(
    state: MachineState,
    program: Program,
    frame: Frame | undefined,
    isRegister: (name: string) => boolean,
  ) {
    this.#state = state;
    this.#frame = frame;
    this.#values = frame && program.valuesAt(frame.lookup);
    this.#global = globalNames(program, frame?.lookup);
    this.#isRegister = isRegister;
    this.wordSize = codeMode(state.registers()).wordSize;
  }

  /** The variables of the frame, parameters first, inner blocks after outer ones. */
  locals(): readonly LocalVariable[] {
    const locals = this.#frame && this.#values?.localsAt(this.#frame.lookup, this.#frame.inline);
    return locals ?? [];
  }

  /** The variables with a fixed address of the unit that the frame's code is in. */
  statics(): readonly { readonly name: string; readonly object: BoundObject }[] {
    const values = this.#values;
    if (!values || !this.#frame) return [];
    return values.staticsAt(this.#frame.lookup).flatMap((variable) => {
      const object = staticObject(values, variable);
      return object ? [{ name: variable.name, object }] : [];
    });
  }

  hasStatics(): boolean {
    return this.#values !== undefined && this.statics().length > 0;
  }

  isRegister(name: string): boolean {
    return this.#isRegister(name);
  }

  symbol(name: string): bigint | undefined {
    return this.#global.symbol(name);
  }

  staticMember(member: Parameters<ProgramNames['staticMember']>[0]): BoundObject | undefined {
    return this.#global.staticMember(member);
  }

  enumerator(name: string): ReturnType<ProgramNames['enumerator']> {
    return this.#global.enumerator(name);
  }

  type(...args: Parameters<ProgramNames['type']>): ProgramType | undefined {
    return this.#global.type(...args);
  }

  variable(name: string): BoundObject | undefined {
    this.#visible ??= visible(this.locals());
    const local = this.#visible.get(name);
    return local ? this.object(local) : this.#global.variable(name);
  }

  /** A local variable of the frame. Throws an ExpressionError that says why it cannot be shown. */
  object(local: { readonly entry: number; readonly type: ProgramType }): BoundObject {
    const values = this.#values as ProgramValues;
    const frame = this.#frame as Frame;
    return readable(() => {
      const at = valueFrame(this.#state, frame);
      const location = values.locate(local, at);
      const type = counted(local.type, values, at);
      if (location.kind === 'optimizedOut') throw new ExpressionError('optimized out');
      if (location.kind === 'implicitPointer') {
        const { target, offset } = location;
        return {
          type,
          place: partsOf([]),
          implicit: { target: target && this.#implicitTarget(target, offset) },
        };
      }
      return { type, place: this.#place(location) };
    });
  }

  /** What a pointer that was optimized away points to, where it has not been optimized away too. */
  #implicitTarget(target: { readonly entry: number; readonly type: ProgramType }, offset: number) {
    try {
      const object = this.object(target);
      return { ...object, place: within(object.place, offset) };
    } catch (error) {
      if (error instanceof ExpressionError) return undefined;
      throw error;
    }
  }

  #place(location: Exclude<ValueLocation, { kind: 'implicitPointer' | 'optimizedOut' }>): ObjectPlace {
    if (location.kind === 'memory') return { kind: 'memory', address: numberTree(location.address) };
    if (location.kind === 'bytes') return heldBytes(location.bytes);
    if (location.kind === 'register')
      return partsOf([{ bits: 64, offset: 0, tree: this.#register(location.name) }]);
    return partsOf(
      location.pieces.flatMap(({ bits, offset, source }) =>
        source === undefined ? [{ bits, offset: 0, tree: undefined }] : this.#parts(source, bits, offset),
      ),
    );
  }

  #parts(source: ValueSource, bits: number, offset: number): ObjectPart[] {
    switch (source.kind) {
      case 'memory': {
        const place: ObjectPlace = { kind: 'memory', address: numberTree(source.address) };
        const parts: ObjectPart[] = [];
        for (let at = 0; at < bits; at += 64) {
          const width = Math.min(64, bits - at);
          const tree = loadTree(place, { start: offset + at, bits: width }, unsignedType(width), 0);
          parts.push({ bits: width, offset: 0, tree });
        }
        return parts;
      }
      case 'register':
        return [{ bits, offset, tree: this.#register(source.name) }];
      case 'bytes':
        return cut(heldParts(source.bytes), offset, bits);
      case 'implicitPointer':
        return [{ bits, offset: 0, tree: undefined }];
    }
  }

  #register(name: string): Expression {
    const number = (X86_64_REGISTERS as readonly string[]).indexOf(name);
    if (number < 0) throw new ExpressionError(`kept in ${name}, which cannot be read`);
    if (this.#frame?.registers.values[number] === undefined)
      throw new ExpressionError(`kept in ${name}, whose value in this frame is not known`);
    return registerTree(name);
  }
}

/** The variable that a name means where several blocks have one: the innermost. */
function visible(locals: readonly LocalVariable[]): ReadonlyMap<string, LocalVariable> {
  return new Map(locals.map((local) => [local.name, local]));
}

function valueFrame(state: MachineState, frame: Frame): ValueFrame {
  return {
    registers: frame.registers,
    readMemory: (address, size) => {
      const bytes = state.readMemory({ space: 'linear', address }, size);
      return bytes.length === size ? bytes : undefined;
    },
    caller: () => {
      const caller = frame.caller();
      return caller && valueFrame(state, caller);
    },
  };
}

/** An array whose bound the frame knows, with that bound. */
function counted(type: ProgramType, values: ProgramValues, frame: ValueFrame): ProgramType {
  if (type.kind !== 'array' || type.count === undefined) return type;
  let element: ProgramType | undefined;
  const elementOf = () => (element ??= counted(type.element(), values, frame));
  if (typeof type.count === 'number') return { ...type, element: elementOf };
  const count = values.countElements(type.count, frame);
  const each = type.stride ?? elementOf().size;
  const size = count === undefined || each === undefined ? undefined : count * each;
  return { ...type, element: elementOf, count, size };
}

function registerTree(name: string): Expression {
  return { kind: 'name', name, register: true, offset: 0 };
}

function partsOf(parts: readonly ObjectPart[]): ObjectPlace {
  return { kind: 'parts', parts };
}

function heldParts(bytes: Uint8Array): ObjectPart[] {
  const parts: ObjectPart[] = [];
  for (let at = 0; at < bytes.length; at += 8) {
    const word = bytes.subarray(at, at + 8);
    const value = word.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
    parts.push({ bits: word.length * 8, offset: 0, tree: numberTree(value) });
  }
  return parts;
}

function heldBytes(bytes: Uint8Array): ObjectPlace {
  return partsOf(heldParts(bytes));
}

function cut(parts: readonly ObjectPart[], start: number, bits: number): ObjectPart[] {
  const place = within(partsOf(parts), start / 8);
  const found: ObjectPart[] = [];
  let left = bits;
  for (const part of place.kind === 'parts' ? place.parts : []) {
    if (left <= 0) break;
    found.push({ ...part, bits: Math.min(part.bits, left) });
    left -= part.bits;
  }
  return found;
}

/** What debug information cannot tell is an error of the expression that asks. */
function readable<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof SymbolsError) throw new ExpressionError(error.message);
    throw error;
  }
}
