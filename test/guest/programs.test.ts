/**
 * The programs in programs/ test the processor from inside, each sentence a rule of the manual: bare metal,
 * interpreted, translated at the first execution, and translated when it is hot.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { System } from '../../emulator/debug/system.ts';
import type { MachineConfig } from '../../emulator/machine/config.ts';
import { interpreterModule } from '../support/bareProcessor.ts';
import { missing } from '../support/tools.ts';

const FOLDER = join(import.meta.dirname, 'programs');
const LIMIT = 20_000_000;
const PIPES = ['ignore', 'ignore', 'pipe'] as const;

const temporary = mkdtempSync(join(tmpdir(), 'hvm-guest-'));
afterAll(() => rmSync(temporary, { recursive: true, force: true }));

function build(name: string): Uint8Array {
  const object = join(temporary, `${name}.o`);
  const image = join(temporary, `${name}.elf`);
  execFileSync('gcc', ['-c', '-x', 'assembler-with-cpp', '-o', object, join(FOLDER, `${name}.S`)], {
    stdio: [...PIPES],
  });
  const options = ['-n', '-nostdlib', '-static', '--build-id=none', '--no-warn-rwx-segments'];
  execFileSync('ld', [...options, '-T', join(FOLDER, 'link.ld'), '-o', image, object], { stdio: [...PIPES] });
  return new Uint8Array(readFileSync(image));
}

/** What the program printed, and what ended it. */
function run(bytes: Uint8Array, engine: MachineConfig['engine']): { lines: string[]; stop: unknown } {
  const output: number[] = [];
  const system = new System(
    {
      mode: 'bare-metal',
      virtualization: 'none',
      cpu: 'sapphire-rapids',
      memoryBytes: 16 * 1024 * 1024,
      image: { name: 'program.elf', bytes },
      append: '',
      initrd: undefined,
      modules: [],
      startTime: 946_684_800,
      engine,
      vmm: { exiting: [] },
    },
    {
      serial: { write: () => undefined },
      debugConsole: { write: (byte) => void output.push(byte) },
      interpreter: interpreterModule(),
      sampleEvery: 50,
    },
  );
  const result = system.run(LIMIT);
  const lines = String.fromCharCode(...output)
    .split('\n')
    .filter((line) => line !== '');
  return { lines, stop: system.stop ?? result };
}

const names = readdirSync(FOLDER)
  .filter((file) => file.endsWith('.S'))
  .map((file) => file.slice(0, -2));

describe.skipIf(missing('gcc', 'as', 'ld'))('the program', () => {
  describe.each(names)('%s', (name) => {
    const text = readFileSync(join(FOLDER, `${name}.S`), 'utf8');
    const wanted = [...text.matchAll(/^\s*CASE\s+"(.*)"$/gm)].map(([, sentence]) => `ok ${sentence}`);
    it.each(['interpreter', 'translator', 'auto'] as const)(
      'finds what the manual says, engine %s',
      (engine) => {
        const { lines, stop } = run(build(name), engine);
        expect(lines).toEqual(wanted);
        expect(stop).toEqual({ kind: 'debug-exit', value: 0 });
      },
    );
  });
});
