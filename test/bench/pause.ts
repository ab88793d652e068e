/** How soon a machine stops that runs flat out: DAP `pause`, in a debug adapter of its own process. */
import { setTimeout } from 'node:timers/promises';
import { buildBenchKernels } from './kernels/build.ts';
import { LONGEST, withAdapter } from './support/adapter.ts';
import { type Bench, type BenchResult, percentile, round } from './support/bench.ts';

const PAUSES = 40;
const TARGET = 50;
/** Milliseconds between two pauses: time to become hot. */
const RUNS_FOR = 100;
/** More than it can do. */
const UNITS = 1_000_000_000;

const KERNELS = [
  { name: 'int', mode: 'bare-metal' },
  { name: 'cpuid', mode: 'guest' },
] as const;

export const bench: Bench = {
  title: 'Pause',
  about: `DAP \`pause\` while a kernel runs that computes and one that does nothing but exit, from the request to the stopped event; ${PAUSES} times each.`,
  async run() {
    const images = buildBenchKernels();
    const results: BenchResult[] = [];
    for (const { name, mode } of KERNELS) {
      const times = await withAdapter(
        { program: images[name], mode, append: `n=${UNITS}` },
        async (client) => {
          const found: number[] = [];
          while (found.length < PAUSES) {
            await setTimeout(RUNS_FOR);
            const stopped = client.waitForEvent('stopped', LONGEST);
            const started = performance.now();
            await client.pauseRequest({ threadId: 1 });
            await stopped;
            found.push(performance.now() - started);
            await client.continueRequest({ threadId: 1 });
          }
          return found;
        },
      );
      results.push(
        {
          name: `${name}, median`,
          value: round(percentile(times, 0.5)),
          unit: 'ms',
          target: { atMost: TARGET },
        },
        { name: `${name}, slowest`, value: round(Math.max(...times)), unit: 'ms' },
      );
    }
    return results;
  },
};
