/** Why generated code gave control back to the run loop. RIP, REMAINING and RECORD are spilled in every case. */
export const LEAVE = {
  /** The budget is used up; RIP is the next instruction. */
  BUDGET: 0,
  /** No decoded instruction is known for RIP in this context. */
  LOOKUP: 1,
  /** A memory access failed; the details are in the MMU. RIP is the instruction, which is not retired. */
  FAULT: 2,
  /** A segment check failed; the details are in the CPU. */
  SEGMENT_FAULT: 3,
  /** The instruction raises the exception whose vector is in ACCESS_SIZE. */
  RAISE: 4,
  /** A system instruction was executed after which the run loop has to look for events or for the next record. */
  SYSTEM: 5,
  /** A direct branch whose target is not decoded yet; RIP is the target, RECORD the link. */
  LINK: 6,
  /** A breakpoint of the debugger or of the program may stand at RIP; RECORD + RECORD_SIZE is the instruction. */
  BREAK: 7,
  /** The instruction at RIP lies in two pages. */
  CROSS: 8,
  /** Code at RIP must be looked up again, without the cache. */
  REFETCH: 9,
  /** A translation cannot go on here; interpret the instruction at RIP. */
  INTERPRET: 10,
  /** The interpreter has come to a record that is translated, RECORD. */
  TRANSLATED: 11,
  /** A translation has less budget left than its next block needs; interpret the rest. */
  SHORT: 12,
  /** Interpretation has begun often at RECORD, which is RIP. */
  OFTEN: 13,
} as const;

export type Leave = (typeof LEAVE)[keyof typeof LEAVE];
