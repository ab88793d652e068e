/** `npm run gen`: writes what is generated from tables; `npm run gen -- --check` says what is out of date. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { importTypeScript } from './support/runTypeScript.mjs';
import { root } from './support/tools.mjs';

const check = process.argv.includes('--check');
const { GENERATORS } = await importTypeScript('scripts/generators.ts');

const outdated = [];
for (const { file, render } of GENERATORS) {
  const path = join(root, file);
  const current = existsSync(path) ? readFileSync(path, 'utf8') : '';
  const wanted = render(current);
  if (wanted === current) continue;
  outdated.push(file);
  if (check) continue;
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, wanted);
}

for (const file of outdated)
  console.log(check ? `${file} is out of date: run npm run gen` : `${file} written`);
if (check && outdated.length > 0) process.exitCode = 1;
