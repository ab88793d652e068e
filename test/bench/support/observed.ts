/** What a process of ours tells of its main thread. */
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { repository } from './hvm.ts';

export interface Pause {
  /** When it ended, as of Date.now(). */
  readonly at: number;
  readonly milliseconds: number;
  /** Those in which the thread had a processor. */
  readonly busy: number;
  /** Those in which it could have run and had none: other threads, ours or not, had them all. */
  readonly waited: number;
}

export interface Observed {
  /** The most memory that the process ever had, in MiB. */
  readonly mostMemory: number;
  /** Times in which its main thread did not come back to its event loop. */
  readonly pauses: readonly Pause[];
}

const FILE = join(repository, 'build/bench/observed.json');

/** Runs in the observed process, which may be killed. Its worker threads are not its main thread. */
const OBSERVER = `
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';
if (isMainThread) {
  const pauses = [];
  // The first two numbers: nanoseconds in which the thread had a processor, and in which it waited for one.
  const schedule = '/proc/self/task/' + process.pid + '/schedstat';
  const tells = existsSync(schedule);
  const look = () => {
    const now = performance.now();
    const [ran, waited] = tells ? readFileSync(schedule, 'latin1').split(' ').map((text) => Number(text) / 1e6) : [now, 0];
    return { now, ran, waited };
  };
  let last = look();
  setInterval(() => {
    const next = look();
    const milliseconds = next.now - last.now - 1;
    if (milliseconds > 2) 
      pauses.push({ at: Date.now(), milliseconds, busy: next.ran - last.ran, waited: next.waited - last.waited });
    last = next;
  }, 1).unref();
  const write = () => {
    // maxRSS has what the process had before it was Node: a copy of whoever started it.
    const status = tells ? readFileSync('/proc/self/status', 'latin1') : '';
    const mostMemory = Number(/VmHWM:\\s*(\\d+)/.exec(status)?.[1] ?? process.resourceUsage().maxRSS) / 1024;
    writeFileSync(${JSON.stringify(`${FILE}.new`)}, JSON.stringify({ mostMemory, pauses }));
    renameSync(${JSON.stringify(`${FILE}.new`)}, ${JSON.stringify(FILE)});
    last = look();
  };
  setInterval(write, 500).unref();
  process.on('exit', write);
}`;

/** Runs what starts one process of Node with its environment from here, and ends it. */
export async function observe(use: () => unknown): Promise<Observed> {
  mkdirSync(join(repository, 'build/bench'), { recursive: true });
  rmSync(FILE, { force: true });
  const before = process.env.NODE_OPTIONS;
  process.env.NODE_OPTIONS = `--import "data:text/javascript,${encodeURIComponent(OBSERVER)}"`;
  try {
    await use();
  } finally {
    if (before === undefined) delete process.env.NODE_OPTIONS;
    else process.env.NODE_OPTIONS = before;
  }
  return JSON.parse(readFileSync(FILE, 'utf8'));
}
