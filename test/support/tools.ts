/**
 * Programs that tests use besides Node: compilers, and peers to compare with. `npm test` installs them on Debian; elsewhere
 * a test that needs one says `describe.skipIf(missing('gdb'))`. Under CI nothing may be skipped.
 */
import { isOnPath } from '../../scripts/support/tools.mjs';

const found = new Map<string, boolean>();

/** Whether one of these programs is not installed. */
export function missing(...programs: readonly string[]): boolean {
  for (const program of programs) {
    if (!found.has(program)) found.set(program, isOnPath(program));
    if (found.get(program)) continue;
    if (process.env.CI === 'true') throw new Error(`${program} is not installed, and CI skips no test`);
    return true;
  }
  return false;
}
