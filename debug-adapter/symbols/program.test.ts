import { readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import {
  buildKernel,
  openProgram,
  outputOf,
  SOURCES,
  temporaryPath,
} from '../../test/support/symbolPrograms.ts';
import { missing } from '../../test/support/tools.ts';
import type { ProgramSymbols } from './program.ts';

// Compilers and debuggers take their time on a busy machine.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const KERNEL = join(SOURCES, 'kernel.c');
const HEADER = join(SOURCES, 'inlined.h');
const BOOT = join(SOURCES, 'boot.S');

/** Every combination that changes what the compiler writes. */
const BUILDS = [
  ['-gdwarf-5', '-O0'],
  ['-gdwarf-5', '-O2'],
  ['-gdwarf-5', '-Os', '-ffunction-sections', '-Wl,--gc-sections'],
  ['-gdwarf-4', '-O0'],
  ['-gdwarf-4', '-O2'],
  ['-gdwarf-4', '-O3', '-gno-as-loc-support'],
  ['-gdwarf-3', '-O1'],
  ['-gdwarf-2', '-O0'],
  ['-gdwarf-5', '-O2', '-m32'],
  ['-gdwarf-4', '-O1', '-m32'],
  ['-gdwarf-5', '-O2', '-gz=zlib'],
  ['-gdwarf-5', '-O2', '-flto'],
];

function lineOf(file: string, text: string): number {
  const lines = readFileSync(file, 'utf8').split('\n');
  const index = lines.findIndex((line) => line.includes(text));
  if (index < 0) throw new Error(`${file} has no line with ${text}`);
  return index + 1;
}

/** Every address of the code, as nm and the section headers give it. */
function codeAddresses(path: string): bigint[] {
  const text = outputOf('readelf', '-SW', path)
    .split('\n')
    .map((line) => /\.text\S*\s+PROGBITS\s+([0-9a-f]+) [0-9a-f]+ ([0-9a-f]+)/.exec(line))
    .find((match) => match !== null);
  if (!text) throw new Error(`${path} has no .text`);
  const start = BigInt(`0x${text[1]}`);
  return Array.from({ length: Number.parseInt(text[2], 16) }, (_, i) => start + BigInt(i));
}

interface OracleFrame {
  readonly name: string;
  readonly path: string;
  readonly line: number;
}

/**
 * The frames at each address, innermost first, by addr2line; for DWARF 5 by LLVM's, because that of
 * binutils 2.40 numbers the files of version 5 wrongly where file 1 is not file 0.
 */
function addr2line(path: string, isVersion5: boolean, addresses: readonly bigint[]): OracleFrame[][] {
  const program = isVersion5 ? 'llvm-addr2line' : 'addr2line';
  const result: OracleFrame[][] = [];
  for (let i = 0; i < addresses.length; i += 2000) {
    const part = addresses.slice(i, i + 2000).map((address) => `0x${address.toString(16)}`);
    let frames: OracleFrame[] = [];
    const lines = outputOf(program, '-a', '-i', '-f', '-e', path, ...part)
      .trim()
      .split('\n');
    for (let l = 0; l < lines.length; ) {
      if (lines[l].startsWith('0x')) {
        frames = [];
        result.push(frames);
        l++;
        continue;
      }
      const match = /^(.*):(\d+|\?)(?: \(discriminator \d+\))?$/.exec(lines[l + 1]);
      if (!match) throw new Error(`addr2line said ${lines[l + 1]}`);
      frames.push({ name: lines[l], path: match[1], line: match[2] === '?' ? 0 : Number(match[2]) });
      l += 2;
    }
  }
  return result;
}

describe.skipIf(missing('gcc', 'addr2line', 'llvm-addr2line', 'nm'))('a program compiled by gcc', () => {
  for (const options of BUILDS) {
    describe(options.join(' '), () => {
      let path: string;
      let program: ProgramSymbols;
      beforeAll(() => {
        path = buildKernel(...options);
        program = openProgram(path);
      });

      it('has the line, the function and the inlined frames of every address as addr2line has', () => {
        const addresses = codeAddresses(path);
        const expected = addr2line(path, options.includes('-gdwarf-5'), addresses);
        addresses.forEach((address, i) => {
          const at = program.functionAt(address);
          const line = program.addressToLine(address);
          const frames = at
            ? at.frames.map(({ name, position }) => ({ name, path: position?.path, line: position?.line }))
            : [{ name: program.symbolAt(address)?.name, path: line?.path, line: line?.line }];
          // For code without lines addr2line gives the nearest symbol, also beyond its end.
          if (expected[i][0].line === 0) {
            expect(line).toBeUndefined();
            return;
          }
          // Behind the last instruction of a function is padding, to which it gives the nearest symbol too;
          // LLVM prefers the symbol to the function's own name ("check.cold").
          const symbol = program.symbolAt(address)?.name;
          const wanted = expected[i].map((frame, f) => {
            const isSymbol =
              frames[f]?.name === undefined || (f === frames.length - 1 && frame.name === symbol);
            return isSymbol ? { ...frame, name: frames[f]?.name } : frame;
          });
          expect({ address, frames }).toEqual({ address, frames: wanted });
        });
        expect(program.problems).toEqual([]);
      });

      it('has every function where nm has it', () => {
        for (const line of outputOf('nm', path).trim().split('\n')) {
          const [address, kind, name] = line.split(' ');
          const value = BigInt(`0x${address}`);
          expect(program.symbolsByName(name).map((symbol) => symbol.address)).toContain(value);
          // What gcc has split off or specialized has no entry of that name.
          if (
            kind.toLowerCase() !== 't' ||
            name.includes('.') ||
            ['_start', 'hang', 'asm_add'].includes(name)
          )
            continue;
          if (name === 'label_without_type') continue;
          const functions = program.functionsByName(name).flatMap((found) => found.function ?? []);
          expect(functions.map((found) => found.entry)).toContain(value);
        }
      });

      it('finds the code of every line again where it says the line is', () => {
        for (const file of [KERNEL, HEADER, BOOT, join(SOURCES, 'other.c')]) {
          const lines = readFileSync(file, 'utf8').split('\n').length;
          for (const position of program.breakpointLocations(file, 1, lines)) {
            const locations = program.lineToAddresses(file, position.line);
            expect(locations.length).toBeGreaterThan(0);
            for (const location of locations) {
              expect(location.line).toBeGreaterThanOrEqual(position.line);
              const functionThere = program.functionAt(location.address);
              if (functionThere)
                expect(
                  functionThere.function.ranges.some(
                    (range) => location.address >= range.start && location.address < range.end,
                  ),
                ).toBe(true);
            }
          }
        }
      });

      it('has statements that hold their own address and begin and end with a row', () => {
        for (const address of codeAddresses(path)) {
          const line = program.addressToLine(address);
          const ranges = program.statementRange(address);
          if (!line) continue;
          expect(ranges.some((range) => address >= range.start && address < range.end)).toBe(true);
          for (let i = 1; i < ranges.length; i++) expect(ranges[i].start > ranges[i - 1].end).toBe(true);
        }
      });

      it('knows its sources', () => {
        for (const name of ['kernel.c', 'other.c', 'inlined.h', 'boot.S'])
          expect(program.sources()).toContain(join(SOURCES, name));
      });
    });
  }
});

describe.skipIf(missing('gcc'))('breakpoints', () => {
  it('on the first line of a function stop after its prologue', () => {
    const program = openProgram(buildKernel('-O0'));
    const line = lineOf(KERNEL, 'int check(int value)');
    const [location, ...rest] = program.lineToAddresses(KERNEL, line);
    expect(rest).toEqual([]);
    const [{ function: check }] = program.functionsByName('check');
    expect(location.address).toBe(check?.body);
    expect(location.address).toBeGreaterThan(check?.entry as bigint);
    expect(location.line).toBe(lineOf(KERNEL, 'for (int i = 0; i < 64; i++)'));
  });

  it('on the first line of an optimized function stop at its entry, as gdb does', () => {
    const program = openProgram(buildKernel('-O2'));
    const line = lineOf(KERNEL, 'int check(int value)');
    const [{ function: check }] = program.functionsByName('check');
    expect(check?.body).toBe(check?.entry);
    const locations = program.lineToAddresses(KERNEL, line);
    expect(locations.map(({ address }) => address)).toEqual([check?.entry]);
    expect(locations[0].line).toBe(line + 1);
  });

  it('on a line without code move to the next line that has some', () => {
    const program = openProgram(buildKernel('-O0'));
    const comment = lineOf(KERNEL, 'A comment, so that breakpoints here move down');
    const [location] = program.lineToAddresses(KERNEL, comment);
    expect(location.line).toBe(lineOf(KERNEL, 'if (n <= 1)'));
  });

  it('in a function of one line stop at its second row', () => {
    const program = openProgram(buildKernel('-O0'));
    const [location] = program.lineToAddresses(KERNEL, lineOf(KERNEL, 'static int one_line'));
    const [{ function: found }] = program.functionsByName('one_line');
    expect(location.address).toBeGreaterThan(found?.entry as bigint);
    expect(location.line).toBe(lineOf(KERNEL, 'static int one_line'));
  });

  it('in an inlined function stop in each instance', () => {
    const program = openProgram(buildKernel('-Og'));
    const locations = program.lineToAddresses(HEADER, lineOf(HEADER, 'if (value < low)'));
    const frames = locations.map(({ address }) =>
      program.functionAt(address)?.frames.map(({ name }) => name),
    );
    expect(frames).toEqual([
      ['clamp', 'sum'],
      ['clamp', 'other_work'],
      ['clamp', 'other_work'],
    ]);
  });

  it('in assembly stop at the very instruction', () => {
    const program = openProgram(buildKernel('-O0'));
    const [location] = program.lineToAddresses(BOOT, lineOf(BOOT, 'bump A'));
    expect(location.address).toBe(program.symbolsByName('asm_add')[0].address);
    expect(location.line).toBe(lineOf(BOOT, 'bump A'));
  });

  it('after the last line with code do not exist', () => {
    const program = openProgram(buildKernel('-O0'));
    expect(program.lineToAddresses(KERNEL, 10_000)).toEqual([]);
    expect(program.lineToAddresses('/no/such/file.c', 1)).toEqual([]);
  });

  it('may name a file by the end of its path', () => {
    const program = openProgram(buildKernel('-O0'));
    const line = lineOf(KERNEL, 'total += clamp');
    expect(program.lineToAddresses('kernel.c', line)).toEqual(program.lineToAddresses(KERNEL, line));
    expect(program.lineToAddresses('symbolPrograms/kernel.c', line)).toHaveLength(1);
    expect(program.lineToAddresses('ernel.c', line)).toEqual([]);
  });

  it('can be on the lines that have code, and only there', () => {
    const program = openProgram(buildKernel('-O0'));
    const first = lineOf(KERNEL, 'static int factorial');
    const lines = program.breakpointLocations(KERNEL, first, first + 6).map(({ line }) => line);
    expect([...new Set(lines)]).toEqual([first + 1, first + 2, first + 3, first + 4, first + 5]);
  });
});

describe.skipIf(missing('gcc'))('statements', () => {
  it('of a loop head are all its parts', () => {
    const program = openProgram(buildKernel('-O0'));
    const [{ address }] = program.lineToAddresses(KERNEL, lineOf(KERNEL, 'i < count; i++'));
    expect(program.statementRange(address).length).toBe(2);
  });

  it('leave out what is inlined, unless it is to be stepped over', () => {
    const program = openProgram(buildKernel('-Og'));
    const line = lineOf(KERNEL, 'total += clamp');
    const inlined = program.lineToAddresses(HEADER, lineOf(HEADER, 'if (value < low)'));
    const inSum = inlined.find(({ address }) => program.functionAt(address)?.function.name === 'sum');
    const address = inSum?.address as bigint;
    expect(program.functionAt(address)?.frames.map(({ name }) => name)).toEqual(['clamp', 'sum']);
    const holds = (ranges: readonly { start: bigint; end: bigint }[], at: bigint) =>
      ranges.some(({ start, end }) => at >= start && at < end);
    const caller = program.statementRange(address, { frame: 1 });
    expect(holds(caller, address)).toBe(true);
    for (const { start } of program.statementRange(address)) expect(holds(caller, start)).toBe(true);
    const frames = program.functionAt(address)?.frames;
    expect(frames?.[1].position?.line).toBe(line);
  });
});

describe.skipIf(missing('gcc'))('variables', () => {
  it('with a fixed address have their type and place', () => {
    const program = openProgram(buildKernel('-O0'));
    const type = (name: string) => program.variablesByName(name).map((variable) => variable.typeName);
    expect(type('shared_counter')).toEqual(['int']);
    expect(type('names')).toEqual(['const char *const [3]']);
    expect(type('ticks')).toEqual(['volatile long long unsigned int']);
    expect(type('origin')).toEqual(['struct point']);
    expect(type('handler')).toEqual(['int (*)(int, char *)']);
    expect(type('page')).toEqual(['unsigned char [2][16]']);
    expect(type('panics')).toEqual(['int']);
    for (const name of ['shared_counter', 'ticks', 'origin', 'handler', 'page', 'hidden'])
      expect(program.variablesByName(name)[0].address).toBe(program.symbolsByName(name)[0].address);
    const [origin] = program.variablesByName('origin');
    expect(origin.declaration).toEqual({
      path: KERNEL,
      line: lineOf(KERNEL, 'struct point origin'),
      column: 0,
    });
    expect(origin.isExternal).toBe(true);
    expect([...program.variables()].map(({ name }) => name)).toContain('seed');
  });
});

describe.skipIf(missing('gcc'))('a load bias', () => {
  it('moves every address', () => {
    const bias = 0x1200_0000n;
    const path = buildKernel('-O0');
    const [linked, moved] = [openProgram(path), openProgram(path, bias)];
    const line = lineOf(KERNEL, 'total += clamp');
    const [a] = linked.lineToAddresses(KERNEL, line);
    const [b] = moved.lineToAddresses(KERNEL, line);
    expect(b.address - a.address).toBe(bias);
    expect(moved.addressToLine(b.address)?.line).toBe(line);
    expect(moved.functionAt(b.address)?.function.name).toBe('sum');
    expect(moved.symbolAt(b.address)?.name).toBe('sum');
    expect(moved.symbolsByName('sum')[0].address - linked.symbolsByName('sum')[0].address).toBe(bias);
    expect(moved.variablesByName('origin')[0].address - linked.variablesByName('origin')[0].address).toBe(
      bias,
    );
    expect(moved.addressToLine(a.address)).toBeUndefined();
  });
});

describe.skipIf(missing('gcc', 'objcopy'))('source paths', () => {
  it('that are relative are resolved from the folder of the program', () => {
    const program = openProgram(buildKernel('-O0', `-ffile-prefix-map=${process.cwd()}=.`));
    const kernel = temporaryPath(relative(process.cwd(), KERNEL));
    expect(program.sources()).toContain(kernel);
    expect(program.sources()).toContain(temporaryPath(relative(process.cwd(), BOOT)));
    const [location] = program.lineToAddresses(kernel, lineOf(KERNEL, 'total += clamp'));
    expect(program.addressToLine(location.address)?.path).toBe(kernel);
    expect(program.sources().filter((source) => source.startsWith(SOURCES))).toEqual([]);
  });

  it('of a program built on Windows are found in any spelling', () => {
    const program = openProgram(buildKernel('-O0', `-fdebug-prefix-map=${SOURCES}=C:\\kernel\\src/`));
    expect(program.sources()).toContain('C:\\kernel\\src\\kernel.c');
    const line = lineOf(KERNEL, 'total += clamp');
    expect(program.lineToAddresses('c:/Kernel/SRC/kernel.c', line)).toHaveLength(1);
    expect(program.lineToAddresses('C:\\kernel\\src\\..\\src\\kernel.c', line)).toHaveLength(1);
    expect(program.lineToAddresses('SRC/Kernel.c', line)).toHaveLength(1);
    expect(program.lineToAddresses('/kernel/src/kernel.c', line)).toEqual([]);
  });
});

describe.skipIf(missing('gcc', 'objcopy'))('a program without .debug_aranges', () => {
  it.each([['-gdwarf-5'], ['-gdwarf-4']])('built with %s has the same answers', (option) => {
    const path = buildKernel('-O2', option);
    const without = temporaryPath('noAranges.elf');
    outputOf('objcopy', '--remove-section=.debug_aranges', path, without);
    const [program, other] = [openProgram(path), openProgram(without)];
    for (const address of codeAddresses(path)) {
      expect(other.addressToLine(address)).toEqual(program.addressToLine(address));
      expect(other.functionAt(address)).toEqual(program.functionAt(address));
    }
  });
});

describe.skipIf(missing('as', 'ld'))('the end of a prologue', () => {
  it('that the compiler marks is where a breakpoint on the function stops', () => {
    const [source, object, path] = ['s', 'o', 'elf'].map((extension) =>
      temporaryPath(`prologue.${extension}`),
    );
    writeFileSync(
      source,
      `.file 1 "/src/marked.c"
       .text
       .globl marked
       .type marked, @function
       marked:
       .loc 1 10 1
       push %rbp
       .loc 1 10 5
       mov %rsp, %rbp
       .loc 1 12 3 prologue_end
       nop
       .loc 1 13 3
       ret
       .size marked, . - marked
       end:
       .section .debug_abbrev
       .byte 1, 0x11, 1, 0x10, 0x17, 0x11, 1, 0x12, 7, 0, 0
       .byte 2, 0x2e, 0, 3, 8, 0x11, 1, 0x12, 7, 0, 0, 0
       .section .debug_info
       .long info_end - . - 4
       .short 4
       .long 0
       .byte 8, 1
       .long 0
       .quad marked, end - marked
       .byte 2
       .string "marked"
       .quad marked, end - marked
       .byte 0
       info_end:
       .section .debug_line
      `,
    );
    outputOf('as', '-o', object, source);
    outputOf('ld', '-o', path, '-e', 'marked', object);
    const program = openProgram(path);
    const [{ function: marked }] = program.functionsByName('marked');
    expect(program.problems).toEqual([]);
    expect((marked?.body ?? 0n) - (marked?.entry ?? 0n)).toBe(4n);
    const [location] = program.lineToAddresses('/src/marked.c', 10);
    expect([location.address, location.line]).toEqual([marked?.body, 12]);
  });
});

describe.skipIf(missing('gcc', 'gdb'))('the addresses of a line', () => {
  it.each([
    ['-gdwarf-5', '-O0'],
    ['-gdwarf-4', '-O0'],
    ['-m32', '-O0'],
  ])('with %s %s are those where gdb stops', (...options) => {
    const path = buildKernel(...options);
    const program = openProgram(path);
    for (const file of ['kernel.c', 'other.c', 'inlined.h']) {
      const count = readFileSync(join(SOURCES, file), 'utf8').split('\n').length - 1;
      const commands = ['set breakpoint pending off', 'set confirm off'];
      for (let line = 1; line <= count; line++)
        commands.push(`echo @@${line}\\n`, `break ${file}:${line}`, 'info breakpoints', 'delete');
      const output = outputOf(
        'gdb',
        '-nx',
        '-q',
        '-batch',
        ...commands.flatMap((command) => ['-ex', command]),
        path,
      );
      for (const part of output.split('@@').slice(1)) {
        const line = Number.parseInt(part, 10);
        const expected = [...part.matchAll(/ (0x[0-9a-f]{8,16}) in /g)].map((match) => BigInt(match[1]));
        const found = program.lineToAddresses(join(SOURCES, file), line).map(({ address }) => address);
        expect({ file, line, found }).toEqual({ file, line, found: expected });
      }
    }
  });
});
