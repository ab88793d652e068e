import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { missing } from '../../support/tools.ts';
import { buildResumingHypervisor } from './build.ts';

describe.skipIf(missing('gcc', 'as'))('the hypervisor of the benchmark', () => {
  it('is built as an image', () => {
    expect(existsSync(buildResumingHypervisor(10))).toBe(true);
  });
});
