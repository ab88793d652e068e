/** A desktop's VS Code instead of the server and the browser: `npm run e2e:desktop` downloads it and says where it is. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { _electron, type ElectronApplication } from 'playwright-core';
import type { Host } from './host.ts';
import { QUIET, type Settings } from './server.ts';

export interface Desktop {
  /** VS Code's program, and the one for its command line. */
  readonly program: string;
  readonly cli: string;
}

export interface DesktopOptions {
  readonly desktop: Desktop;
  readonly extension: string;
  readonly settings?: Settings;
  readonly workspaceTrust?: boolean;
}

/** What the server's workbench has anyhow: dialogs that are part of the window. */
const AS_IN_A_BROWSER: Settings = {
  'window.dialogStyle': 'custom',
  'files.simpleDialog.enable': true,
  'window.titleBarStyle': 'custom',
  'window.newWindowDimensions': 'maximized',
};

export async function startDesktop(options: DesktopOptions): Promise<Host> {
  const { desktop, extension, settings, workspaceTrust = false } = options;
  const profile = mkdtempSync(join(tmpdir(), 'hvm-vscode-'));
  const log = join(profile, 'desktop.log');
  const extensions = ['--extensions-dir', join(profile, 'extensions')];
  mkdirSync(join(profile, 'home'));
  writeFileSync(log, execFileSync(desktop.cli, [...extensions, '--install-extension', extension, '--force']));
  let application: ElectronApplication | undefined;
  let windows = 0;
  return {
    profile,
    log,
    async newWindow(folder) {
      await application?.close();
      // What a window remembers is kept with the user's data: each has its own.
      const data = join(profile, `data-${windows++}`);
      mkdirSync(join(data, 'User'), { recursive: true });
      const trust = { 'security.workspace.trust.enabled': workspaceTrust };
      writeFileSync(
        join(data, 'User/settings.json'),
        JSON.stringify({ ...QUIET, ...AS_IN_A_BROWSER, ...trust, ...settings }),
      );
      application = await _electron.launch({
        executablePath: desktop.program,
        args: [
          ...['--user-data-dir', data, ...extensions, '--skip-welcome', '--skip-release-notes'],
          ...['--disable-updates', '--disable-telemetry', '--no-sandbox', '--new-window'],
          ...(workspaceTrust ? [] : ['--disable-workspace-trust']),
          ...(folder === undefined ? [] : [folder]),
        ],
      });
      return application.firstWindow();
    },
    async stop() {
      await application?.close();
      rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
