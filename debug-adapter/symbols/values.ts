/**
 * The variables of a program: which there are at an address, of what types, and where they are in a frame. A
 * part of ProgramSymbols; addresses are those of the running program.
 */
import { type Address, addressOfBigInt, bigIntOfAddress } from './address.ts';
import type { ValueLocation, ValueSource } from './answers.ts';
import { ByteReader } from './byteReader.ts';
import type { CallFrames } from './cfi.ts';
import { CallSites } from './dwarf/callSites.ts';
import {
  DW_AT_byte_size,
  DW_AT_const_value,
  DW_AT_encoding,
  DW_AT_frame_base,
  DW_AT_location,
  DW_TAG_base_type,
} from './dwarf/constants.ts';
import type { Dwarf } from './dwarf/dwarf.ts';
import { followEntity, readEntity } from './dwarf/entities.ts';
import {
  type ExpressionContext,
  evaluateExpression,
  type Location,
  type ReadMemory,
  type SimpleLocation,
} from './dwarf/expression.ts';
import * as op from './dwarf/expressionOpcodes.ts';
import { Locals, type LocalVariable } from './dwarf/locals.ts';
import { locationAt } from './dwarf/locationLists.ts';
import { type DebugNames, variablesOfUnit } from './dwarf/names.ts';
import { NO_STRING } from './dwarf/sections.ts';
import { TypeIndex, type TypeNamespace } from './dwarf/typeIndex.ts';
import { type ElementCount, type ProgramType, Types } from './dwarf/types.ts';
import type { Unit } from './dwarf/unit.ts';
import { SymbolsError } from './errors.ts';
import {
  type FrameRegisters,
  I386,
  lookupAddress,
  type RegisterNumbering,
  RIP,
  X86_64,
  X86_64_REGISTERS,
} from './registers.ts';

/** A frame as expressions of the debug information see it. */
export interface ValueFrame {
  readonly registers: FrameRegisters;
  readonly readMemory: ReadMemory;
  /** The frame that called this one, for values that parameters had on entry. */
  readonly caller?: () => ValueFrame | undefined;
}

/** Where a variable is whenever an address is reached: a fixed place, or one relative to a register. */
export type FixedPlace =
  | { readonly kind: 'memory'; readonly register: string | undefined; readonly offset: bigint }
  | { readonly kind: 'register'; readonly name: string }
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array };

/** A variable that has a fixed address, or a function's static one. */
export interface StaticVariable {
  readonly name: string;
  readonly type: ProgramType;
  readonly entry: number;
}

export class ProgramValues {
  private readonly dwarf: Dwarf;
  private readonly callFrames: CallFrames;
  private readonly loadBias: bigint;
  private readonly names: () => DebugNames;
  private readonly types: Types;
  private readonly locals: Locals;
  private readonly callSites: CallSites;
  private typeIndex: TypeIndex | undefined;

  constructor(dwarf: Dwarf, callFrames: CallFrames, loadBias: bigint, names: () => DebugNames) {
    this.dwarf = dwarf;
    this.callFrames = callFrames;
    this.loadBias = loadBias;
    this.names = names;
    this.types = new Types(dwarf);
    this.locals = new Locals(dwarf, this.types);
    this.callSites = new CallSites(dwarf);
  }

  /**
   * The variables in scope at an address, outer blocks first: a name that comes twice is shadowed by the later.
   *
   * @param inline which of the frames that share the address, the innermost being 0
   */
  localsAt(address: bigint, inline = 0): LocalVariable[] {
    const at = this.internal(address);
    const scope = this.scopeAt(at, inline);
    return scope === undefined ? [] : this.locals.at(scope, at);
  }

  /** The variables with a fixed address that the unit of an address defines outside of functions. */
  staticsAt(address: bigint): StaticVariable[] {
    const unit = this.dwarf.unitAt(this.internal(address));
    if (!unit) return [];
    const entries = this.dwarf.attempt(() => variablesOfUnit(unit)) ?? [];
    return entries.flatMap((entry) => this.staticVariable(entry));
  }

  /** A variable with a fixed address by name; one of the unit of `near`, where that has one. */
  staticNamed(name: string, near?: bigint): StaticVariable | undefined {
    const unit = near === undefined ? undefined : this.dwarf.unitAt(this.internal(near));
    const entries = this.names().variables(name);
    const own = entries.find(
      (entry) => unit !== undefined && entry >= unit.header.offset && entry < unit.header.end,
    );
    const found = own ?? entries[0];
    return found === undefined ? undefined : this.staticVariable(found)[0];
  }

  /** The variable that a static member of a class is, by the entry of the member. */
  staticMember(name: string, declaration: number): StaticVariable | undefined {
    const found = this.names()
      .variables(name)
      .find((entry) => {
        let refers = false;
        this.dwarf.attempt(() =>
          followEntity(this.dwarf, entry, (die) => {
            refers = die.offset === declaration;
            return refers;
          }),
        );
        return refers;
      });
    return found === undefined ? undefined : this.staticVariable(found)[0];
  }

  typeNamed(name: string, namespace: TypeNamespace, near?: bigint): ProgramType | undefined {
    const unit = near === undefined ? undefined : this.dwarf.unitAt(this.internal(near));
    const entry = this.index().find(name, namespace, unit);
    return entry === undefined ? undefined : this.types.at(entry);
  }

  /** An enumerator by name: its value, and the enumeration it is of. */
  enumerator(name: string, near?: bigint): { value: bigint; type: ProgramType } | undefined {
    const unit = near === undefined ? undefined : this.dwarf.unitAt(this.internal(near));
    for (const entry of this.index().enumerations(name, unit)) {
      const type = this.types.at(entry);
      const found = type.kind === 'enum' && type.enumerators().find((candidate) => candidate.name === name);
      if (found) return { value: found.value, type };
    }
    return undefined;
  }

  /** Where a variable is in a frame. Throws a SymbolsError that says why that cannot be told. */
  locate(variable: { readonly entry: number }, frame: ValueFrame): ValueLocation {
    const { unit, expression, constant } = this.descriptionOf(variable.entry, this.addressOf(frame));
    if (constant) return constant;
    if (!expression || expression.length === 0) return { kind: 'optimizedOut' };
    return this.answer(unit, evaluateExpression(expression, this.context(unit, frame)));
  }

  /** Where a variable is whenever an address is reached; undefined where the memory or the stack must tell. */
  fixedPlace(variable: { readonly entry: number }, address: bigint): FixedPlace | 'optimizedOut' | undefined {
    const at = this.internal(address);
    const { unit, expression, constant } = this.descriptionOf(variable.entry, at);
    if (constant) return constant.kind === 'bytes' ? constant : undefined;
    if (!expression || expression.length === 0) return 'optimizedOut';
    return this.relativePlace(unit, expression, address) ?? this.constantPlace(unit, expression);
  }

  /** The number of elements of an array whose bound only a frame knows. */
  countElements(count: ElementCount, frame: ValueFrame): number | undefined {
    if (count === undefined || typeof count === 'number') return count;
    return this.dwarf.attempt(() => {
      const value = this.valueOf(count, frame);
      const elements =
        value === undefined ? -1 : Number(BigInt.asIntN(64, value)) + (count.isUpperBound ? 1 : 0);
      return elements >= 0 && elements < 2 ** 31 ? elements : undefined;
    });
  }

  private valueOf(count: Exclude<ElementCount, number | undefined>, frame: ValueFrame): bigint | undefined {
    if ('entry' in count) {
      const location = this.locate(count, frame);
      const size = this.types.at(readEntity(this.dwarf, count.entry).type).size ?? 8;
      if (location.kind === 'bytes') return littleEndian(location.bytes.subarray(0, size));
      if (location.kind !== 'memory') return undefined;
      const bytes = frame.readMemory(location.address, size);
      return bytes && littleEndian(bytes);
    }
    const unit = this.dwarf.units[count.unit];
    const location = evaluateExpression(count.expression, this.context(unit, frame));
    // What computes a bound leaves it on the stack, as an address would be.
    return location.kind === 'memory'
      ? location.address
      : location.kind === 'value'
        ? location.value
        : undefined;
  }

  private index(): TypeIndex {
    this.typeIndex ??= new TypeIndex(this.dwarf);
    return this.typeIndex;
  }

  private internal(address: bigint): Address {
    return addressOfBigInt(address - this.loadBias);
  }

  private addressOf(frame: ValueFrame): Address {
    return this.internal(lookupAddress(frame.registers) ?? 0n);
  }

  /** The entry of the function, or of a function inlined there. */
  private scopeAt(address: Address, inline: number): number | undefined {
    const unit = this.dwarf.unitAt(address);
    const functions = unit && this.dwarf.functions(unit);
    const scope = functions?.chain(functions.scopeAt(address))[inline];
    return scope === undefined ? undefined : functions?.scopes[scope].die;
  }

  /** The function at an address, not what is inlined there. */
  private functionAt(address: Address): number | undefined {
    const unit = this.dwarf.unitAt(address);
    const functions = unit && this.dwarf.functions(unit);
    const index = functions?.functionAt(address) ?? -1;
    return index < 0 ? undefined : functions?.scopes[index].die;
  }

  private staticVariable(entry: number): StaticVariable[] {
    const found = this.dwarf.attempt(() => {
      const { name, type } = readEntity(this.dwarf, entry);
      if (name === NO_STRING) return undefined;
      return { name: this.dwarf.sections.text(name), type: this.types.at(type), entry };
    });
    return found ? [found] : [];
  }

  /** What an entry says about its place: an expression, or a constant. It may be said by its abstract instance. */
  private descriptionOf(
    entry: number,
    at: Address,
  ): { unit: Unit; expression: Uint8Array | undefined; constant: ValueSource | undefined } {
    const own = this.dwarf.unitOf(entry);
    let expression: Uint8Array | undefined;
    let constant: ValueSource | undefined;
    followEntity(this.dwarf, entry, (die, unit) => {
      if (die.offset === entry) expression = locationAt(unit, die, DW_AT_location, at);
      if (die.offset === entry && die.find(DW_AT_location) >= 0) return true;
      const value = die.constant(DW_AT_const_value);
      const bytes = die.block(DW_AT_const_value);
      if (value !== undefined) constant = { kind: 'bytes', bytes: bytesOf(value) };
      else if (bytes) constant = { kind: 'bytes', bytes };
      return constant !== undefined;
    });
    return { unit: own, expression, constant };
  }

  private numbering(unit: Unit): RegisterNumbering {
    return unit.header.addressSize === 4 ? I386 : X86_64;
  }

  private context(unit: Unit, frame: ValueFrame): ExpressionContext {
    const { addressSize, offsetSize, offset: unitStart } = unit.header;
    const { toRegister } = this.numbering(unit);
    const address = this.addressOf(frame);
    return {
      addressSize,
      offsetSize,
      loadBias: this.loadBias,
      readMemory: frame.readMemory,
      register: (number) => {
        const register = toRegister(number);
        return register === undefined ? undefined : frame.registers.values[register];
      },
      frameBase: () => this.frameBase(frame, address),
      canonicalFrameAddress: () => {
        const cfa = this.callFrames.canonicalFrameAddress(frame.registers, frame.readMemory);
        if (cfa === undefined) throw new SymbolsError('expression', 'This code has no unwind information');
        return cfa;
      },
      indexedAddress: (index) => bigIntOfAddress(unit.indexedAddress(index)),
      entryValue: (expression) => this.entryValue(expression, frame, address),
      call: (reference, isInUnit) => {
        const at = isInUnit ? unitStart + reference : reference;
        const owner = this.dwarf.unitOf(at);
        return locationAt(owner, owner.die(at), DW_AT_location, address) ?? new Uint8Array(0);
      },
      baseType: (reference) => {
        const die = unit.die(unitStart + reference);
        if (die.tag !== DW_TAG_base_type)
          throw new SymbolsError('damagedDebugInfo', 'A DWARF expression names a type that is no base type');
        return { size: die.number(DW_AT_byte_size) ?? 0, encoding: die.number(DW_AT_encoding) ?? 0 };
      },
    };
  }

  private frameBase(frame: ValueFrame, address: Address): bigint {
    const scope = this.functionAt(address);
    const unit = scope === undefined ? undefined : this.dwarf.unitOf(scope);
    const expression =
      scope === undefined ? undefined : unit && locationAt(unit, unit.die(scope), DW_AT_frame_base, address);
    if (!unit || !expression) throw new SymbolsError('expression', 'This function has no frame base');
    const { frameBase: _, ...context } = this.context(unit, frame);
    const location = evaluateExpression(expression, context);
    if (location.kind === 'memory') return location.address;
    const value = location.kind === 'register' ? context.register(location.register) : undefined;
    if (value === undefined)
      throw new SymbolsError('expression', 'The frame base is not known in this frame');
    return value;
  }

  /** What an expression gave in this frame's caller, before the call. */
  private entryValue(expression: Uint8Array, frame: ValueFrame, address: Address): bigint {
    const caller = frame.caller?.();
    const returnAddress = caller?.registers.values[RIP];
    const callee = this.functionAt(address);
    if (caller?.registers.isReturnAddress && returnAddress !== undefined && callee !== undefined) {
      const at = this.internal(returnAddress);
      const site = this.functionAt(at - 1);
      const unit = site === undefined ? undefined : this.dwarf.unitOf(site);
      const value =
        site === undefined ? undefined : this.callSites.valueOnEntry(site, at, callee, expression);
      if (unit && value) {
        const location = evaluateExpression(value, this.context(unit, caller));
        if (location.kind === 'memory') return location.address;
        if (location.kind === 'value') return location.value;
      }
    }
    throw new SymbolsError('expression', 'The value on entry to the function is not known');
  }

  private registerName(unit: Unit, number: number): string {
    const register = this.numbering(unit).toRegister(number);
    if (register !== undefined) return X86_64_REGISTERS[register];
    const [firstVector, firstStack] = unit.header.addressSize === 4 ? [21, 11] : [17, 33];
    if (number >= firstVector && number < firstVector + 16) return `xmm${number - firstVector}`;
    if (number >= firstStack && number < firstStack + 8) return `st${number - firstStack}`;
    return `register ${number}`;
  }

  private source(unit: Unit, location: SimpleLocation): ValueSource {
    switch (location.kind) {
      case 'memory':
        return location;
      case 'register':
        return { kind: 'register', name: this.registerName(unit, location.register) };
      case 'value':
        return { kind: 'bytes', bytes: bytesOf(location.value) };
      case 'bytes':
        return location;
      case 'implicitPointer': {
        const { offset, die } = location;
        const [target] = this.staticVariable(die);
        return { kind: 'implicitPointer', target, offset };
      }
    }
  }

  private answer(unit: Unit, location: Location): ValueLocation {
    if (location.kind !== 'pieces') return this.source(unit, location);
    const pieces = location.pieces.map(({ bits, offset, location: part }) => ({
      bits,
      offset,
      source: part && this.source(unit, part),
    }));
    return pieces.some(({ source }) => source) ? { kind: 'pieces', pieces } : { kind: 'optimizedOut' };
  }

  private relativePlace(unit: Unit, expression: Uint8Array, address: bigint): FixedPlace | undefined {
    const reader = new ByteReader('DWARF expression', expression);
    const opcode = reader.u8();
    const register = (number: number): string | undefined => {
      const found = this.numbering(unit).toRegister(number);
      return found === undefined ? undefined : X86_64_REGISTERS[found];
    };
    if (opcode >= op.DW_OP_reg0 && opcode <= op.DW_OP_reg31 && reader.done) {
      const name = register(opcode - op.DW_OP_reg0);
      return name === undefined ? undefined : { kind: 'register', name };
    }
    if (opcode >= op.DW_OP_breg0 && opcode <= op.DW_OP_breg31) {
      const name = register(opcode - op.DW_OP_breg0);
      const offset = reader.bigSleb();
      return name !== undefined && reader.done ? { kind: 'memory', register: name, offset } : undefined;
    }
    if (opcode === op.DW_OP_call_frame_cfa && reader.done) {
      const rule = this.callFrames.canonicalFrameRule(address);
      return (
        rule && { kind: 'memory', register: X86_64_REGISTERS[rule.register], offset: BigInt(rule.offset) }
      );
    }
    if (opcode !== op.DW_OP_fbreg) return undefined;
    const offset = reader.bigSleb();
    if (!reader.done) return undefined;
    const at = this.internal(address);
    const scope = this.functionAt(at);
    const owner = scope === undefined ? undefined : this.dwarf.unitOf(scope);
    const base =
      owner && scope !== undefined ? locationAt(owner, owner.die(scope), DW_AT_frame_base, at) : undefined;
    if (!owner || !base || base.length === 0 || base[0] === op.DW_OP_fbreg) return undefined;
    const place = this.relativePlace(owner, base, address);
    if (place?.kind === 'register') return { kind: 'memory', register: place.name, offset };
    return place?.kind === 'memory' ? { ...place, offset: place.offset + offset } : undefined;
  }

  /** The place an expression gives without looking at registers or memory. */
  private constantPlace(unit: Unit, expression: Uint8Array): FixedPlace | undefined {
    try {
      const location = evaluateExpression(expression, {
        addressSize: unit.header.addressSize,
        loadBias: this.loadBias,
        readMemory: () => undefined,
        register: () => undefined,
        indexedAddress: (index) => bigIntOfAddress(unit.indexedAddress(index)),
      });
      if (location.kind === 'memory')
        return { kind: 'memory', register: undefined, offset: BigInt.asUintN(64, location.address) };
      if (location.kind === 'value') return { kind: 'bytes', bytes: bytesOf(location.value) };
      return location.kind === 'bytes' ? location : undefined;
    } catch (error) {
      if (error instanceof SymbolsError) return undefined;
      throw error;
    }
  }
}

/** A constant in as many bytes as the largest scalar has. */
function bytesOf(value: bigint): Uint8Array {
  return Uint8Array.from({ length: 16 }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn));
}

function littleEndian(bytes: Uint8Array): bigint {
  return bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
}
