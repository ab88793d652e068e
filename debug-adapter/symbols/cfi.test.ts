import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import {
  buildKernel,
  buildProgram,
  inflate,
  openProgram,
  outputOf,
  temporaryPath,
} from '../../test/support/symbolPrograms.ts';
import { missing } from '../../test/support/tools.ts';
import { bigIntOfAddress } from './address.ts';
import { CallFrameSection } from './cfiEntries.ts';
import { type CfaRule, type RegisterRule, runDescription } from './cfiRules.ts';
import { Elf } from './elf.ts';
import { unwindByFramePointer } from './framePointer.ts';
import { Problems } from './problems.ts';
import type { ProgramSymbols } from './program.ts';
import {
  type FrameRegisters,
  type RegisterName,
  RIP,
  RSP,
  registersOf,
  X86_64_REGISTERS,
} from './registers.ts';

// Compilers and debuggers take their time on a busy machine.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const LIBC = '/lib/x86_64-linux-gnu/libc.so.6';
/** Other systems keep it elsewhere; CI runs on one that has it there. */
const noLibc = !existsSync(LIBC) && process.env.CI !== 'true';

/** Rows of frame descriptions as `readelf --debug-dump=frames-interp` writes them. */
interface Rows {
  readonly range: string;
  /** From the location to the CFA and the registers that have a column. */
  readonly rows: Map<string, Record<string, string>>;
}

function expectedRows(path: string, section: string): Rows[] {
  const result: Rows[] = [];
  let columns: string[] = [];
  let current: Rows | undefined;
  let isWanted = false;
  for (const line of outputOf('readelf', '--wide', '--debug-dump=frames-interp', path).split('\n')) {
    const contents = /^Contents of the (\S+) section/.exec(line);
    if (contents) isWanted = contents[1] === section;
    if (!isWanted) continue;
    const entry = /^[0-9a-f]+ [0-9a-f]+ [0-9a-f]+ (CIE|FDE).*?(?:pc=(\S+))?$/.exec(line);
    if (entry) {
      current = entry[1] === 'FDE' ? { range: entry[2], rows: new Map() } : undefined;
      if (current) result.push(current);
    } else if (line.startsWith('   LOC')) columns = line.trim().split(/\s+/).slice(1);
    else if (current && /^[0-9a-f]{8,16} (?!ZERO)/.test(line)) {
      // A register is written as "r1 (rdx)".
      const [location, ...cells] = line
        .replace(/ \(\w+\)/g, '')
        .trim()
        .split(/\s+/);
      current.rows.set(location, Object.fromEntries(cells.map((cell, i) => [columns[i], cell])));
    }
  }
  return result;
}

const I386 = ['eax', 'ecx', 'edx', 'ebx', 'esp', 'ebp', 'esi', 'edi'];

function signed(offset: number): string {
  return offset < 0 ? `${offset}` : `+${offset}`;
}

function cfaText(rule: CfaRule | undefined, names: readonly string[]): string {
  if (!rule) return 'u';
  return rule.kind === 'expression' ? 'exp' : `${names[rule.register]}${signed(rule.offset)}`;
}

function ruleText(rule: RegisterRule | undefined): string {
  switch (rule?.kind) {
    case undefined:
    case 'undefined':
      return 'u';
    case 'sameValue':
      return 's';
    case 'offset':
      return `c${signed(rule.offset)}`;
    case 'valueOffset':
      return `v${signed(rule.offset)}`;
    case 'register':
      return `r${rule.register}`;
    case 'expression':
      return 'exp';
    case 'valueExpression':
      return 'vexp';
  }
}

function compareRules(path: string, section: string): number {
  const elf = new Elf({ path, bytes: readFileSync(path) }, inflate);
  const found = elf.section(section);
  if (!found) throw new Error(`${path} has no ${section}`);
  const problems = new Problems();
  const frames = new CallFrameSection(elf, found, section === '.eh_frame', problems);
  const width = elf.is64 ? 16 : 8;
  const names = elf.is64 ? X86_64_REGISTERS : I386;
  const text = (address: number) => bigIntOfAddress(address).toString(16).padStart(width, '0');
  const own = new Map<string, ReturnType<typeof rowsOf>>();
  const rowsOf = (description: Parameters<typeof runDescription>[1]) => {
    const rows = new Map<string, { cfa: string; registers: Map<number, RegisterRule> }>();
    runDescription(frames, description, (location, rules) => {
      rows.set(text(location), { cfa: cfaText(rules.cfa, names), registers: new Map(rules.registers) });
      return true;
    });
    return rows;
  };
  for (const description of frames.all())
    own.set(`${text(description.low)}..${text(description.high)}`, rowsOf(description));
  let count = 0;
  for (const { range, rows } of expectedRows(path, section)) {
    for (const [location, columns] of rows) {
      const row = own.get(range)?.get(location);
      const actual = Object.fromEntries(
        Object.keys(columns).map((name) => {
          if (name === 'CFA') return [name, row?.cfa];
          const number = name === 'ra' ? (elf.is64 ? RIP : 8) : names.indexOf(name as RegisterName);
          return [name, row && ruleText(row.registers.get(number))];
        }),
      );
      expect({ range, location, ...actual }).toEqual({ range, location, ...columns });
      count++;
    }
  }
  expect(problems.list).toEqual([]);
  return count;
}

describe.skipIf(missing('gcc', 'readelf'))('the rules of call frame information', () => {
  it.skipIf(noLibc)('of the C library are those that readelf has', () => {
    expect(compareRules(LIBC, '.eh_frame')).toBeGreaterThan(10_000);
  });

  it.each([['-O2'], ['-O0'], ['-O2', '-m32'], ['-O0', '-m32']])(
    'of .eh_frame compiled with %s %s are those that readelf has',
    (...options) => {
      expect(compareRules(buildKernel(...options), '.eh_frame')).toBeGreaterThan(0);
    },
  );

  it.each([
    ['-gdwarf-5', '-O2'],
    ['-gdwarf-4', '-O2'],
    ['-gdwarf-2', '-O0'],
    ['-Wa,--gdwarf-cie-version=3', '-O2'],
    ['-Wa,--gdwarf-cie-version=4', '-O2'],
    ['-gdwarf-5', '-O2', '-m32'],
  ])('of .debug_frame compiled with %s %s are those that readelf has', (...options) => {
    const path = buildKernel(...options, '-fno-asynchronous-unwind-tables');
    expect(compareRules(path, '.debug_frame')).toBeGreaterThan(5);
  });

  it('of handlers in assembly with .cfi_signal_frame are those that readelf has', () => {
    const path = resolve(import.meta.dirname, '../../samples/hello-guest/hello-guest.elf');
    expect(compareRules(path, '.debug_frame')).toBeGreaterThan(20);
  });
});

const SAVED: readonly RegisterName[] = ['rip', 'rsp', 'rbp', 'rbx', 'r12', 'r13', 'r14', 'r15'];

interface StoppedProgram {
  readonly frames: readonly Map<string, bigint>[];
  readonly stackStart: bigint;
  readonly stack: Uint8Array;
  readonly libcBias: bigint;
}

/** Runs a program up to `leaf` under gdb, and takes its stack and the registers of each of its frames. */
function stopInLeaf(path: string): StoppedProgram {
  const dump = temporaryPath('stack.bin');
  const commands = [
    'set confirm off',
    'set startup-with-shell off',
    'handle SIGUSR1 nostop noprint pass',
    'break leaf',
    'run',
    'frame function main',
    'set $top = $rsp + 512',
    'frame 0',
    'printf "stack %lx\\n", $rsp',
    `dump binary memory ${dump} $rsp $top`,
    'info sharedlibrary libc',
    `frame apply all -q info registers ${SAVED.join(' ')}`,
    'kill',
  ];
  const output = outputOf(
    'gdb',
    '-q',
    '-nx',
    '-batch',
    ...commands.flatMap((command) => ['-ex', command]),
    path,
  );
  const frames: Map<string, bigint>[] = [];
  for (const line of output.split('\n')) {
    const register = /^(r\w+)\s+(0x[0-9a-f]+|<not saved>)/.exec(line);
    if (!register) continue;
    if (register[1] === 'rip') frames.push(new Map());
    if (register[2].startsWith('0x')) frames[frames.length - 1].set(register[1], BigInt(register[2]));
  }
  // gdb also shows inlined functions and tail calls as frames, with the stack of the real one after them.
  const real = frames.filter((frame, i) => frame.get('rsp') !== frames[i + 1]?.get('rsp'));
  const libc = /^(0x[0-9a-f]+)\s+0x[0-9a-f]+.*libc\.so/m.exec(output);
  const text = /\.text\s+PROGBITS\s+([0-9a-f]+)/.exec(outputOf('readelf', '-SW', LIBC));
  const stack = /^stack ([0-9a-f]+)/m.exec(output);
  if (!libc || !text || !stack) throw new Error(`gdb said: ${output}`);
  return {
    frames: real,
    stackStart: BigInt(`0x${stack[1]}`),
    stack: readFileSync(dump),
    libcBias: BigInt(libc[1]) - BigInt(`0x${text[1]}`),
  };
}

function stackReader({
  stackStart,
  stack,
}: StoppedProgram): (address: bigint, size: number) => Uint8Array | undefined {
  return (address, size) => {
    const offset = Number(address - stackStart);
    return offset >= 0 && offset + size <= stack.length ? stack.subarray(offset, offset + size) : undefined;
  };
}

function firstFrame(stopped: StoppedProgram): FrameRegisters {
  return registersOf(Object.fromEntries(stopped.frames[0]));
}

describe.skipIf(noLibc || missing('gcc', 'gdb', 'readelf'))('unwinding', () => {
  it.each([['-O2'], ['-O0'], ['-Os'], ['-fno-asynchronous-unwind-tables', '-O2']])(
    'a program compiled with %s gives the registers that gdb gives, through libc and a signal frame',
    (...options) => {
      const path = buildProgram('stack.c', '-no-pie', ...options);
      const stopped = stopInLeaf(path);
      const programs: ProgramSymbols[] = [openProgram(path), openProgram(LIBC, stopped.libcBias)];
      const readMemory = stackReader(stopped);
      let frame = firstFrame(stopped);
      const names: (string | undefined)[] = [];
      // Down to main; below it is start-up code.
      while (names[names.length - 1] !== 'main') {
        const expected = stopped.frames[names.length];
        const actual = new Map<string, bigint>();
        for (const name of SAVED) {
          const value = frame.values[X86_64_REGISTERS.indexOf(name)];
          if (value !== undefined) actual.set(name, value);
        }
        expect({ frame: names.length, actual }).toEqual({ frame: names.length, actual: expected });
        const rip = frame.values[RIP] as bigint;
        names.push(programs[0].symbolAt(frame.isReturnAddress ? rip - 1n : rip)?.name);
        const callers = programs.flatMap((program) => program.unwind(frame, readMemory) ?? []);
        expect(callers).toHaveLength(1);
        frame = callers[0];
      }
      expect(names).toEqual(expect.arrayContaining(['leaf', 'on_signal', 'compare', 'sort', 'main']));
    },
  );

  it('by frame pointers follows the chain of code that keeps them', () => {
    const path = buildProgram('stack.c', '-no-pie', '-O1', '-fno-omit-frame-pointer');
    const stopped = stopInLeaf(path);
    const program = openProgram(path);
    const bytes = readFileSync(path);
    const onStack = stackReader(stopped);
    const readMemory = (address: bigint, size: number) => {
      const section = program.elf.sections.find(
        ({ address: start, size: length, type }) =>
          type === 1 && address >= start && address < BigInt(start + length),
      );
      if (!section) return onStack(address, size);
      const offset = section.offset + Number(address) - section.address;
      return bytes.subarray(offset, offset + size);
    };
    const frame = firstFrame(stopped);
    const start = program.symbolAt(frame.values[RIP] as bigint)?.symbol.address;
    const caller = unwindByFramePointer(frame, readMemory, 8, start);
    expect(caller?.values[RIP]).toBe(stopped.frames[1].get('rip'));
    expect(caller?.values[RSP]).toBe(stopped.frames[1].get('rsp'));
    expect(program.symbolAt((caller?.values[RIP] as bigint) - 1n)?.name).toBe('on_signal');
  });

  it('32-bit code takes words of 4 bytes and the registers of i386', () => {
    const program = openProgram(buildKernel('-O0', '-m32'));
    const [{ function: check }] = program.functionsByName('check');
    // After "push %ebp; mov %esp, %ebp": the saved ebp is on top, the return address above it.
    const frame = registersOf({ rip: check?.body ?? 0n, rsp: 0x7000n, rbp: 0x8000n, rsi: 0x11n, rax: 0x22n });
    const words = new Map([
      [0x8000n, 0x9000],
      [0x8004n, 0xc010_0123],
    ]);
    const caller = program.unwind(frame, (address, size) => {
      const bytes = new Uint8Array(size);
      new DataView(bytes.buffer).setUint32(0, words.get(address) ?? 0, true);
      return size === 4 ? bytes : undefined;
    });
    const register = (name: RegisterName) => caller?.values[X86_64_REGISTERS.indexOf(name)];
    expect([register('rip'), register('rsp'), register('rbp')]).toEqual([0xc010_0123n, 0x8008n, 0x9000n]);
    expect([register('rsi'), register('rax')]).toEqual([0x11n, undefined]);
  });

  it('ends where the program says that nobody called', () => {
    const program = openProgram(buildKernel('-O2'));
    const [start] = program.symbolsByName('_start');
    const frame = registersOf({ rip: start.address, rsp: 0x1000n });
    expect(program.unwindOutcome(frame, () => new Uint8Array(8))).toEqual({ kind: 'outermost' });
  });

  it('of code without information says so', () => {
    const program = openProgram(buildKernel('-O2'));
    const [label] = program.symbolsByName('label_without_type');
    const frame = registersOf({ rip: label.address, rsp: 0x1000n });
    expect(program.unwindOutcome(frame, () => undefined)).toEqual({
      kind: 'unknown',
      why: 'no unwind information for this code',
    });
  });

  it('passes on what the reader of memory throws', () => {
    const program = openProgram(buildKernel('-O2'));
    const [add] = program.symbolsByName('asm_add');
    const frame = registersOf({ rip: add.address, rsp: 0x1000n });
    const error = new Error('memory is on its way');
    expect(() =>
      program.unwind(frame, () => {
        throw error;
      }),
    ).toThrow(error);
  });
});
