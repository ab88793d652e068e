/**
 * `npm run e2e:desktop [FILE …]`: the end-to-end tests in a desktop's VS Code instead of the server's workbench. It needs
 * Linux on x64 with a display (or `xvfb-run`), a network to download VS Code once, into .vscode-test/, and the package
 * that does so, which is not among the project's: npm install --no-save @vscode/test-electron@2.5.2
 */
import { spawnSync } from 'node:child_process';
import { installPackages, requireNode } from './support/setup.mjs';
import { root, tool } from './support/tools.mjs';

/** The oldest that package.json promises; HVM_VSCODE_VERSION=stable takes the newest. */
const VERSION = process.env.HVM_VSCODE_VERSION ?? '1.100.0';

function fail(message) {
  console.error(message);
  process.exit(1);
}

requireNode();
installPackages();
if (process.platform !== 'linux') fail('The tests look at processes in /proc: they need Linux.');
if (!process.env.DISPLAY && !process.env.WAYLAND_DISPLAY)
  fail('There is no display: start it on a desktop, or with xvfb-run.');
const electron = await import('@vscode/test-electron').catch(() =>
  fail('@vscode/test-electron is missing: npm install --no-save @vscode/test-electron@2.5.2'),
);
const program = await electron.downloadAndUnzipVSCode(VERSION);
const { status } = spawnSync(
  process.execPath,
  [tool('vitest'), 'run', '--project', 'e2e', ...process.argv.slice(2)],
  {
    cwd: root,
    stdio: 'inherit',
    env: {
      ...process.env,
      HVM_VSCODE: program,
      HVM_VSCODE_CLI: electron.resolveCliPathFromVSCodeExecutablePath(program),
    },
  },
);
process.exit(status ?? 1);
