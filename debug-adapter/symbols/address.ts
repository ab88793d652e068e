/**
 * Addresses inside the reader are numbers, because indexes with a million of them must be compact and
 * quick to search: the 64-bit address as a signed integer. Every canonical address near either end of
 * the address space is exact (0xffffffff81000000 is -0x7f000000). What is beyond ±2^53, where no
 * program is linked, is NOWHERE: it compares false with everything, so it is in no range.
 */

export type Address = number;

export const NOWHERE: Address = Number.NaN;

const LIMIT = 2 ** 53;

/** The address of two 32-bit halves. */
export function addressOfHalves(low: number, high: number): Address {
  const value = (high | 0) * 0x1_0000_0000 + (low >>> 0);
  return value >= -LIMIT && value <= LIMIT ? value : NOWHERE;
}

export function addressOfBigInt(address: bigint): Address {
  const value = Number(BigInt.asIntN(64, address));
  return value >= -LIMIT && value <= LIMIT ? value : NOWHERE;
}

/** The address as the rest of the debugger knows it: unsigned, 64 bits. */
export function bigIntOfAddress(address: Address): bigint {
  return BigInt.asUintN(64, BigInt(address));
}
