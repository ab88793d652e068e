/** Generated files are committed, so that they can be read and reviewed; here they are compared with their tables. */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { GENERATORS } from '../../scripts/generators.ts';
import { withoutTest } from '../../scripts/vmxCoverage.ts';

const repository = resolve(import.meta.dirname, '../..');

describe('generated files', () => {
  for (const { file, render } of GENERATORS) {
    it(`${file} is what its table says (npm run gen writes it)`, () => {
      const current = readFileSync(join(repository, file), 'utf8');
      expect(render(current)).toBe(current);
    });
  }
});

describe('the page on VT-x', () => {
  it('lists nothing that is offered or checked without a test', () => {
    expect(withoutTest()).toEqual([]);
  });
});
