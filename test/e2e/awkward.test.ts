/** Awkward moments: programs without symbols, moved sources, guests that crash, files that change, two machines. */
import { cpSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { outputOf } from '../support/symbolPrograms.ts';
import { adapters } from './support/processes.ts';
import { until } from './support/until.ts';
import { samples, unavailable, useVsCode } from './support/vscode.ts';

const programs = resolve(import.meta.dirname, '../dap/programs');
const helloGuest = join(samples, 'hello-guest');
const HELLO = 114;
const FIRST_INSTRUCTION = 56;

describe.skipIf(unavailable)('awkward moments', () => {
  const vscode = useVsCode();
  let folder: string;

  beforeAll(() => {
    folder = vscode.copySample('hello-guest');
  });

  it('a program without symbols stops at its first instruction and shows its disassembly', async () => {
    const project = vscode.project(
      'stripped',
      { 'hello.elf': join(helloGuest, 'hello-guest.elf') },
      { program: 'hello.elf', stopOnEntry: true },
    );
    outputOf('strip', join(project, 'hello.elf'));
    const { debug, editor, page } = await vscode.open(project);
    await debug.showView();
    await debug.start();
    await debug.isPaused();
    const [top] = await until('a frame', async () => {
      const stack = await debug.callStack();
      return stack.length > 0 ? stack : undefined;
    });
    expect(top.name).toMatch(/^0x[0-9a-f]+$/);
    await until('a marked line', () => editor.stoppedLine());
    await expect
      .poll(() => page.locator('.editor-instance .view-lines').first().textContent())
      .toMatch(/cli|mov|lgdt/);
    await debug.stop();
  });

  it('sources that were moved are found by sourceMap, and their breakpoints bind', async () => {
    const project = vscode.project(
      'moved',
      { 'hello.elf': join(helloGuest, 'hello-guest.elf'), src: helloGuest },
      { program: 'hello.elf', sourceMap: { [vscode.folder('moved')]: vscode.folder('moved/src') } },
    );
    const { debug, editor } = await vscode.open(project);
    await editor.openFile(join(project, 'src/kernel.c'));
    await editor.clickGutter(HELLO);
    await debug.showView();
    await debug.start();
    await debug.isAt('kernel.c', HELLO);
    await debug.stop();
  });

  it('a breakpoint in a file that is not in the program is shown as one that cannot be hit', async () => {
    cpSync(join(folder, 'kernel.c'), join(folder, 'other.c'));
    const { debug, editor } = await vscode.open(folder);
    await editor.openFile(join(folder, 'other.c'));
    await editor.clickGutter(HELLO);
    await debug.showView();
    await debug.start();
    await debug.isAt('kernel.c', 112);
    await editor.openFile(join(folder, 'other.c'));
    await until('an unverified breakpoint', async () =>
      (await editor.glyph(HELLO)) === 'breakpoint-unverified' ? true : undefined,
    );
    await debug.stop();
  });

  it('a guest that triple-faults before the first breakpoint stops there and says why', async () => {
    const project = vscode.project(
      'triple',
      { 'triple.elf': join(programs, 'triple.elf'), 'triple.S': join(programs, 'triple.S') },
      { program: 'triple.elf' },
    );
    const { debug } = await vscode.open(project);
    await debug.showView();
    await debug.start();
    await debug.isAt('triple.S', 6);
    await debug.stopsBecause(/^triple fault of the guest at RIP 0x[0-9a-f]+$/);
    await expect.poll(async () => (await debug.console()).join('\n')).toContain('IDTR base 0x0, limit 0x0');
    await debug.stop();
  });

  it('a program that is replaced while it runs goes on; restart takes the new one', async () => {
    const project = vscode.folder('replaced');
    cpSync(helloGuest, project, { recursive: true });
    const workbench = await vscode.open(project);
    const { debug, editor, views } = workbench;
    await editor.openFile(join(project, 'kernel.c'));
    await editor.clickGutter(115);
    await debug.showView();
    await debug.start();
    await debug.isAt('kernel.c', 112);
    // As a linker does: a new file under the old name.
    const image = readFileSync(join(project, 'hello-guest.elf'));
    image.write('Howdy', image.indexOf('Hello from long mode'));
    writeFileSync(join(project, 'new.elf'), image);
    renameSync(join(project, 'new.elf'), join(project, 'hello-guest.elf'));
    await workbench.press('F5');
    await debug.isAt('kernel.c', 115);
    await views.openPanel('Terminal');
    await views.terminalShows('Hello from long mode');
    await workbench.press('Control+Shift+F5');
    await debug.isAt('kernel.c', 112);
    await workbench.press('F5');
    await debug.isAt('kernel.c', 115);
    await views.terminalShows('Howdy from long mode');
    await debug.stop();
  });

  it('two sessions at once have a machine, a stack and a terminal each', async () => {
    const workbench = await vscode.open(folder);
    const { debug, page } = workbench;
    await debug.showView();
    await debug.startConfiguration('hello-guest');
    await debug.isAt('kernel.c', 112);
    await debug.startConfiguration('hello-guest: from its first instruction');
    await until('two adapters', () => adapters(vscode.profile).length === 2 || undefined);
    await until('both sessions in the call stack', async () => {
      const names = await page.locator('.debug-call-stack .session .name').allTextContents();
      return names.length === 2 || undefined;
    });
    await workbench.press('Shift+F5');
    await until('one adapter', () => adapters(vscode.profile).length === 1 || undefined);
    await debug.isAt('boot.S', FIRST_INSTRUCTION);
    await debug.stop();
    await until('no adapter', () => adapters(vscode.profile).length === 0 || undefined);
  });
});
