/** How long a step takes in the debugger: DAP `next`, in a debug adapter of its own process. */
import type { DebugClient } from '@vscode/debugadapter-testsupport';
import { helloGuest, withAdapter } from './support/adapter.ts';
import { type Bench, percentile, round } from './support/bench.ts';

const STEPS = 500;
const TARGET_MEDIAN = 10;
const TARGET_99TH = 50;
/** A step that takes longer never ends. */
const LONGEST_STEP = 10_000;

type Ending = 'stopped' | 'terminated';

/** The next stop, or the end of the session. */
function endOfRun(client: DebugClient): Promise<Ending> {
  return new Promise((resolve, reject) => {
    const end = (how: Ending): void => {
      clearTimeout(timer);
      client.removeAllListeners('stopped').removeAllListeners('terminated');
      resolve(how);
    };
    const timer = setTimeout(() => reject(new Error('a step does not end')), LONGEST_STEP);
    client.once('stopped', () => end('stopped')).once('terminated', () => end('terminated'));
  });
}

/** Steps from kmain on until there are enough steps or the program ends; adds how long each took, in milliseconds. */
async function session(times: number[]): Promise<void> {
  await withAdapter({ program: helloGuest, runToEntryPoint: 'kmain' }, async (client) => {
    while (times.length < STEPS) {
      const started = performance.now();
      const end = endOfRun(client);
      await client.nextRequest({ threadId: 1 });
      if ((await end) === 'terminated') return;
      times.push(performance.now() - started);
    }
  });
}

export const bench: Bench = {
  title: 'Steps',
  about: `DAP \`next\` through samples/hello-guest as a VT-x guest, from the request to the stopped event; ${STEPS} steps.`,
  async run() {
    const times: number[] = [];
    while (times.length < STEPS) {
      const before = times.length;
      await session(times);
      if (times.length === before) throw new Error('hello-guest ended at the first step');
    }
    return [
      { name: 'median', value: round(percentile(times, 0.5)), unit: 'ms', target: { atMost: TARGET_MEDIAN } },
      {
        name: '99th percentile',
        value: round(percentile(times, 0.99)),
        unit: 'ms',
        target: { atMost: TARGET_99TH },
      },
      { name: 'slowest', value: round(Math.max(...times)), unit: 'ms' },
    ];
  },
};
