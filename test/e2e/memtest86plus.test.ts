/** A kernel that runs flat out: Debian's memtest86+ draws its screen in the terminal, is paused and goes on. */
import { describe, it } from 'vitest';
import { memtestIsThere } from '../support/memtest86plus.ts';
import { until } from './support/until.ts';
import { unavailable, useVsCode } from './support/vscode.ts';

const NAME = 'memtest86+';

describe.skipIf(unavailable || !memtestIsThere())("Debian's memtest86+", () => {
  const vscode = useVsCode();

  it('shows its screen, answers a pause and goes on', async () => {
    const folder = vscode.copySample('memtest86plus');
    const workbench = await vscode.open(folder);
    const { debug, views } = workbench;
    await debug.showView();
    await debug.startConfiguration(NAME);
    await views.terminalIsOpen(`Serial: ${NAME}`);
    await views.terminalShows('Memtest86+');
    await views.terminalShows('Pass');
    await debug.isRunning();
    await workbench.screenshot('memtest86plus');
    await workbench.press('F6');
    await debug.isPaused();
    const screen = await views.terminalText();
    await debug.stopsBecause(/paused/i);
    await workbench.press('F5');
    await debug.isRunning();
    await until('another screen', async () => (await views.terminalText()) !== screen || undefined);
    await debug.stop();
  });
});
