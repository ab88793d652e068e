/** One VS Code for the tests of a file: a server with a fresh profile, a browser, a window on a copy of a sample. */
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, afterEach, beforeAll, inject } from 'vitest';
import { startDesktop } from './desktop.ts';
import type { Host } from './host.ts';
import type { ServerOptions } from './server.ts';
import { startWeb } from './web.ts';
import { output, Workbench } from './workbench.ts';

export const samples = resolve(import.meta.dirname, '../../../samples');
const environment = inject('e2e');

/** Why there can be no VS Code here. */
export const unavailable = typeof environment === 'string';

type Options = Pick<ServerOptions, 'settings' | 'workspaceTrust'>;

export class VsCode {
  #host: Host | undefined;
  #workbench: Workbench | undefined;
  readonly #options: Options;

  constructor(options: Options) {
    this.#options = options;
  }

  /** Holds everything that VS Code writes. */
  get profile(): string {
    return this.#host!.profile;
  }

  get workbench(): Workbench {
    return this.#workbench!;
  }

  /** A folder beside the profile, that goes with it. */
  folder(name: string): string {
    return join(this.profile, 'home', name);
  }

  copySample(name: string): string {
    const folder = this.folder(name);
    cpSync(join(samples, name), folder, { recursive: true });
    return folder;
  }

  /** A folder with copies of these files (path in the folder: where from) and a launch.json of these configurations. */
  project(
    name: string,
    files: Readonly<Record<string, string>>,
    ...configurations: readonly object[]
  ): string {
    const folder = this.folder(name);
    mkdirSync(join(folder, '.vscode'), { recursive: true });
    for (const [path, from] of Object.entries(files)) cpSync(from, join(folder, path), { recursive: true });
    const all = configurations.map((each) => ({ type: 'hvm', request: 'launch', name, ...each }));
    writeFileSync(
      join(folder, '.vscode/launch.json'),
      JSON.stringify({ version: '0.2.0', configurations: all }, undefined, 2),
    );
    return folder;
  }

  async start(): Promise<void> {
    if (typeof environment === 'string') throw new Error(environment);
    this.#host =
      'desktop' in environment
        ? await startDesktop({ ...environment, ...this.#options })
        : await startWeb({ ...environment, ...this.#options });
  }

  /** A fresh window in the place of the last one: no breakpoints, no open files. */
  async open(folder?: string): Promise<Workbench> {
    const workbench = new Workbench(await this.#host!.newWindow(folder));
    // Known before it is ready, so that a picture can be taken.
    this.#workbench = workbench;
    await workbench.isReady(folder !== undefined);
    return workbench;
  }

  async save(name: string): Promise<void> {
    if (this.#workbench === undefined) return;
    const folder = join('failures', name.replaceAll(/[^\w]+/g, '-'));
    mkdirSync(join(output, folder), { recursive: true });
    writeFileSync(join(output, folder, 'console.log'), this.#workbench.console.join('\n'));
    cpSync(this.#host!.log, join(output, folder, 'server.log'));
    await this.#workbench.screenshot('window', folder).catch(() => undefined);
  }

  async stop(): Promise<void> {
    await this.#host?.stop();
  }
}

/** Starts VS Code before the tests of this file and ends it after them; what failed leaves its traces in build/e2e/failures. */
export function useVsCode(options: Options = {}): VsCode {
  const vscode = new VsCode(options);
  beforeAll(async () => {
    await vscode.start();
  });
  afterEach(async ({ task }) => {
    if (task.result?.state === 'fail') await vscode.save(task.name);
  });
  afterAll(() => vscode.stop());
  return vscode;
}
