/** Where the repository and the programs it uses are. Plain JavaScript: this runs before `npm ci`. */
import { accessSync, constants, readFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
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

/**
 * @param {string} program
 * @returns {boolean} whether it can be started by its name alone
 */
export function isOnPath(program) {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
