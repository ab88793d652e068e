/** The command `hvm` as a process: exit statuses, streams and files. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildIfOutdated } from '../../scripts/support/setup.mjs';

const root = resolve(import.meta.dirname, '../..');
const CLI = join(root, 'dist/cli.js');
const PROGRAMS = join(root, 'test/dap/programs');
const folder = mkdtempSync(join(tmpdir(), 'hvm-cli-'));

beforeAll(() => buildIfOutdated());
afterAll(() => rmSync(folder, { recursive: true }));

const program = (name: string): string => join(PROGRAMS, name);
const file = (name: string): string => join(folder, name);

function hvm(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [CLI, ...args], {
    input: '',
    encoding: 'utf8',
  });
  return { status, stdout, stderr };
}

/** Runs with standard input that can be written and stays open. */
function open(...args: string[]) {
  const child = spawn(process.execPath, [CLI, ...args], { stdio: 'pipe' });
  let stdout = '';
  child.stdout.on('data', (chunk) => {
    stdout += String(chunk);
  });
  const ended = new Promise<number | null>((done) => child.on('close', (status) => done(status)));
  return { child, ended, output: () => stdout };
}

describe('hvm run --virtualization amd-v', () => {
  const AMD = ['--mode', 'bare-metal', '--virtualization', 'amd-v'];

  it.each(['auto', 'interpreter'])('runs a guest by VMRUN, which leaves by each intercept (%s)', (engine) => {
    expect(hvm('run', program('svm.elf'), ...AMD, '--cpu', 'zen3-server', '--engine', engine)).toEqual({
      status: 1,
      stdout: 'CRIHUM-',
      stderr: '',
    });
  });

  it('needs a processor of AMD, and no built-in hypervisor', () => {
    expect(hvm('run', program('svm.elf'), ...AMD).stderr).toContain('has no AMD-V: use --cpu zen3-server');
    expect(hvm('run', program('svm.elf'), '--virtualization', 'amd-v').stderr).toContain(
      'needs --mode bare-metal',
    );
  });
});

describe('hvm run --sanitize of a hypervisor', () => {
  it.each(['auto', 'interpreter'])('tells what no VM entry refuses, and where (%s)', (engine) => {
    const options = ['--mode', 'bare-metal', '--engine', engine];
    const { status, stderr } = hvm('run', program('careless.elf'), ...options, '--sanitize');
    const found = stderr.split('\n').filter((line) => line.startsWith('hvm: '));
    expect(found.map((line) => line.split(': ')[1])).toEqual([
      'host.rsp',
      'host.idt',
      'host.rsp',
      'stale.invept',
    ]);
    expect(found[3]).toMatch(
      /guest-physical 0x20000000 .* cached as host-physical 0x2000000, and the EPT entries lead to 0x2200000, at RIP /,
    );
    expect(status).toBe(0);
    expect(hvm('run', program('careless.elf'), ...options)).toEqual({ status: 0, stdout: '', stderr: '' });
  });
});

describe('a BIOS and disks that cannot be used', () => {
  const bad = (...args: string[]) => {
    const { status, stdout, stderr } = hvm('run', '--mode', 'bare-metal', ...args);
    return [status, stdout, stderr.replaceAll(folder, '')];
  };
  writeFileSync(file('bios.bin'), new Uint8Array(0x1_0000));
  writeFileSync(file('odd.bin'), new Uint8Array(1000));
  writeFileSync(file('disk.img'), new Uint8Array(1024));

  it.each<[string, string[], string]>([
    [
      'a missing BIOS',
      ['--bios', file('none.bin')],
      'Cannot read the BIOS /none.bin: there is no such file.',
    ],
    [
      'a BIOS of a wrong size',
      ['--bios', file('odd.bin')],
      '/odd.bin: a BIOS image has a multiple of 64 KiB and at most 4 MiB, and this one 1000 bytes; name the ROM itself, e.g. bios-256k.bin of SeaBIOS',
    ],
    [
      'a missing disk',
      ['--bios', file('bios.bin'), '--disk', file('none.img')],
      'Cannot read the disk /none.img: there is no such file.',
    ],
    [
      'a disk of half a sector',
      ['--bios', file('bios.bin'), '--disk', file('odd.bin')],
      '/odd.bin: a disk has whole sectors of 512 bytes, and this file 1000 bytes; name a raw image, filled up to a multiple of 512',
    ],
    [
      'five disks',
      ['--bios', file('bios.bin'), ...Array.from({ length: 5 }, () => ['--disk', file('disk.img')]).flat()],
      'there is room for 4 disks, and there are 5: leave some out',
    ],
    [
      'a disk to write to',
      ['--bios', file('bios.bin'), '--disk', `${file('disk.img')},write`],
      '--disk cannot write to the file yet: leave ",write" out.',
    ],
  ])('%s is one line and status 2', (_, args, message) => {
    expect(bad(...args)).toEqual([2, '', `hvm: ${message}\n`]);
  });

  it('a BIOS is no guest', () => {
    const { status, stderr } = hvm('run', '--bios', file('bios.bin'));
    expect([status, stderr]).toEqual([
      2,
      'hvm: a BIOS owns the machine and cannot be a guest yet: use mode bare-metal with it\n',
    ]);
  });
});

describe.each(['guest', 'bare-metal'])('hvm run --mode %s', (mode) => {
  const run = (...args: string[]) => hvm('run', '--mode', mode, ...args);

  it('shows the serial port, and ends with (value << 1) | 1', () => {
    expect(run(program('tour.elf'))).toEqual({ status: 7, stdout: 'Hello\nBye\n', stderr: '' });
  });

  it('a power-off is status 0', () => {
    const { status, stdout, stderr } = run(join(root, 'samples/hello-guest/hello-guest.elf'));
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout).toContain('Goodbye');
  });

  it('a triple fault is status 4 with its reason', () => {
    const { status, stdout, stderr } = run(program('triple.elf'));
    expect([status, stdout]).toEqual([4, '']);
    expect(stderr).toMatch(/^hvm: triple fault.* at RIP 0x100007/);
  });

  it.each(['guest', 'bare-metal'])('an exception without end is status 4 and hangs nothing (%s)', (mode) => {
    const { status, stderr } = hvm('run', program('stuck.elf'), '--mode', mode);
    expect(stderr).toMatch(/^hvm: endless delivery of #AC: .* at RIP 0x100049\n$/);
    expect(status).toBe(4);
  });

  it.each(['auto', 'interpreter'])(
    '--sanitize tells of a stale translation, and the run goes on (%s)',
    (engine) => {
      const { status, stderr } = run(program('stale.elf'), '--sanitize', '--engine', engine);
      const lines = stderr.split('\n');
      expect(lines[0]).toBe(
        'hvm: stale.invlpg: linear 0x1900000000 may still be cached as 0x200000, and the paging structures lead to 0x400000, at RIP 0x10005f',
      );
      expect(lines[2]).toContain('SDM 5.10.4');
      expect(lines).toHaveLength(5);
      expect(status).toBe(1);
      expect(run(program('stale.elf'))).toEqual({ status: 1, stdout: '', stderr: '' });
    },
  );

  it('a halt that nothing can end is status 4, unless there is a timeout', () => {
    const { status, stderr } = run(program('halt.elf'));
    expect([status, stderr]).toEqual([
      4,
      'hvm: the guest is halted at RIP 0x100002 and nothing can wake it\n',
    ]);
    expect(run(program('halt.elf'), '--timeout', '0.2').status).toBe(124);
  });

  it('--max-instructions and --timeout are status 124', () => {
    expect(run(program('spin.elf'), '--max-instructions', '100000')).toEqual({
      status: 124,
      stdout: '',
      stderr: '',
    });
    expect(run(program('spin.elf'), '--timeout', '0.3')).toEqual({ status: 124, stdout: '', stderr: '' });
  });

  it('--exit-on ends with status 0 where the text ends', () => {
    expect(run(program('tour.elf'), '--exit-on', 'ello')).toEqual({ status: 0, stdout: 'Hello', stderr: '' });
  });

  it('--stats and --serial write files', () => {
    const { stdout } = run(
      program('tour.elf'),
      '--stats',
      file('stats.json'),
      '--serial',
      file('serial.txt'),
    );
    expect(stdout).toBe('');
    expect(readFileSync(file('serial.txt'), 'utf8')).toBe('Hello\nBye\n');
    const stats = JSON.parse(readFileSync(file('stats.json'), 'utf8')) as Record<string, number>;
    for (const key of ['instructions', 'ticks', 'exits', 'translations', 'seconds', 'mips'])
      expect(stats[key], key).toBeTypeOf('number');
    expect(stats.instructions).toBeGreaterThan(100);
  });
});

describe('VM exits', () => {
  it('--trace-exits writes one JSON object a line', () => {
    hvm('run', program('exits.elf'), '--trace-exits', file('exits.jsonl'));
    const lines = readFileSync(file('exits.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines.map(({ number }) => number)).toEqual(lines.map((_, index) => index));
    expect(lines[0]).toMatchObject({
      name: 'cpuid',
      reason: 10,
      rip: '0x100002',
      level: 1,
      text: 'CPUID: leaf 0x0, subleaf 0x0',
    });
  });

  it('--watch-exits shows a plain table when standard error is no terminal', () => {
    const { stderr } = hvm('run', program('exits.elf'), '--watch-exits');
    expect(stderr).toMatch(/^VM exit +count +share +per second +ticks each\n/);
    expect(stderr).toMatch(/\nCPUID +1 /);
    expect(stderr).not.toContain('\x1b');
  });

  it('--vmm exiting lets more exit', () => {
    hvm(
      'run',
      program('tour.elf'),
      '--vmm',
      'exiting=exceptions:#BP,rdtsc',
      '--trace-exits',
      file('more.jsonl'),
    );
    expect(hvm('run', program('tour.elf'), '--vmm', 'exiting=nonsense').status).toBe(2);
  });
});

describe('bad input is status 2 and one clear line', () => {
  it.each<[string, () => string[], RegExp]>([
    ['no image', () => [], /^hvm: IMAGE is missing: name the image to boot\.\n$/],
    [
      'a missing image',
      () => ['missing.elf'],
      /^hvm: Cannot read the program .*missing\.elf: there is no such file\.\n$/,
    ],
    ['a folder', () => [folder], /^hvm: Cannot read the program .*: it is a folder\.\n$/],
    [
      'no memory',
      () => [program('tour.elf'), '--memory', '0'],
      /^hvm: --memory must be between 2M and 3G, not "0"\.\n$/,
    ],
    [
      'too much memory',
      () => [program('tour.elf'), '--memory', '100T'],
      /^hvm: --memory must be between 2M and 3G/,
    ],
    [
      'memory that the VMM needs itself',
      () => [program('tour.elf'), '--memory', '3G'],
      /^hvm: .*--memory 3\d\d\dM or less\n$/,
    ],
    ['no ELF', () => [textFile()], /^hvm: .*text\.txt: /],
    [
      'an option that does not exist yet',
      () => [program('tour.elf'), '--share', 'x'],
      /^hvm: --share does not exist yet\.\n$/,
    ],
    [
      'a trace that cannot be written',
      () => [program('tour.elf'), '--trace-exits', '/nowhere/t'],
      /^hvm: Cannot write \/nowhere\/t: there is no such file\.\n$/,
    ],
    ['an unknown CPU', () => [program('tour.elf'), '--cpu', 'z80'], /^hvm: .*z80/],
  ])('%s', (_, args, message) => {
    const { status, stdout, stderr } = hvm('run', ...args());
    expect(stderr).toMatch(message);
    expect([status, stdout, stderr.trim().split('\n').length]).toEqual([2, '', 1]);
  });

  function textFile(): string {
    writeFileSync(file('text.txt'), 'not a program');
    return file('text.txt');
  }

  it('an unknown command', () => {
    expect(hvm('debug').stderr).toBe(
      'hvm: "debug" is not a command: there are "run", "explain" and "dap", see "hvm --help".\n',
    );
  });
});

describe('the process', () => {
  it('--version, --help and no arguments', () => {
    expect(hvm('--version').stdout).toMatch(/^hvm \d+\.\d+\.\d+\n$/);
    expect(hvm('--help')).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('usage: hvm run IMAGE'),
    });
    expect(hvm('run', '--help')).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('--trace-exits FILE'),
    });
    expect(hvm()).toMatchObject({ status: 2, stdout: '' });
  });

  it('gives typed text to the serial port', async () => {
    const { child, ended, output } = open('run', program('echo.elf'), '--timeout', '20');
    child.stdin.write('abc');
    await new Promise((done) => setTimeout(done, 300));
    child.stdin.write('q');
    expect(await ended).toBe(1);
    expect(output()).toBe('ABC');
  });

  it('SIGINT ends it with status 130', async () => {
    const { child, ended } = open('run', program('echo.elf'));
    child.stdin.write('a');
    // What the guest says shows that it runs.
    await once(child.stdout, 'data');
    child.kill('SIGINT');
    expect(await ended).toBe(130);
  });

  it('ends quietly when nobody reads its output', () => {
    const command = `"${process.execPath}" "${CLI}" run "${program('tour.elf')}" | head -c 2`;
    expect(execFileSync('sh', ['-c', command], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })).toBe(
      'He',
    );
  });
});
