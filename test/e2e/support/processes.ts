/** Processes of this machine, as /proc tells of them. */
import { readdirSync, readFileSync } from 'node:fs';

/** The debug adapters that the extension of this profile has started. */
export function adapters(profile: string): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      const line = commandLine(pid);
      return line.includes(profile) && line.includes('dist/adapter.js');
    })
    .map(Number);
}

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    // It has ended meanwhile.
    return '';
  }
}
