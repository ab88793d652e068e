/** Before the first end-to-end test: VS Code's server, a browser, and the extension as it is shipped. */
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { writeVsix } from '../../../scripts/support/extensionPackage.mjs';
import { buildIfOutdated } from '../../../scripts/support/setup.mjs';
import { vscodeServer } from '../../../scripts/support/vscodeServer.mjs';
import { CHROMIUM } from './browser.ts';
import type { Desktop } from './desktop.ts';
import type { Installation } from './server.ts';
import { output } from './workbench.ts';

/** VS Code, and the .vsix. */
export type Environment = ({ readonly installation: Installation } | { readonly desktop: Desktop }) & {
  readonly extension: string;
};

declare module 'vitest' {
  export interface ProvidedContext {
    /** Or why there is none: the tests are skipped then. */
    e2e: Environment | string;
  }
}

export default function setup(project: TestProject): void {
  const vscode = desktop() ?? tryToInstall();
  if (typeof vscode === 'string') {
    console.error(`The end-to-end tests are skipped: ${vscode}`);
    project.provide('e2e', vscode);
    return;
  }
  buildIfOutdated();
  mkdirSync(output, { recursive: true });
  const extension = join(output, 'hvm-debugger.vsix');
  writeVsix('--out', extension);
  project.provide('e2e', { ...vscode, extension });
}

/** What scripts/e2eDesktop.mjs has found. */
function desktop(): { readonly desktop: Desktop } | undefined {
  const { HVM_VSCODE: program, HVM_VSCODE_CLI: cli } = process.env;
  return program && cli ? { desktop: { program, cli } } : undefined;
}

/** Or the reason why there can be none here; CI takes no reason. */
function tryToInstall(): { readonly installation: Installation } | string {
  try {
    if (!existsSync(CHROMIUM))
      throw new Error(`${CHROMIUM} does not exist; on Debian: apt-get install chromium`);
    return { installation: vscodeServer() };
  } catch (error) {
    if (process.env.CI === 'true') throw error;
    return (error as Error).message;
  }
}
