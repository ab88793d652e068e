/** What has to be there before anything runs: the packages of the lock file and a build of these sources. */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './tools.mjs';

const OLDEST_NODE = 20;

/** Runs a program with its output on standard error, so that a guest's output stays alone on standard output. */
function run(command, args) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: ['ignore', 2, 2] });
  if (error) throw new Error(`${command} could not be started: ${error.message}`);
  return status === 0;
}

export function requireNode() {
  if (Number.parseInt(process.versions.node, 10) >= OLDEST_NODE) return;
  console.error(`HVM Debugger needs Node ${OLDEST_NODE} or newer; this is ${process.versions.node}.`);
  process.exit(2);
}

function packagesOf(lockFile) {
  return JSON.parse(readFileSync(lockFile, 'utf8')).packages;
}

/** Whether node_modules is what the lock file asks for. npm keeps its own lock of what it installed in there. */
function packagesAreInstalled() {
  const installedLock = join(root, 'node_modules/.package-lock.json');
  if (!existsSync(installedLock)) return false;
  const installed = packagesOf(installedLock);
  return Object.entries(packagesOf(join(root, 'package-lock.json'))).every(
    ([path, wanted]) =>
      path === '' || (installed[path] ? installed[path].version === wanted.version : wanted.optional),
  );
}

export function installPackages() {
  if (packagesAreInstalled()) return;
  console.error('Installing the packages (npm ci) …');
  const ci = ['ci', '--loglevel=error'];
  // The npm that started this script, else the one on the path.
  const npm = process.env.npm_execpath;
  const installed = npm?.endsWith('.js')
    ? run(process.execPath, [npm, ...ci])
    : run(process.platform === 'win32' ? 'npm.cmd' : 'npm', ci);
  if (!installed) {
    console.error('npm ci failed: its output above says why.');
    process.exit(1);
  }
}

const SOURCES = [
  'emulator',
  'debug-adapter',
  'extension',
  'cli',
  'scripts/generate.mjs',
  'scripts/support',
  'bundle.mjs',
  'package-lock.json',
];

/** The latest time that anything under these paths changed; a folder's own time tells of what was removed from it. */
function newest(paths) {
  let latest = 0;
  for (const path of paths) {
    const status = statSync(join(root, path), { throwIfNoEntry: false });
    if (!status) continue;
    latest = Math.max(latest, status.mtimeMs);
    if (status.isDirectory())
      latest = Math.max(latest, newest(readdirSync(join(root, path)).map((name) => join(path, name))));
  }
  return latest;
}

/** Builds; false when that failed. */
export function build() {
  return run(process.execPath, [join(root, 'bundle.mjs')]);
}

export function buildIfOutdated() {
  const stamp = statSync(join(root, 'dist/.built'), { throwIfNoEntry: false });
  if (stamp && stamp.mtimeMs >= newest(SOURCES)) return;
  console.error('Building …');
  if (!build()) process.exit(1);
}
