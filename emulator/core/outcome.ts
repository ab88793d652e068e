/**
 * How TypeScript system code ends. Helpers called from generated code never throw: they return one of these numbers,
 * and what belongs to it is in the CPU (the pending fault, the state after a VM exit).
 */
export const OUTCOME = {
  /** Done; RIP moves to the next instruction and execution goes on without an event check. */
  NEXT: 0,
  /** Done; RIP moves to the next instruction, then events, mode and code are looked at again. */
  NEXT_THEN_CHECK: 1,
  /** Done; the helper wrote RIP itself (a jump, a VM entry, a VM exit). Counts as a retired instruction. */
  JUMPED: 2,
  /** A fault is in `cpu.fault`; RIP and RSP are as before the instruction, which does not count as retired. */
  FAULT: 3,
  /** A VM exit took place instead of the instruction, which does not count as retired. */
  VM_EXIT: 4,
  /** One iteration of a repeated instruction is done, RIP stays. Counts as a retired instruction. */
  REPEAT: 5,
} as const;

export type Outcome = (typeof OUTCOME)[keyof typeof OUTCOME];
