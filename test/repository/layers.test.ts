/**
 * The layers of docs/architecture.md are held by .dependency-cruiser.cjs. A rule that never fires holds nothing: here
 * every rule meets an import that breaks it, in a small tree made for the purpose, and must name it.
 */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { cruise, type ICruiseResult, type IForbiddenRuleType } from 'dependency-cruiser';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const repository = resolve(import.meta.dirname, '../..');
const { forbidden, options } = createRequire(import.meta.url)(
  join(repository, '.dependency-cruiser.cjs'),
) as {
  forbidden: IForbiddenRuleType[];
  options: object;
};

type Import = readonly [from: string, to: string, kind?: 'type'];

/** What each rule forbids. */
const FORBIDDEN: Record<string, readonly Import[]> = {
  'emulator-base': [['emulator/base/a.ts', 'emulator/state/a.ts']],
  'emulator-state': [['emulator/state/a.ts', 'emulator/mmu/a.ts']],
  'emulator-mmu': [['emulator/mmu/a.ts', 'emulator/core/a.ts']],
  'emulator-core': [
    ['emulator/core/a.ts', 'emulator/isa/a.ts'],
    ['emulator/core/b.ts', 'emulator/vmx/a.ts', 'type'],
    ['emulator/core/c.ts', 'emulator/svm/a.ts'],
    ['emulator/core/d.ts', 'emulator/devices/a.ts'],
  ],
  'emulator-isa': [
    ['emulator/isa/a.ts', 'emulator/engine/a.ts'],
    ['emulator/isa/b.ts', 'emulator/vmx/a.ts'],
  ],
  'emulator-vmx': [
    ['emulator/vmx/a.ts', 'emulator/engine/a.ts'],
    ['emulator/vmx/b.ts', 'emulator/svm/a.ts'],
  ],
  'emulator-svm': [
    ['emulator/svm/a.ts', 'emulator/vmx/a.ts'],
    ['emulator/svm/b.ts', 'emulator/engine/a.ts'],
  ],
  'emulator-engine': [['emulator/engine/a.ts', 'emulator/machine/a.ts']],
  'emulator-machine': [
    ['emulator/machine/a.ts', 'emulator/boot/a.ts'],
    ['emulator/machine/b.ts', 'emulator/vmm/a.ts'],
    ['emulator/machine/c.ts', 'emulator/index.ts'],
  ],
  'emulator-boot': [
    ['emulator/boot/a.ts', 'emulator/vmm/a.ts'],
    ['emulator/boot/b.ts', 'emulator/devices/a.ts'],
  ],
  'emulator-vmm': [['emulator/vmm/a.ts', 'emulator/debug/a.ts']],
  'emulator-snapshot': [['emulator/snapshot/a.ts', 'emulator/debug/a.ts']],
  'emulator-debug': [
    ['emulator/debug/a.ts', 'emulator/index.ts'],
    ['emulator/debug/b.ts', 'emulator/devices/a.ts'],
  ],
  'emulator-devices': [
    ['emulator/devices/a.ts', 'emulator/core/a.ts'],
    ['emulator/devices/b.ts', 'emulator/machine/a.ts'],
  ],
  'virtualization-tables': [
    ['emulator/vmx/fields.ts', 'emulator/core/a.ts'],
    ['emulator/vmx/controls.ts', 'emulator/vmx/a.ts'],
    ['emulator/vmx/exitReasons.ts', 'emulator/state/a.ts'],
    ['emulator/svm/exitCodes.ts', 'emulator/svm/a.ts'],
  ],
  'emulator-stands-alone': [
    ['emulator/base/b.ts', 'node:fs'],
    ['emulator/boot/c.ts', 'vscode'],
    ['emulator/debug/c.ts', '@vscode/debugprotocol', 'type'],
    ['emulator/vmm/b.ts', 'debug-adapter/a.ts'],
  ],
  'emulator-one-door': [
    ['debug-adapter/a.ts', 'emulator/debug/a.ts'],
    ['cli/a.ts', 'emulator/machine/a.ts', 'type'],
  ],
  'node-only-in-hosts': [
    ['debug-adapter/b.ts', 'node:fs'],
    ['extension/e.ts', 'node:path'],
  ],
  'vscode-only-in-extension': [
    ['debug-adapter/c.ts', 'vscode', 'type'],
    ['cli/b.ts', 'vscode'],
  ],
  'extension-knows-the-protocol': [
    ['extension/a.ts', 'emulator/index.ts', 'type'],
    ['extension/b.ts', 'debug-adapter/a.ts', 'type'],
  ],
  'extension-imports-types-only': [['extension/c.ts', 'debug-adapter/protocol/a.ts']],
  'adapter-below-its-users': [['debug-adapter/d.ts', 'extension/d.ts']],
  'no-tests-in-products': [['emulator/state/b.ts', 'test/support/a.ts']],
  'no-circular': [
    ['emulator/mmu/b.ts', 'emulator/mmu/c.ts'],
    ['emulator/mmu/c.ts', 'emulator/mmu/b.ts'],
  ],
};

/** What no rule may forbid: these files are clean, whatever else stands in the tree. */
const ALLOWED: readonly Import[] = [
  ['emulator/index.ts', 'emulator/boot/clean.ts'],
  ['emulator/machine/clean.ts', 'emulator/devices/clean.ts'],
  ['emulator/engine/clean.ts', 'emulator/isa/clean.ts'],
  ['emulator/isa/clean.ts', 'iced-x86'],
  ['emulator/vmm/clean.ts', 'emulator/boot/clean.ts'],
  ['emulator/core/clean.test.ts', 'test/support/a.ts'],
  ['emulator/core/clean2.test.ts', 'node:fs'],
  ['emulator/svm/intercepts.ts', 'emulator/svm/registerBits.ts'],
  ['debug-adapter/clean.ts', 'emulator/index.ts'],
  ['debug-adapter/host/node/clean.ts', 'node:fs'],
  ['extension/host/node/clean.ts', 'node:fs'],
  ['cli/clean.ts', 'debug-adapter/clean.ts'],
  ['extension/clean.ts', 'debug-adapter/protocol/a.ts', 'type'],
  ['extension/clean2.ts', 'vscode'],
];

const tree = mkdtempSync(join(tmpdir(), 'hvm-layers-'));
let violations: { rule: string; files: readonly string[] }[] = [];

beforeAll(async () => {
  const imports = [...Object.values(FORBIDDEN).flat(), ...ALLOWED];
  const sources = new Map<string, string>();
  for (const [from, to, kind] of imports) {
    const inside = to.endsWith('.ts');
    const name = inside ? `${'../'.repeat(dirname(from).split('/').length)}${to}` : to;
    const line = kind === 'type' ? `export type { A } from '${name}';\n` : `import '${name}';\n`;
    sources.set(from, (sources.get(from) ?? '') + line);
    if (inside && !sources.has(to)) sources.set(to, '');
  }
  for (const [file, text] of sources) {
    mkdirSync(join(tree, dirname(file)), { recursive: true });
    writeFileSync(join(tree, file), `${text}export type A = 1;\n`);
  }
  symlinkSync(join(repository, 'node_modules'), join(tree, 'node_modules'));
  const roots = [...new Set([...sources.keys()].map((file) => file.split('/')[0]))];
  const result = await cruise(roots, { ...options, baseDir: tree, validate: true, ruleSet: { forbidden } });
  violations = (result.output as ICruiseResult).summary.violations.map(({ rule, from, cycle }) => ({
    rule: rule.name,
    files: [from, ...(cycle ?? []).map(({ name }) => name)],
  }));
});

afterAll(() => rmSync(tree, { recursive: true }));

describe('the rules of the layers', () => {
  it('each have an import here that breaks them', () => {
    expect(Object.keys(FORBIDDEN).sort()).toEqual(forbidden.map((rule) => rule.name).sort());
  });

  for (const [rule, imports] of Object.entries(FORBIDDEN)) {
    for (const [from, to] of imports) {
      it(`${rule}: ${from} must not import ${to}`, () => {
        expect(violations.filter(({ files }) => files.includes(from)).map(({ rule }) => rule)).toContain(
          rule,
        );
      });
    }
  }

  it('let through what the layers allow', () => {
    const clean = new Set(ALLOWED.map(([from]) => from));
    expect(violations.filter(({ files }) => files.some((file) => clean.has(file)))).toEqual([]);
  });
});
