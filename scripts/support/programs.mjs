/** Programs besides Node that tests and benchmarks use: on Debian, as root, they are installed. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { isOnPath } from './tools.mjs';

/** By program: its Debian package and what it needs besides. */
const PACKAGES = {
  gcc: ['gcc'],
  as: ['binutils'],
  make: ['make'],
  nasm: ['nasm'],
  gdb: ['gdb'],
  'llvm-dwarfdump': ['llvm'],
  'qemu-system-x86_64': ['qemu-system-x86'],
  chromium: ['chromium', 'fonts-dejavu-core'],
};

/** Installs those of the programs that are missing, by default all; gives what is missing then, and `without` says what that means. */
export function installPrograms({ programs = Object.keys(PACKAGES), without }) {
  const missing = installMissing(programs);
  for (const program of missing)
    console.error(
      `${program} is not installed: ${without}. On Debian: apt-get install ${PACKAGES[program].join(' ')}`,
    );
  return missing;
}

function installMissing(programs) {
  const missing = programs.filter((program) => !isOnPath(program));
  const canInstall = existsSync('/etc/debian_version') && process.getuid?.() === 0;
  if (missing.length === 0 || !canInstall) return missing;
  const packages = missing.flatMap((program) => PACKAGES[program]);
  console.error(`Installing ${packages.join(', ')} …`);
  const aptGet = (...args) =>
    spawnSync('apt-get', args, {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    });
  aptGet('update', '-q');
  aptGet('install', '-qy', '--no-install-recommends', ...packages);
  return missing.filter((program) => !isOnPath(program));
}
