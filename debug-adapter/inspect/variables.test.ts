/** What the Variables view shows of a program, compared with what gdb shows of the same stop. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { RegisterGroup } from '../../emulator/index.ts';
import { inflate, outputOf, SOURCES, temporaryPath } from '../../test/support/symbolPrograms.ts';
import { missing } from '../../test/support/tools.ts';
import { ExpressionError } from '../expressions/errors.ts';
import { Program } from '../program/program.ts';
import type { StoppedState } from './machineView.ts';
import { readingOf } from './scope.ts';
import { type Frame, walkStack } from './stack.ts';
import { showObject } from './variables.ts';

interface GdbFrame {
  readonly name: string;
  readonly variables: ReadonlyMap<string, string>;
}

interface Stop {
  readonly state: StoppedState;
  readonly frames: readonly GdbFrame[];
}

const SECTIONS = /^\.(text|rodata|data|bss)/;
const STOPS = 4;

function build(options: readonly string[]): string {
  const path = temporaryPath(`variables${options.join('')}.elf`);
  const source = `${SOURCES}variables.c`;
  const common = [
    '-g',
    '-nostdlib',
    '-static',
    '-no-pie',
    '-fno-pie',
    '-ffreestanding',
    '-fno-stack-protector',
  ];
  outputOf('gcc', ...common, ...options, '-o', path, source);
  return path;
}

/** Runs to each call of `stop` under gdb. */
function stopsOf(path: string, program: Program, is32: boolean): Stop[] {
  const data = program.files[0].elf.sections.filter((section) =>
    SECTIONS.test(program.files[0].elf.nameOf(section)),
  );
  const names = is32
    ? ['eax', 'ecx', 'edx', 'ebx', 'esp', 'ebp', 'esi', 'edi', 'eip']
    : [
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
      ];
  const dump = (stop: number, part: number) => temporaryPath(`variables-${stop}-${part}.bin`);
  const commands = [
    'set confirm off',
    'set startup-with-shell off',
    'set width 0',
    'set print null-stop on',
    'set print repeats unlimited',
    'set print entry-values no',
    'break stop',
    ...Array.from({ length: STOPS }, (_, stop) => [
      stop === 0 ? 'run' : 'continue',
      `printf "stop\\n"`,
      `info registers ${names.join(' ')}`,
      'frame function _start',
      'set $top = $sp + 64',
      'frame 0',
      `dump binary memory ${dump(stop, 0)} $sp $top`,
      ...data.map(
        ({ address, size }, i) => `dump binary memory ${dump(stop, i + 1)} ${address} ${address + size}`,
      ),
      'frame apply all -c info args',
      'frame apply all -c info locals',
    ]).flat(),
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
  return output
    .split(/^stop$/m)
    .slice(1)
    .map((text, stop) => {
      const registers = new Map<string, bigint>();
      for (const [, name, value] of text.matchAll(/^([er]\w+)\s+(0x[0-9a-f]+)/gm))
        registers.set(name.replace(/^e/, 'r'), BigInt(value));
      const regions = [
        { address: registers.get('rsp') as bigint, bytes: readFileSync(dump(stop, 0)) },
        ...data.map(({ address }, i) => ({
          address: BigInt(address),
          bytes: readFileSync(dump(stop, i + 1)),
        })),
      ];
      return { state: stateOf(registers, regions, is32), frames: framesOf(text) };
    });
}

/** `#0  name (…)` heads, each followed by `name = value` lines: arguments in a first list, locals in a second. */
function framesOf(text: string): GdbFrame[] {
  const frames = new Map<number, { name: string; lists: Map<string, string>[] }>();
  let variables: Map<string, string> | undefined;
  for (const line of text.split('\n')) {
    const head = /^#(\d+)\s+(?:0x[0-9a-f]+ in )?(\w+)/.exec(line);
    if (head) {
      const frame = frames.get(Number(head[1])) ?? { name: head[2], lists: [] };
      frames.set(Number(head[1]), frame);
      variables = new Map();
      frame.lists.push(variables);
    }
    const variable = /^(\w+) = (.*)$/.exec(line);
    // The innermost block comes first: that is the one a name means.
    if (variable && variables && !variables.has(variable[1])) variables.set(variable[1], variable[2]);
  }
  return [...frames]
    .sort(([a], [b]) => a - b)
    .map(([, { name, lists }]) => ({ name, variables: new Map(lists.flatMap((list) => [...list])) }));
}

function stateOf(
  registers: ReadonlyMap<string, bigint>,
  regions: readonly { readonly address: bigint; readonly bytes: Uint8Array }[],
  is32: boolean,
): StoppedState {
  const register = (name: string, value: bigint) => ({
    name,
    value,
    bits: 64,
    writable: true,
    fields: [],
    reference: '',
  });
  const groups: RegisterGroup[] = [
    {
      key: 'general',
      title: 'Registers',
      registers: [
        ...[...registers].map(([name, value]) => register(name.toUpperCase(), value)),
        register('IA32_EFER', is32 ? 0n : 0x500n),
        register('CS_ACCESS_RIGHTS', is32 ? 0xc09bn : 0xa09bn),
      ],
    },
  ];
  return {
    register: (name) => registers.get(name),
    registers: () => groups,
    vmcs: () => [],
    restingLevel: () => undefined,
    readMemory: ({ address }, count) => {
      const region = regions.find(
        ({ address: start, bytes }) => address >= start && address < start + BigInt(bytes.length),
      );
      const offset = Number(address - (region?.address ?? 0n));
      return region ? region.bytes.subarray(offset, offset + count) : new Uint8Array(0);
    },
  };
}

function shown(state: StoppedState, program: Program, frame: Frame): Map<string, string> {
  const reading = readingOf(state, { program, registerNames: new Set() }, frame, 'decimal');
  const variables = new Map<string, string>();
  for (const local of reading.names.locals()) {
    try {
      const object = reading.names.object(local);
      const read = async <T>(compute: (now: typeof reading) => T) => compute(reading);
      variables.set(
        local.name,
        showObject(reading, read, { name: local.name, object, expression: undefined }).value,
      );
    } catch (error) {
      if (!(error instanceof ExpressionError)) throw error;
      variables.set(local.name, `<${error.message}>`);
    }
  }
  return variables;
}

/** The same in both: enumerators without numbers, anonymous unions without braces, addresses in one form. */
function normalized(text: string): string {
  return text
    .replace(/\b([A-Z]{2,}(?: \| [A-Z]{2,})*) \((?:-?\d+|0x[0-9a-f]+)\)/g, '$1')
    .replace(/\(([A-Z]+(?: \| [A-Z]+)+)\)/g, '$1')
    .replace(/^\(.*\) (?=0x)/, '')
    .replace(/, \{(key = [^}]*)\}/g, ', $1')
    .replace(/ '[^']*'/g, '')
    .replace(/ <[\w+]+>/g, '')
    .replace(/ <error: Cannot access memory at address 0x[0-9a-f]+>/g, '')
    .replace('<pointer that was optimized away>', '<synthetic pointer>');
}

const BUILDS = [
  ['-O0', '-gdwarf-4'],
  ['-O0', '-gdwarf-5'],
  ['-O0', '-gdwarf-2'],
  ['-O0', '-gdwarf-3'],
  ['-O2', '-gdwarf-4', '-fno-ipa-ra'],
  ['-O2', '-gdwarf-5', '-fno-ipa-ra'],
  ['-Og', '-gdwarf-5', '-fno-ipa-ra'],
  ['-O0', '-m32'],
  ['-O2', '-m32', '-fno-ipa-ra'],
];

describe.skipIf(missing('gcc', 'gdb'))('the variables of a program', () => {
  it.each(BUILDS.map((options) => [options.join(' '), options] as const))(
    'compiled with %s are those that gdb shows, in every frame',
    (_, options) => {
      const path = build(options);
      const told: string[] = [];
      const program = new Program([{ path, bytes: readFileSync(path) }], inflate, (text) => told.push(text));
      const stops = stopsOf(path, program, options.includes('-m32'));
      expect(stops).toHaveLength(STOPS);
      for (const { state, frames } of stops) {
        const stack = walkStack(state, program);
        expect(stack.map(({ name }) => name)).toEqual(frames.map(({ name }) => name));
        frames.forEach((frame, index) => {
          const ours = shown(state, program, stack[index]);
          // What the compiler knew as a constant gdb leaves out of its list.
          for (const [name, value] of frame.variables) {
            const [own, other] = [normalized(ours.get(name) ?? '<missing>'), normalized(value)];
            // Ours is one line, which is cut.
            const length = own.includes('…') ? own.indexOf('…') : undefined;
            expect(`${frame.name}: ${name} = ${own.slice(0, length)}`).toBe(
              `${frame.name}: ${name} = ${other.slice(0, length)}`,
            );
          }
        });
      }
      expect(told).toEqual([]);
    },
  );
});
