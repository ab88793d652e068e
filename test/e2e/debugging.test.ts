/** What a user does first: open the sample, click a breakpoint, press F5, look around, step, run to the end. */
import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { adapters } from './support/processes.ts';
import { until } from './support/until.ts';
import { unavailable, useVsCode } from './support/vscode.ts';

/** Lines of hello-guest's sources. */
const KMAIN = 112;
const SERIAL_INIT_CALL = 113;
const HELLO = 114;
const MAGIC_IS_WRONG = 115;
const INTERRUPTS_INIT_CALL = 119;
const SHOW_PROCESSOR_CALL = 121;
const COUNT_TICKS_CALL = 126;
const GOODBYE = 128;
const SERIAL_INIT = 28;
const DISPATCH = 96;

describe.skipIf(unavailable)('debugging hello-guest in a fresh VS Code', () => {
  const vscode = useVsCode();
  let folder: string;
  let kernel: string;

  const noneIsLeft = () => until('no adapter runs', () => adapters(vscode.profile).length === 0 || undefined);

  beforeAll(() => {
    folder = vscode.copySample('hello-guest');
    kernel = join(folder, 'kernel.c');
  });

  beforeEach(async () => {
    const { editor, debug } = await vscode.open(folder);
    await editor.openFile(kernel);
    await debug.showView();
  });

  it('a clicked breakpoint is reached, the line marked, the stack and the registers shown', async () => {
    const { workbench } = vscode;
    const { editor, debug } = workbench;
    await editor.clickGutter(SHOW_PROCESSOR_CALL);
    await debug.start();
    await debug.isAt('kernel.c', KMAIN);
    await workbench.press('F5');
    await debug.isAt('kernel.c', SHOW_PROCESSOR_CALL);
    await expect.poll(() => editor.glyph(SHOW_PROCESSOR_CALL)).toMatch(/^breakpoint/);
    await expect
      .poll(() => debug.callStack())
      .toEqual([
        { name: 'kmain', file: 'kernel.c', line: SHOW_PROCESSOR_CALL },
        { name: 'long_mode', file: 'boot.S', line: 113 },
      ]);
    await debug.showsValue('Registers', 'RIP', /^0x[0-9a-f]{16} <kmain\+0x[0-9a-f]+>$/);
    await debug.showsValue('Registers', 'RBX', /^0x000000002badb002$/);
    await debug.stop();
    await noneIsLeft();
  });

  it('steps go over, into and out of calls', async () => {
    const { workbench } = vscode;
    const { debug } = workbench;
    await debug.start();
    await debug.isAt('kernel.c', KMAIN);
    await workbench.press('F10');
    await debug.isAt('kernel.c', SERIAL_INIT_CALL);
    await workbench.press('F11');
    await debug.isAt('serial.c', SERIAL_INIT);
    await expect
      .poll(async () => (await debug.callStack()).map(({ name }) => name))
      .toEqual(['serial_init', 'kmain', 'long_mode']);
    await workbench.press('Shift+F11');
    await debug.isAt('kernel.c', HELLO);
    await workbench.press('F10');
    await debug.isAt('kernel.c', MAGIC_IS_WRONG);
    await workbench.press('F10');
    await debug.isAt('kernel.c', INTERRUPTS_INIT_CALL);
    await workbench.views.openPanel('Terminal');
    await workbench.views.terminalShows('Hello from long mode');
    await debug.stop();
  });

  it('a conditional breakpoint stops at the one call that it is about', async () => {
    const { workbench } = vscode;
    const { editor, debug } = workbench;
    await editor.openFile(join(folder, 'interrupts.c'));
    await editor.addBreakpoint(DISPATCH, 'Conditional Breakpoint', 'frame->vector == 6');
    await debug.start();
    await debug.isAt('kernel.c', KMAIN);
    await workbench.press('F5');
    await debug.isAt('interrupts.c', DISPATCH);
    await workbench.views.openPanel('Terminal');
    await workbench.views.terminalShows('#BP: breakpoint before');
    expect(await workbench.views.terminalText()).not.toContain('#UD');
    await debug.stop();
  });

  it('a log point writes and does not stop; the program runs to its end', async () => {
    const { workbench } = vscode;
    const { editor, debug } = workbench;
    await editor.addBreakpoint(COUNT_TICKS_CALL, 'Logpoint', 'ticks {timer_ticks} here');
    await debug.start();
    await debug.isAt('kernel.c', KMAIN);
    await workbench.press('F5');
    await debug.hasEnded();
    await expect.poll(() => debug.console()).toContainEqual(expect.stringMatching(/ticks (0x)?0+ here/));
    await noneIsLeft();
  });

  it('a register that is edited changes what the program does', async () => {
    const { workbench } = vscode;
    const { editor, debug } = workbench;
    await editor.clickGutter(MAGIC_IS_WRONG);
    await debug.start();
    await debug.isAt('kernel.c', KMAIN);
    await workbench.press('F5');
    await debug.isAt('kernel.c', MAGIC_IS_WRONG);
    await debug.showsValue('Registers', 'RBX', /^0x000000002badb002$/);
    await debug.setValue('RBX', '0x1234');
    await debug.showsValue('Registers', 'RBX', /^0x0000000000001234$/);
    await workbench.press('F10');
    await debug.isAt('kernel.c', MAGIC_IS_WRONG + 1);
    await debug.stop();
  });

  it('restart begins anew, with the breakpoints', async () => {
    const { workbench } = vscode;
    const { editor, debug } = workbench;
    await editor.clickGutter(GOODBYE);
    await debug.start();
    await debug.isAt('kernel.c', KMAIN);
    await workbench.press('F5');
    await debug.isAt('kernel.c', GOODBYE);
    await workbench.press('Control+Shift+F5');
    await debug.isAt('kernel.c', KMAIN);
    await workbench.press('F5');
    await debug.isAt('kernel.c', GOODBYE);
    await workbench.press('F5');
    await debug.hasEnded();
    await noneIsLeft();
  });

  it('an adapter that is killed ends the session', async () => {
    const { debug } = vscode.workbench;
    await debug.start();
    await debug.isAt('kernel.c', KMAIN);
    const running = adapters(vscode.profile);
    expect(running).toHaveLength(1);
    process.kill(running[0], 'SIGKILL');
    await debug.hasEnded();
    await noneIsLeft();
  });

  it('nothing is left when the window is closed during a session', async () => {
    const { debug } = vscode.workbench;
    await debug.start();
    await debug.isAt('kernel.c', KMAIN);
    expect(adapters(vscode.profile)).toHaveLength(1);
    await vscode.workbench.close();
    await noneIsLeft();
  });
});
