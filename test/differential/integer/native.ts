/** Runs cases on the host's processor with native.c. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Case, Result } from './batch.ts';
import { readResults, writeBatch } from './batch.ts';

export function runNatively(code: Uint8Array, cases: readonly Case[]): Result[] {
  const folder = mkdtempSync(join(tmpdir(), 'hvm-native-'));
  try {
    const path = (name: string) => join(folder, name);
    const source = join(import.meta.dirname, 'native.c');
    // Position-independent, so that the low addresses are free.
    const options = ['-O2', '-fPIE', '-pie', '-fno-stack-protector', '-Wall', '-Wextra', '-Werror'];
    execFileSync('gcc', [...options, '-o', path('native'), source], { stdio: ['ignore', 'ignore', 'pipe'] });
    writeFileSync(path('batch'), writeBatch(code, cases));
    execFileSync(path('native'), [path('batch'), path('results')], { stdio: ['ignore', 'ignore', 'pipe'] });
    return readResults(readFileSync(path('results')), cases.length, cases[0]?.vectors !== undefined);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** CPUID's vendor, and the names of /proc/cpuinfo for what the host's processor offers. */
export interface HostProcessor {
  readonly vendor: string;
  readonly flags: ReadonlySet<string>;
}

export function hostProcessor(): HostProcessor {
  const text = readFileSync('/proc/cpuinfo', 'utf8');
  const field = (name: string) => new RegExp(`^${name}\\s*: (.*)$`, 'm').exec(text)?.[1] ?? '';
  return { vendor: field('vendor_id'), flags: new Set(field('flags').split(' ')) };
}
