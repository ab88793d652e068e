/**
 * The programs in programs/ test the processor from inside, each sentence a rule of the manual: bare metal,
 * interpreted, translated at the first execution, and translated when it is hot.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { System } from '../../emulator/debug/system.ts';
import type { MachineConfig } from '../../emulator/machine/config.ts';
import { interpreterModule } from '../support/bareProcessor.ts';
import { missing } from '../support/tools.ts';
import { PROGRAM_NAMES, programBuilder, sentencesOf } from './buildProgram.ts';

const LIMIT = 20_000_000;

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

describe.skipIf(missing('gcc', 'as', 'ld'))('the program', () => {
  const build = programBuilder();

  describe.each(PROGRAM_NAMES)('%s', (name) => {
    const wanted = sentencesOf(name).map((sentence) => `ok ${sentence}`);
    it.each(['interpreter', 'translator', 'auto'] as const)(
      'finds what the manual says, engine %s',
      (engine) => {
        const { lines, stop } = run(new Uint8Array(readFileSync(build(name))), engine);
        expect(lines).toEqual(wanted);
        expect(stop).toEqual({ kind: 'debug-exit', value: 0 });
      },
    );
  });
});
