/** How a value is shown: hexadecimal first, because addresses and bit masks are what this debugger is about. */
import type { NumberFormat } from '../protocol/custom.ts';
import type { Value } from './evaluate.ts';

export function hex(value: bigint, bits = 64): string {
  return `0x${BigInt.asUintN(bits, value).toString(16)}`;
}

/**
 * `0x10`, with the decimal value of a signed or small number beside it; or the decimal value alone. Addresses are
 * always hexadecimal.
 */
export function formatValue({ value, type, symbol, pointee, space }: Value, format: NumberFormat): string {
  const address = hex(value, type.bits);
  if (symbol !== undefined) return `${address} <${symbol}>`;
  if (pointee !== undefined || space !== undefined) return address;
  if (format === 'decimal') return value.toString();
  if (type.signed) return value < 0n || value > 9n ? `${value} (${address})` : value.toString();
  if (type.bits === 64) return address;
  return value > 9n ? `${address} (${value})` : value.toString();
}

/** All digits of a register or field; as a decimal number only those it needs. */
export function formatWhole(value: bigint, bits: number, format: NumberFormat): string {
  return format === 'decimal' ? value.toString() : `0x${value.toString(16).padStart(bits / 4, '0')}`;
}
