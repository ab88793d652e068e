import { describe, expect, it } from 'vitest';
import { SymbolsError } from '../errors.ts';
import { type ExpressionContext, evaluateExpression } from './expression.ts';
import * as op from './expressionOpcodes.ts';

const memory = new Map<bigint, number>([
  [0x1000n, 0x34],
  [0x1001n, 0x12],
]);

const context: ExpressionContext = {
  addressSize: 8,
  register: (number) => (number === 7 ? 0x7000n : number === 6 ? 0x6000n : undefined),
  readMemory: (address, size) => {
    const bytes = new Uint8Array(size);
    for (let i = 0; i < size; i++) {
      const byte =
        memory.get(address + BigInt(i)) ?? (address >= 0x1000n && address < 0x2000n ? 0 : undefined);
      if (byte === undefined) return undefined;
      bytes[i] = byte;
    }
    return bytes;
  },
  frameBase: () => 0x5000n,
  canonicalFrameAddress: () => 0x7010n,
  indexedAddress: (index) => 0x100n * BigInt(index),
  call: (offset) => Uint8Array.of(op.DW_OP_lit0 + offset, op.DW_OP_plus),
  baseType: (offset) => ({ size: offset, encoding: offset === 4 ? 0x05 : offset === 16 ? 0x04 : 0x07 }),
};

const lit = (value: number) => op.DW_OP_lit0 + value;

function value(...bytes: number[]): bigint {
  const location = evaluateExpression(Uint8Array.from([...bytes, op.DW_OP_stack_value]), context);
  if (location.kind !== 'value') throw new Error(location.kind);
  return location.value;
}

const signed = (...bytes: number[]) => BigInt.asIntN(64, value(...bytes));

function errorOf(...bytes: number[]): string {
  try {
    evaluateExpression(Uint8Array.from(bytes), context);
  } catch (error) {
    if (error instanceof SymbolsError) return error.message;
    throw error;
  }
  return 'no error';
}

describe('a DWARF expression', () => {
  it('pushes constants of every size', () => {
    expect(value(lit(31))).toBe(31n);
    expect(signed(op.DW_OP_const1s, 0xff)).toBe(-1n);
    expect(value(op.DW_OP_const1u, 0xff)).toBe(255n);
    expect(value(op.DW_OP_const2u, 0x34, 0x12)).toBe(0x1234n);
    expect(signed(op.DW_OP_const4s, 0, 0, 0, 0x80)).toBe(-0x8000_0000n);
    expect(value(op.DW_OP_const8u, 1, 2, 3, 4, 5, 6, 7, 0x88)).toBe(0x8807_0605_0403_0201n);
    expect(value(op.DW_OP_constu, 0x80, 1)).toBe(128n);
    expect(signed(op.DW_OP_consts, 0x7f)).toBe(-1n);
    expect(value(op.DW_OP_addr, 0, 0, 0, 0x81, 0xff, 0xff, 0xff, 0xff)).toBe(0xffff_ffff_8100_0000n);
    expect(value(op.DW_OP_addrx, 3)).toBe(0x300n);
  });

  it('reads registers, the frame and memory', () => {
    expect(value(op.DW_OP_breg0 + 7, 0x78)).toBe(0x6ff8n);
    expect(value(op.DW_OP_bregx, 6, 8)).toBe(0x6008n);
    expect(value(op.DW_OP_fbreg, 0x70)).toBe(0x4ff0n);
    expect(value(op.DW_OP_call_frame_cfa)).toBe(0x7010n);
    expect(value(op.DW_OP_const2u, 0, 0x10, op.DW_OP_deref)).toBe(0x1234n);
    expect(value(op.DW_OP_const2u, 0, 0x10, op.DW_OP_deref_size, 1)).toBe(0x34n);
  });

  it('moves entries of the stack', () => {
    expect(value(lit(1), lit(2), op.DW_OP_swap)).toBe(1n);
    expect(value(lit(1), lit(2), lit(3), op.DW_OP_rot)).toBe(2n);
    expect(value(lit(1), lit(2), lit(3), op.DW_OP_rot, op.DW_OP_drop)).toBe(1n);
    expect(value(lit(1), lit(2), op.DW_OP_over)).toBe(1n);
    expect(value(lit(9), lit(2), lit(3), op.DW_OP_pick, 2)).toBe(9n);
    expect(value(lit(4), op.DW_OP_dup, op.DW_OP_mul)).toBe(16n);
  });

  it('computes modulo the size of an address', () => {
    expect(signed(lit(2), lit(5), op.DW_OP_minus)).toBe(-3n);
    expect(signed(lit(7), op.DW_OP_neg, lit(2), op.DW_OP_div)).toBe(-3n);
    expect(value(lit(17), lit(5), op.DW_OP_mod)).toBe(2n);
    expect(value(op.DW_OP_const1s, 0xff, lit(1), op.DW_OP_plus)).toBe(0n);
    expect(value(lit(1), lit(31), op.DW_OP_plus_uconst, 0x21, op.DW_OP_shl)).toBe(0n);
    expect(value(op.DW_OP_const1s, 0x80, lit(4), op.DW_OP_shr)).toBe(0x0fff_ffff_ffff_fff8n);
    expect(signed(op.DW_OP_const1s, 0x80, lit(4), op.DW_OP_shra)).toBe(-8n);
    expect(signed(lit(5), op.DW_OP_not)).toBe(-6n);
    expect(value(op.DW_OP_const1s, 0xfb, op.DW_OP_abs)).toBe(5n);
    expect(value(lit(12), lit(10), op.DW_OP_and, lit(1), op.DW_OP_or, lit(3), op.DW_OP_xor)).toBe(10n);
  });

  it('compares generic values as signed ones', () => {
    const minusOne = [op.DW_OP_const1s, 0xff];
    expect(value(...minusOne, lit(1), op.DW_OP_lt)).toBe(1n);
    expect(value(...minusOne, lit(1), op.DW_OP_gt)).toBe(0n);
    expect(value(lit(1), lit(1), op.DW_OP_ge)).toBe(1n);
    expect(value(lit(1), lit(1), op.DW_OP_le)).toBe(1n);
    expect(value(lit(1), lit(2), op.DW_OP_eq)).toBe(0n);
    expect(value(lit(1), lit(2), op.DW_OP_ne)).toBe(1n);
  });

  it('branches and calls', () => {
    expect(value(lit(1), op.DW_OP_bra, 1, 0, lit(5), lit(6))).toBe(6n);
    expect(value(lit(0), op.DW_OP_bra, 1, 0, lit(5))).toBe(5n);
    expect(value(lit(7), op.DW_OP_skip, 1, 0, lit(5))).toBe(7n);
    expect(value(lit(7), op.DW_OP_call2, 3, 0)).toBe(10n);
  });

  it('computes with base types', () => {
    const int32 = 4;
    expect(value(op.DW_OP_const_type, int32, 4, 0xfe, 0xff, 0xff, 0xff, op.DW_OP_convert, 0)).toBe(
      2n ** 64n - 2n,
    );
    expect(value(op.DW_OP_const_type, int32, 4, 0xfe, 0xff, 0xff, 0xff, op.DW_OP_reinterpret, 0)).toBe(
      0xffff_fffen,
    );
    expect(value(op.DW_OP_regval_type, 7, 1, op.DW_OP_convert, 0)).toBe(0n);
    expect(errorOf(op.DW_OP_const_type, int32, 4, 1, 0, 0, 0, lit(1), op.DW_OP_plus)).toMatch(
      /different types/,
    );
    expect(errorOf(lit(1), op.DW_OP_convert, 16)).toMatch(/encoding 0x4 is not supported/);
  });

  it('gives a place in memory, a register, or the value itself', () => {
    const locate = (...bytes: number[]) => evaluateExpression(Uint8Array.from(bytes), context);
    expect(locate(op.DW_OP_breg0 + 7, 0)).toEqual({ kind: 'memory', address: 0x7000n });
    expect(locate(op.DW_OP_reg0 + 3)).toEqual({ kind: 'register', register: 3 });
    expect(locate(op.DW_OP_regx, 17)).toEqual({ kind: 'register', register: 17 });
    expect(locate(op.DW_OP_implicit_value, 2, 8, 9)).toEqual({ kind: 'bytes', bytes: Uint8Array.of(8, 9) });
    expect(evaluateExpression(Uint8Array.of(lit(8), op.DW_OP_plus), context, [0x10n])).toEqual({
      kind: 'memory',
      address: 0x18n,
    });
  });

  it('that cannot be evaluated says why', () => {
    expect(errorOf(op.DW_OP_drop)).toMatch(/takes more from its stack/);
    expect(errorOf(lit(1), lit(0), op.DW_OP_div)).toMatch(/DW_OP_div divides by zero/);
    expect(errorOf(op.DW_OP_breg0 + 1, 0)).toMatch(/Register 1 is not known/);
    expect(errorOf(lit(1), op.DW_OP_deref)).toMatch(/Memory at 0x1 cannot be read/);
    expect(errorOf(op.DW_OP_reg0, op.DW_OP_lit0)).toMatch(/DW_OP_lit0 after the end/);
    expect(errorOf(op.DW_OP_push_object_address)).toMatch(/DW_OP_push_object_address is not supported here/);
    expect(errorOf(0x01)).toMatch(/DWARF operation 0x1 is not supported/);
    expect(errorOf(op.DW_OP_const2u, 1)).toMatch(/ends before/);
    expect(errorOf(op.DW_OP_skip, 0xfd, 0xff)).toMatch(/does not end/);
    const endless: ExpressionContext = { ...context, call: () => Uint8Array.of(op.DW_OP_call2, 0, 0) };
    expect(() => evaluateExpression(Uint8Array.of(op.DW_OP_call2, 0, 0), endless)).toThrow(/call each other/);
  });

  it('gives locations in pieces, some of which do not exist', () => {
    const expression = [
      ...[op.DW_OP_reg0 + 3, op.DW_OP_piece, 4, op.DW_OP_piece, 4],
      ...[op.DW_OP_fbreg, 8, op.DW_OP_bit_piece, 5, 3],
      ...[lit(7), op.DW_OP_stack_value, op.DW_OP_piece, 1],
    ];
    expect(evaluateExpression(Uint8Array.from(expression), context)).toEqual({
      kind: 'pieces',
      pieces: [
        { bits: 32, offset: 0, location: { kind: 'register', register: 3 } },
        { bits: 32, offset: 0, location: undefined },
        { bits: 5, offset: 3, location: { kind: 'memory', address: 0x5008n } },
        { bits: 8, offset: 0, location: { kind: 'value', value: 7n } },
      ],
    });
  });

  it('gives pointers that do not exist, and adds where the program was loaded', () => {
    const pointer = Uint8Array.of(op.DW_OP_implicit_pointer, 0x10, 0, 0, 0, 0x7f);
    expect(evaluateExpression(pointer, context)).toEqual({ kind: 'implicitPointer', die: 16, offset: -1 });
    const address = Uint8Array.of(op.DW_OP_addr, 0, 0x10, 0, 0, 0, 0, 0, 0);
    expect(evaluateExpression(address, { ...context, loadBias: 0x400n })).toEqual({
      kind: 'memory',
      address: 0x1400n,
    });
  });
});
