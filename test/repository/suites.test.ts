/** docs/testing.md has a line for every suite, and no line for a suite that is gone. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, it } from 'vitest';

const repository = resolve(import.meta.dirname, '../..');

function suites(): string[] {
  const folders = readdirSync(join(repository, 'test'), { withFileTypes: true }).filter((f) =>
    f.isDirectory(),
  );
  const withTests = folders.filter(({ name }) =>
    readdirSync(join(repository, 'test', name), { recursive: true }).some((f) =>
      String(f).endsWith('.test.ts'),
    ),
  );
  return ['unit', ...withTests.map(({ name }) => name)];
}

it('docs/testing.md has one line for every suite', () => {
  const page = readFileSync(join(repository, 'docs/testing.md'), 'utf8');
  const table = page.slice(page.indexOf('| suite '), page.indexOf('\n\n', page.indexOf('| suite ')));
  const named = [...table.matchAll(/^\| `(\w+)` +\|/gm)].map(([, name]) => name);
  expect(named.sort()).toEqual(suites().sort());
});
