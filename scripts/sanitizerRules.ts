/** docs/generated/sanitizer.md: what the sanitizer looks for. */
import { formatReference } from '../emulator/base/reference.ts';
import { SANITIZER_RULES } from '../emulator/vmx/sanitizerRules.ts';

export function renderSanitizerRules(): string {
  const rows = SANITIZER_RULES.map(
    ({ id, title, advice, ref }) => `| \`${id}\` | ${title} | ${advice} | ${formatReference(ref)} |`,
  );
  return `# Rules of the sanitizer

Generated from \`emulator/vmx/sanitizerRules.ts\` by \`npm run gen\`. With \`"sanitize": true\` in the launch configuration the machine
stops where a rule is broken (exception filter "Sanitizer"); \`hvm run --sanitize\` writes it to standard error and goes on. A
mistake at one place is told once. In mode \`guest\` the rules about translations are looked at, for the hypervisor is ours.

| rule | mistake | what to do | manual |
| --- | --- | --- | --- |
${rows.join('\n')}

Not seen: loads from the memory of an active VMCS; global translations that outlive a MOV to CR3.
`;
}
