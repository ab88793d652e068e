/** What a VM exit costs: CPUID in a loop. */
import { buildBenchKernels } from './kernels/build.ts';
import { type Bench, round } from './support/bench.ts';
import { measureHvm } from './support/hvm.ts';

const RUNS = 3;
const UNITS = 1000;
const ROUND_TRIPS_PER_UNIT = 1000;
const TARGET = 700_000;

/** The checksum of test/bench/kernels/unit.h for the kernel cpuid, whose unit gives its seed + 1000. */
function checksum(units: number): string {
  const u64 = (value: bigint): bigint => BigInt.asUintN(64, value);
  const nextRandom = (seed: bigint): bigint => {
    let x = seed;
    x ^= u64(x << 13n);
    x ^= x >> 7n;
    return x ^ u64(x << 17n);
  };
  let sum = 0x9e3779b97f4a7c15n;
  for (let i = 0; i < units; i++) sum = u64(nextRandom(sum ^ BigInt(i)) + sum + BigInt(ROUND_TRIPS_PER_UNIT));
  return sum.toString(16).padStart(16, '0');
}

export const bench: Bench = {
  title: 'Round trips to the built-in VMM',
  about: `VM exit, handling and VM entry of CPUID in a loop, in a process of its own; best of ${RUNS}.`,
  run() {
    const image = buildBenchKernels().cpuid;
    const expected = `cpuid n=${UNITS} checksum=${checksum(UNITS)}`;
    let best = 0;
    for (let run = 0; run < RUNS; run++) {
      const { status, serial, statistics } = measureHvm(image, '--mode', 'guest', '--append', `n=${UNITS}`);
      if (status !== 0 || serial.trim() !== expected)
        throw new Error(`cpuid ended with status ${status} and said "${serial.trim()}", not "${expected}"`);
      const trips = statistics.exitsByReason.find(({ key }) => key === 'cpuid')?.count ?? 0;
      if (trips < UNITS * ROUND_TRIPS_PER_UNIT) throw new Error(`CPUID exited ${trips} times only`);
      best = Math.max(best, trips / statistics.seconds);
    }
    return [{ name: 'CPUID', value: round(best, 0), unit: 'a second', target: { atLeast: TARGET } }];
  },
};
