/** Assembles text with GNU as and says where its labels are. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface AssembledProgram {
  readonly bytes: Uint8Array;
  readonly labels: ReadonlyMap<string, bigint>;
}

/** A program of 64-bit code that is to lie at `origin`. */
export function assembleWithLabels(text: string, origin: number): AssembledProgram {
  const folder = mkdtempSync(join(tmpdir(), 'hvm-labels-'));
  const path = (name: string) => join(folder, name);
  const run = (program: string, ...args: string[]) =>
    execFileSync(program, args, { stdio: ['ignore', 'pipe', 'pipe'], encoding: 'utf8' });
  try {
    writeFileSync(path('program.s'), `.text\n${text}\n`);
    run('as', '--64', '-o', path('program.o'), path('program.s'));
    run('ld', '-Ttext', `0x${origin.toString(16)}`, '-e', '0', '-o', path('program.elf'), path('program.o'));
    run('objcopy', '-O', 'binary', '-j', '.text', path('program.elf'), path('program'));
    const symbols = run('nm', path('program.elf')).trim().split('\n');
    const labels = symbols
      .map((line) => line.split(' '))
      .map(([address, , name]) => [name, BigInt(`0x${address}`)] as const);
    return { bytes: new Uint8Array(readFileSync(path('program'))), labels: new Map(labels) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
