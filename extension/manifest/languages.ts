/**
 * Languages whose lines take breakpoints, by the ids VS Code and its extensions give them. Our own two stand for files
 * that VS Code has no language for; whoever installs another extension for assembly gets that one's ids.
 */

interface Language {
  readonly id: string;
  /** F5 in such a file, without a launch.json, may offer this debugger. */
  readonly startsHere: boolean;
}

export const BREAKPOINT_LANGUAGES: readonly Language[] = [
  { id: 'c', startsHere: true },
  { id: 'cpp', startsHere: true },
  { id: 'rust', startsHere: true },
  { id: 'zig', startsHere: true },
  { id: 'hvm-gas', startsHere: true },
  { id: 'hvm-nasm', startsHere: true },
  // Of other extensions.
  { id: 'asm', startsHere: false },
  { id: 'asm-intel-x86-generic', startsHere: false },
  { id: 'asm-collection', startsHere: false },
  { id: 'assembly', startsHere: false },
  { id: 'gas', startsHere: false },
  { id: 'nasm', startsHere: false },
  { id: 'x86', startsHere: false },
  { id: 'x86_64', startsHere: false },
];
