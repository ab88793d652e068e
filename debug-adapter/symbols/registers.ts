/**
 * Registers of a stack frame. They are kept under the x86-64 DWARF numbers whatever the code is: the
 * program may be 32-bit, and a 64-bit kernel may stand in a 32-bit container.
 *
 * @see System V ABI, AMD64 Architecture Processor Supplement, section 3.6.2 "DWARF Register Number Mapping"
 * @see System V ABI, Intel386 Architecture Processor Supplement, section 2.4.2 "DWARF Register Number Mapping"
 */

/** By DWARF number. */
export const X86_64_REGISTERS = [
  'rax',
  'rdx',
  'rcx',
  'rbx',
  'rsi',
  'rdi',
  'rbp',
  'rsp',
  'r8',
  'r9',
  'r10',
  'r11',
  'r12',
  'r13',
  'r14',
  'r15',
  'rip',
] as const;

export type RegisterName = (typeof X86_64_REGISTERS)[number];

export const RBP = X86_64_REGISTERS.indexOf('rbp');
export const RSP = X86_64_REGISTERS.indexOf('rsp');
export const RIP = X86_64_REGISTERS.indexOf('rip');

/** i386 numbers name eax, ecx, edx, ebx, esp, ebp, esi, edi, eip. */
const I386_NUMBERS = (['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi', 'rip'] as const).map((name) =>
  X86_64_REGISTERS.indexOf(name),
);

/** A machine as debug information numbers its registers. */
export interface RegisterNumbering {
  readonly wordSize: 4 | 8;
  /** Registers a called function leaves as they were. */
  readonly preserved: ReadonlySet<number>;
  /** From the numbers in the file to X86_64_REGISTERS; undefined for others (vector registers, segments). */
  readonly toRegister: (number: number) => number | undefined;
}

const numbersOf = (names: readonly RegisterName[]): ReadonlySet<number> =>
  new Set(names.map((name) => X86_64_REGISTERS.indexOf(name)));

export const X86_64: RegisterNumbering = {
  wordSize: 8,
  preserved: numbersOf(['rbx', 'rbp', 'r12', 'r13', 'r14', 'r15']),
  toRegister: (number) => (number < X86_64_REGISTERS.length ? number : undefined),
};

export const I386: RegisterNumbering = {
  wordSize: 4,
  preserved: numbersOf(['rbx', 'rbp', 'rsi', 'rdi']),
  toRegister: (number) => I386_NUMBERS[number],
};

/** The registers of one frame; those of callers are known as far as they were saved. */
export interface FrameRegisters {
  /** In the order of X86_64_REGISTERS. */
  readonly values: readonly (bigint | undefined)[];
  /**
   * Whether rip is a return address: then the call is just before it, and that is where to look for
   * lines, functions and unwind information. False for the innermost frame and for interrupted ones.
   */
  readonly isReturnAddress: boolean;
}

/** Where a frame is executing, for looking things up: within the call instruction for a caller. */
export function lookupAddress(frame: FrameRegisters): bigint | undefined {
  const rip = frame.values[RIP];
  return rip === undefined || !frame.isReturnAddress ? rip : BigInt.asUintN(64, rip - 1n);
}

export function registersOf(
  values: Partial<Record<RegisterName, bigint>>,
  isReturnAddress = false,
): FrameRegisters {
  return { values: X86_64_REGISTERS.map((name) => values[name]), isReturnAddress };
}
