/** Processes of this machine, as /proc tells of them. */
import { readdirSync, readFileSync } from 'node:fs';

/** Milliseconds of the unit in which Linux counts processor time. */
const TICK = 10;

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

/** The process that runs the extensions of the newest window of a server. */
export function extensionHost(server: number): number {
  const hosts = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => commandLine(pid).includes('--type=extensionHost') && parentOf(pid) === server)
    .map(Number);
  if (hosts.length === 0) throw new Error('no window has an extension host');
  return Math.max(...hosts);
}

/** Milliseconds that a process has spent on processors. */
export function processorTime(pid: number): number {
  const [, , , , , , , , , , , user, system] = statusOf(pid);
  return (Number(user) + Number(system)) * TICK;
}

/** proc(5): `/proc/[pid]/stat` from its third field on; the second, the name, may hold anything. */
function statusOf(pid: number | string): readonly string[] {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return text.slice(text.lastIndexOf(')') + 2).split(' ');
}

function parentOf(pid: string): number {
  try {
    return Number(statusOf(pid)[1]);
  } catch {
    // It has ended meanwhile.
    return 0;
  }
}
