/** The text editor: files, the gutter and its breakpoints, the line where the program stands. */
import type { Locator } from 'playwright-core';
import { CLICK_PATIENCE, until } from './until.ts';
import type { Workbench } from './workbench.ts';

/** Offset of the column where breakpoints are clicked. */
const GLYPH = 10;

export class Editor {
  readonly #workbench: Workbench;

  constructor(workbench: Workbench) {
    this.#workbench = workbench;
  }

  /** The editor that shows a text now. */
  get #active(): Locator {
    return this.#workbench.page.locator('.editor-group-container.active .editor-instance .monaco-editor');
  }

  /** The name of the file in front; a window without one gives nothing. */
  async title(): Promise<string | undefined> {
    const tabs = this.#workbench.page.locator('.editor-group-container.active .tab.active');
    return tabs.evaluateAll((all) => all[0]?.getAttribute('data-resource-name') ?? undefined);
  }

  /** Waits for a file in front. */
  async isAt(name: string): Promise<void> {
    await until(`${name} in front`, async () => (await this.title()) === name || undefined);
    await this.#active.locator('.view-line').first().waitFor();
  }

  async openFile(path: string): Promise<void> {
    const name = path.slice(path.lastIndexOf('/') + 1);
    await this.#workbench.quickOpen(path, name);
    await this.isAt(name);
  }

  async goToLine(line: number): Promise<void> {
    await this.#workbench.press('Control+G');
    await this.#workbench.typeIntoQuickInput(`:${line}`);
    await this.#lineNumber(line).waitFor();
  }

  #lineNumber(line: number): Locator {
    return this.#active.locator('.margin .line-numbers', { hasText: new RegExp(`^${line}$`) });
  }

  /** Where a line's number is; while the editor scrolls there may be none for a moment. */
  #placeOf(line: number): Promise<{ x: number; y: number; height: number }> {
    const box = () => this.#lineNumber(line).boundingBox({ timeout: CLICK_PATIENCE });
    return until(`the number of line ${line}`, async () => (await box().catch(() => null)) ?? undefined);
  }

  async #gutter(line: number): Promise<{ x: number; y: number }> {
    const number = await this.#placeOf(line);
    const margin = await this.#active.locator('.margin').first().boundingBox();
    if (margin === null) throw new Error('the editor has no margin');
    return { x: margin.x + GLYPH, y: number.y + number.height / 2 };
  }

  /** Clicks beside a line; ends when its breakpoint has come or gone. */
  async clickGutter(line: number): Promise<void> {
    await this.goToLine(line);
    const before = await this.glyph(line);
    // Until the extensions are known the gutter takes no breakpoints: click again.
    await until(`a breakpoint on line ${line}`, async () => {
      const { x, y } = await this.#gutter(line);
      await this.#workbench.page.mouse.click(x, y);
      const changed = async () => ((await this.glyph(line)) !== before ? true : undefined);
      return until('', changed, CLICK_PATIENCE).catch(() => undefined);
    });
  }

  /** What the gutter's menu offers, e.g. `Add Conditional Breakpoint…`, and the text to be typed then. */
  async addBreakpoint(
    line: number,
    kind: 'Conditional Breakpoint' | 'Logpoint',
    text: string,
  ): Promise<void> {
    await this.goToLine(line);
    const { x, y } = await this.#gutter(line);
    await this.#workbench.page.mouse.click(x, y, { button: 'right' });
    const menu = this.#workbench.page.locator('.monaco-menu');
    await menu.getByRole('menuitem', { name: `Add ${kind}` }).hover();
    await this.#workbench.press('Enter');
    const input = this.#workbench.page.locator('.breakpoint-widget .monaco-editor.focused');
    await input.waitFor();
    // Pasted, so that nothing is completed or closed by the editor.
    await this.#workbench.page.keyboard.insertText(text);
    await this.#workbench.press('Enter');
    await input.waitFor({ state: 'hidden' });
    await until(`a ${kind} on line ${line}`, async () => this.glyph(line));
  }

  /** The icon beside a line: `breakpoint`, `breakpoint-unverified`, `breakpoint-conditional`, `breakpoint-log` …. */
  async glyph(line: number): Promise<string | undefined> {
    const { y: top } = await this.#placeOf(line);
    return this.#active.locator('.glyph-margin-widgets .cgmr').evaluateAll((icons, y) => {
      for (const icon of icons) {
        const name = /codicon-debug-(breakpoint[\w-]*)/.exec(icon.className)?.[1];
        if (name !== undefined && Math.abs(icon.getBoundingClientRect().top - y) < 4) return name;
      }
      return undefined;
    }, top);
  }

  /** The number of the line that is marked as the one where the program stands. */
  async stoppedLine(): Promise<number | undefined> {
    return this.#active.first().evaluate((editor) => {
      const mark = editor.querySelector('.debug-top-stack-frame-line');
      if (mark === null) return undefined;
      const top = mark.getBoundingClientRect().top;
      for (const number of editor.querySelectorAll('.margin .line-numbers'))
        if (Math.abs(number.getBoundingClientRect().top - top) < 4) return Number(number.textContent);
      return undefined;
    });
  }
}
