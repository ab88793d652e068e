/** Runs `hvm run` in a process of its own, as a user does, and reads what it measured. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { MachineStatistics } from '../../../emulator/index.ts';

export const repository = resolve(import.meta.dirname, '../../..');
const cli = join(repository, 'dist/cli.js');
const output = join(repository, 'build/bench');

export interface HvmRun {
  readonly status: number | null;
  readonly serial: string;
  readonly milliseconds: number;
}

export interface MeasuredRun extends HvmRun {
  readonly statistics: MachineStatistics & { readonly seconds: number; readonly mips: number };
}

/** A run that takes longer has hung. */
const LONGEST_RUN = 600_000;

export function runHvm(image: string, ...options: readonly string[]): HvmRun {
  const started = performance.now();
  const { status, stdout, stderr, error } = spawnSync(process.execPath, [cli, 'run', image, ...options], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: LONGEST_RUN,
  });
  const milliseconds = performance.now() - started;
  if (error) throw error;
  if (stderr !== '') throw new Error(`hvm run ${image} ${options.join(' ')}: ${stderr.trim()}`);
  return { status, serial: stdout, milliseconds };
}

export function measureHvm(image: string, ...options: readonly string[]): MeasuredRun {
  mkdirSync(output, { recursive: true });
  const file = join(output, 'statistics.json');
  const run = runHvm(image, ...options, '--stats', file);
  return { ...run, statistics: JSON.parse(readFileSync(file, 'utf8')) };
}
