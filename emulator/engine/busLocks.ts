/**
 * Bus locks. A locked access inside a cache line locks that line; one in two lines ("split lock") has to keep everybody
 * else from memory. DEVIATION(bus-locks-of-splits)
 *
 * Intel SDM Vol. 3A, "Bus Locking", 10.1.2; "Effects of a LOCK Operation on Internal Processor Caches", 10.1.4.
 */
import type { SystemInstruction } from '../isa/systemInstruction.ts';
import type { CpuState } from '../state/cpuState.ts';
import { FS } from '../state/registers.ts';

const CACHE_LINE = 64;
const BIT_TESTS: ReadonlySet<string> = new Set(['BTC', 'BTR', 'BTS']);

/** Whether the instruction, which is about to be executed, asserts a bus lock if it completes. */
export function assertsBusLock(state: CpuState, instruction: SystemInstruction): boolean {
  if (!instruction.locked) return false;
  const bytes = instruction.operandBits(0) >> 3;
  return Number(linearAddressOf(state, instruction) & BigInt(CACHE_LINE - 1)) + bytes > CACHE_LINE;
}

function linearAddressOf(state: CpuState, instruction: SystemInstruction): bigint {
  const { segment } = instruction;
  const base = state.in64BitMode && segment < FS ? 0n : state.segmentBase(segment);
  return (
    base + BigInt.asUintN(instruction.addressSize, instruction.effectiveAddress() + reach(state, instruction))
  );
}

/** A bit offset in a register selects an operand-sized unit before or after the effective address. */
function reach(state: CpuState, instruction: SystemInstruction): bigint {
  if (!BIT_TESTS.has(instruction.name) || instruction.operandKind(1) !== 'register') return 0n;
  const bits = instruction.operandBits(1);
  const offset = BigInt.asIntN(bits, state.gpr(instruction.register(1)));
  return (offset >> BigInt(Math.log2(bits))) * BigInt(bits >> 3);
}
