/** `npm run package`: builds and writes hvm-debugger-VERSION.vsix. */
import { spawnSync } from 'node:child_process';
import { build, installPackages, requireNode } from './support/setup.mjs';
import { root, tool } from './support/tools.mjs';

requireNode();
installPackages();
if (!build()) process.exit(1);
// The bundles hold what they need of node_modules.
const arguments_ = [
  'package',
  '--no-dependencies',
  '--allow-missing-repository',
  '--no-rewrite-relative-links',
];
const { status } = spawnSync(process.execPath, [tool('vsce'), ...arguments_, ...process.argv.slice(2)], {
  cwd: root,
  stdio: 'inherit',
});
process.exitCode = status ?? 1;
