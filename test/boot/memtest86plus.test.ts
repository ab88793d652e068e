/**
 * Debian's memtest86+, a kernel that nobody here wrote, runs unmodified as a VT-x guest: it draws its screen on the serial
 * port and finds no error in the memory. samples/memtest86plus/get.sh fetches it.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setImmediate, setTimeout } from 'node:timers/promises';
import { DebugClient } from '@vscode/debugadapter-testsupport';
import type { DebugProtocol as P } from '@vscode/debugprotocol';
import { beforeAll, describe, expect, it } from 'vitest';
import type { ExitRow } from '../../debug-adapter/protocol/exits.ts';
import type { VmcsGroup } from '../../debug-adapter/protocol/vmcs.ts';
import { System } from '../../emulator/debug/system.ts';
import { buildIfOutdated } from '../../scripts/support/setup.mjs';
import { interpreterModule } from '../support/bareProcessor.ts';
import { memtestImage, memtestIsThere } from '../support/memtest86plus.ts';
import { Screen } from '../support/screen.ts';

const repository = resolve(import.meta.dirname, '../..');
const APPEND = 'console=ttyS0,115200';

/** Tests #0 to #3 take 4,000 million instructions: a quarter of a minute, on a busy machine minutes. */
const LONGEST = 300_000;
const MOST_INSTRUCTIONS = 12e9;
const SLICE = 10e6;
/** What it shows once test #3 is over. */
const NEXT_TEST = 4;

const testNumber = (screen: Screen): number => Number(/Test #(\d+)/.exec(screen.text)?.[1] ?? -1);

function expectNoErrors(screen: Screen): void {
  expect(screen.line(0)).toMatch(/^ +Memtest86\+ v\d+\.\d+ /);
  expect(screen.text).toMatch(/Memory *: +64MB/);
  expect(screen.text).toMatch(/Errors: 0\b/);
}

describe.skipIf(!memtestIsThere())("Debian's memtest86+ as a VT-x guest", () => {
  beforeAll(() => buildIfOutdated());

  it('gets past test #3 without errors', { timeout: LONGEST }, async () => {
    const screen = new Screen();
    const system = new System(
      {
        mode: 'guest',
        virtualization: 'vt-x',
        cpu: 'sapphire-rapids',
        memoryBytes: 64 * 1024 * 1024,
        image: { name: 'memtest86+', bytes: new Uint8Array(readFileSync(memtestImage)) },
        append: APPEND,
        initrd: undefined,
        modules: [],
        startTime: 946_684_800,
        engine: 'auto',
        vmm: { exiting: [] },
      },
      { serial: screen, debugConsole: { write: () => undefined }, interpreter: interpreterModule() },
    );
    const { engine } = system.machine;
    while (testNumber(screen) < NEXT_TEST && engine.retired < MOST_INSTRUCTIONS) {
      expect(system.run(engine.retired + SLICE), screen.text).toBe('limit');
      await setImmediate();
    }
    expect(testNumber(screen), screen.text).toBeGreaterThanOrEqual(NEXT_TEST);
    expectNoErrors(screen);
  });

  it('can be paused, looked at and continued in the debugger', { timeout: LONGEST }, async () => {
    const client = new DebugClient(process.execPath, join(repository, 'dist/adapter.js'), 'hvm');
    const request = async <T>(command: string, args?: object): Promise<T> =>
      (await client.customRequest(command, args)).body as T;
    const pause = async (): Promise<bigint> => {
      const stopped = client.waitForEvent('stopped', LONGEST);
      await client.pauseRequest({ threadId: 1 });
      await stopped;
      const { result } = await request<P.EvaluateResponse['body']>('evaluate', {
        expression: '$rip',
        context: 'watch',
      });
      return BigInt(result.split(' ')[0]);
    };
    await client.start();
    try {
      const drawn = client.waitForEvent('hvm/serialOutput', LONGEST);
      await client.initializeRequest({
        adapterID: 'hvm',
        clientID: 'vscode',
        linesStartAt1: true,
        columnsStartAt1: true,
      });
      await request('launch', { program: memtestImage, memory: '64M', append: APPEND });
      await client.configurationDoneRequest();
      await drawn;
      const first = await pause();
      expect(first).toBeGreaterThan(0x10_0000n);

      const { stackFrames } = await request<P.StackTraceResponse['body']>('stackTrace', { threadId: 1 });
      expect(BigInt(stackFrames[0].instructionPointerReference?.split(':').at(-1) ?? 0)).toBe(first);

      const { groups } = await request<{ groups: VmcsGroup[] }>('hvm/vmcs', { threadId: 1 });
      const fields = groups.flatMap(({ rows }) => rows);
      const rip = fields.find(({ key }) => key === 'GUEST_RIP');
      expect(BigInt(rip?.live ?? rip?.stored ?? 0)).toBe(first);

      const { total, rows } = await request<{ total: number; rows: ExitRow[] }>('hvm/exits', {
        start: 0,
        count: 100,
      });
      expect(total).toBeGreaterThan(100);
      expect(rows.map(({ reason }) => reason)).toContain('CPUID');

      await client.continueRequest({ threadId: 1 });
      await setTimeout(500);
      await pause();
      const later = await request<{ total: number }>('hvm/exits', { start: 0, count: 1 });
      expect(later.total).toBeGreaterThan(total);
    } finally {
      await client.stop();
    }
  });

  it('gets there on the command line too, which counts its exits', { timeout: LONGEST }, () => {
    const folder = mkdtempSync(join(tmpdir(), 'hvm-memtest-'));
    try {
      const stats = join(folder, 'stats.json');
      const { status, stdout, stderr } = spawnSync(
        process.execPath,
        [
          join(repository, 'dist/cli.js'),
          ...['run', memtestImage, '--memory', '64M', '--append', APPEND],
          ...['--exit-on', `#${NEXT_TEST}  [`, '--stats', stats, '--timeout', String(LONGEST / 1000)],
        ],
        { stdio: ['ignore', 'pipe', 'pipe'], timeout: LONGEST },
      );
      const screen = new Screen();
      for (const byte of stdout) screen.write(byte);
      expect(stderr.toString()).toBe('');
      expect(status, screen.text).toBe(0);
      // The screen is drawn from the top: the line with the errors is that of the drawing before.
      expectNoErrors(screen);
      const { exitsByReason } = JSON.parse(readFileSync(stats, 'utf8'));
      const reasons = exitsByReason.map(({ key }: { key: string }) => key);
      expect(reasons).toEqual(expect.arrayContaining(['cpuid', 'ioInstruction', 'rdmsr', 'eptViolation']));
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
