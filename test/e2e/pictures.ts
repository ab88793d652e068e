/** The pictures of the README, taken in a real VS Code: `npm run pictures`. */
import { cpSync, mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { writeVsix } from '../../scripts/support/extensionPackage.mjs';
import { vscodeServer } from '../../scripts/support/vscodeServer.mjs';
import { memtestIsThere } from '../support/memtest86plus.ts';
import { startWeb } from './support/web.ts';
import { output, Workbench } from './support/workbench.ts';

const repository = resolve(import.meta.dirname, '../..');
const pictures = join(repository, 'docs/images');
const SIZE = { width: 1600, height: 960 };
const KMAIN = 112;
const CAUSE_EXCEPTIONS_CALL = 125;

/** Where enter.S comes back from a guest, and from an entry that has failed. */
const VM_EXIT = 67;
/** Pixels. */
const SIDE_BAR = 480;

/** A window on a copy of a sample, with a wide side bar and the Run view in it. */
type Open = (sample: string) => Promise<Workbench>;

export async function takePictures(): Promise<void> {
  const extension = join(output, 'hvm-debugger.vsix');
  mkdirSync(output, { recursive: true });
  mkdirSync(pictures, { recursive: true });
  writeVsix('--out', extension);
  const settings = {
    'workbench.colorTheme': 'Dark Modern',
    'window.autoDetectColorScheme': false,
    'editor.minimap.enabled': false,
    'breadcrumbs.enabled': false,
  };
  const host = await startWeb({ installation: vscodeServer(), extension, settings });
  const open: Open = async (sample) => {
    const folder = join(host.profile, 'home', sample);
    cpSync(join(repository, 'samples', sample), folder, { recursive: true });
    const workbench = new Workbench(await host.newWindow(folder));
    await workbench.page.setViewportSize(SIZE);
    await workbench.isReady(true);
    await workbench.debug.showView();
    await workbench.views.widenSideBar(SIDE_BAR);
    return workbench;
  };
  try {
    await virtualization(open);
    await failedEntry(open);
    if (memtestIsThere()) await memtest(open);
  } finally {
    await host.stop();
  }
}

async function photograph({ page }: Workbench, name: string): Promise<void> {
  // Away from everything that shows a hover.
  await page.mouse.move(SIZE.width / 2, 2);
  await page.screenshot({ path: join(pictures, `${name}.png`) });
}

/** hello-guest at a breakpoint: the VMCS and the exits. */
async function virtualization(open: Open): Promise<void> {
  const workbench = await open('hello-guest');
  const { debug, editor, views } = workbench;
  await editor.openFile('kernel.c');
  await editor.clickGutter(CAUSE_EXCEPTIONS_CALL);
  await debug.start();
  await debug.isAt('kernel.c', KMAIN);
  await workbench.press('F5');
  await debug.isAt('kernel.c', CAUSE_EXCEPTIONS_CALL);
  for (const view of ['Variables', 'Call Stack', 'Breakpoints', 'Loaded Scripts']) await views.fold(view);
  await views.open('VMCS');
  await views.expand('VMCS', 'Guest register state');
  await views.openPanel('VM Exits');
  await views.webview().locator('.row:not(.loading, [hidden])').first().waitFor();
  await views.row('VMCS', 'Guest ES selector').waitFor();
  await views.scrollTo('VMCS', 'Guest RIP');
  await photograph(workbench, 'vmcs-and-exits');
  await debug.stop();
}

/** tiny-hypervisor with one of its mistakes: why VMLAUNCH fails. */
async function failedEntry(open: Open): Promise<void> {
  const workbench = await open('tiny-hypervisor');
  const { debug, views } = workbench;
  await debug.startConfiguration('tiny-hypervisor with a mistake');
  await debug.isAt('enter.S', VM_EXIT);
  for (const view of ['Variables', 'Call Stack', 'Breakpoints', 'Loaded Scripts']) await views.fold(view);
  await views.open('VMCS');
  await views.expand('VMCS', 'Last failed VM entry');
  await views.openPanel('Debug Console');
  await photograph(workbench, 'failed-vm-entry');
  await debug.stop();
}

async function memtest(open: Open): Promise<void> {
  const workbench = await open('memtest86plus');
  const { debug, views } = workbench;
  await debug.startConfiguration('memtest86+');
  await views.terminalIsOpen('Serial: memtest86+');
  await views.terminalShows('Pass');
  await photograph(workbench, 'memtest86plus');
  await debug.stop();
}
