/** How fast programs run on the bare machine. */
import { BENCH_KERNELS, buildBenchKernels } from './kernels/build.ts';
import { type Bench, type BenchResult, geometricMean, round } from './support/bench.ts';
import { measureHvm } from './support/hvm.ts';

const RUNS = 3;
const ALL_UNITS = 100;
const TARGET_MIPS = 220;

/** The best of some runs; each has to print the right checksum. */
function measure(name: string, image: string, checksum: string): BenchResult {
  let best = 0;
  let instructions = 0;
  for (let run = 0; run < RUNS; run++) {
    const { status, serial, statistics } = measureHvm(
      image,
      '--mode',
      'bare-metal',
      '--engine',
      'interpreter',
    );
    const expected = `${name} n=${ALL_UNITS} checksum=${checksum}`;
    if (status !== 0 || serial.trim() !== expected)
      throw new Error(`${name} ended with status ${status} and said "${serial.trim()}", not "${expected}"`);
    best = Math.max(best, statistics.mips);
    instructions = statistics.instructions;
  }
  return {
    name,
    value: round(best),
    unit: 'MIPS',
    note: `${round(instructions / 1e6, 0)} million instructions`,
  };
}

export const bench: Bench = {
  title: 'Interpreter',
  about: `Millions of guest instructions a second of 64-bit kernels on the bare machine, from power-on to power-off in a process of its own; best of ${RUNS}.`,
  run() {
    const images = buildBenchKernels();
    const results = BENCH_KERNELS.filter(({ name }) => name !== 'cpuid').map(({ name, about, checksums }) => {
      const result = measure(name, images[name], checksums[ALL_UNITS]);
      return { ...result, note: `${about}, ${result.note}` };
    });
    const mean = round(geometricMean(results.map(({ value }) => value)));
    return [
      ...results,
      { name: 'geometric mean', value: mean, unit: 'MIPS', target: { atLeast: TARGET_MIPS } },
    ];
  },
};
