/** A debug session as its user sees it: the toolbar's keys, call stack, variables, debug console. */
import type { Locator } from 'playwright-core';
import { CLICK_PATIENCE, PATIENCE, until } from './until.ts';
import type { Workbench } from './workbench.ts';

const START_PATIENCE = 15_000;

export interface Frame {
  readonly name: string;
  /** Without a source there is none. */
  readonly file?: string;
  readonly line?: number;
}

/** The name as the view writes it. */
function exactly(name: string): RegExp {
  return new RegExp(`^\\s*${name.replaceAll(/[^\w ]/g, '\\$&')}\\s*=?\\s*$`);
}

export class Debugging {
  readonly #workbench: Workbench;

  constructor(workbench: Workbench) {
    this.#workbench = workbench;
  }

  get toolbar(): Locator {
    return this.#workbench.page.locator('.debug-toolbar');
  }

  get #callStack(): Locator {
    return this.#workbench.page.locator('.debug-call-stack');
  }

  get #variables(): Locator {
    return this.#workbench.page.locator('.debug-variables');
  }

  /** Opens the view; without the empty one there is room for a whole scope. */
  async showView(): Promise<void> {
    await this.#workbench.press('Control+Shift+D');
    await this.#callStack.waitFor();
    await this.#workbench.views.fold('Watch');
  }

  /** F5. A window that has just opened may not know its launch.json yet: then once more. */
  async start(): Promise<void> {
    await until('a session', async () => {
      await this.#workbench.press('F5');
      return this.toolbar.waitFor({ timeout: START_PATIENCE }).then(
        () => true,
        () => undefined,
      );
    });
  }

  /** Starts a configuration of launch.json by its name, once the window knows it. */
  async startConfiguration(name: string): Promise<void> {
    await this.#workbench.quickOpen(`debug ${name}`, name);
    await this.toolbar.waitFor();
  }

  async stop(): Promise<void> {
    await this.#workbench.press('Shift+F5');
    await this.hasEnded();
  }

  async hasEnded(): Promise<void> {
    await this.toolbar.waitFor({ state: 'hidden' });
  }

  /** The frames that are shown, the current one first. */
  async callStack(): Promise<readonly Frame[]> {
    const labels = await this.#callStack
      .locator('.monaco-list-row')
      .evaluateAll((rows) => rows.map((row) => row.getAttribute('aria-label') ?? ''));
    return labels
      .filter((label) => label.startsWith('Stack Frame '))
      .map((label) => {
        const [, name, line, file] = /^Stack Frame (.*?)(?:, line (\d+), (.*))?$/.exec(label)!;
        return { name, ...(file !== undefined && { file, line: Number(line) }) };
      });
  }

  /** Waits for a stop there, in the call stack and as the marked line of the editor. */
  async isAt(file: string, line: number, patience = PATIENCE): Promise<void> {
    let seen = 'nothing';
    await until(
      `a stop at ${file}:${line}`,
      async () => {
        const [top] = await this.callStack();
        const marked = await this.#workbench.editor.stoppedLine();
        const title = await this.#workbench.editor.title();
        seen = `${top?.name} ${top?.file}:${top?.line}, line ${marked} of ${title} is marked`;
        return (top?.file === file && top.line === line && marked === line && title === file) || undefined;
      },
      patience,
    ).catch((error: Error) => {
      throw new Error(`${error.message}; last seen: ${seen}`);
    });
  }

  /** Why the machine has stopped, as the call stack's title says it. */
  async stopReason(): Promise<string> {
    const label = this.#workbench.page.locator('.call-stack-state-message .label');
    return (await label.textContent()) ?? '';
  }

  async stopsBecause(reason: RegExp): Promise<void> {
    let seen = '';
    await until(`a stop with the reason ${reason}`, async () => {
      seen = await this.stopReason();
      return reason.test(seen) || undefined;
    }).catch((error: Error) => {
      throw new Error(`${error.message}; last seen: ${seen}`);
    });
  }

  /** What the widget at the marked line says of an exception. */
  get exception(): Locator {
    return this.#workbench.page.locator('.exception-widget');
  }

  async isRunning(): Promise<void> {
    await this.toolbar.getByRole('button', { name: 'Pause' }).waitFor();
  }

  async isPaused(): Promise<void> {
    await this.toolbar.getByRole('button', { name: 'Continue' }).waitFor();
  }

  #variable(name: string): Locator {
    return this.#variables
      .locator('.monaco-list-rows > .monaco-list-row', {
        has: this.#workbench.page.locator('.name, .scope', { hasText: exactly(name) }),
      })
      .first();
  }

  /** Opens scopes and structures, outermost first. */
  async expand(...path: readonly string[]): Promise<void> {
    for (const name of path) {
      const row = this.#variable(name);
      await row.waitFor();
      const isOpen = async () => (await row.getAttribute('aria-expanded')) === 'true' || undefined;
      // A tree that is filled anew for another frame forgets the click.
      await until(`${name} opens`, async () => {
        if (!(await isOpen())) {
          const twistie = row.locator('.monaco-tl-twistie');
          await twistie.click({ timeout: CLICK_PATIENCE }).catch(() => undefined);
        }
        return until('', isOpen, CLICK_PATIENCE).catch(() => undefined);
      });
    }
  }

  /** Empty while the variable is not to be seen. */
  async #valueOf(name: string): Promise<string> {
    const values = await this.#variable(name).locator('.value').allTextContents();
    return values.join('');
  }

  async setValue(name: string, value: string): Promise<void> {
    await this.#variable(name).locator('.value').dblclick();
    const input = this.#variables.locator('.inputBoxContainer input');
    await input.fill(value);
    await this.#workbench.press('Enter');
    await input.waitFor({ state: 'hidden' });
  }

  /** Waits until a scope of this frame has a variable with such a value. Gives the value as it is shown. */
  async showsValue(scope: string, name: string, value: RegExp): Promise<string> {
    let seen = 'nothing';
    return until(`${name} is ${value}`, async () => {
      // A tree that is filled anew for another frame closes what was open.
      await this.expand(scope);
      seen = await this.#valueOf(name);
      return value.test(seen) ? seen : undefined;
    }).catch((error: Error) => {
      throw new Error(`${error.message}; last seen: ${seen}`);
    });
  }

  /** The lines of the debug console that are to be seen. */
  async console(): Promise<readonly string[]> {
    await this.#workbench.views.openPanel('Debug Console');
    return this.#workbench.page.locator('.repl .monaco-list-row .output').allInnerTexts();
  }
}
