/** A window of VS Code: commands, quick input, notifications, dialogs, pictures. */
import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Locator, Page } from 'playwright-core';
import { Debugging } from './debugging.ts';
import { Editor } from './editor.ts';
import { PATIENCE, until } from './until.ts';
import { Views } from './views.ts';

export const output = resolve(import.meta.dirname, '../../../build/e2e');

/** Milliseconds after which the quick input is asked again. */
const QUICK = 3000;

export class Workbench {
  readonly page: Page;
  readonly editor: Editor;
  readonly debug: Debugging;
  readonly views: Views;
  /** What the window wrote to its console. */
  readonly console: string[] = [];

  constructor(page: Page) {
    this.page = page;
    this.editor = new Editor(this);
    this.debug = new Debugging(this);
    this.views = new Views(this);
    page.setDefaultTimeout(PATIENCE);
    page.on('console', (message) => this.console.push(`${message.type()}: ${message.text()}`));
    page.on('pageerror', (error) => this.console.push(`uncaught: ${error.stack ?? error.message}`));
  }

  async isReady(hasFolder: boolean): Promise<void> {
    await this.page.locator('.monaco-workbench .part.statusbar .statusbar-item').first().waitFor();
    if (hasFolder) await this.showsFiles();
  }

  /** The files of the folder show that the server's side is there. */
  async showsFiles(): Promise<void> {
    await this.page.locator('.explorer-folders-view .monaco-list-row').first().waitFor();
  }

  async close(): Promise<void> {
    // As a user does: the window may say goodbye to its extension host.
    await this.page.close({ runBeforeUnload: true });
    await until('the window closes', () => this.page.isClosed());
  }

  async press(key: string): Promise<void> {
    await this.page.keyboard.press(key);
  }

  /** A command by its title, as the palette shows it. */
  async run(title: string): Promise<void> {
    await this.#choose('F1', `>${title}`, title);
  }

  get quickInput(): Locator {
    return this.page.locator('.quick-input-widget input.input');
  }

  /** Chooses a row of the quick input by its label. */
  async quickPick(label: string, timeout = PATIENCE): Promise<void> {
    const name = this.page.locator('.quick-input-list-label .monaco-icon-label-container .label-name');
    await this.page
      .locator('.quick-input-list .monaco-list-row')
      .filter({ has: name.getByText(label, { exact: true }) })
      .first()
      .click({ timeout });
  }

  /** Types into the quick input for files and chooses a row. */
  async quickOpen(text: string, label: string): Promise<void> {
    await this.#choose('Control+P', text, label);
  }

  /** The list is of what the window knew when it was opened: where the row is missing, it is opened again. */
  async #choose(key: string, text: string, label: string): Promise<void> {
    await until(`${label} for ${text}`, async () => {
      await this.press(key);
      await this.quickInput.fill(text);
      return this.quickPick(label, QUICK).then(
        () => true,
        () => this.press('Escape'),
      );
    });
  }

  async typeIntoQuickInput(text: string): Promise<void> {
    await this.quickInput.fill(text);
    await this.press('Enter');
  }

  /** In the dialog for folders of a window without a desktop: a path, typed. */
  async chooseFolder(path: string): Promise<void> {
    await until(
      'the dialog for a folder',
      async () => (await this.quickInput.inputValue()).startsWith('/') || undefined,
    );
    // The dialog completes what it shows after a while, in front of what was typed by then.
    await until(`the dialog takes ${path}`, async () => {
      await this.typeIntoQuickInput(`${path}/`);
      return this.quickInput.waitFor({ state: 'hidden', timeout: QUICK }).then(
        () => true,
        () => undefined,
      );
    });
  }

  /** The messages at the lower right that are there now. */
  async notifications(): Promise<readonly string[]> {
    return this.page.locator('.notifications-toasts .notification-list-item-message').allInnerTexts();
  }

  get dialog(): Locator {
    return this.page.locator('.monaco-dialog-box');
  }

  async answerDialog(button: string | RegExp): Promise<void> {
    await this.dialog.getByRole('button', { name: button }).click();
    await this.dialog.waitFor({ state: 'hidden' });
  }

  get statusBar(): Locator {
    return this.page.locator('.part.statusbar');
  }

  async screenshot(name: string, folder = 'screenshots'): Promise<void> {
    const path = join(output, folder);
    mkdirSync(path, { recursive: true });
    await this.page.screenshot({ path: join(path, `${name}.png`) });
  }
}
