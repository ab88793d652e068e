/** The view of VM exits, how all our views look in the themes, and whether everybody can use them. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { seriousProblems } from './support/accessibility.ts';
import { exitStorm } from './support/programs.ts';
import { until } from './support/until.ts';
import { unavailable, useVsCode } from './support/vscode.ts';

const CAUSE_EXCEPTIONS_CALL = 125;
/** What hello-guest has caused up to there, at least. */
const MANY = 400;
const MILLION = 1_000_000;

const THEMES = {
  dark: ['Dark Modern', 'vs-dark'],
  light: ['Light Modern', 'vs'],
  'high-contrast': ['Dark High Contrast', 'hc-black'],
} as const;

describe.skipIf(unavailable)('the view of VM exits', () => {
  const vscode = useVsCode();
  const grid = () => vscode.workbench.views.webview().getByRole('grid');
  const rows = () => grid().locator('.row:not(.loading, [hidden])');

  /** aria-rowcount counts the head too. */
  async function rowCount(isWanted: (count: number) => boolean): Promise<number> {
    let seen = -1;
    return until('the rows of the list', async () => {
      seen = Number(await grid().getAttribute('aria-rowcount')) - 1;
      return isWanted(seen) ? seen : undefined;
    }).catch((error: Error) => {
      throw new Error(`${error.message}; last seen: ${seen}`);
    });
  }

  /** The numbers of the rows in view, when all of them are there. */
  async function numbers(isWanted: (first: number, last: number, total: number) => boolean): Promise<void> {
    let seen = '';
    await until('rows one after the other', async () => {
      const cells = await rows().locator('.cell:first-child').allTextContents();
      const shown = cells.map((cell) => Number(cell.replaceAll(',', '')));
      const follow = shown.every((number, i) => i === 0 || number === shown[i - 1] + 1);
      const total = Number(await grid().getAttribute('aria-rowcount')) - 1;
      const isThere = shown.length > 1 && follow && isWanted(shown[0], shown[shown.length - 1], total);
      seen = `${shown.join(' ')} of ${total}`;
      return isThere || undefined;
    }).catch((error: Error) => {
      throw new Error(`${error.message}; last seen: ${seen}`);
    });
  }

  // One window for all: what a test filters, it clears.
  beforeAll(async () => {
    const folder = vscode.copySample('hello-guest');
    const workbench = await vscode.open(folder);
    const { editor, debug, views } = workbench;
    await editor.openFile(join(folder, 'kernel.c'));
    await editor.clickGutter(CAUSE_EXCEPTIONS_CALL);
    await debug.showView();
    await debug.start();
    await debug.isAt('kernel.c', 112);
    await workbench.press('F5');
    await debug.isAt('kernel.c', CAUSE_EXCEPTIONS_CALL);
    await views.openPanel('VM Exits');
    await rowCount((count) => count > MANY);
  });

  it('lists them, filters them by what is typed and counts them by reason', async () => {
    const webview = vscode.workbench.views.webview();
    const all = await rowCount((count) => count > MANY);
    await expect.poll(() => webview.getByRole('table').textContent()).toContain('CPUID');
    await webview.getByRole('searchbox').fill('cpuid');
    const some = await rowCount((count) => count > 0 && count < all);
    expect(some).toBeLessThan(MANY);
    await until('a row', async () => (await rows().count()) > 0 || undefined);
    for (const text of await rows().allTextContents()) expect(text).toContain('CPUID');
    await webview.getByRole('button', { name: 'Clear Filter' }).click();
    await rowCount((count) => count === all);
  });

  it('a click shows the source, a double click the VMCS at that exit', async () => {
    const { views, editor } = vscode.workbench;
    const webview = views.webview();
    await webview.getByRole('searchbox').fill('cpuid');
    await rowCount((count) => count > 0 && count < MANY);
    await rows().first().click();
    await until('cpu.h in front', async () => (await editor.title()) === 'cpu.h' || undefined);
    await rows().first().dblclick();
    await views.open('VMCS');
    await until(
      'the VMCS at that exit',
      async () =>
        /exit/i.test(
          (await vscode.workbench.page.locator('.pane-header', { hasText: 'VMCS' }).textContent()) ?? '',
        ) || undefined,
    );
    await vscode.workbench.run('HVM: Show VMCS as It Is Now');
    await webview.getByRole('button', { name: 'Clear Filter' }).click();
    await rowCount((count) => count > MANY);
  });

  it('is usable by everybody, as the VMCS view is', async () => {
    const { views, page } = vscode.workbench;
    await views.open('VMCS');
    await views.expand('VMCS', 'Guest register state');
    await views.row('VMCS', 'Guest CS selector').waitFor();
    expect(await seriousProblems(await views.webviewFrame())).toEqual([]);
    const tree = '.pane:has(.pane-header[aria-label^="VMCS"]) .pane-body';
    expect(await seriousProblems(page.mainFrame(), tree)).toEqual([]);
  });

  it('has a picture in each theme', async () => {
    const { workbench } = vscode;
    const { views, page } = workbench;
    await views.open('VMCS');
    await views.expand('VMCS', 'Guest register state');
    await views.row('VMCS', 'Guest CS selector').waitFor();
    for (const [name, [theme, cssClass]] of Object.entries(THEMES)) {
      await workbench.run('Preferences: Color Theme');
      await workbench.quickInput.fill(theme);
      await workbench.quickPick(theme);
      await page.locator(`.monaco-workbench.${cssClass}`).waitFor();
      await views.openPanel('VM Exits');
      await rows().first().waitFor();
      await workbench.screenshot(`exits-and-vmcs-${name}`);
      await views.openPanel('Terminal');
      await views.terminalShows('Hello from long mode');
      await workbench.screenshot(`terminal-${name}`);
    }
  });

  it('scrolls a million of them', async () => {
    const folder = vscode.project('storm', {}, { program: 'storm.elf' });
    writeFileSync(join(folder, 'storm.elf'), exitStorm(MILLION));
    const workbench = await vscode.open(folder);
    const { debug, page, views } = workbench;
    await debug.startConfiguration('storm');
    await views.openPanel('VM Exits');
    await rowCount((count) => count >= MILLION);
    await workbench.press('F6');
    await debug.isPaused();
    const isEnd = (_: number, last: number, total: number) => last === total - 1;
    await numbers(isEnd);
    await grid().focus();
    await workbench.press('Home');
    await numbers((first) => first === 0);
    await grid().hover();
    await page.mouse.wheel(0, 500);
    await numbers((first) => first > 0 && first < 100);
    // The scroll bar, drawn to the middle.
    await grid().evaluate((element) => {
      element.scrollTop = element.scrollHeight / 2;
    });
    await numbers((first) => Math.abs(first - MILLION / 2) < MILLION / 100);
    await workbench.press('End');
    await numbers(isEnd);
    await debug.stop();
  });
});
