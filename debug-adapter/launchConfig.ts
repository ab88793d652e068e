/**
 * Every option there is to start a machine with, written once. From this table follow the check of a launch.json and
 * of a command line, `--help`, the JSON schema with its hovers (package.json) and the reference page.
 *
 * Columns: `type`, `default` (the JSON form; undefined when there is none), `help` (markdown), `where` it exists,
 * `available` (false: known, planned, refused by name until it works), `cli` when the command-line option is not simply the
 * attribute in kebab-case.
 */
import { exiting } from './launch/exiting.ts';
import {
  boolean,
  either,
  integer,
  list,
  OptionError,
  type OptionType,
  object,
  oneOf,
  path,
  seconds,
  size,
  string,
  stringMap,
  time,
} from './launch/optionTypes.ts';

export interface LaunchOption<T = unknown> {
  readonly type: OptionType<T>;
  readonly default: unknown;
  readonly help: string;
  readonly where: 'both' | 'launch' | 'cli';
  readonly available: boolean;
  readonly cli?: string;
}

function option<T, const D>(
  type: OptionType<T>,
  defaultValue: D,
  help: string,
  more: Partial<Pick<LaunchOption, 'where' | 'available' | 'cli'>> = {},
): LaunchOption<T> & { readonly optional: D extends undefined ? true : false } {
  return { type, default: defaultValue, help, where: 'both', available: true, ...more } as LaunchOption<T> & {
    readonly optional: D extends undefined ? true : false;
  };
}

const NOT_YET = { available: false } as const;
const LAUNCH_ONLY = { where: 'launch' } as const;
const CLI_ONLY = { where: 'cli' } as const;

/** Guest memory: the firmware's tables and a program need 2M, above 3G the machine's memory ends. */
export const MEMORY_RANGE = { minimum: 2 * 2 ** 20, maximum: 3 * 2 ** 30 } as const;

const PROCESSORS: OptionType<number> = {
  ...integer(1, 1),
  check(value) {
    if (typeof value === 'number' && Number.isInteger(value) && value > 1)
      throw new OptionError(`can only be 1: more processors do not exist yet`);
    return integer(1, 1).check(value);
  },
};

const isString = (value: unknown): boolean => typeof value === 'string';

/** `{file}`; on the command line just the file. */
const fileObject = {
  ...object('{file}', { file: { type: path, help: 'The file.', required: true } }),
  placeholder: 'FILE',
  repeats: false,
  fromText: (text: string) => ({ file: text }),
};
/** On the command line `FILE,write` will be the form `{file, write}`. */
const diskFile: typeof path = {
  ...path,
  fromText(text) {
    if (text.endsWith(',write')) throw new OptionError('cannot write to the file yet: leave ",write" out');
    return text;
  },
};
const symbolFile = object('{file, level, loadBias}', {
  file: { type: path, help: 'ELF file with the symbols.', required: true },
  level: { type: integer(0, 7), help: 'Virtualization level whose program this is.' },
  loadBias: {
    type: integer(-Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER),
    help: 'What was added to the addresses in the file when it was loaded.',
  },
});

export const LAUNCH_OPTIONS = {
  program: option(
    path,
    undefined,
    'The image to boot: a Multiboot 1 ELF, a flat 64-bit ELF or a Linux bzImage; with `bios` a raw disk image.',
    {
      cli: 'IMAGE',
    },
  ),
  mode: option(
    oneOf(['guest', 'bare-metal']),
    'guest',
    '`guest`: the built-in hypervisor runs the program in VMX non-root operation, every VM exit is a real one. `bare-metal`: the program owns the machine and may be a hypervisor itself.',
  ),
  virtualization: option(
    oneOf(['vt-x', 'amd-v', 'none']),
    'vt-x',
    'Hardware virtualization that the CPU offers to the program. amd-v is experimental: a few intercepts, without nested paging; it needs "mode": "bare-metal" and "cpu": "zen3-server".',
  ),
  cpu: option(
    { ...string, placeholder: 'MODEL[,±feature]', label: 'MODEL[,±feature]' },
    'sapphire-rapids',
    'CPU model; features can be added and taken away: `sapphire-rapids,-smep`.',
  ),
  cpus: option(PROCESSORS, 1, 'Number of processors. More than one does not exist yet.'),
  memory: option(
    size(MEMORY_RANGE.minimum, MEMORY_RANGE.maximum),
    '256M',
    'Guest memory: `64M`, `1G`; from 2M to 3G.',
  ),
  append: option(string, '', 'Kernel command line.'),
  initrd: option(path, undefined, 'Initial RAM disk for Linux.'),
  modules: option(
    list({ ...string, placeholder: '"FILE [TEXT]"' }),
    [],
    'Multiboot modules: a file each; what follows the first space is its command line. Quote a file name that has spaces.',
    { cli: '--module' },
  ),
  disks: option(
    list(
      either(
        diskFile,
        object('{file}', { file: { type: path, help: 'Raw disk image.', required: true } }, ['write']),
        isString,
      ),
    ),
    [],
    'Raw disk images, as IDE disks; up to four. What the guest writes is gone with the machine: the files are only read.',
    { cli: '--disk' },
  ),
  bios: option(
    path,
    undefined,
    'A BIOS to start with, such as `bios-256k.bin` of SeaBIOS: it boots from the disks, and `program`, if there is one, is the first of them. Mode `bare-metal` only.',
  ),
  vmm: option(
    object(
      '{exiting}',
      {
        exiting: {
          type: exiting,
          help: 'What exits besides what the built-in hypervisor needs: `cpuid`, `rdtsc`, `exceptions:#PF`, `io:0x60-0x64`, ….',
        },
      },
      ['nested', 'interface'],
    ),
    {},
    'The built-in hypervisor (mode `guest`). `exiting` lists what exits besides what it needs itself: `cpuid`, `rdtsc`, `exceptions:#PF`, `io:0x60-0x64`.',
  ),
  serial: option(
    either(fileObject, oneOf(['terminal', 'debugConsole', 'none']), (value) => typeof value === 'object'),
    'terminal',
    'Where the output of the first serial port goes. On the command line: standard output and input, or a file.',
  ),
  shares: option(
    list(
      object('{path, tag, write}', {
        path: { type: path, help: 'Folder.' },
        tag: { type: string, help: 'Name in the guest.' },
        write: { type: boolean, help: 'The guest may write.' },
      }),
    ),
    [],
    'Folders shared with the guest.',
    { ...NOT_YET, cli: '--share' },
  ),
  network: option(oneOf(['none', 'user']), 'none', 'Network card.', NOT_YET),
  stopOnEntry: option(boolean, false, 'Stop before the first instruction of the program.', LAUNCH_ONLY),
  runToEntryPoint: option(
    { ...string, placeholder: 'SYMBOL', label: 'symbol' },
    undefined,
    'Stop when this symbol is reached for the first time.',
    LAUNCH_ONLY,
  ),
  symbolFiles: option(
    list(either(path, symbolFile, isString)),
    [],
    'More files with symbols, beside `program` itself.',
    { cli: '--symbols' },
  ),
  sourceMap: option(
    stringMap,
    {},
    'Where sources are that were moved since the build: `{"/build": "/home/me/project"}`.',
    LAUNCH_ONLY,
  ),
  initCommands: option(list(string), [], 'Debugger commands to run before the program starts.', {
    ...NOT_YET,
    ...LAUNCH_ONLY,
  }),
  sanitize: option(
    boolean,
    false,
    'Look for mistakes that processors do not report: stale translations, an active VMCS that is written to, a host that cannot take the next fault. Slower.',
  ),
  record: option(either(path, boolean, isString), false, 'Record the run.', NOT_YET),
  recording: option(path, undefined, 'Recording to replay.', { ...NOT_YET, ...LAUNCH_ONLY }),
  traceExits: option(path, undefined, 'Write every VM exit to this file, one JSON object a line.'),
  startTime: option(
    time,
    '2000-01-01T00:00:00Z',
    "The real-time clock's time when the machine is switched on. A run does not depend on the host's clock.",
  ),
  maxInstructions: option(
    integer(1, Number.MAX_SAFE_INTEGER),
    undefined,
    'Stop after this many instructions. The command line gives status 124.',
  ),
  engine: option(
    oneOf(['auto', 'interpreter']),
    'auto',
    'Execution engine; `interpreter` translates nothing, to compare.',
  ),
  trace: option(
    either(path, boolean, isString),
    false,
    'Log the debug adapter protocol: `true` writes `hvm-dap.log` beside the workspace folder’s files, a path names another file.',
    LAUNCH_ONLY,
  ),

  timeout: option(
    seconds,
    undefined,
    'Stop after this many seconds of real time, with status 124.',
    CLI_ONLY,
  ),
  exitOn: option(string, undefined, 'Stop with status 0 when the serial output contains TEXT.', CLI_ONLY),
  stats: option(
    path,
    undefined,
    'Write instructions, seconds, MIPS, exits by reason and translations as JSON.',
    CLI_ONLY,
  ),
  watchExits: option(
    boolean,
    false,
    'Show VM exits by reason on standard error while the machine runs.',
    CLI_ONLY,
  ),
} as const satisfies Readonly<Record<string, LaunchOption>>;

export type LaunchOptionKey = keyof typeof LAUNCH_OPTIONS;

type ValueOf<O> = O extends LaunchOption<infer T> & { readonly optional: infer U }
  ? U extends true
    ? T | undefined
    : T
  : never;

/** All options, checked, with their defaults. */
export type LaunchOptions = {
  readonly [K in LaunchOptionKey]: ValueOf<(typeof LAUNCH_OPTIONS)[K]>;
};

/** The command-line option of an attribute: `--max-instructions`, `IMAGE`, or undefined when there is none. */
export function cliName(key: LaunchOptionKey): string | undefined {
  const row: LaunchOption = LAUNCH_OPTIONS[key];
  if (row.where === 'launch') return undefined;
  return row.cli ?? `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}
