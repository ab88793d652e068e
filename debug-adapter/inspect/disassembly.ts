/**
 * Disassembly in both directions from an address. x86 instructions cannot be read backwards: to show what is before an
 * address, decoding starts further back and must arrive exactly at it.
 */
import type { DisassembledLine } from '../../emulator/index.ts';
import type { Disassemble } from './generatedSource.ts';

const LONGEST_INSTRUCTION = 15;
const PAGE = 4096n;

function pageAfter(address: bigint): bigint {
  return address < 0n ? 0n : (address / PAGE + 1n) * PAGE;
}

export interface Resynchronisation {
  /** Start of the function the address is in, where decoding is sure to be right. */
  readonly functionStart: bigint | undefined;
}

/** `count` instructions that end where `address` begins; fewer when decoding does not arrive there. */
export async function instructionsBefore(
  address: bigint,
  count: number,
  { functionStart }: Resynchronisation,
  disassemble: Disassemble,
): Promise<DisassembledLine[]> {
  const furthest = BigInt(count * LONGEST_INSTRUCTION + LONGEST_INSTRUCTION);
  const isNear =
    functionStart !== undefined && functionStart < address && address - functionStart <= furthest * 4n;
  const starts = isNear ? [functionStart] : [];
  // x86 code falls into step by itself after a few instructions: one of neighbouring starts arrives.
  for (let shift = 0n; shift < BigInt(LONGEST_INSTRUCTION); shift++) {
    const start = address - furthest + shift;
    if (start >= 0n) starts.push(start);
  }
  // Memory may begin between there and the address.
  for (let page = pageAfter(address - furthest); page < address; page += PAGE) starts.push(page);
  // From the function's start alone there may be too few: the best that arrives is taken.
  let best: DisassembledLine[] = [];
  for (const start of starts) {
    const lines = await arrivingAt(address, start, disassemble);
    if (lines.length >= count) return lines.slice(-count);
    if (lines.length > best.length) best = lines;
    if (start === functionStart && lines.length > 0) {
      const more = await instructionsBefore(
        start,
        count - lines.length,
        { functionStart: undefined },
        disassemble,
      );
      return [...more, ...lines];
    }
  }
  return best;
}

/** The valid instructions just before `address` when decoding from `start` arrives there, else none. */
async function arrivingAt(
  address: bigint,
  start: bigint,
  disassemble: Disassemble,
): Promise<DisassembledLine[]> {
  const lines = await disassemble(start, Number(address - start));
  const end = lines.findIndex((line) => line.address >= address);
  const before = end < 0 ? [...lines] : lines.slice(0, end);
  const last = before[before.length - 1];
  if (last === undefined || last.address + BigInt(Math.max(1, last.bytes.length)) !== address) return [];
  const bad = before.findLastIndex(({ valid }) => !valid);
  return before.slice(bad + 1);
}
