/**
 * The programs that the symbol reader is tested with: compiled when a test asks for them, in a folder of
 * its own that goes with the process, and what binutils, LLVM and gdb say about them.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inflateSync } from 'node:zlib';
import type { Inflate } from '../../debug-adapter/symbols/elf.ts';
import { ProgramSymbols } from '../../debug-adapter/symbols/program.ts';

export const SOURCES = fileURLToPath(new URL('symbolPrograms/', import.meta.url));

export const inflate: Inflate = (bytes, size) => inflateSync(bytes, { maxOutputLength: size });

const folder = mkdtempSync(join(tmpdir(), 'hvm-symbols-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

export function temporaryPath(name: string): string {
  return join(folder, name);
}

/** What a program prints. */
export function outputOf(program: string, ...args: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    encoding: 'utf8',
    maxBuffer: 1 << 30,
  });
  // readelf also complains, after doing all it was asked, when it finds a separate debug file.
  if (error || (status !== 0 && program !== 'readelf'))
    throw new Error(`${program}: ${error?.message ?? stderr}`);
  return stdout;
}

const built = new Map<string, string>();

/** Links the test kernel with some compiler options, once for each set, and returns the file's path. */
export function buildKernel(...options: readonly string[]): string {
  const key = options.join(' ');
  let path = built.get(key);
  if (path === undefined) {
    path = temporaryPath(`kernel${built.size}.elf`);
    const is32 = options.includes('-m32');
    const sources = ['kernel.c', 'other.c', 'boot.S'].map((name) => join(SOURCES, name));
    const machine = is32 ? ['-Wl,-Ttext=0xc0100000'] : ['-mcmodel=kernel', '-Wl,-Ttext=0xffffffff81000000'];
    outputOf(
      'gcc',
      '-g',
      '-O0',
      '-ffreestanding',
      '-nostdlib',
      '-static',
      '-fno-pie',
      '-no-pie',
      '-mno-red-zone',
      '-fno-stack-protector',
      '-Wl,--build-id=sha1',
      `-DIS32=${is32 ? 1 : 0}`,
      ...machine,
      ...options,
      '-o',
      path,
      ...sources,
    );
    built.set(key, path);
  }
  return path;
}

/** Links a program for this machine, with its C library. */
export function buildProgram(source: string, ...options: readonly string[]): string {
  const key = [source, ...options].join(' ');
  let path = built.get(key);
  if (path === undefined) {
    path = temporaryPath(`${basename(source, '.c')}${built.size}`);
    outputOf('gcc', '-g', ...options, '-o', path, join(SOURCES, source));
    built.set(key, path);
  }
  return path;
}

export function openProgram(path: string, loadBias?: bigint): ProgramSymbols {
  return ProgramSymbols.open({ path, bytes: readFileSync(path) }, { inflate, loadBias });
}
