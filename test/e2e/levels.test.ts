/** A hypervisor and its guest in one session: both are in the call stack. */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { until } from './support/until.ts';
import { unavailable, useVsCode } from './support/vscode.ts';

const KMAIN = 76;
const CPUID_CALL = 24;
const HANDLE_EXIT = 50;

describe.skipIf(unavailable)('debugging a hypervisor', () => {
  const vscode = useVsCode();

  it('shows the other level below the one that runs, and its registers and source by a click', async () => {
    const folder = vscode.copySample('tiny-hypervisor');
    const workbench = await vscode.open(folder);
    const { debug, editor, page } = workbench;
    await editor.openFile(join(folder, 'exits.c'));
    await editor.clickGutter(HANDLE_EXIT);
    await editor.openFile(join(folder, 'guest.c'));
    await editor.clickGutter(CPUID_CALL);
    await debug.showView();
    await debug.startConfiguration('tiny-hypervisor');
    await debug.isAt('hypervisor.c', KMAIN);
    await workbench.press('F5');
    await debug.isAt('guest.c', CPUID_CALL);
    const frames = page.locator('.debug-call-stack .monaco-list-row');
    await frames.filter({ hasText: 'Level 0: the next VM exit comes here' }).waitFor();
    await frames.filter({ hasText: 'run_guest' }).click();
    await until(
      'the source of the hypervisor',
      async () => (await editor.title()) === 'hypervisor.c' || undefined,
    );
    await workbench.screenshot('guest', 'levels');

    await workbench.press('F5');
    await debug.isAt('exits.c', HANDLE_EXIT);
    await frames.filter({ hasText: 'Level 1: VM exit, CPUID' }).waitFor();
    await expect.poll(async () => (await debug.callStack())[0]?.name).toBe('handle_exit');
    // What guest_main has inlined.
    await frames.filter({ hasText: 'cpu.h' }).click();
    await until('the source of the guest', async () => (await editor.title()) === 'cpu.h' || undefined);
    await debug.showsValue('Registers', 'RIP', /<guest_main\+/);
    await workbench.screenshot('hypervisor', 'levels');
    await debug.stop();
  });
});
