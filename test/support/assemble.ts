/** Assembles text with GNU as into flat bytes, at test time. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The bytes of a program that is to lie at `origin`. */
export function assemble(text: string, origin: number): Uint8Array {
  const folder = mkdtempSync(join(tmpdir(), 'hvm-asm-'));
  try {
    const path = (name: string) => join(folder, name);
    writeFileSync(path('program.s'), `.text\n${text}\n`);
    execFileSync('as', ['--64', '-o', path('program.o'), path('program.s')], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    execFileSync(
      'ld',
      [
        '-Ttext',
        `0x${origin.toString(16)}`,
        '--oformat',
        'binary',
        '-e',
        '0',
        '-o',
        path('program'),
        path('program.o'),
      ],
      {
        stdio: ['ignore', 'ignore', 'pipe'],
      },
    );
    return new Uint8Array(readFileSync(path('program')));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
