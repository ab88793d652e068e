/** Whether hours of writing, mapping and translating code make the process grow: test/soak for as long as it is told. */
import { buildSoakProgram } from '../soak/program/build.ts';
import { type Footprint, growthOf, startSoak } from '../soak/program/soak.ts';
import { interpreterModule } from '../support/bareProcessor.ts';
import { type Bench, type BenchResult, round } from './support/bench.ts';

/** Before that is no growth: caches fill, and V8 compiles what is hot. */
const WARM_UP = 1 / 10;
const LOOKS = 20;

const line = (footprint: Footprint): string =>
  Object.entries(footprint)
    .map(([name, value]) => `${name} ${round(value, 1)}`)
    .join(', ');

function soak(minutes: number): readonly BenchResult[] {
  const machine = startSoak(buildSoakProgram(), interpreterModule());
  const seconds = minutes * 60;
  machine.run(seconds * WARM_UP);
  const looks: Footprint[] = [];
  for (let look = 0; look < LOOKS; look++) {
    const footprint = machine.run((seconds * (1 - WARM_UP)) / LOOKS);
    looks.push(footprint);
    console.error(`  ${line(footprint)}`);
  }
  const last = looks[LOOKS - 1];
  const row = (name: string, of: (footprint: Footprint) => number, among = looks) => ({
    name,
    value: round(growthOf(among, of), 1),
    unit: 'MiB more',
    note: `from ${round(Math.min(...among.map(of)), 1)} to ${round(Math.max(...among.map(of)), 1)} MiB`,
  });
  const resident = (footprint: Footprint) => footprint.resident;
  const malloc = (footprint: Footprint) => footprint.malloc;
  return [
    { ...row('memory of the process, all the time', resident), target: { atMost: 20 } },
    {
      ...row('memory of the process, second half', resident, looks.slice(LOOKS / 2)),
      target: { atMost: 10 },
    },
    row('of it in the arena of malloc, second half', malloc, looks.slice(LOOKS / 2)),
    { ...row('JavaScript heap', ({ heap }) => heap), target: { atMost: 5 } },
    { ...row('machine code', ({ machineCode }) => machineCode), target: { atMost: 10 } },
    {
      name: 'live modules',
      value: Math.max(...looks.map(({ live }) => live)),
      unit: 'modules',
      target: { atMost: 2048 },
      note: `${last.made} made in ${minutes} minutes and ${round(last.instructions / 1e9, 0)} billion instructions`,
    },
  ];
}

export const bench: Bench = {
  title: 'Soak',
  about:
    'A kernel that writes, runs and rewrites code in ever new pages and maps them elsewhere, so that the translator evicts all the time, in one process; looked at 20 times after a tenth of the time, when garbage was collected: how much more memory there is in the last quarter of the looks than in the first, medians of both. What V8 keeps of modules comes from malloc, which gives back little of what was in use when most dropped modules waited for a collection. `npm run bench soak -- --minutes 60`: an hour.',
  onRequest: true,
  run: ({ minutes }) => soak(minutes),
};
