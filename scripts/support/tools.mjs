/** Where the repository and the programs of its packages are. Plain JavaScript: this runs before `npm ci`. */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = join(dirname(fileURLToPath(import.meta.url)), '../..');

/** The package that a program belongs to, where the two names differ. */
const PACKAGES = {
  tsc: 'typescript',
  biome: '@biomejs/biome',
  depcruise: 'dependency-cruiser',
  vsce: '@vscode/vsce',
};

/** The script behind a program of node_modules/.bin, to be run with this Node on any platform. */
export function tool(name) {
  const folder = join(root, 'node_modules', PACKAGES[name] ?? name);
  const { bin } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  return join(folder, typeof bin === 'string' ? bin : bin[name]);
}
