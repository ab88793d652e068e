/** The program of the benchmark `hypervisor`: parts of samples/tiny-hypervisor around a guest that only leaves. */
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';

const repository = resolve(import.meta.dirname, '../../..');
const sample = join(repository, 'samples/tiny-hypervisor');

// biome-ignore format: one command line
const OPTIONS = [
  '-std=gnu11', '-O2', '-Wall', '-Wextra', '-Werror', '-ffreestanding', '-mgeneral-regs-only', '-mno-red-zone', '-fno-pic',
  '-fno-stack-protector', '-fcf-protection=none', '-fno-asynchronous-unwind-tables', '-nostdlib', '-static', '-no-pie',
  '-Wl,-n', '-Wl,--build-id=none',
];

/** Builds the program; gives its path. Needs gcc and binutils. */
export function buildResumingHypervisor(roundTrips: number): string {
  const output = join(repository, 'build/bench-kernels');
  mkdirSync(output, { recursive: true });
  const image = join(output, 'resume.elf');
  const sources = [join(import.meta.dirname, 'resume.c')];
  for (const file of ['boot.S', 'enter.S', 'vmcs.c', 'serial.c']) sources.push(join(sample, file));
  const defines = [`-DROUND_TRIPS=${roundTrips}`, '-I', sample, '-T', join(sample, 'link.ld')];
  execFileSync('gcc', [...OPTIONS, ...defines, '-o', image, ...sources], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  return image;
}
