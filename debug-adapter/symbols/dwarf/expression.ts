/**
 * Evaluates DWARF expressions: a stack machine over the registers and memory of a stopped program.
 *
 * @see DWARF 5, section 2.5 "DWARF Expressions", section 2.6 "Location Descriptions"
 */
import { ByteReader } from '../byteReader.ts';
import { hex, SymbolsError } from '../errors.ts';
import {
  DW_ATE_address,
  DW_ATE_boolean,
  DW_ATE_signed,
  DW_ATE_signed_char,
  DW_ATE_UTF,
  DW_ATE_unsigned,
  DW_ATE_unsigned_char,
} from './constants.ts';
import * as op from './expressionOpcodes.ts';
import { StackArithmetic, type StackValue, type ValueType } from './stackValues.ts';

/** Reads memory of the stopped program; undefined where nothing is mapped. */
export type ReadMemory = (address: bigint, size: number) => Uint8Array | undefined;

/** What an expression may ask for. What is absent here makes the operation that needs it an error. */
export interface ExpressionContext {
  readonly addressSize: 4 | 8;
  /** Size of references to entries; 4 unless said. */
  readonly offsetSize?: 4 | 8;
  /** Where the program runs, less where it was linked: added to addresses in the expression. */
  readonly loadBias?: bigint;
  readonly readMemory: ReadMemory;
  /** A register by its DWARF number; undefined when its value is not known in this frame. */
  readonly register: (number: number) => bigint | undefined;
  readonly frameBase?: () => bigint;
  readonly canonicalFrameAddress?: () => bigint;
  readonly objectAddress?: () => bigint;
  readonly threadLocalAddress?: (offset: bigint) => bigint;
  /** Entry of .debug_addr, with the unit's base. */
  readonly indexedAddress?: (index: number) => bigint;
  /** The value an expression had on entry to the function. */
  readonly entryValue?: (expression: Uint8Array) => bigint;
  /** The location expression of an entry: an offset in its unit, or in .debug_info. */
  readonly call?: (offset: number, inUnit: boolean) => Uint8Array;
  /** A base type entry of the unit. */
  readonly baseType?: (offset: number) => { size: number; encoding: number };
}

export type SimpleLocation =
  | { readonly kind: 'memory'; readonly address: bigint }
  /** A register by its number in the file. */
  | { readonly kind: 'register'; readonly register: number }
  | { readonly kind: 'value'; readonly value: bigint }
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  /** A pointer that does not exist at run time, to `offset` bytes into what the entry `die` describes. */
  | { readonly kind: 'implicitPointer'; readonly die: number; readonly offset: number };

/** A part of an object: `bits` of it are at `location` from bit `offset` on, or nowhere. */
export interface Piece {
  readonly bits: number;
  readonly offset: number;
  readonly location: SimpleLocation | undefined;
}

export type Location = SimpleLocation | { readonly kind: 'pieces'; readonly pieces: readonly Piece[] };

/** No expression of a compiler comes near; one of a hostile file may loop. */
const MOST_STEPS = 10_000;
const DEEPEST_CALL = 16;
/** A piece for each bit of the largest vector register. */
const MOST_PIECES = 512;

const OPCODE_NAMES = new Map(Object.entries(op).map(([name, opcode]) => [opcode, name]));

function nameOf(opcode: number): string {
  return OPCODE_NAMES.get(opcode) ?? `DWARF operation ${hex(opcode)}`;
}

export function evaluateExpression(
  expression: Uint8Array,
  context: ExpressionContext,
  initial: readonly bigint[] = [],
): Location {
  const machine = new Machine(context);
  for (const value of initial) machine.push(value);
  machine.run(expression, 0);
  return machine.result();
}

class Machine {
  private readonly context: ExpressionContext;
  private readonly stack: StackValue[] = [];
  private found: SimpleLocation | undefined;
  private readonly pieces: Piece[] = [];
  private readonly arithmetic: StackArithmetic;
  private steps = 0;

  constructor(context: ExpressionContext) {
    this.context = context;
    this.arithmetic = new StackArithmetic(context.addressSize, nameOf);
  }

  push(bits: bigint, type?: ValueType): void {
    this.stack.push(this.arithmetic.value(bits, type));
  }

  result(): Location {
    if (this.pieces.length > 0) return { kind: 'pieces', pieces: this.pieces };
    return this.found ?? { kind: 'memory', address: this.pop().bits };
  }

  run(expression: Uint8Array, depth: number): void {
    if (depth > DEEPEST_CALL)
      throw new SymbolsError('expression', 'DWARF expressions call each other without end');
    const reader = new ByteReader('DWARF expression', expression);
    while (!reader.done) {
      const opcode = reader.u8();
      if (++this.steps > MOST_STEPS) throw new SymbolsError('expression', 'A DWARF expression does not end');
      if (this.found && !AFTER_LOCATION.has(opcode))
        throw new SymbolsError('expression', `${nameOf(opcode)} after the end of a location`);
      const pushed = this.step(opcode, reader, depth);
      if (pushed !== undefined) this.push(pushed);
    }
  }

  /** Does one operation, and returns the generic value it pushes, if it does. */
  private step(opcode: number, reader: ByteReader, depth: number): bigint | undefined {
    const { context, stack } = this;
    if (opcode >= op.DW_OP_lit0 && opcode <= op.DW_OP_lit31) return BigInt(opcode - op.DW_OP_lit0);
    if (opcode >= op.DW_OP_reg0 && opcode <= op.DW_OP_reg31) {
      this.found = { kind: 'register', register: opcode - op.DW_OP_reg0 };
      return undefined;
    }
    if (opcode >= op.DW_OP_breg0 && opcode <= op.DW_OP_breg31)
      return this.register(opcode - op.DW_OP_breg0) + reader.bigSleb();
    switch (opcode) {
      case op.DW_OP_addr:
        return (context.addressSize === 4 ? BigInt(reader.u32()) : reader.bigU64()) + this.bias;
      case op.DW_OP_const1u:
        return BigInt(reader.u8());
      case op.DW_OP_const1s:
        return BigInt(reader.i8());
      case op.DW_OP_const2u:
        return BigInt(reader.u16());
      case op.DW_OP_const2s:
        return BigInt(reader.i16());
      case op.DW_OP_const4u:
        return BigInt(reader.u32());
      case op.DW_OP_const4s:
        return BigInt(reader.i32());
      case op.DW_OP_const8u:
      case op.DW_OP_const8s:
        return reader.bigU64();
      case op.DW_OP_constu:
        return reader.bigUleb();
      case op.DW_OP_consts:
        return reader.bigSleb();
      case op.DW_OP_addrx:
      case op.DW_OP_GNU_addr_index:
        return this.need(context.indexedAddress, opcode)(reader.uleb()) + this.bias;
      case op.DW_OP_constx:
      case op.DW_OP_GNU_const_index:
        return this.need(context.indexedAddress, opcode)(reader.uleb());
      case op.DW_OP_bregx: {
        const register = reader.uleb();
        return this.register(register) + reader.bigSleb();
      }
      case op.DW_OP_fbreg:
        return this.need(context.frameBase, opcode)() + reader.bigSleb();
      case op.DW_OP_call_frame_cfa:
        return this.need(context.canonicalFrameAddress, opcode)();
      case op.DW_OP_push_object_address:
        return this.need(context.objectAddress, opcode)();
      case op.DW_OP_form_tls_address:
      case op.DW_OP_GNU_push_tls_address:
        return this.need(context.threadLocalAddress, opcode)(this.pop().bits);

      case op.DW_OP_dup:
        this.pick(0);
        return undefined;
      case op.DW_OP_over:
        this.pick(1);
        return undefined;
      case op.DW_OP_pick:
        this.pick(reader.u8());
        return undefined;
      case op.DW_OP_drop:
        this.pop();
        return undefined;
      case op.DW_OP_swap: {
        const [top, second] = [this.pop(), this.pop()];
        stack.push(top, second);
        return undefined;
      }
      case op.DW_OP_rot: {
        const [top, second, third] = [this.pop(), this.pop(), this.pop()];
        stack.push(top, third, second);
        return undefined;
      }

      case op.DW_OP_deref:
        return this.read(this.pop().bits, context.addressSize);
      case op.DW_OP_deref_size:
        return this.read(this.pop().bits, this.derefSize(reader));
      case op.DW_OP_deref_type:
      case op.DW_OP_GNU_deref_type: {
        const size = this.derefSize(reader);
        const type = this.type(reader, opcode);
        this.push(this.read(this.pop().bits, size), type);
        return undefined;
      }

      case op.DW_OP_abs:
      case op.DW_OP_neg:
      case op.DW_OP_not:
        stack.push(this.arithmetic.unary(opcode, this.pop()));
        return undefined;
      case op.DW_OP_plus_uconst: {
        const { bits, type } = this.pop();
        this.push(bits + reader.bigUleb(), type);
        return undefined;
      }
      case op.DW_OP_and:
      case op.DW_OP_or:
      case op.DW_OP_xor:
      case op.DW_OP_plus:
      case op.DW_OP_minus:
      case op.DW_OP_mul:
      case op.DW_OP_div:
      case op.DW_OP_mod:
      case op.DW_OP_shl:
      case op.DW_OP_shr:
      case op.DW_OP_shra: {
        const right = this.pop();
        stack.push(this.arithmetic.binary(opcode, this.pop(), right));
        return undefined;
      }
      case op.DW_OP_eq:
      case op.DW_OP_ne:
      case op.DW_OP_lt:
      case op.DW_OP_le:
      case op.DW_OP_gt:
      case op.DW_OP_ge: {
        const right = this.pop();
        return this.arithmetic.compare(opcode, this.pop(), right);
      }

      case op.DW_OP_skip: {
        const distance = reader.i16();
        reader.seek(reader.position + distance);
        return undefined;
      }
      case op.DW_OP_bra: {
        const distance = reader.i16();
        if (this.pop().bits !== 0n) reader.seek(reader.position + distance);
        return undefined;
      }
      case op.DW_OP_call2:
        this.run(this.need(context.call, opcode)(reader.u16(), true), depth + 1);
        return undefined;
      case op.DW_OP_call4:
        this.run(this.need(context.call, opcode)(reader.u32(), true), depth + 1);
        return undefined;
      case op.DW_OP_call_ref:
        this.run(this.need(context.call, opcode)(this.reference(reader), false), depth + 1);
        return undefined;

      case op.DW_OP_const_type:
      case op.DW_OP_GNU_const_type: {
        const type = this.type(reader, opcode);
        const size = reader.u8();
        const start = reader.position;
        reader.skip(size);
        this.push(littleEndian(reader.bytes.subarray(start, start + size)), type);
        return undefined;
      }
      case op.DW_OP_regval_type:
      case op.DW_OP_GNU_regval_type: {
        const register = reader.uleb();
        this.push(this.register(register), this.type(reader, opcode));
        return undefined;
      }
      case op.DW_OP_convert:
      case op.DW_OP_GNU_convert: {
        const type = this.type(reader, opcode);
        this.push(this.arithmetic.signed(this.pop()), type);
        return undefined;
      }
      case op.DW_OP_reinterpret:
      case op.DW_OP_GNU_reinterpret: {
        const type = this.type(reader, opcode);
        this.push(this.pop().bits, type);
        return undefined;
      }
      case op.DW_OP_entry_value:
      case op.DW_OP_GNU_entry_value: {
        const size = reader.uleb();
        const start = reader.position;
        reader.skip(size);
        return this.need(context.entryValue, opcode)(reader.bytes.subarray(start, start + size));
      }

      case op.DW_OP_regx:
        this.found = { kind: 'register', register: reader.uleb() };
        return undefined;
      case op.DW_OP_stack_value:
        this.found = { kind: 'value', value: this.pop().bits };
        return undefined;
      case op.DW_OP_implicit_value: {
        const size = reader.uleb();
        const start = reader.position;
        reader.skip(size);
        this.found = { kind: 'bytes', bytes: reader.bytes.subarray(start, start + size) };
        return undefined;
      }
      case op.DW_OP_implicit_pointer:
      case op.DW_OP_GNU_implicit_pointer: {
        const die = this.reference(reader);
        this.found = { kind: 'implicitPointer', die, offset: reader.sleb() };
        return undefined;
      }
      case op.DW_OP_piece:
        this.piece(reader.uleb() * 8, 0);
        return undefined;
      case op.DW_OP_bit_piece: {
        const bits = reader.uleb();
        this.piece(bits, reader.uleb());
        return undefined;
      }
      case op.DW_OP_nop:
      case op.DW_OP_GNU_uninit:
        return undefined;
      default:
        throw new SymbolsError('expression', `${nameOf(opcode)} is not supported`);
    }
  }

  private get bias(): bigint {
    return this.context.loadBias ?? 0n;
  }

  private reference(reader: ByteReader): number {
    return reader.unsigned(this.context.offsetSize ?? 4);
  }

  /** Ends a piece: what was found since the last one, an address on the stack, or nothing. */
  private piece(bits: number, offset: number): void {
    const address = this.stack.pop();
    const location = this.found ?? (address && ({ kind: 'memory', address: address.bits } as const));
    if (this.pieces.push({ bits, offset, location }) > MOST_PIECES)
      throw new SymbolsError('expression', 'A location has too many pieces');
    this.found = undefined;
    this.stack.length = 0;
  }

  private pop(): StackValue {
    const value = this.stack.pop();
    if (!value)
      throw new SymbolsError('expression', 'A DWARF expression takes more from its stack than is there');
    return value;
  }

  private pick(depth: number): void {
    const value = this.stack[this.stack.length - 1 - depth];
    if (!value)
      throw new SymbolsError('expression', 'A DWARF expression takes more from its stack than is there');
    this.stack.push(value);
  }

  private register(number: number): bigint {
    const value = this.context.register(number);
    if (value === undefined)
      throw new SymbolsError('expression', `Register ${number} is not known in this frame`);
    return value;
  }

  private derefSize(reader: ByteReader): number {
    const size = reader.u8();
    if (size < 1 || size > this.context.addressSize)
      throw new SymbolsError('expression', `A DWARF expression reads ${size} bytes as one value`);
    return size;
  }

  private read(address: bigint, size: number): bigint {
    const bytes = this.context.readMemory(address, size);
    if (bytes?.length !== size)
      throw new SymbolsError('expression', `Memory at ${hex(address)} cannot be read`);
    return littleEndian(bytes);
  }

  /** The type that an operation names by its entry; 0 is the generic type. */
  private type(reader: ByteReader, opcode: number): ValueType {
    const offset = reader.uleb();
    if (offset === 0) return undefined;
    const { size, encoding } = this.need(this.context.baseType, opcode)(offset);
    const signed = encoding === DW_ATE_signed || encoding === DW_ATE_signed_char;
    if (!signed && !UNSIGNED.has(encoding))
      throw new SymbolsError(
        'expression',
        `${nameOf(opcode)} with a type of encoding ${hex(encoding)} is not supported`,
      );
    if (size < 1 || size > 16)
      throw new SymbolsError('expression', `${nameOf(opcode)} with a type of ${size} bytes`);
    return { size, signed };
  }

  private need<T>(service: T | undefined, opcode: number): T {
    if (service === undefined)
      throw new SymbolsError('expression', `${nameOf(opcode)} is not supported here`);
    return service;
  }
}

/** What may follow a location: nothing, or the piece that it is of. */
const AFTER_LOCATION: ReadonlySet<number> = new Set([
  op.DW_OP_nop,
  op.DW_OP_GNU_uninit,
  op.DW_OP_piece,
  op.DW_OP_bit_piece,
]);

const UNSIGNED: ReadonlySet<number> = new Set([
  DW_ATE_address,
  DW_ATE_boolean,
  DW_ATE_unsigned,
  DW_ATE_unsigned_char,
  DW_ATE_UTF,
]);

function littleEndian(bytes: Uint8Array): bigint {
  let value = 0n;
  for (let i = bytes.length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i]);
  return value;
}
