/** The first minutes with the extension: a fresh profile that trusts nobody yet, no folder, and the README's steps. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { adapters } from './support/processes.ts';
import { until } from './support/until.ts';
import { unavailable, useVsCode } from './support/vscode.ts';

const SHOW_PROCESSOR_CALL = 121;

describe.skipIf(unavailable)('a fresh VS Code that asks whom to trust', () => {
  const vscode = useVsCode({ workspaceTrust: true });
  let parent: string;

  beforeAll(() => {
    parent = vscode.folder('projects');
    mkdirSync(parent);
  });

  it('opens the sample, asks about trust, and stops at a breakpoint', async () => {
    const workbench = await vscode.open();
    const { page, editor, debug, views } = workbench;
    const openSample = page.locator('.welcome-view').getByRole('button', { name: 'Open Sample' });
    await until('the welcome of the Run view', async () => {
      await workbench.press('Control+Shift+D');
      return openSample.click({ timeout: 5000 }).then(
        () => true,
        () => undefined,
      );
    });
    await workbench.quickPick('hello-guest');
    await workbench.chooseFolder(parent);
    const target = join(parent, 'hello-guest');
    await workbench.showsFiles();
    await editor.openFile(join(target, 'kernel.c'));
    await editor.clickGutter(SHOW_PROCESSOR_CALL);
    await debug.showView();
    // The folder is not trusted yet: VS Code asks before anything of it runs.
    await until('the question', async () => {
      await workbench.press('F5');
      return workbench.dialog.waitFor({ timeout: 10_000 }).then(
        () => true,
        () => undefined,
      );
    });
    expect(adapters(vscode.profile)).toEqual([]);
    await workbench.answerDialog(/^Trust/);
    await debug.isAt('kernel.c', 112);
    await workbench.press('F5');
    await debug.isAt('kernel.c', SHOW_PROCESSOR_CALL);
    await views.openPanel('Terminal');
    await views.terminalShows('Hello from long mode');
    await debug.stop();
  });
});
