/** Builds the assembly programs of programs/ with the compiler of the machine that runs the tests. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';

const FOLDER = join(import.meta.dirname, 'programs');
const PIPES = ['ignore', 'ignore', 'pipe'] as const;

export const PROGRAM_NAMES: readonly string[] = readdirSync(FOLDER)
  .filter((file) => file.endsWith('.S'))
  .map((file) => file.slice(0, -2));

/** The sentences that a program tests, in its order. */
export function sentencesOf(name: string): string[] {
  const text = readFileSync(join(FOLDER, `${name}.S`), 'utf8');
  return [...text.matchAll(/^\s*CASE\s+"(.*)"$/gm)].map(([, sentence]) => sentence as string);
}

/** A function that builds a program by name and gives the path of its ELF file, which is gone after the tests. */
export function programBuilder(): (name: string) => string {
  const temporary = mkdtempSync(join(tmpdir(), 'hvm-guest-'));
  afterAll(() => rmSync(temporary, { recursive: true, force: true }));
  return (name) => {
    const object = join(temporary, `${name}.o`);
    const image = join(temporary, `${name}.elf`);
    execFileSync('gcc', ['-c', '-x', 'assembler-with-cpp', '-o', object, join(FOLDER, `${name}.S`)], {
      stdio: [...PIPES],
    });
    const options = ['-n', '-nostdlib', '-static', '--build-id=none', '--no-warn-rwx-segments'];
    execFileSync('ld', [...options, '-T', join(FOLDER, 'link.ld'), '-o', image, object], {
      stdio: [...PIPES],
    });
    return image;
  };
}
