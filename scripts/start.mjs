/** `npm start`: sets itself up where needed, then runs the sample kernel and shows its VM exits. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { buildIfOutdated, installPackages, requireNode } from './support/setup.mjs';
import { root } from './support/tools.mjs';

requireNode();
installPackages();
buildIfOutdated();

const cli = join(root, 'dist/cli.js');
if (!existsSync(cli)) {
  console.error('The build made no dist/cli.js: cli/main.ts is missing.');
  process.exit(1);
}
const image = join(root, 'samples/hello-guest/hello-guest.elf');
const guest = spawn(process.execPath, [cli, 'run', image, '--watch-exits', ...process.argv.slice(2)], {
  stdio: 'inherit',
});
guest.on('exit', (code, signal) => {
  process.exitCode = signal ? 1 : code;
});
// Ctrl+C reaches the guest's process too; it decides how to end.
process.on('SIGINT', () => {});
