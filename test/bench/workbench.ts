/** What a user feels: a real VS Code in a browser, with a guest that runs flat out. Linux on x64, as the end-to-end tests. */
import { cpSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { writeVsix } from '../../scripts/support/extensionPackage.mjs';
import { vscodeServer } from '../../scripts/support/vscodeServer.mjs';
import { extensionHost, processorTime } from '../e2e/support/processes.ts';
import { exitStorm, serialFlood } from '../e2e/support/programs.ts';
import { until } from '../e2e/support/until.ts';
import { startWeb, type WebHost } from '../e2e/support/web.ts';
import { output, Workbench } from '../e2e/support/workbench.ts';
import { memtestImage, memtestIsThere } from '../support/memtest86plus.ts';
import { type Bench, type BenchResult, percentile, round } from './support/bench.ts';
import { repository } from './support/hvm.ts';

const STARTS = 6;
const KEYS = 40;
const PAUSES = 8;
const TURNS = 120;
const SECONDS = 5;
const MILLION = 1_000_000;
const KMAIN = 112;
const MIB = 2 ** 20;

const milliseconds = (name: string, values: readonly number[], atMost?: number): BenchResult => ({
  name,
  value: round(percentile(values, 0.5), 0),
  unit: 'ms',
  note: `slowest ${round(Math.max(...values), 0)} ms`,
  ...(atMost !== undefined && { target: { atMost } }),
});

/** A folder with a program and its launch.json. */
function project(host: WebHost, name: string, image: Uint8Array, attributes: object = {}): string {
  const folder = join(host.profile, 'home', name);
  mkdirSync(join(folder, '.vscode'), { recursive: true });
  writeFileSync(join(folder, `${name}.elf`), image);
  const configuration = { type: 'hvm', request: 'launch', name, program: `${name}.elf`, ...attributes };
  writeFileSync(
    join(folder, '.vscode/launch.json'),
    JSON.stringify({ version: '0.2.0', configurations: [configuration] }),
  );
  return folder;
}

/** From F5 to the marked line; then the session is ended. */
async function firstStop(workbench: Workbench): Promise<number> {
  const { debug, page } = workbench;
  const started = performance.now();
  await workbench.press('F5');
  await page.locator('.debug-top-stack-frame-line').first().waitFor({ state: 'attached' });
  const taken = performance.now() - started;
  await debug.isAt('kernel.c', KMAIN);
  await debug.stop();
  return taken;
}

/** From F6 to the toolbar of a machine that rests; then it goes on. */
async function pause(workbench: Workbench): Promise<number> {
  const { debug } = workbench;
  const started = performance.now();
  await workbench.press('F6');
  await debug.isPaused();
  const taken = performance.now() - started;
  await workbench.press('F5');
  await debug.isRunning();
  return taken;
}

/** Part of one processor that the extension host takes, in percent, when what was begun with it has settled. */
async function extensionHostLoad(host: WebHost): Promise<number> {
  await setTimeout(SECONDS * 1000);
  const pid = extensionHost(host.pid);
  const before = processorTime(pid);
  const started = performance.now();
  await setTimeout(SECONDS * 1000);
  return (100 * (processorTime(pid) - before)) / (performance.now() - started);
}

/** Beyond what VS Code does there when nothing runs. */
const load = (name: string, value: number, idle: number): BenchResult => ({
  name: `extension host, ${name}`,
  value: round(Math.max(0, value - idle)),
  unit: '% of a processor',
  note: `${round(value)} % in all`,
  target: { atMost: 5 },
});

/** From a key to the frame with its letter in the editor. What runs in the page is text: it has other globals. */
async function typing({ page }: Workbench): Promise<number[]> {
  const times: number[] = [];
  const lines = '.editor-group-container.active .view-lines';
  await page.locator(lines).first().click();
  for (let i = 0; i < KEYS; i++) {
    await page.evaluate(`typed = new Promise((resolve) => {
      let pressed = 0;
      addEventListener('keydown', () => { pressed = performance.now(); }, { once: true, capture: true });
      const observer = new MutationObserver(() => {
        if (pressed === 0) return;
        observer.disconnect();
        requestAnimationFrame(() => resolve(performance.now() - pressed));
      });
      const lines = document.querySelector('${lines}');
      observer.observe(lines, { subtree: true, childList: true, characterData: true });
    }), undefined`);
    await page.keyboard.press('x');
    times.push(await page.evaluate<number>('typed'));
  }
  return times;
}

/** How often a second the exits view tells another number of exits. */
async function exitUpdates({ views }: Workbench): Promise<number> {
  const status = views.webview().locator('.status');
  await until('the first exits', async () => (await status.textContent()) || undefined);
  const frame = await views.webviewFrame();
  const changes = await frame.evaluate<number>(`new Promise((resolve) => {
    let count = 0;
    const observer = new MutationObserver(() => { count++; });
    const status = document.querySelector('.status');
    observer.observe(status, { subtree: true, childList: true, characterData: true });
    setTimeout(() => resolve(count), ${SECONDS * 1000});
  })`);
  return changes / SECONDS;
}

/** Milliseconds between the frames of the exits view while the wheel turns. */
async function scrolling({ page, views }: Workbench): Promise<number[]> {
  const grid = views.webview().getByRole('grid');
  const frame = await views.webviewFrame();
  await grid.press('Home');
  await grid.hover();
  const gaps = frame.evaluate<number[]>(`new Promise((resolve) => {
    const found = [];
    let last = 0;
    const frame = (now) => {
      if (last !== 0) found.push(now - last);
      last = now;
      if (found.length < ${TURNS}) requestAnimationFrame(frame);
      else resolve(found);
    };
    requestAnimationFrame(frame);
  })`);
  for (let i = 0; i < TURNS / 4; i++) await page.mouse.wheel(0, 240);
  return gaps;
}

export const bench: Bench = {
  title: 'The workbench',
  about: `A real VS Code in a headless Chromium on the same machine, driven by keys and mouse. F5 in hello-guest goes to the marked line at \`kmain\`, ${STARTS} times; memtest86+, a guest that writes to its serial port without pause, and one that does nothing but exit, run for ${SECONDS} seconds each. The load of the extension host is told without that of a window in which nothing runs.`,
  async run() {
    const extension = join(output, 'hvm-debugger.vsix');
    mkdirSync(output, { recursive: true });
    writeVsix('--out', extension);
    const host = await startWeb({ installation: vscodeServer(), extension });
    const open = async (folder: string): Promise<Workbench> => {
      const workbench = new Workbench(await host.newWindow(folder));
      await workbench.isReady(true);
      await workbench.debug.showView();
      return workbench;
    };
    try {
      const starting = await starts(host, open);
      const idle = await extensionHostLoad(host);
      return [
        {
          name: 'size of the .vsix',
          value: round(statSync(extension).size / MIB, 2),
          unit: 'MiB',
          target: { atMost: 5 },
        },
        ...starting,
        { name: 'extension host, nothing runs', value: round(idle), unit: '% of a processor' },
        ...(await memtest(host, open, idle)),
        ...(await flood(host, open, idle)),
        ...(await storm(host, open, idle)),
      ];
    } finally {
      await host.stop();
    }
  },
};

type Open = (folder: string) => Promise<Workbench>;

async function starts(host: WebHost, open: Open): Promise<BenchResult[]> {
  const folder = join(host.profile, 'home/hello-guest');
  cpSync(join(repository, 'samples/hello-guest'), folder, { recursive: true });
  const workbench = await open(folder);
  await workbench.editor.openFile(join(folder, 'kernel.c'));
  // Gives the breakpoint's gutter time to know the extension, as a user does by setting one.
  await workbench.editor.clickGutter(KMAIN + 1);
  const times: number[] = [];
  for (let i = 0; i < STARTS; i++) times.push(await firstStop(workbench));
  return [
    {
      name: 'F5 to the first stop, the first time',
      value: round(times[0], 0),
      unit: 'ms',
      target: { atMost: 2000 },
    },
    milliseconds('F5 to the first stop, again', times.slice(1), 2000),
  ];
}

async function memtest(host: WebHost, open: Open, idle: number): Promise<BenchResult[]> {
  if (!memtestIsThere()) return [];
  const folder = project(host, 'memtest', new Uint8Array(readFileSync(memtestImage)), {
    append: 'console=ttyS0,115200 nopause',
    memory: '64M',
  });
  writeFileSync(join(folder, 'notes.txt'), '');
  const workbench = await open(folder);
  const { debug, editor, views } = workbench;
  await editor.openFile(join(folder, 'notes.txt'));
  const quiet = await typing(workbench);
  await debug.startConfiguration('memtest');
  await views.terminalIsOpen('Serial: memtest');
  await views.terminalShows('Pass');
  const busy = await extensionHostLoad(host);
  const typed = await typing(workbench);
  const pauses: number[] = [];
  for (let i = 0; i < PAUSES; i++) pauses.push(await pause(workbench));
  await debug.stop();
  return [
    load('memtest86+', busy, idle),
    milliseconds('F6 to the toolbar of a paused memtest86+', pauses),
    milliseconds('a letter in the editor, nothing runs', quiet),
    milliseconds('a letter in the editor, memtest86+ runs', typed),
  ];
}

async function flood(host: WebHost, open: Open, idle: number): Promise<BenchResult[]> {
  const { debug, views } = await open(project(host, 'flood', serialFlood()));
  await debug.startConfiguration('flood');
  await views.terminalIsOpen('Serial: flood');
  await views.terminalShows('aaaa');
  const busy = await extensionHostLoad(host);
  await debug.stop();
  return [load('output without pause', busy, idle)];
}

async function storm(host: WebHost, open: Open, idle: number): Promise<BenchResult[]> {
  const endless = await open(project(host, 'exits', exitStorm(0)));
  await endless.debug.startConfiguration('exits');
  await endless.views.openPanel('VM Exits');
  const [updates, busy] = await Promise.all([exitUpdates(endless), extensionHostLoad(host)]);
  await endless.debug.stop();
  const million = await open(project(host, 'million', exitStorm(MILLION)));
  await million.debug.startConfiguration('million');
  await million.views.openPanel('VM Exits');
  const status = million.views.webview().locator('.status');
  // There are the timer's interrupts besides.
  await until('a million exits', async () => /^1,0/.test((await status.textContent()) ?? '') || undefined);
  const gaps = await scrolling(million);
  await million.debug.stop();
  return [
    { name: 'updates of the exits view', value: round(updates), unit: '/s', target: { atMost: 10 } },
    load('exits without pause, their view open', busy, idle),
    milliseconds('between frames, 1,000,000 exits scrolled by the wheel', gaps),
  ];
}
