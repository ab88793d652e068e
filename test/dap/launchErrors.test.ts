import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DebugProtocol as P } from '@vscode/debugprotocol';
import { afterAll, describe, expect, it } from 'vitest';
import { Conversation, PROGRAMS, programOptions } from '../support/dapConversation.ts';
import { buildElf } from '../support/elf.ts';

const folder = mkdtempSync(join(tmpdir(), 'hvm-dap-'));
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, contents: Uint8Array | string): string {
  const path = join(folder, name);
  writeFileSync(path, contents);
  return path;
}

/** The one error a launch ends with. */
async function launchError(options: Record<string, unknown>): Promise<string> {
  const talk = await Conversation.start();
  await talk.initialize();
  const message = await talk.failure('launch', programOptions({ program: 'tour.elf', ...options }) as never);
  return message.replaceAll(folder, '<folder>').replaceAll(PROGRAMS, '<programs>');
}

const tour = readFileSync(join(PROGRAMS, 'tour.elf'));

describe('a launch that cannot be', () => {
  it.each<[string, Record<string, unknown>, string | RegExp]>([
    [
      'a missing file',
      { program: 'missing.elf' },
      'Cannot read the program <programs>/missing.elf: there is no such file.',
    ],
    ['a folder', { program: '.' }, 'Cannot read the program <programs>: it is a folder.'],
    ['no program', { program: undefined }, '"program" is missing: name the image to boot.'],
    ['no memory', { memory: 0 }, '"memory" must be between 2M and 3G, not 0.'],
    ['100 TB of memory', { memory: '100TB' }, '"memory" must be between 2M and 3G, not "100TB".'],
    [
      'a missing initrd',
      { initrd: 'none' },
      'Cannot read the initrd <programs>/none: there is no such file.',
    ],
    [
      'a missing symbol file',
      { symbolFiles: ['none'] },
      'Cannot read the symbol file <programs>/none: there is no such file.',
    ],
    ['two processors', { cpus: 2 }, '"cpus" can only be 1: more processors do not exist yet.'],
    ['a disk', { disks: ['disk.img'] }, 'Cannot read the disk <programs>/disk.img: there is no such file.'],
    [
      'an entry point that is no symbol',
      { runToEntryPoint: 'nothing' },
      '"runToEntryPoint": the program has no symbol "nothing".',
    ],
    [
      'a serial file outside the workspace',
      { serial: { file: '/tmp/hvm-serial.log' } },
      'Cannot write /tmp/hvm-serial.log: it is outside the folder <programs>.',
    ],
    [
      'a serial file that would overwrite a source',
      { serial: { file: 'tour.c' } },
      'Cannot write <programs>/tour.c: it exists and was not written by this debugger: delete it or choose another name.',
    ],
    [
      'an exit trace that would overwrite a source',
      { traceExits: 'Makefile' },
      'Cannot write <programs>/Makefile: it exists and was not written by this debugger: delete it or choose another name.',
    ],
  ])('%s: one clear error', async (_, options, message) => {
    expect(await launchError(options)).toBe(message);
  });

  it.each<[string, () => string, RegExp]>([
    ['a text', () => file('text.elf', 'this is not a program\n'), /text\.elf: /],
    ['an empty file', () => file('empty.elf', ''), /empty\.elf/],
    ['a truncated ELF header', () => file('header.elf', tour.subarray(0, 40)), /header\.elf: /],
    ['a truncated ELF', () => file('cut.elf', tour.subarray(0, 200)), /cut\.elf: /],
    [
      '32-bit code without a boot header',
      () =>
        file(
          'code32.elf',
          buildElf({
            bits: 32,
            entry: 0x10_0000n,
            segments: [{ physicalAddress: 0x10_0000, bytes: Uint8Array.of(0xf4) }],
          }),
        ),
      /code32\.elf: this is 32-bit code without a Multiboot header/,
    ],
  ])('%s: one clear error that names the file', async (_, make, message) => {
    const error = await launchError({ program: make() });
    expect(error).toMatch(message);
    expect(error).not.toContain('\n');
    expect(error).not.toMatch(/undefined|NaN|internal/i);
  });

  it('can be tried again in the same session', async () => {
    const talk = await Conversation.start();
    await talk.initialize();
    await talk.failure('launch', programOptions({ program: 'missing.elf' }) as never);
    await talk.request('launch', programOptions({ program: 'tour.elf', stopOnEntry: true }) as never);
    expect(await talk.failure('launch', programOptions({ program: 'tour.elf' }) as never)).toBe(
      'A machine has been started already.',
    );
  });

  it('an unknown attribute is a warning', async () => {
    const talk = await Conversation.start();
    const output: string[] = [];
    talk.client.on('output', (event: P.OutputEvent) => output.push(event.body.output));
    await talk.launch({
      program: 'tour.elf',
      stopOnEntry: true,
      memroy: '1G',
      __sessionId: 'x',
      preLaunchTask: 'build',
    });
    expect(output).toEqual([
      'launch.json: "memroy" is not an attribute of this debugger and is ignored. Did you mean "memory"?\n',
    ]);
  });

  it('damaged debug information is told, and the program runs without it', async () => {
    const damaged = Buffer.from(tour);
    const sections = Number(damaged.readBigUInt64LE(0x28));
    const count = damaged.readUInt16LE(0x3c);
    // Every section that is not loaded and is no table of the file itself begins with absurd lengths and offsets.
    for (let i = 0; i < count; i++) {
      const header = sections + i * 64;
      const [type, flags, offset, size] = [
        damaged.readUInt32LE(header + 4),
        damaged.readBigUInt64LE(header + 8),
        Number(damaged.readBigUInt64LE(header + 24)),
        Number(damaged.readBigUInt64LE(header + 32)),
      ];
      if (type === 1 && flags === 0n) damaged.fill(0xfe, offset, offset + Math.min(size, 24));
    }
    const talk = await Conversation.start();
    const output: string[] = [];
    talk.client.on('output', (event: P.OutputEvent) => output.push(event.body.output));
    const first = await talk.launch({ program: file('damaged.elf', damaged) }, async () => {
      const { breakpoints } = await talk.request('setBreakpoints', {
        source: { path: `${PROGRAMS}/tour.c` },
        breakpoints: [{ line: 25 }],
      });
      expect(breakpoints[0].verified).toBe(false);
      const functions = await talk.request('setFunctionBreakpoints', { breakpoints: [{ name: 'square' }] });
      expect(functions.breakpoints[0].verified).toBe(true);
    });
    expect(first.event).toBe('stopped');
    expect((await talk.stack())[0]).toMatch(/^square square\.asm:/);
    expect(output.some((text) => text.includes('damaged.elf'))).toBe(true);
    expect((await talk.runs('next')).event).toBe('stopped');
  });
});
