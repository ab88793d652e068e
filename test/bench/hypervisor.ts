/** What a VM exit costs a hypervisor that is debugged: a handler in C that resumes at once. */
import { buildResumingHypervisor } from './hypervisor/build.ts';
import { type Bench, round } from './support/bench.ts';
import { measureHvm } from './support/hvm.ts';

const RUNS = 3;
const ROUND_TRIPS = 1_000_000;
const TARGET = 500_000;

export const bench: Bench = {
  title: 'Round trips to a hypervisor in bare-metal mode',
  about: `VM exit of CPUID, a handler in C that reads the exit reason, moves RIP on and resumes, VM entry; best of ${RUNS}.`,
  run() {
    const image = buildResumingHypervisor(ROUND_TRIPS);
    let best = 0;
    for (let run = 0; run < RUNS; run++) {
      const { status, serial, statistics } = measureHvm(image, '--mode', 'bare-metal');
      const expected = `0x${(ROUND_TRIPS + 1).toString(16)}`;
      if (status !== 0 || serial.trim() !== expected)
        throw new Error(
          `the hypervisor ended with status ${status} and said "${serial.trim()}", not "${expected}"`,
        );
      best = Math.max(best, ROUND_TRIPS / statistics.seconds);
    }
    return [{ name: 'CPUID', value: round(best, 0), unit: 'a second', target: { atLeast: TARGET } }];
  },
};
