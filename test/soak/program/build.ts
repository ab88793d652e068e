/** The programs of this suite: they are started as samples/hello-guest is. Needs gcc and binutils. */
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';

const repository = resolve(import.meta.dirname, '../../..');
const startup = join(repository, 'samples/hello-guest');

// biome-ignore format: one command line
const OPTIONS = [
  '-std=gnu11', '-O2', '-Wall', '-Wextra', '-Werror', '-ffreestanding', '-mgeneral-regs-only', '-mno-red-zone', '-fno-pic',
  '-fno-stack-protector', '-fcf-protection=none', '-fno-asynchronous-unwind-tables', '-nostdlib', '-static', '-no-pie',
  '-Wl,-n', '-Wl,--build-id=none',
];

/** Builds the program that wears a translator out; gives its path. */
export function buildSoakProgram(): string {
  const output = join(repository, 'build/bench-kernels');
  mkdirSync(output, { recursive: true });
  const image = join(output, 'soak.elf');
  const sources = [join(import.meta.dirname, 'soak.c')];
  for (const file of ['boot.S', 'power.c']) sources.push(join(startup, file));
  execFileSync('gcc', [...OPTIONS, '-I', startup, '-T', join(startup, 'link.ld'), '-o', image, ...sources], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  return image;
}
