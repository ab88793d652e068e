/**
 * Debian's Xen 4.17 as a hypervisor that owns the machine, with a PVH dom0 of our own as its VMX guest: root operation, EPT,
 * VM exits and entries of a hypervisor that nobody here wrote. samples/xen/get.sh fetches it and builds dom0.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { buildIfOutdated } from '../../scripts/support/setup.mjs';
import { Conversation } from '../support/dapConversation.ts';
import { missing } from '../support/tools.ts';

const repository = resolve(import.meta.dirname, '../..');
const sample = join(repository, 'samples/xen');
const image = join(sample, 'guest/xen.elf');
const dom0 = join(sample, 'dom0.elf');
const APPEND = 'com1=115200,8n1 console=com1 loglvl=all dom0=pvh dom0-iommu=none dom0_mem=32M';
const GREETING = 'hello from dom0, a VMX guest of Xen';

/** It takes 100 million instructions, a few seconds; on a busy machine more. */
const LONGEST = 300_000;

/** Whether Xen is there, or could be fetched. CI skips nothing. */
function fetched(): boolean {
  if (existsSync(image)) return true;
  try {
    execFileSync(join(sample, 'get.sh'), { stdio: ['ignore', 'ignore', 'pipe'], timeout: 60_000 });
  } catch (error) {
    if (process.env.CI === 'true') throw new Error('Xen cannot be fetched', { cause: error });
    return false;
  }
  return existsSync(image);
}

describe.skipIf(missing('as', 'ld', 'make') || !fetched())("Debian's Xen 4.17 with a PVH dom0", () => {
  beforeAll(() => {
    buildIfOutdated();
    execFileSync('make', ['-s', '-C', sample]);
  });

  it('enables VMX and EPT, and runs its dom0 in VMX non-root operation', { timeout: LONGEST }, () => {
    const folder = mkdtempSync(join(tmpdir(), 'hvm-xen-'));
    try {
      const stats = join(folder, 'stats.json');
      const { status, stdout, stderr } = spawnSync(
        process.execPath,
        [
          join(repository, 'dist/cli.js'),
          ...['run', image, '--mode', 'bare-metal', '--module', dom0, '--append', APPEND],
          ...['--exit-on', 'halting machine', '--stats', stats, '--timeout', String(LONGEST / 1000)],
        ],
        { encoding: 'utf8', timeout: LONGEST },
      );
      expect(stderr).toBe('');
      expect(status, stdout).toBe(0);
      for (const line of [
        'HVM: VMX enabled',
        'HVM: Hardware Assisted Paging (HAP) detected',
        ' - Extended Page Tables (EPT)',
        ' - Virtual-Processor Identifiers (VPID)',
        '*** Building a PVH Dom0 ***',
        GREETING,
      ])
        expect(stdout).toContain(line);
      const { exitsByReason } = JSON.parse(readFileSync(stats, 'utf8'));
      const reasons = exitsByReason.map(({ key }: { key: string }) => key);
      expect(reasons).toContain('vmcall');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('stops at a line of dom0 and shows the VMCS that Xen made for it', { timeout: LONGEST }, async () => {
    const talk = await Conversation.start();
    const stop = await talk.launch(
      {
        program: image,
        mode: 'bare-metal',
        modules: [dom0],
        symbolFiles: [{ file: dom0, level: 1 }],
        append: APPEND,
      },
      async () => {
        await talk.request('setFunctionBreakpoints', { breakpoints: [{ name: 'start' }] });
      },
    );
    expect(stop.body).toMatchObject({ reason: 'function breakpoint' });
    const { stackFrames } = await talk.request('stackTrace', { threadId: 1 });
    expect(stackFrames[0]).toMatchObject({ name: expect.stringContaining('start') });
    expect(stackFrames[0].source?.name).toBe('dom0.S');
    const { groups } = await talk.request('hvm/vmcs', { threadId: 1 });
    const fields = groups.flatMap(({ rows }) => rows);
    expect(BigInt(fields.find(({ key }) => key === 'HOST_RIP')?.stored ?? 0)).toBeGreaterThan(
      0xffff_8000_0000_0000n,
    );
    const rip = fields.find(({ key }) => key === 'GUEST_RIP');
    expect(BigInt(rip?.live ?? rip?.stored ?? 0)).toBe(0x10_0000n);
  });
});
