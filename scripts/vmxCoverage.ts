/** docs/generated/vmx.md: what of VT-x is offered, and which tests name it. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { formatReference } from '../emulator/base/reference.ts';
import { EPT_VPID_BITS } from '../emulator/vmx/capabilities.ts';
import { CONTROL_WORDS, type ControlRow, controlsOf } from '../emulator/vmx/controls.ts';
import { ENTRY_CHECKS } from '../emulator/vmx/entryChecks/evaluate.ts';
import { VIOLATIONS } from '../emulator/vmx/entryChecks/violations.ts';
import { SECTIONS } from '../emulator/vmx/entryReport.ts';
import { EXIT_REASONS, type ExitReasonRow } from '../emulator/vmx/exitReasons.ts';
import {
  VM_INSTRUCTION_ERRORS,
  VMX_ABORTS,
  type VmInstructionErrorRow,
  type VmxAbortRow,
} from '../emulator/vmx/vmInstructionErrors.ts';
import { type CapabilityKey, withdrawalName } from '../emulator/vmx/withdrawn.ts';

import { CAPABILITY_CASES } from '../test/support/vmxCapabilityCases.ts';
import { CONTROL_CASES } from '../test/support/vmxControlCases.ts';
import { EXIT_CASES } from '../test/support/vmxExitCases.ts';

const root = resolve(import.meta.dirname, '..');
/** Folders with tests about VT-x. */
const FOLDERS = ['emulator/vmx', 'emulator/vmx/entryChecks', 'emulator/vmm', 'emulator/core', 'test/dap'];

function testFiles(): readonly { readonly name: string; readonly text: string }[] {
  return FOLDERS.flatMap((folder) =>
    readdirSync(join(root, folder))
      .filter((file) => file.endsWith('.test.ts') || file === 'violations.ts')
      .sort()
      .map((file) => ({ name: `${folder}/${file}`, text: readFileSync(join(root, folder, file), 'utf8') })),
  );
}

/** The tests that name a key, as a text or as a member of the object with all keys. */
function testsOf(files: ReturnType<typeof testFiles>, key: string, keys: string): readonly string[] {
  const found = files
    .filter(({ text }) => text.includes(`'${key}'`) || new RegExp(`\\b${keys}\\.${key}\\b`).test(text))
    .map(({ name }) => name);
  return found.map((name) =>
    name
      .replace(/^emulator\//, '')
      .replace('.test.ts', '')
      .replace('.ts', ''),
  );
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [head, head.map(() => '---'), ...rows];
  return all.map((row) => `| ${row.map(cell).join(' | ')} |`).join('\n');
}

const ERRORS: readonly VmInstructionErrorRow[] = VM_INSTRUCTION_ERRORS;
const ABORTS: readonly VmxAbortRow[] = VMX_ABORTS;
const REASONS: readonly (ExitReasonRow & { readonly key: string })[] = EXIT_REASONS;

const exitCases = (key: string): number => EXIT_CASES.filter(({ reason }) => reason === key).length;
const controlCases = (key: string): number => CONTROL_CASES.filter(({ control }) => control === key).length;

const capabilityCases = (key: string): readonly string[] =>
  CAPABILITY_CASES.filter(({ capability }) => capability === key).map(({ what }) => what);

/** Keys of what is offered and named by no test. */
export function withoutTest(): readonly string[] {
  const files = testFiles();
  const controls = CONTROL_WORDS.flatMap(({ key }) => controlsOf(key));
  return [
    ...ENTRY_CHECKS.filter(({ id }) => (VIOLATIONS[id] ?? []).length === 0).map(({ id }) => id),
    ...controls
      .filter((row) => (row as ControlRow).supported && controlCases(row.key) === 0)
      .map(({ key }) => key),
    ...EPT_VPID_BITS.filter(({ key, supported }) => supported && capabilityCases(key).length === 0).map(
      ({ key }) => key,
    ),
    ...REASONS.filter(({ key, absent }) => absent === undefined && exitCases(key) === 0).map(
      ({ key }) => key,
    ),
    ...ERRORS.filter(
      ({ key, absent }) => !absent && testsOf(files, key, 'VM_INSTRUCTION_ERROR').length === 0,
    ).map(({ key }) => key),
    ...ABORTS.filter(({ key, absent }) => !absent && testsOf(files, key, 'VMX_ABORT').length === 0).map(
      ({ key }) => key,
    ),
  ];
}

export function renderVmxCoverage(): string {
  const files = testFiles();
  const missing = withoutTest();
  const words = CONTROL_WORDS.map(({ key, title }) => {
    const rows = controlsOf(key).map((row: ControlRow) => {
      const effects = CONTROL_CASES.filter(({ control }) => control === row.key).map(({ what }) => what);
      const offered = row.supported
        ? `yes: ${withdrawalName(row.key as CapabilityKey)}`
        : `no: ${row.absent}`;
      return [String(row.bit), row.name, offered, effects.join('; ')];
    });
    return `### ${title}\n\n${table(['bit', 'control', 'offered', 'effect shown'], rows)}`;
  });
  const checks = Object.entries(SECTIONS).map(([group, title]) => {
    const rows = ENTRY_CHECKS.filter((row) => row.group === group).map((row) => [
      `\`${row.id}\``,
      row.text,
      formatReference(row.ref),
      String((VIOLATIONS[row.id] ?? []).length),
    ]);
    return `### ${title}\n\n${table(['id', 'rule', 'manual', 'cases'], rows)}`;
  });
  const ept = EPT_VPID_BITS.map((row) => [
    String(row.bit),
    row.name,
    row.supported ? `yes: ${withdrawalName(row.key)}` : 'no: there are no shadow stacks',
    capabilityCases(row.key).join('; '),
  ]);
  const reasons = REASONS.map(({ number, key, name, timing, absent }) => [
    String(number),
    name,
    timing,
    absent === undefined ? String(exitCases(key)) : `never: ${absent}`,
  ]);
  const errors = ERRORS.map(({ number, key, text, absent }) => [
    String(number),
    text,
    absent === undefined
      ? testsOf(files, key, 'VM_INSTRUCTION_ERROR').slice(0, 2).join(', ')
      : `never: ${absent}`,
  ]);
  const aborts = ABORTS.map(({ indicator, key, text, absent }) => [
    String(indicator),
    text,
    absent === undefined ? testsOf(files, key, 'VMX_ABORT').slice(0, 2).join(', ') : `never: ${absent}`,
  ]);
  return `# VT-x: what is offered, and what is tested

Generated from the tables of \`emulator/vmx/\` by \`npm run gen\`. A control that is not offered is 0 in the capability MSRs,
and VM entry refuses it. What is offered has a name by which \`--cpu\` takes it away: \`--cpu sapphire-rapids,-vmx-hlt-exiting\`;
\`-ept\` and \`-vpid\` are short for \`-vmx-ept\` and \`-vmx-vpid\`.

Offered or checked without a test: ${missing.length === 0 ? 'none' : missing.join(', ')}.

## Controls

Each that is offered is run with both settings, which differ in what is said here.

${words.join('\n\n')}

## EPT and VPID capabilities

Each that is offered is tried on a processor with it and on one without.

${table(['bit', 'capability', 'offered', 'what only a processor with it does'], ept)}

## Entry checks

Each has VMCSs that are valid but for its sentence: the report names it, and the outcome is what the manual says.

${checks.join('\n\n')}

## Exit reasons

Each has a case that causes it and looks at qualification, instruction information, instruction length and interruption
information; where a control decides, another one with the other setting.

${table(['number', 'reason', 'kind', 'cases'], reasons)}

## VM-instruction errors

${table(['number', 'meaning', 'tests'], errors)}

## VMX aborts

${table(['indicator', 'meaning', 'tests'], aborts)}
`;
}
