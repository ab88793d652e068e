/** How a value is shown: hexadecimal first, because addresses and bit masks are what this debugger is about. */
import type { Value } from './evaluate.ts';

export function hex(value: bigint, bits = 64): string {
  return `0x${BigInt.asUintN(bits, value).toString(16)}`;
}

/** `0x10`, with the decimal value of a signed or small number beside it. */
export function formatValue({ value, type, symbol, pointee, space }: Value): string {
  const address = hex(value, type.bits);
  if (symbol !== undefined) return `${address} <${symbol}>`;
  if (pointee !== undefined || space !== undefined) return address;
  if (type.signed) return value < 0n || value > 9n ? `${value} (${address})` : value.toString();
  if (type.bits === 64) return address;
  return value > 9n ? `${address} (${value})` : value.toString();
}
