import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it, vi } from 'vitest';
import { inflate, outputOf, temporaryPath } from '../../test/support/symbolPrograms.ts';
import { missing } from '../../test/support/tools.ts';
import { ProgramSymbols } from './program.ts';

// Compilers and debuggers take their time on a busy machine.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const COUNT = 10_000;

/** Programs whose debug information would cost the square of its size if it were believed. */
const PROGRAMS: Record<string, string> = {
  /** Each unit has a line program of its own that reaches to the end of the section, over all the others. */
  'line programs inside each other': `
    .section .debug_abbrev
    .byte 1, 0x11, 0, 0x10, 0x17, 0, 0, 0
    .section .debug_line
    lines:
    .rept ${COUNT}
    .long lines_end - . - 4
    .short 4
    .long 20
    .byte 1, 1, 1, 0, 14, 13, 0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1, 0, 0
    .endr
    lines_end:
    .section .debug_info
    .set at, 0
    .rept ${COUNT}
    .long 12
    .short 4
    .long 0
    .byte 8, 1
    .long at
    .set at, at + 30
    .endr`,
  /** Each unit has an abbreviation table of its own, and finds its root at the end of the section. */
  'abbreviation tables inside each other': `
    .section .debug_abbrev
    .rept ${COUNT}
    .byte 1, 0x24, 0, 3, 8, 11, 11, 0, 0
    .endr
    .byte 2, 0x11, 0, 0, 0, 0
    .section .debug_info
    .set at, 0
    .rept ${COUNT}
    .long 8
    .short 4
    .long at
    .byte 8, 2
    .set at, at + 9
    .endr`,
  /** Each function has a range list that starts one range later than the one before. */
  'range lists inside each other': `
    .section .debug_abbrev
    .byte 1, 0x11, 1, 0x11, 1, 0x12, 7, 0, 0, 2, 0x2e, 0, 0x55, 0x17, 0, 0, 0
    .section .debug_ranges
    .rept ${COUNT}
    .quad 0, 1
    .endr
    .quad 0, 0
    .section .debug_info
    .long info_end - . - 4
    .short 4
    .long 0
    .byte 8, 1
    .quad _start, 16
    .set at, 0
    .rept ${COUNT}
    .byte 2
    .long at
    .set at, at + 16
    .endr
    .byte 0
    info_end:`,
  /** A list of 2^49 files of which none takes a byte. */
  'a line table header with files that take no space': `
    .section .debug_abbrev
    .byte 1, 0x11, 0, 0x10, 0x17, 0x11, 1, 0x12, 7, 0, 0, 0
    .section .debug_line
    .long lines_end - . - 4
    .short 5
    .byte 8, 0
    .long header_end - . - 4
    .byte 1, 1, 1, 0, 14, 1
    .byte 0, 0
    .byte 0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1
    header_end:
    .byte 0, 9, 2
    .quad _start
    .byte 1, 2, 4, 0, 1, 1
    lines_end:
    .section .debug_info
    .long 28
    .short 4
    .long 0
    .byte 8, 1
    .long 0
    .quad _start, 16`,
  /** An inlined function whose origin is itself. */
  'entries that refer to each other': `
    .section .debug_abbrev
    .byte 1, 0x11, 1, 0x11, 1, 0x12, 7, 0, 0, 2, 0x2e, 0, 0x11, 1, 0x12, 7, 0x31, 0x13, 0, 0, 0
    .section .debug_info
    .long info_end - . - 4
    .short 4
    .long 0
    .byte 8, 1
    .quad _start, 16
    .byte 2
    .quad _start, 8
    .long 49
    .byte 2
    .quad _start + 8, 8
    .long 28
    .byte 0
    info_end:`,
};

function open(name: string): ProgramSymbols {
  const [source, object, path] = ['s', 'o', 'elf'].map((extension) => temporaryPath(`hostile.${extension}`));
  writeFileSync(source, `.text\n.globl _start\n_start: .skip 16, 0x90\n${PROGRAMS[name]}\n`);
  outputOf('as', '-o', object, source);
  outputOf('ld', '-o', path, '-Ttext=0xffffffff81000000', object);
  return ProgramSymbols.open({ path, bytes: readFileSync(path) }, { inflate });
}

describe.skipIf(missing('as', 'ld'))('debug information made to keep the reader busy', () => {
  it.each(Object.keys(PROGRAMS))('as %s is answered soon', (name) => {
    const program = open(name);
    const [{ address }] = program.symbolsByName('_start');
    const started = performance.now();
    program.addressToLine(address);
    const at = program.functionAt(address);
    program.statementRange(address, { over: true });
    expect(program.lineToAddresses('/none.c', 1)).toEqual([]);
    expect(program.functionsByName('none')).toEqual([]);
    expect(performance.now() - started).toBeLessThan(10_000);
    if (name === 'entries that refer to each other') {
      expect(at?.function.name).toBeUndefined();
      expect(at?.frames).toHaveLength(1);
      return;
    }
    expect(program.problems.length).toBeGreaterThan(0);
    expect(program.problems[0].message).toMatch(/debug information is damaged|incomplete or damaged/);
  });
});
