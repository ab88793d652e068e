/**
 * Multiplication and division.
 *
 * @see SDM "Binary Arithmetic Instructions", 5.1.2 of volume 1
 */
import { SDM } from '../../base/reference.ts';
import { RAX, RDX, VECTOR } from '../../state/registers.ts';
import type { Emitter } from '../emitter.ts';
import type { SemanticRow } from '../forms.ts';
import type { Value } from '../ir.ts';
import { divide128 } from './divide128.ts';

const ALL = [8, 16, 32, 64] as const;
const WIDE = [16, 32, 64] as const;

/** Splits a product into AX, DX:AX, EDX:EAX or RDX:RAX. */
function writeProduct(e: Emitter, low: Value, high: Value): void {
  if (e.bits === 8) {
    e.setRegister(RAX, low, 16);
  } else {
    e.setRegister(RAX, low);
    e.setRegister(RDX, high);
  }
}

/** CF and OF say whether the high half matters; the manual leaves the others undefined, they follow the low half. */
function multiplyFlags(e: Emitter, low: Value, significant: Value): void {
  const carry = e.bit(significant);
  e.flagsOfResult(low, { cf: carry, of: carry });
}

function mul(e: Emitter): void {
  const { bits } = e;
  const a = e.register(RAX);
  const b = e.read(0);
  const product = e.binary('i64_mul', a, b);
  const high = bits === 64 ? e.call('multiplyHighUnsigned', a, b) : e.shr(product, bits);
  writeProduct(e, product, high);
  multiplyFlags(e, product, e.isNotZero(high));
}

function imulOne(e: Emitter): void {
  const { bits } = e;
  const a = e.signExtend(e.register(RAX), bits);
  const b = e.signExtend(e.read(0), bits);
  const product = e.binary('i64_mul', a, b);
  const high = bits === 64 ? e.call('multiplyHighSigned', a, b) : e.sar(product, bits);
  writeProduct(e, product, high);
  multiplyFlags(e, product, significantSigned(e, product, high));
}

/** Whether the signed product does not fit the operand size. */
function significantSigned(e: Emitter, product: Value, high: Value): Value {
  return e.bits === 64
    ? e.compare('i64_ne', high, e.sar(product, 63))
    : e.compare('i64_ne', e.signExtend(e.zeroExtend(product, e.bits), e.bits), product);
}

function imulTruncating(e: Emitter): void {
  const three = e.spec.operands.length === 3;
  const a = e.signExtend(e.read(three ? 1 : 0), e.bits);
  const b = e.signExtend(e.read(three ? 2 : 1), e.bits);
  const product = e.binary('i64_mul', a, b);
  const high = e.bits === 64 ? e.call('multiplyHighSigned', a, b) : product;
  e.write(0, product);
  multiplyFlags(e, product, significantSigned(e, product, high));
}

function imul(e: Emitter): void {
  if (e.spec.operands.length === 1) imulOne(e);
  else imulTruncating(e);
}

function dividend(e: Emitter): Value {
  if (e.bits === 8) return e.register(RAX, 16);
  return e.or(e.shl(e.register(RDX), e.bits), e.register(RAX));
}

function writeQuotient(e: Emitter, quotient: Value, remainder: Value): void {
  e.setRegister(RAX, quotient);
  if (e.bits === 8) e.setRegister(RAX, remainder, 8, true);
  else e.setRegister(RDX, remainder);
}

/** A division is slower than a multiplication: the remainder takes none. */
function writeQuotientOf(e: Emitter, value: Value, divisor: Value, quotient: Value): void {
  writeQuotient(e, quotient, e.sub(value, e.binary('i64_mul', quotient, divisor)));
}

/** #DE for a zero divisor and for a quotient that does not fit. Flags stay as they were (undefined by the manual). */
function div(e: Emitter): void {
  const divisor = e.read(0);
  e.raiseIf(e.isZero(divisor), VECTOR.DE);
  if (e.bits === 64) {
    const low = e.register(RAX);
    e.if(
      e.isZero(e.register(RDX)),
      () => writeQuotientOf(e, low, divisor, e.binary('i64_div_u', low, divisor)),
      () => e.system(),
    );
    return;
  }
  const value = dividend(e);
  const quotient = e.binary('i64_div_u', value, divisor);
  e.raiseIf(e.isNotZero(e.shr(quotient, e.bits)), VECTOR.DE);
  writeQuotientOf(e, value, divisor, quotient);
}

function idiv(e: Emitter): void {
  const { bits } = e;
  const divisor = e.signExtend(e.read(0), bits);
  e.raiseIf(e.isZero(divisor), VECTOR.DE);
  const value =
    bits === 64 ? e.register(RAX) : e.signExtend(dividend(e), bits === 8 ? 16 : bits === 16 ? 32 : 64);
  // The one case in which a 64-bit division overflows; wasm would trap.
  const minimum = e.compare('i64_eq', value, e.constant(1n << 63n));
  const overflows = e.logic('i32_and', minimum, e.compare('i64_eq', divisor, e.constant(-1n)));
  const write = () => writeQuotientOf(e, value, divisor, e.binary('i64_div_s', value, divisor));
  if (bits === 64) {
    const fits = e.compare('i64_eq', e.register(RDX), e.sar(value, 63));
    e.if(e.logic('i32_and', fits, e.isZero(overflows)), write, () => e.system());
    return;
  }
  if (bits === 32) e.raiseIf(overflows, VECTOR.DE);
  const quotient = e.binary('i64_div_s', value, divisor);
  e.raiseIf(e.compare('i64_ne', e.signExtend(e.zeroExtend(quotient, bits), bits), quotient), VECTOR.DE);
  write();
}

const ONE = [{ operands: ['rm'], bits: ALL }] as const;
const PRODUCT = { writes: 'all', undefined: ['SF', 'ZF', 'AF', 'PF'] } as const;
const QUOTIENT = { undefined: ['CF', 'OF', 'SF', 'ZF', 'AF', 'PF'] } as const;

export const MULTIPLY_ROWS: readonly SemanticRow[] = [
  { op: 'MUL', forms: ONE, emit: mul, flags: PRODUCT, ref: SDM('MUL—Unsigned Multiply', 'vol. 2B') },
  {
    op: 'IMUL',
    forms: [...ONE, { operands: ['r', 'rm'], bits: WIDE }, { operands: ['r', 'rm', 'i'], bits: WIDE }],
    emit: imul,
    flags: PRODUCT,
    ref: SDM('IMUL—Signed Multiply', 'vol. 2A'),
  },
  {
    op: 'DIV',
    forms: ONE,
    emit: div,
    flags: QUOTIENT,
    call: divide128(false),
    ref: SDM('DIV—Unsigned Divide', 'vol. 2A'),
  },
  {
    op: 'IDIV',
    forms: ONE,
    emit: idiv,
    flags: QUOTIENT,
    call: divide128(true),
    ref: SDM('IDIV—Signed Divide', 'vol. 2A'),
  },
];
