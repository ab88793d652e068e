/**
 * What can be wrong with a program's symbols. Debug information is input from outside: each defect
 * ends in one SymbolsError whose message says what is wrong, where, and what the user can do.
 */

/** One row per kind of defect: what the user can do about it. */
const REMEDIES = {
  notElf: 'Name an ELF file for x86 or x86-64.',
  unsupportedFile: 'Name the linked x86 or x86-64 program that the machine runs.',
  damagedFile: 'The file is incomplete or damaged: build or copy it again.',
  compression: 'Decompress the file with "objcopy --decompress-debug-sections".',
  damagedDebugInfo: 'The debug information is damaged: build the program again.',
  unsupportedDebugInfo: 'Build the program with "-g -gdwarf-5 -gno-split-dwarf".',
  tooComplex: 'No compiler writes this: the debug information is damaged, build the program again.',
  expression: 'This value cannot be computed from the debug information.',
} as const;

export type SymbolsErrorCode = keyof typeof REMEDIES;

export class SymbolsError extends Error {
  readonly code: SymbolsErrorCode;

  constructor(code: SymbolsErrorCode, what: string) {
    super(`${what}. ${REMEDIES[code]}`);
    this.name = 'SymbolsError';
    this.code = code;
  }
}

/** How an offset or a number is written in a message. */
export function hex(value: number | bigint): string {
  return value < 0 ? `-0x${(-value).toString(16)}` : `0x${value.toString(16)}`;
}
