/**
 * Why a VM entry has failed, as a sentence and the lines of its report.
 *
 * Intel SDM Vol. 3C, "VM Entries", 28.1 to 28.4.
 */
import { EmulatorBug } from '../base/errors.ts';
import { entryReportLines } from './entryReport.ts';
import { lastEntryReport } from './failedEntry.ts';
import type { VmxProcessor } from './processor.ts';

const hex = (value: bigint): string => `0x${value.toString(16)}`;

/** The last failure: what happened and the first rule that was broken, then all rules. */
export function describeFailedEntry(processor: VmxProcessor): {
  readonly description: string;
  readonly details: readonly string[];
} {
  const report = lastEntryReport(processor);
  if (report === undefined) throw new EmulatorBug('no VM entry has failed');
  const { instruction, outcome, rules, failedAt } = report;
  const [first] = rules;
  const field = first?.field;
  const value = field === undefined ? '' : `: ${field.key} is ${hex(field.value)}`;
  const more = rules.length > 1 ? ` (and ${rules.length - 1} more)` : '';
  return {
    description: `${instruction} at RIP ${hex(failedAt?.rip ?? 0n)} failed: ${outcome}: ${first?.text ?? 'no rule is broken'}${value}${more}`,
    details: entryReportLines(report),
  };
}
