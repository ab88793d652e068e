/** What address translation costs: emulator/mmu/mmu.bench.ts. */
import { benchmarkMmu } from '../../emulator/mmu/mmu.bench.ts';
import type { Bench } from './support/bench.ts';

export const bench: Bench = {
  title: 'Address translation',
  about:
    'Page walks through the 4-level tables of a processor with nothing else to do (2-D: EPT below them), and what happens when the TLB does not answer; best of 60 trials.',
  run: () =>
    benchmarkMmu(() => performance.now()).map(({ name, nanoseconds }) => ({
      name,
      value: nanoseconds,
      unit: 'ns',
    })),
};
