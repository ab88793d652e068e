/** Why a VM entry failed, on the command line: `hvm explain`, and what `hvm run` says on standard error. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { explainDumps } from '../../extension/host/node/explainDumps.ts';
import { buildIfOutdated } from '../../scripts/support/setup.mjs';

const root = resolve(import.meta.dirname, '../..');
const folder = mkdtempSync(join(tmpdir(), 'hvm-explain-'));

beforeAll(() => buildIfOutdated());
afterAll(() => rmSync(folder, { recursive: true }));

function hvm(args: readonly string[], input = '') {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, 'dist/cli.js'), ...args], {
    input,
    encoding: 'utf8',
  });
  return { status, stdout, stderr };
}

const DUMP = `[ 7058.291757] *** Guest State ***
[ 7058.291776] RFLAGS=0x00000002 DR7 = 0x0000000000000400
[ 7058.291829] *** Control State ***
[ 7058.291838] VMEntry: intr_info=800000d1 errcode=00000000 ilen=00000000
`;

describe('hvm explain', () => {
  it('names the broken rules of a dump in a file, with status 1', () => {
    const log = join(folder, 'kern.log');
    writeFileSync(log, DUMP);
    const { status, stdout, stderr } = hvm(['explain', log]);
    expect([status, stderr]).toEqual([1, '']);
    expect(stdout).toContain(
      'Broken rules: 1\n1. Guest RFLAGS.IF must be 1 if an external interrupt is injected',
    );
    expect(stdout).toContain('   would pass: 0x202\n');
  });

  it('reads standard input; without a broken rule the status is 0', () => {
    const { status, stdout } = hvm(['explain', '-'], DUMP.replace('800000d1', '000000d1'));
    expect(status).toBe(0);
    expect(stdout).toContain('No rule that the dump can decide is broken.');
  });

  it('says how to see the rules that are not decided, and with --undecided names them', () => {
    expect(hvm(['explain', '-'], DUMP).stdout).toMatch(/ \d+ rules; --undecided names them\.\n$/);
    expect(hvm(['explain', '-', '--undecided'], DUMP).stdout).toMatch(/ \d+ rules:\n {2}.* \(needs \w+/);
  });

  it('is what the extension gets from the adapter for the editor, whatever the size of the log', async () => {
    const adapter = join(root, 'dist/adapter.js');
    expect(await explainDumps(adapter, DUMP)).toBe(hvm(['explain', '-', '--undecided'], DUMP).stdout);
    expect(await explainDumps(adapter, 'a line of the log\n'.repeat(100_000))).toBe(
      'There is no VMCS dump of Linux KVM or Xen: there is no line "*** Guest State ***", "*** Host State ***" or "*** Control State ***" with fields behind it.\n',
    );
    await expect(explainDumps(join(folder, 'nowhere.js'), DUMP)).rejects.toThrow('nowhere.js');
  });

  it.each([
    [['explain'], 'needs one FILE'],
    [['explain', 'nowhere.log'], 'Cannot read nowhere.log'],
    [['explain', '--wrong'], '--wrong is not an option'],
    [['explain', '-'], 'has no VMCS dump'],
  ])('%j is status 2 with one line', (args, message) => {
    const { status, stdout, stderr } = hvm(args);
    expect([status, stdout]).toEqual([2, '']);
    expect(stderr).toContain(message);
    expect(stderr.trim().split('\n').length).toBe(1);
  });
});

describe('hvm run of a hypervisor whose VM entry fails', () => {
  it('tells every broken rule on standard error, and goes on', () => {
    const program = join(root, 'test/dap/programs/launch.elf');
    const { status, stderr } = hvm(['run', program, '--mode', 'bare-metal']);
    expect(status).toBe(15);
    expect(stderr).toMatch(/^hvm: VMLAUNCH at RIP 0x[0-9a-f]+ failed: VMfailValid\(7\)/);
    expect(stderr).toContain('PIN_BASED_VM_EXECUTION_CONTROLS (0x4000) is 0x0; at fault: bits 2:1, bit 4');
  });
});
