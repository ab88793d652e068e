/** Whether translating holds up the thread that answers the debugger. */
import { setTimeout } from 'node:timers/promises';
import { buildBenchKernels } from './kernels/build.ts';
import { withAdapter } from './support/adapter.ts';
import { type Bench, round } from './support/bench.ts';
import { observe } from './support/observed.ts';

/** What else the system does makes pauses of its own: the best run is the one that tells. */
const RUNS = 3;
const RUNS_FOR = 5000;
const TARGET = 10;
/** More than it can do. */
const UNITS = 1_000_000_000;

interface Longest {
  readonly busy: number;
  readonly byTheClock: number;
}

async function longestPause(program: string, engine: string): Promise<Longest> {
  let [from, to] = [0, 0];
  const { pauses } = await observe(() =>
    withAdapter({ program, mode: 'bare-metal', append: `n=${UNITS}`, engine }, async () => {
      from = Date.now();
      await setTimeout(RUNS_FOR);
      to = Date.now();
      // What has been observed by then is written.
      await setTimeout(1000);
    }),
  );
  const inTime = pauses.filter(({ at }) => at >= from && at < to);
  return {
    busy: Math.max(0, ...inTime.map(({ busy }) => busy)),
    byTheClock: Math.max(0, ...inTime.map(({ milliseconds }) => milliseconds)),
  };
}

async function bestOf(program: string, engine: string): Promise<Longest> {
  const runs: Longest[] = [];
  while (runs.length < RUNS) runs.push(await longestPause(program, engine));
  const best = (of: (longest: Longest) => number) => round(Math.min(...runs.map(of)));
  return { busy: best(({ busy }) => busy), byTheClock: best(({ byTheClock }) => byTheClock) };
}

export const bench: Bench = {
  title: 'Pauses by translation',
  about: `The longest time in which the debug adapter's main thread did not come back to its event loop, in the first ${RUNS_FOR / 1000} seconds of 300 KiB of hot code (manyFunctions); best of ${RUNS}. The machine has a thread of its own, and what else the system does is in the times by the clock.`,
  async run() {
    const program = buildBenchKernels().manyFunctions;
    const interpreted = await bestOf(program, 'interpreter');
    const translated = await bestOf(program, 'auto');
    return [
      {
        name: 'while code is translated, busy',
        value: translated.busy,
        unit: 'ms',
        target: { atMost: TARGET },
        note: `${interpreted.busy} ms when it is interpreted`,
      },
      {
        name: 'while code is translated, by the clock',
        value: translated.byTheClock,
        unit: 'ms',
        note: `${interpreted.byTheClock} ms when it is interpreted`,
      },
    ];
  },
};
