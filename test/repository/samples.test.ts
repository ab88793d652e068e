/** The committed binaries of the samples are what their sources give: the part that is loaded, to the byte. */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { missing } from '../support/tools.ts';

const samples = resolve(import.meta.dirname, '../../samples');
const work = mkdtempSync(join(tmpdir(), 'hvm-samples-'));
const run = (program: string, ...args: string[]): string => execFileSync(program, args, { encoding: 'utf8' });

afterAll(() => rmSync(work, { recursive: true }));

/** The major version of the gcc that built an image; gcc leaves it in the section .comment. */
function builtBy(elf: string): string | undefined {
  return /GCC: .* (\d+)\.\d+\.\d+/.exec(run('readelf', '-p', '.comment', elf))?.[1];
}

function loadedBytes(elf: string): Buffer {
  const flat = join(work, 'flat.bin');
  run('objcopy', '-O', 'binary', elf, flat);
  return readFileSync(flat);
}

describe.skipIf(missing('gcc', 'as', 'make')).each(['hello-guest', 'tiny-hypervisor'])(
  'samples/%s',
  (name) => {
    const committed = join(samples, name, `${name}.elf`);

    it('names no folder of the machine that built it', () => {
      expect(readFileSync(committed, 'latin1')).not.toMatch(/\/(home|root|tmp|work|build)\//);
    });

    it('gives its binary when built by the gcc that built it', ({ skip }) => {
      const gcc = run('gcc', '-dumpversion').split('.')[0]?.trim();
      if (gcc !== builtBy(committed) && process.env.CI !== 'true') skip(`this is gcc ${gcc}`);
      expect(gcc).toBe(builtBy(committed));
      const folder = join(work, name);
      cpSync(join(samples, name), folder, { recursive: true });
      run('make', '-s', '-B', '-C', folder);
      expect(loadedBytes(join(folder, `${name}.elf`)).equals(loadedBytes(committed))).toBe(true);
    });
  },
);
