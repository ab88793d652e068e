/** What is said of the VMCS dumps in a log: for `hvm explain` and for "Explain VMCS Dump" in the editor. */
import { type DumpExplanation, entryRuleLines, explainVmcsDumps } from '../../emulator/index.ts';

export const NO_DUMP =
  'no VMCS dump of Linux KVM or Xen: there is no line "*** Guest State ***", "*** Host State ***" or "*** Control State ***" with fields behind it';

export interface DumpText {
  readonly text: string;
  /** Whether a dump breaks a rule. */
  readonly broken: boolean;
}

/**
 * Every dump in a log; undefined when there is none.
 *
 * @param undecided `list` names the rules that the dump cannot decide, another text says how to see them
 */
export function explainLog(log: string, undecided: string): DumpText | undefined {
  const explanations = explainVmcsDumps(log);
  if (explanations.length === 0) return undefined;
  const texts = explanations.map((explanation, index) =>
    explanationText(explanation, explanations.length > 1 ? index + 1 : undefined, undecided),
  );
  return { text: texts.join('\n'), broken: explanations.some(({ rules }) => rules.length > 0) };
}

function explanationText(
  { hypervisor, fields, said, rules, undecided }: DumpExplanation,
  number: number | undefined,
  listed: string,
): string {
  const which = `VMCS dump${number === undefined ? '' : ` ${number}`}${hypervisor === undefined ? '' : ` of ${hypervisor}`}`;
  const lines = [`${which}: ${fields} fields.`];
  if (said !== undefined) lines.push(`The processor said: ${said}.`);
  if (rules.length === 0) lines.push('No rule that the dump can decide is broken.');
  else
    lines.push(
      `Broken rules: ${rules.length}`,
      ...rules.flatMap((rule, index) => entryRuleLines(rule, index + 1)),
    );
  if (undecided.length > 0) {
    const count = `Not decided, because the dump does not show what they need: ${undecided.length} rules`;
    if (listed !== 'list') lines.push(`${count}; ${listed}.`);
    else
      lines.push(
        `${count}:`,
        ...undecided.map(({ text, missing }) => `  ${text} (needs ${missing.join(', ')})`),
      );
  }
  return `${lines.join('\n')}\n`;
}
