/** How quickly the report on a VM entry is there. */
import { nextEntryReport } from '../../emulator/vmx/failedEntry.ts';
import { VMCS_FIELD_LIST } from '../../emulator/vmx/vmcsLayout.ts';
import { guestVmcs, processorInRoot } from '../support/vmxProcessor.ts';
import { type Bench, percentile, round } from './support/bench.ts';

const RUNS = 200;
const TARGET = 20;

/** Valid, or with every field the complement of what is valid. */
function measure(isValid: boolean): readonly number[] {
  const contents = guestVmcs();
  if (!isValid)
    for (const { key, mask } of VMCS_FIELD_LIST) contents.set({ [key]: ~contents.get(key) & mask });
  const { processor } = processorInRoot(contents).vmx;
  return Array.from({ length: RUNS }, () => {
    const began = performance.now();
    const report = nextEntryReport(processor);
    const milliseconds = performance.now() - began;
    if (report.enters !== isValid) throw new Error(`the report says "${report.outcome}"`);
    return milliseconds;
  });
}

export const bench: Bench = {
  title: 'Report on a VM entry',
  about: `Every entry check of the current VMCS, with all that do not hold; ${RUNS} reports each, the first of the process among them.`,
  run() {
    const broken = measure(false);
    const valid = measure(true);
    const target = { atMost: TARGET };
    return [
      { name: 'every field is wrong, the first report', value: round(broken[0], 2), unit: 'ms', target },
      { name: 'every field is wrong, median', value: round(percentile(broken, 0.5), 2), unit: 'ms', target },
      { name: 'a valid VMCS, median', value: round(percentile(valid, 0.5), 2), unit: 'ms', target },
    ];
  },
};
