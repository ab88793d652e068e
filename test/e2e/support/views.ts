/** Views beside the editor: trees, webviews, terminals, each found by its title. */
import type { Frame, FrameLocator, Locator } from 'playwright-core';
import { until } from './until.ts';
import type { Workbench } from './workbench.ts';

/** Pixels: less than a tree shows at once. */
const SCROLL = 60;

export class Views {
  readonly #workbench: Workbench;

  constructor(workbench: Workbench) {
    this.#workbench = workbench;
  }

  #pane(title: string): Locator {
    return this.#workbench.page.locator('.pane', {
      has: this.#workbench.page.locator('.pane-header').getByText(title, { exact: true }),
    });
  }

  async #setOpen(title: string, isOpen: boolean): Promise<void> {
    const header = this.#pane(title).locator('.pane-header');
    await header.waitFor();
    if ((await header.getAttribute('aria-expanded')) !== String(isOpen)) await header.click();
  }

  /** A view of the side bar, opened. */
  async open(title: string): Promise<Locator> {
    await this.#setOpen(title, true);
    return this.#pane(title);
  }

  async fold(title: string): Promise<void> {
    await this.#setOpen(title, false);
  }

  /** The document of the webview as a frame of its own. */
  async webviewFrame(): Promise<Frame> {
    const inner = this.#workbench.page.frameLocator('iframe.webview.ready').locator('iframe#active-frame');
    const frame = await (await inner.elementHandle())?.contentFrame();
    if (!frame) throw new Error('the webview has no document');
    return frame;
  }

  /** What a screen reader says of each row of a tree that is to be seen. */
  async rows(title: string): Promise<readonly string[]> {
    return this.#pane(title)
      .locator('.monaco-list-rows > .monaco-list-row')
      .evaluateAll((rows) => rows.map((row) => row.getAttribute('aria-label') ?? ''));
  }

  /** The row of a tree whose name begins so. */
  row(title: string, name: string): Locator {
    return this.#pane(title).locator(`.monaco-list-rows > .monaco-list-row[aria-label^="${name}"]`).first();
  }

  async expand(title: string, name: string): Promise<void> {
    const row = this.row(title, name);
    const isClosed = async (): Promise<boolean> => (await row.getAttribute('aria-expanded')) === 'false';
    // A tree that is filled anew at that moment has another row where the click goes.
    await until(`${name} in ${title} opened`, async () => {
      if (await isClosed()) await row.click();
      return !(await isClosed()) || undefined;
    });
  }

  /** Brings a row of a long tree into view, which holds no others. */
  async scrollTo(title: string, name: string): Promise<void> {
    const list = this.#pane(title).locator('.monaco-list').first();
    await list.hover();
    await until(`${name} in ${title}`, async () => {
      if ((await this.row(title, name).count()) > 0) return true;
      await this.#workbench.page.mouse.wheel(0, SCROLL);
      return undefined;
    });
  }

  /** Draws the edge of the side bar. */
  async widenSideBar(width: number): Promise<void> {
    const { mouse } = this.#workbench.page;
    const box = await this.#workbench.page.locator('.part.sidebar').boundingBox();
    if (box === null) throw new Error('there is no side bar');
    const y = box.y + box.height / 2;
    await mouse.move(box.x + box.width, y);
    await mouse.down();
    await mouse.move(box.x + width, y, { steps: 5 });
    await mouse.up();
  }

  /** A line of the menu of a row. */
  async chooseFromMenu(row: Locator, item: string): Promise<void> {
    await row.click({ button: 'right' });
    await this.#workbench.page
      .locator('.monaco-menu')
      .getByRole('menuitem', { name: item, exact: true })
      .hover();
    await this.#workbench.press('Enter');
  }

  /** A tab of the panel below the editor. */
  async openPanel(title: string): Promise<void> {
    const tab = this.#workbench.page.locator('.part.panel .composite-bar').getByRole('tab', { name: title });
    await tab.click();
  }

  /** The document of the webview that is shown; VS Code puts it two frames deep. */
  webview(): FrameLocator {
    return this.#workbench.page.frameLocator('iframe.webview.ready').frameLocator('iframe#active-frame');
  }

  /** The one terminal, by its name above it. */
  async terminalIsOpen(name: string): Promise<void> {
    await this.#workbench.page.locator('.part.panel .single-terminal-tab', { hasText: name }).waitFor();
    await this.#workbench.page.locator('.terminal-wrapper.active .xterm-rows').waitFor();
  }

  /** The text on the screen of the terminal that is shown. */
  async terminalText(): Promise<string> {
    const rows = this.#workbench.page.locator('.terminal-wrapper.active .xterm-rows > div');
    return (await rows.allInnerTexts()).map((row) => row.replaceAll('\u00a0', ' ').trimEnd()).join('\n');
  }

  async terminalShows(text: string): Promise<void> {
    let seen = '';
    await until(`${JSON.stringify(text)} in the terminal`, async () => {
      seen = await this.terminalText();
      return seen.includes(text) || undefined;
    }).catch((error: Error) => {
      throw new Error(`${error.message}; last seen:\n${seen}`);
    });
  }

  async typeIntoTerminal(text: string): Promise<void> {
    const { page } = this.#workbench;
    const terminal = page.locator('.terminal-wrapper.active .xterm');
    const input = terminal.locator('.xterm-helper-textarea');
    // The palette gives the focus back to what had it before, at a moment of its own.
    await until('the focus in the terminal', async () => {
      if (await input.evaluate((element) => element === element.ownerDocument.activeElement)) return true;
      await terminal.click();
      return undefined;
    });
    await page.keyboard.type(text);
  }
}
