/** How quickly the list of VM exits is filtered. */
import { ExitSearch } from '../../emulator/debug/exitSearch.ts';
import type { ExitFilter } from '../../emulator/debug/target.ts';
import { RAX } from '../../emulator/state/registers.ts';
import { ExitLog } from '../../emulator/vmx/exitLog.ts';
import { EXIT_REASON_NUMBER } from '../../emulator/vmx/exitReasons.ts';
import { processorInGuest } from '../support/vmxProcessor.ts';
import { type Bench, round } from './support/bench.ts';

const EXITS = 1_000_000;
const RUNS = 5;
const TARGET = 100;
const KERNEL = 0xffff_ffff_8000_0000n;

/** Exits from `places` addresses with `texts` different texts; every eighth is an I/O instruction. */
function logOf(places: number, texts: number): ExitLog {
  const { state, vmx } = processorInGuest();
  const log = new ExitLog(state, EXITS);
  const { vmcs, transfers } = vmx.processor;
  for (let number = 0; number < EXITS; number++) {
    const { cpuid, ioInstruction } = EXIT_REASON_NUMBER;
    vmx.vmwrite('VM_EXIT_REASON', BigInt(number % 8 === 7 ? ioInstruction : cpuid));
    vmx.vmwrite('EXIT_QUALIFICATION', 0x3f8_0000n);
    vmx.vmwrite('GUEST_RIP', KERNEL + BigInt((number * 7) % places));
    state.setGpr(RAX, BigInt((number * 31) % texts));
    transfers.recordExit(4 * vmcs.word);
    log.add(number * 100, 1, 800);
  }
  return log;
}

interface Search {
  /** Until everything is found, best of some runs. */
  readonly whole: number;
  /** The longest that the machine was kept from running. */
  readonly longestCall: number;
}

function measure(log: ExitLog, filter: ExitFilter, runs = RUNS): Search {
  let whole = Number.POSITIVE_INFINITY;
  let longestCall = 0;
  const none = new BigUint64Array();
  for (let run = 0; run < runs; run++) {
    const search = new ExitSearch(log, () => performance.now());
    const calls: number[] = [];
    const timed = <T>(call: () => T): T => {
      const started = performance.now();
      const value = call();
      calls.push(performance.now() - started);
      return value;
    };
    if (filter.text !== undefined) while (!timed(() => search.addresses(0)).isComplete);
    while (!timed(() => search.find(filter, none, 0, 100)).isComplete);
    whole = Math.min(
      whole,
      calls.reduce((sum, call) => sum + call, 0),
    );
    longestCall = Math.max(longestCall, ...calls);
  }
  return { whole, longestCall };
}

export const bench: Bench = {
  title: 'Filtering the VM exits',
  about: `A filter over ${EXITS.toLocaleString('en')} exits that is asked for the first time, in the machine's thread; best of ${RUNS}.`,
  run() {
    const common = logOf(1000, 100);
    const row = (name: string, filter: ExitFilter) => ({
      name,
      value: round(measure(common, filter).whole),
      unit: 'ms',
      target: { atMost: TARGET },
    });
    const rows = [
      row('by reason', { reasons: [EXIT_REASON_NUMBER.ioInstruction] }),
      row('by number', { from: 100_000, to: 200_000 }),
      row('by text', { text: 'leaf 0x2a' }),
    ];
    const different = measure(logOf(100_000, EXITS), { text: 'leaf 0x2a' }, 1);
    return [
      ...rows,
      {
        name: 'by text, no two exits alike',
        value: round(different.whole, 0),
        unit: 'ms',
        note: `in calls of at most ${round(different.longestCall, 0)} ms, after each of which what was found is shown`,
      },
    ];
  },
};
