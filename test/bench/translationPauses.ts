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
  /** Without the time in which all processors were others': work, locks, and whatever else held the thread up. */
  readonly ours: number;
  readonly byTheClock: number;
  /** What of that was spent waiting for a processor. */
  readonly waited: number;
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
  const byTheClock = Math.max(0, ...inTime.map(({ milliseconds }) => milliseconds));
  return {
    ours: Math.max(0, ...inTime.map(({ milliseconds, waited }) => milliseconds - waited)),
    byTheClock,
    waited: inTime.find(({ milliseconds }) => milliseconds === byTheClock)?.waited ?? 0,
  };
}

async function bestOf(program: string, engine: string): Promise<Longest> {
  const runs: Longest[] = [];
  while (runs.length < RUNS) runs.push(await longestPause(program, engine));
  const { byTheClock, waited } = runs.toSorted((a, b) => a.byTheClock - b.byTheClock)[0];
  return {
    ours: round(Math.min(...runs.map(({ ours }) => ours))),
    byTheClock: round(byTheClock),
    waited: round(waited),
  };
}

export const bench: Bench = {
  title: 'Pauses by translation',
  about: `The longest time in which the debug adapter's main thread did not come back to its event loop, in the first ${RUNS_FOR / 1000} seconds of 300 KiB of hot code (manyFunctions); best of ${RUNS}. The machine has a thread of its own. The system tells how long a thread that could run had no processor, which is what everything else that runs does to it, V8's compilers and other programs alike: by the clock it is a pause all the same.`,
  async run() {
    const program = buildBenchKernels().manyFunctions;
    const interpreted = await bestOf(program, 'interpreter');
    const translated = await bestOf(program, 'auto');
    return [
      {
        name: 'while code is translated, without waiting for a processor',
        value: translated.ours,
        unit: 'ms',
        target: { atMost: TARGET },
        note: `${interpreted.ours} ms when it is interpreted`,
      },
      {
        name: 'while code is translated, by the clock',
        value: translated.byTheClock,
        unit: 'ms',
        note: `${translated.waited} ms of it waiting for a processor; ${interpreted.byTheClock} and ${interpreted.waited} ms when it is interpreted`,
      },
    ];
  },
};
