/** VS Code's server with a fresh profile: own settings, own extensions, own home folder, nothing of the machine's user. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Installation {
  /** The Node that the server wants, and its main module. */
  readonly node: string;
  readonly main: string;
}

export type Settings = Readonly<Record<string, unknown>>;

/** What keeps the workbench still and offline. Nothing here changes how debugging works. */
export const QUIET: Settings = {
  'workbench.startupEditor': 'none',
  'workbench.welcomePage.walkthroughs.openOnInstall': false,
  'workbench.tips.enabled': false,
  'workbench.enableExperiments': false,
  'workbench.secondarySideBar.defaultVisibility': 'hidden',
  'chat.disableAIFeatures': true,
  'chat.commandCenter.enabled': false,
  'telemetry.telemetryLevel': 'off',
  'update.mode': 'none',
  'extensions.autoUpdate': false,
  'extensions.autoCheckUpdates': false,
  'extensions.ignoreRecommendations': true,
  'git.enabled': false,
  // The server would look for open ports all the time, in the extension host.
  'remote.autoForwardPorts': false,
  // Rows of text instead of a canvas.
  'terminal.integrated.gpuAcceleration': 'off',
};

export interface ServerOptions {
  readonly installation: Installation;
  readonly extension: string;
  readonly settings?: Settings;
  /** Asks whether a folder is trusted, as a desktop does. */
  readonly workspaceTrust?: boolean;
}

export interface Server {
  readonly port: number;
  /** Holds everything that the server and its windows write. */
  readonly profile: string;
  readonly log: string;
  readonly pid: number;
  configure(settings: Settings): void;
  stop(): Promise<void>;
}

const START_TIMEOUT = 60_000;
const STOP_TIMEOUT = 10_000;

export async function startServer(options: ServerOptions): Promise<Server> {
  const { installation, extension, workspaceTrust = false } = options;
  const profile = mkdtempSync(join(tmpdir(), 'hvm-vscode-'));
  const log = join(profile, 'server.log');
  const user = join(profile, 'data/User');
  for (const folder of [user, join(profile, 'extensions'), join(profile, 'home')])
    mkdirSync(folder, { recursive: true });

  const configure = (settings: Settings): void =>
    writeFileSync(join(user, 'settings.json'), JSON.stringify({ ...QUIET, ...settings }, undefined, 2));
  configure({ 'security.workspace.trust.enabled': workspaceTrust, ...options.settings });

  const flags = [
    ...['--host', '127.0.0.1', '--port', '0', '--without-connection-token', '--accept-server-license-terms'],
    ...['--server-data-dir', profile, '--extensions-dir', join(profile, 'extensions')],
    ...['--telemetry-level', 'off', '--log', 'info'],
    ...(workspaceTrust ? [] : ['--disable-workspace-trust']),
  ];
  const output = createWriteStream(log);
  const run = (...more: readonly string[]): ChildProcess => {
    const child = spawn(installation.node, [installation.main, ...flags, ...more], {
      cwd: profile,
      env: { PATH: process.env.PATH, HOME: join(profile, 'home'), LANG: 'C.UTF-8', SHELL: '/bin/sh' },
      stdio: ['ignore', 'pipe', 'pipe'],
      // A group of its own, so that its extension hosts can be ended with it.
      detached: true,
    });
    child.stdout?.pipe(output, { end: false });
    child.stderr?.pipe(output, { end: false });
    return child;
  };

  const [status] = await once(run('--install-extension', extension, '--force'), 'exit');
  if (status !== 0) throw new Error(`${extension} cannot be installed: status ${status}, see ${log}`);

  const child = run();
  const exited = once(child, 'exit');
  const port = await listening(child);
  return {
    port,
    profile,
    log,
    pid: child.pid!,
    configure: (settings) =>
      configure({ 'security.workspace.trust.enabled': workspaceTrust, ...options.settings, ...settings }),
    async stop() {
      signal(child, 'SIGTERM');
      const timer = setTimeout(() => signal(child, 'SIGKILL'), STOP_TIMEOUT);
      await exited;
      clearTimeout(timer);
      signal(child, 'SIGKILL');
      output.end();
      rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** To the whole group; a group that is gone is what we want. */
function signal({ pid }: ChildProcess, name: NodeJS.Signals): void {
  try {
    process.kill(-pid!, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function listening(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    let seen = '';
    const timer = setTimeout(() => reject(new Error(`The server did not start: ${seen}`)), START_TIMEOUT);
    const read = (data: Buffer): void => {
      seen += data.toString();
      const port = /Web UI available at http:\/\/[^:]+:(\d+)/.exec(seen)?.[1];
      if (port === undefined) return;
      clearTimeout(timer);
      child.stdout?.off('data', read);
      resolve(Number(port));
    };
    child.stdout?.on('data', read);
    child.on('exit', (status) => {
      clearTimeout(timer);
      reject(new Error(`The server ended with status ${status}: ${seen}`));
    });
  });
}
