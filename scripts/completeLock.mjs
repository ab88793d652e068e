/**
 * Adds to package-lock.json what npm leaves out of it when the registry in use lacks a package of another platform: `npm ci`
 * refuses such a lock file. These packages are pinned to one version by the package that wants them, so the entry follows from
 * its name. Run after `npm install PACKAGE`; it changes nothing where nothing is missing.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './support/tools.mjs';

const EXACT = /^\d+\.\d+\.\d+$/;
/** …-darwin-arm64, …-linux-x64-musl, …-win32-x64-msvc: operating system, processor, C library or ABI. */
const PLATFORM =
  /-(android|darwin|freebsd|linux|openharmony|win32)-(arm64|arm|ia32|ppc64|riscv64|s390x|x64)(?:-(\w+))?$/;
const LIBC = { musl: ['musl'], gnu: ['glibc'] };

const file = join(root, 'package-lock.json');
const lock = JSON.parse(readFileSync(file, 'utf8'));
const added = {};

for (const [path, wanting] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(wanting.optionalDependencies ?? {})) {
    const beside = `node_modules/${name}`;
    if (lock.packages[beside] || lock.packages[`${path}/${beside}`]) continue;
    const platform = PLATFORM.exec(name);
    if (!platform || !EXACT.test(version))
      throw new Error(`${path} wants ${name} ${version}: add its entry by hand`);
    const [, os, cpu, abi] = platform;
    added[beside] = {
      version,
      cpu: [cpu],
      ...(wanting.dev && { dev: true }),
      ...(os === 'linux' && LIBC[abi] && { libc: LIBC[abi] }),
      optional: true,
      os: [os],
    };
  }
}

lock.packages = Object.fromEntries(
  Object.entries({ ...lock.packages, ...added }).sort(([a], [b]) => a.localeCompare(b, 'en')),
);
if (Object.keys(added).length > 0) writeFileSync(file, `${JSON.stringify(lock, undefined, 2)}\n`);
for (const path of Object.keys(added))
  console.log(`added ${path.slice('node_modules/'.length)} ${added[path].version}`);
