/** The .vsix, of what was built. */
import { spawnSync } from 'node:child_process';
import { root, tool } from './tools.mjs';

const FLAGS = [
  'package',
  // The bundles hold what they need of node_modules.
  '--no-dependencies',
  '--allow-missing-repository',
  '--no-rewrite-relative-links',
];

/** Throws when it cannot be written; `args` go to vsce, e.g. `--out FILE`. */
export function writeVsix(...args) {
  const { status } = spawnSync(process.execPath, [tool('vsce'), ...FLAGS, ...args], {
    cwd: root,
    stdio: ['ignore', 2, 2],
  });
  if (status !== 0) throw new Error(`vsce ended with status ${status}`);
}
