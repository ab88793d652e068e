import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { missing } from '../../support/tools.ts';
import { BENCH_KERNELS, buildBenchKernels, buildHostKernel } from './build.ts';

describe.skipIf(missing('gcc', 'as'))('the benchmark kernels', () => {
  it('are built as images', () => {
    for (const image of Object.values(buildBenchKernels())) expect(existsSync(image)).toBe(true);
  });

  // Their instructions are those of any x86-64 program: the host's processor says what the checksums are.
  for (const { name, checksums } of BENCH_KERNELS.filter(() => process.arch === 'x64')) {
    it(`${name} gives the checksums of the table when run by the host`, () => {
      const program = buildHostKernel(name);
      for (const [n, expected] of Object.entries(checksums))
        expect(execFileSync(program, [n], { encoding: 'utf8' }).trim()).toBe(expected);
    });
  }
});
