/** The program of the benchmark `memory`: half a million different instructions, all of them hot. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const repository = resolve(import.meta.dirname, '../../..');
const startup = join(repository, 'samples/hello-guest');

const FUNCTIONS = 4300;
/** Each step is six to eight instructions, seven of which every second time. */
const STEPS = 14;
/** How often a function goes through its instructions when it is called. */
const TIMES = 12;
const OPTIONS = ['-nostdlib', '-static', '-no-pie', '-Wl,-n', '-Wl,--build-id=none'];

/** Arithmetic, a load, a branch that is taken now and then and a store, with constants of their own. */
const step = (f: number, s: number): string => {
  const n = f * STEPS + s;
  return `
  imul $${(n * 2654435 + 12345) % 0x7fffffff}, %rax, %rax
  add $${n + 1}, %rax
  mov data+${(n * 8) % 0x8000}(%rip), %rdx
  test $${1 << (n % 8)}, %al
  jz 1f
  xor %rdx, %rax
1: rol $${(n % 62) + 1}, %rax
  mov %rax, data+${(n * 24) % 0x8000}(%rip)`;
};

const functionText = (f: number): string =>
  `f${f}: mov $${TIMES}, %ecx
0:${Array.from({ length: STEPS }, (_, s) => step(f, s)).join('')}
  dec %ecx
  jnz 0b
  ret`;

export interface HotCode {
  readonly image: string;
  /** Different instructions that are executed again and again. */
  readonly instructions: number;
}

/** Builds the program, which goes through all its functions so many times. Needs gcc and binutils. */
export function buildHotCode(rounds: number): HotCode {
  const output = join(repository, 'build/bench-kernels');
  mkdirSync(output, { recursive: true });
  const [source, image] = ['s', 'elf'].map((ending) => join(output, `hotCode.${ending}`));
  const functions = Array.from({ length: FUNCTIONS }, (_, f) => f);
  writeFileSync(
    source,
    `.globl kmain
.bss
.balign 4096
data: .skip 0x8000
.text
kmain: mov $${rounds}, %ebx
2:
${functions.map((f) => `  call f${f}`).join('\n')}
  dec %ebx
  jnz 2b
  jmp power_off
${functions.map(functionText).join('\n')}
.section .note.GNU-stack, "", @progbits
`,
  );
  const sources = [source, join(startup, 'boot.S'), join(startup, 'power.c')];
  const compile = ['-O2', '-ffreestanding', '-mgeneral-regs-only', '-fno-pic', '-fno-stack-protector'];
  execFileSync('gcc', [...compile, ...OPTIONS, '-T', join(startup, 'link.ld'), '-o', image, ...sources], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  return { image, instructions: FUNCTIONS * (STEPS * 8 + 5) };
}
