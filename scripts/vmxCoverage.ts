/** docs/generated/vmx.md: what of VT-x is offered, and which tests name it. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { formatReference } from '../emulator/base/reference.ts';
import { EPT_VPID_BITS } from '../emulator/vmx/capabilities.ts';
import { CONTROL_WORDS, type ControlRow, controlsOf } from '../emulator/vmx/controls.ts';
import { ENTRY_CHECKS } from '../emulator/vmx/entryChecks/evaluate.ts';
import { VIOLATIONS } from '../emulator/vmx/entryChecks/violations.ts';
import { SECTIONS } from '../emulator/vmx/entryReport.ts';
import { EXIT_REASONS } from '../emulator/vmx/exitReasons.ts';
import {
  VM_INSTRUCTION_ERRORS,
  VMX_ABORTS,
  type VmInstructionErrorRow,
  type VmxAbortRow,
} from '../emulator/vmx/vmInstructionErrors.ts';

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

/** Keys of what is offered and named by no test. */
export function withoutTest(): readonly string[] {
  const files = testFiles();
  const controls = CONTROL_WORDS.flatMap(({ key }) => controlsOf(key));
  return [
    ...ENTRY_CHECKS.filter(({ id }) => (VIOLATIONS[id] ?? []).length === 0).map(({ id }) => id),
    ...controls
      .filter((row) => (row as ControlRow).supported && testsOf(files, row.key, 'CONTROL').length === 0)
      .map(({ key }) => key),
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
    const rows = controlsOf(key).map((row) => {
      const tests = testsOf(files, row.key, 'CONTROL');
      const named =
        tests.length === 0 ? '' : `${tests.slice(0, 2).join(', ')}${tests.length > 2 ? ', …' : ''}`;
      return [String(row.bit), row.name, row.supported ? 'yes' : 'no', row.supported ? named : ''];
    });
    return `### ${title}\n\n${table(['bit', 'control', 'offered', 'tests'], rows)}`;
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
  const ept = EPT_VPID_BITS.map((row) => [String(row.bit), row.name, row.supported ? 'yes' : 'no']);
  const reasons = EXIT_REASONS.map(({ number, key, name, timing }) => {
    const tests = testsOf(files, key, 'EXIT_REASON_NUMBER');
    return [String(number), name, timing, tests.slice(0, 2).join(', ')];
  });
  const unnamed = EXIT_REASONS.filter(({ key }) => testsOf(files, key, 'EXIT_REASON_NUMBER').length === 0);
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
and VM entry refuses it.

Offered or checked without a test: ${missing.length === 0 ? 'none' : missing.join(', ')}.

## Controls

${words.join('\n\n')}

## EPT and VPID capabilities

${table(['bit', 'capability', 'offered'], ept)}

## Entry checks

Each has VMCSs that are valid but for its sentence: the report names it, and the outcome is what the manual says.

${checks.join('\n\n')}

## Exit reasons

No test names ${unnamed.map(({ number }) => number).join(', ')}.

${table(['number', 'reason', 'kind', 'tests'], reasons)}

## VM-instruction errors

${table(['number', 'meaning', 'tests'], errors)}

## VMX aborts

${table(['indicator', 'meaning', 'tests'], aborts)}
`;
}
