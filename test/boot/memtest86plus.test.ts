/**
 * Debian's memtest86+, a kernel that nobody here wrote, runs unmodified as a VT-x guest: it draws its screen on the serial
 * port and finds no error in the memory. samples/memtest86plus/get.sh fetches it.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { System } from '../../emulator/debug/system.ts';
import { interpreterModule } from '../support/bareProcessor.ts';
import { Screen } from '../support/screen.ts';

const repository = resolve(import.meta.dirname, '../..');
const sample = join(repository, 'samples/memtest86plus');
const image = join(sample, 'guest/boot/memtest86+x64.bin');
const APPEND = 'console=ttyS0,115200';

/** Tests #0 to #3 take 4,000 million instructions: a quarter of a minute, on a busy machine minutes. */
const LONGEST = 300_000;
const MOST_INSTRUCTIONS = 12e9;
const SLICE = 10e6;
/** What it shows once test #3 is over. */
const NEXT_TEST = 4;

/** Whether the image is there, or could be fetched. CI skips nothing. */
function fetched(): boolean {
  if (existsSync(image)) return true;
  try {
    execFileSync(join(sample, 'get.sh'), { stdio: ['ignore', 'ignore', 'pipe'], timeout: 60_000 });
  } catch (error) {
    if (process.env.CI === 'true') throw new Error('memtest86+ cannot be fetched', { cause: error });
    return false;
  }
  return existsSync(image);
}

const testNumber = (screen: Screen): number => Number(/Test #(\d+)/.exec(screen.text)?.[1] ?? -1);

function expectNoErrors(screen: Screen): void {
  expect(screen.line(0)).toMatch(/^ +Memtest86\+ v\d+\.\d+ /);
  expect(screen.text).toMatch(/Memory *: +64MB/);
  expect(screen.text).toMatch(/Errors: 0\b/);
}

describe.skipIf(!fetched())("Debian's memtest86+ as a VT-x guest", () => {
  it('gets past test #3 without errors', { timeout: LONGEST }, async () => {
    const screen = new Screen();
    const system = new System(
      {
        mode: 'guest',
        virtualization: 'vt-x',
        cpu: 'sapphire-rapids',
        memoryBytes: 64 * 1024 * 1024,
        image: { name: 'memtest86+', bytes: new Uint8Array(readFileSync(image)) },
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

  it('does so on the command line too, where its exits are counted', { timeout: LONGEST }, () => {
    const folder = mkdtempSync(join(tmpdir(), 'hvm-memtest-'));
    try {
      const stats = join(folder, 'stats.json');
      const { status, stdout, stderr } = spawnSync(
        process.execPath,
        [
          join(repository, 'dist/cli.js'),
          ...['run', image, '--memory', '64M', '--append', APPEND],
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
