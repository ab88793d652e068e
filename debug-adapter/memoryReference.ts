/**
 * Memory references of the protocol: an address with its space and level in the text.
 *
 *     0x1000  linear        gpa:0x1000  guest-physical        hpa:0x1000  host-physical
 *     L1.va:0x1000  the linear address as level 1 sees it     io:0x3f8    msr:0xc0000080
 */
import type { DebugAddress } from '../emulator/index.ts';
import { SPACE_PREFIXES, type SpaceName } from './expressions/ast.ts';

const REFERENCE = /^(?:L(\d+)\.)?(?:([a-z]+):)?(0x[0-9a-f]+|[0-9]+)$/i;

/** The address a reference names, or undefined when it is none. */
export function parseMemoryReference(text: string, offset = 0): DebugAddress | undefined {
  const match = REFERENCE.exec(text.trim());
  if (match === null) return undefined;
  const [, level, prefix, number] = match;
  const name = (prefix ?? 'va').toLowerCase();
  if (!Object.hasOwn(SPACE_PREFIXES, name)) return undefined;
  const start = BigInt(number);
  if (start >> 64n) return undefined;
  return {
    space: SPACE_PREFIXES[name as SpaceName],
    address: BigInt.asUintN(64, start + BigInt(offset)),
    ...(level !== undefined && { level: Number(level) }),
  };
}

/** The reference of an address: plain hexadecimal for a linear one of the running level. */
export function formatMemoryReference({ space, level, address }: DebugAddress): string {
  const number = `0x${address.toString(16)}`;
  if (space === 'linear' && level === undefined) return number;
  const prefix = Object.entries(SPACE_PREFIXES).find(([, name]) => name === space)?.[0] ?? space;
  return `${level === undefined ? '' : `L${level}.`}${prefix}:${number}`;
}
