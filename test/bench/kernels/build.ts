/**
 * The benchmark kernels: programs of our own that run in 64-bit mode on the bare machine, started as samples/hello-guest is.
 * Each prints `NAME n=N checksum=…` on the serial port and powers off.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** `checksums` are those of n=1 and of all of a kernel, which takes QEMU at least 0.2 seconds. */
export const BENCH_KERNELS = [
  {
    name: 'int',
    about: 'integer arithmetic and a table',
    checksums: { 1: '7886fd494e60b714', 300: '1cd4688cb75b1371' },
  },
  {
    name: 'sieve',
    about: 'byte stores with strides',
    checksums: { 1: 'dc1b77aeb6e2b418', 200: 'e69cfba3b914fff6' },
  },
  {
    name: 'copy',
    about: '64-bit loads and stores',
    checksums: { 1: '0a4638ed04dc267f', 200: 'b9847ed3a184cf76' },
  },
  {
    name: 'calls',
    about: 'calls and returns',
    checksums: { 1: 'dc1b77ae0bf402cd', 200: '70275539db52ed02' },
  },
  {
    name: 'sha256',
    about: '32-bit rotations and additions',
    checksums: { 1: '889afe9cad64a7f7', 300: 'c6395577c6addf2e' },
  },
  {
    name: 'quicksort',
    about: 'unforeseeable branches',
    checksums: { 1: 'f03112ef865214e0', 100: 'a820067d2936c0be' },
  },
  {
    name: 'strings',
    about: 'REP MOVSB, MOVSQ and STOSQ',
    checksums: { 1: 'dc1b77ae0bf68c27', 100: 'c4fccac3230665e1' },
  },
  {
    name: 'indirect',
    about: 'jumps through tables, calls through pointers',
    checksums: { 1: '51280b29dd83263e', 100: '8a7117c14a994a1f' },
  },
  {
    name: 'list',
    about: 'loads that wait for each other',
    checksums: { 1: 'bdb0ca1765a603b7', 200: '00b4c5b9101eed38' },
  },
  {
    name: 'manyFunctions',
    about: '300 KiB of hot code',
    checksums: { 1: '04eaf40b288759bd', 100: '25c9048702c7a482' },
  },
  {
    name: 'loads',
    about: 'random loads over 64 MiB',
    checksums: { 1: 'dc1b77ae773caa7d', 100: '441f04632d19675f' },
  },
  {
    name: 'paging',
    about: 'pages mapped, written and invalidated',
    checksums: { 1: '89b07c011fcc7d2d', 100: '434e3bb45cea02e5' },
  },
  {
    name: 'systemCalls',
    about: 'SYSCALL and SYSRET between rings 3 and 0',
    checksums: { 1: '3bcf4964732c5aba', 500: 'e2817862a2a85791' },
  },
  {
    name: 'selfModifying',
    about: 'functions written anew after a hundred calls',
    checksums: { 1: 'f61edbb86e100d67', 100: 'd3160d663d10bf33' },
  },
  {
    name: 'ports',
    about: 'IN and OUT',
    checksums: { 1: '6ce8e5357f32345d', 1000: '3658949f4a38ae6b' },
  },
  {
    name: 'matmul',
    about: 'SSE2: matrices of doubles',
    checksums: { 1: '766e423a3ab93a54', 100: '12648391347d69c9' },
    registers: ['-msse2', '-mno-avx'],
  },
  {
    name: 'dot',
    about: 'AVX2: dot products',
    checksums: { 1: 'ba77e3e06e8940b3', 100: '34afc4a95fbe4b51' },
    registers: ['-mavx2', '-mno-fma'],
  },
  {
    name: 'x87',
    about: 'double extended precision',
    checksums: { 1: 'aaed22c3b752d646', 400: '285adb71cc88f558' },
    registers: ['-mno-sse'],
  },
  {
    name: 'aes',
    about: 'AES-NI',
    checksums: { 1: 'e1f3f029d286e119', 100: '46d03ff850db25d8' },
    registers: ['-maes', '-mno-avx'],
  },
  {
    name: 'cpuid',
    about: '100,000 round trips to the hypervisor',
    checksums: { 1: '7a52f1678b3dcdaa', 100: 'a80405820775acbe' },
  },
] as const satisfies readonly BenchKernel[];

export interface BenchKernel {
  readonly name: string;
  readonly about: string;
  /** By the number of units; the last is all of the kernel. */
  readonly checksums: Readonly<Record<number, string>>;
  /** The compiler's options for a kernel that uses more than general registers. */
  readonly registers?: readonly string[];
}

/** All units of a kernel, and the checksum they give. */
export function wholeKernel({ checksums }: BenchKernel): {
  readonly units: number;
  readonly checksum: string;
} {
  const units = Math.max(...Object.keys(checksums).map(Number));
  return { units, checksum: checksums[units] };
}

const registersOf = ({ registers }: BenchKernel): readonly string[] => registers ?? ['-mgeneral-regs-only'];

export type BenchKernelName = (typeof BENCH_KERNELS)[number]['name'];

const sources = import.meta.dirname;
const repository = resolve(sources, '../../..');
const startup = join(repository, 'samples/hello-guest');
const output = join(repository, 'build/bench-kernels');

const OPTIMIZE = ['-std=gnu11', '-O2', '-Wall', '-Wextra', '-Werror'];
/** Loops stay loops and calls stay calls: what is measured is what the source says. */
const AS_WRITTEN = ['-fno-tree-loop-distribute-patterns', '-fno-optimize-sibling-calls'];
const BARE_METAL = [
  '-ffreestanding',
  '-mno-red-zone',
  '-fno-pic',
  '-fno-stack-protector',
  '-fcf-protection=none',
  '-fno-asynchronous-unwind-tables',
  '-g',
  `-ffile-prefix-map=${repository}=.`,
];
const LINK = [
  '-nostdlib',
  '-static',
  '-no-pie',
  '-Wl,-n',
  '-Wl,--build-id=none',
  '-T',
  join(startup, 'link.ld'),
];

function gcc(...args: readonly string[]): void {
  execFileSync('gcc', args, { stdio: ['ignore', 'inherit', 'inherit'] });
}

/** Builds every kernel as a Multiboot image; gives their paths. Needs gcc and binutils. */
export function buildBenchKernels(): Readonly<Record<BenchKernelName, string>> {
  mkdirSync(output, { recursive: true });
  const compile = (source: string, object: string, ...more: readonly string[]): string => {
    const path = join(output, object);
    gcc(
      ...OPTIMIZE,
      ...AS_WRITTEN,
      ...BARE_METAL,
      ...more,
      '-I',
      startup,
      '-I',
      sources,
      '-c',
      '-o',
      path,
      source,
    );
    return path;
  };
  const shared = ['boot.S', 'serial.c', 'power.c'].map((file) =>
    compile(join(startup, file), `${file}.o`, '-mgeneral-regs-only'),
  );
  const images = BENCH_KERNELS.map((row) => {
    const { name } = row;
    const main = compile(
      join(sources, 'main.c'),
      `main-${name}.o`,
      `-DNAME="${name}"`,
      '-mgeneral-regs-only',
    );
    const kernel = compile(join(sources, `${name}.c`), `${name}.o`, ...registersOf(row));
    const image = join(output, `${name}.elf`);
    gcc(...LINK, '-o', image, ...shared, main, kernel);
    return [name, image];
  });
  return Object.fromEntries(images) as Record<BenchKernelName, string>;
}

/** Builds one kernel as a program of the host, which prints the checksum of as many units as its argument says. */
export function buildHostKernel(name: BenchKernelName): string {
  mkdirSync(output, { recursive: true });
  const program = join(output, `${name}-host`);
  const row: BenchKernel | undefined = BENCH_KERNELS.find((kernel) => kernel.name === name);
  const kernel = `${program}.o`;
  const include = ['-I', startup, '-I', sources];
  gcc(...OPTIMIZE, ...(row?.registers ?? []), ...include, '-c', '-o', kernel, join(sources, `${name}.c`));
  gcc(...OPTIMIZE, ...include, '-o', program, join(sources, 'host.c'), kernel);
  return program;
}
