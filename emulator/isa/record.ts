/**
 * The decoded instruction in the machine's memory: RECORD_SIZE bytes that the interpreter executes and the translator
 * reads. Register operands are byte offsets into the GPR file, so that AH is RAX's offset plus one.
 */
export const RECORD = {
  /** u16: index of the handler; pseudo handlers come first, see PSEUDO. */
  HANDLER: 0,
  /** u8: instruction length. */
  LENGTH: 2,
  /** u8: RECORD_FLAG bits. */
  FLAGS: 3,
  /** u8: byte offset in the GPR file of register operands 0 and 1. */
  REGISTER0: 4,
  REGISTER1: 5,
  /** u8: byte offset in the GPR file of base and index (the zero slot when absent). */
  BASE: 6,
  INDEX: 7,
  /** u8: shift count of the index. */
  SCALE: 8,
  /** u8: segment of the memory operand. */
  SEGMENT: 9,
  /** u8: byte offset in the GPR file of register operand 2. */
  REGISTER2: 10,
  /** u8: with REFETCH, what a SPOILED value says about the instruction that was here. */
  SPOILED: 11,
  /** i32: record of a direct branch target in the same page; index of a system instruction (SYSTEM, PORT). */
  TARGET: 12,
  /**
   * i64: immediate masked to its operand's size; of a direct branch outside 64-bit mode the way from its beginning to its
   * target; of a pseudo handler the offset of a target from the page base.
   */
  IMMEDIATE: 16,
  /** i32: displacement; for the RIP-relative form, offset of the operand from the page base. */
  DISPLACEMENT: 24,
  /** i32: offset of the instruction from the page base. */
  OFFSET: 28,
} as const;

export const RECORD_FLAG = {
  /** 64-bit mode with FS or GS: add the segment's base. */
  SEGMENT_BASE: 1,
  /** Not 64-bit mode: segment base, limit and type count; linear addresses have 32 bits. */
  LEGACY: 2,
  RIP_RELATIVE: 4,
  ADDRESS_32: 8,
  ADDRESS_16: 16,
  /** A 16-bit direct branch: the target is masked to IP. */
  BRANCH_16: 32,
} as const;

/** Handlers that are not instructions: they retire nothing. */
export const PSEUDO = {
  /** An unresolved direct branch: TARGET is the branch's record, IMMEDIATE the target's offset. */
  LINK: 0,
  /** Go on at TARGET, decoded before. */
  GOTO: 1,
  /** Go on at offset IMMEDIATE of another page. */
  GOTO_PAGE: 2,
  /** A breakpoint, of the debugger or of the program, may stand before the next record. */
  BREAK: 3,
  /** The instruction that follows lies in two pages; leave to check the second one's translation. */
  CROSS: 4,
  /** Fetching here faults or cannot be cached: leave, the run loop looks again. */
  REFETCH: 5,
  /** An instruction whose meaning is a TypeScript function: TARGET is its number in the code cache. */
  SYSTEM: 6,
  /** IN or OUT, a system instruction whose plain case is short: REGISTER0 is a PORT_ACCESS, IMMEDIATE the port, -1 for DX. */
  PORT: 7,
} as const;

/** Parts of what a PORT record does: the size in bytes, and the direction. */
export const PORT_ACCESS = { SIZE: 7, INPUT: 8 } as const;

/** Bytes of the instruction were written: whether it can be decoded again in its place. */
export const SPOILED = {
  /** It cannot. */
  NO: 0,
  /** If the instruction goes on with the next one. */
  GOES_ON: 1,
  /** If the instruction ends its block. */
  ENDS: 2,
} as const;

export const PSEUDO_COUNT = 8;

/** Whether a record with this handler number has a system instruction of its own. */
export function isSystemRecord(handler: number): boolean {
  return handler === PSEUDO.SYSTEM || handler === PSEUDO.PORT;
}
