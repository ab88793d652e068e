/** Programs besides Node that tests and benchmarks use: on Debian, as root, they are installed. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { isOnPath } from './tools.mjs';

/** Installs what is missing of [program, its Debian package and what it needs besides]; gives what is missing then. */
export function installPrograms(programs) {
  const missing = programs.filter(([program]) => !isOnPath(program));
  const canInstall = existsSync('/etc/debian_version') && process.getuid?.() === 0;
  if (missing.length === 0 || !canInstall) return missing;
  const packages = missing.flatMap(([, ...names]) => names);
  console.error(`Installing ${packages.join(', ')} …`);
  const aptGet = (...args) =>
    spawnSync('apt-get', args, {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    });
  aptGet('update', '-q');
  aptGet('install', '-qy', '--no-install-recommends', ...packages);
  return missing.filter(([program]) => !isOnPath(program));
}
