/** What every instruction that a TypeScript function executes does when it retires. */
import { instructionPointerMask } from '../core/memory.ts';
import type { CpuState } from '../state/cpuState.ts';
import { OFFSET } from '../state/layout.ts';

const RIP_LOW = OFFSET.RIP >> 2;
const REPETITIONS_LOW = OFFSET.REPETITIONS >> 2;

/** An iteration of a repeated string instruction that was not its last. */
export function countRepetition({ u32 }: CpuState): void {
  u32[REPETITIONS_LOW]++;
  if (u32[REPETITIONS_LOW] === 0) u32[REPETITIONS_LOW + 1]++;
}

/** RIP behind an instruction. In 64-bit mode without a 64-bit number: hypervisors come here all the time. */
export function advanceRip(state: CpuState, length: number): void {
  if (!state.in64BitMode) {
    state.RIP = (state.RIP + BigInt(length)) & instructionPointerMask(state);
    return;
  }
  const { i32 } = state;
  const low = (i32[RIP_LOW] >>> 0) + length;
  i32[RIP_LOW] = low;
  if (low > 0xffff_ffff) i32[RIP_LOW + 1]++;
}
