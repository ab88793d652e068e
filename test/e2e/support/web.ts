/** VS Code's server on this machine, with its windows in a browser. */
import type { BrowserContext } from 'playwright-core';
import { newContext, startBrowser } from './browser.ts';
import type { Host } from './host.ts';
import { type ServerOptions, startServer } from './server.ts';

export interface WebHost extends Host {
  /** The server's process. */
  readonly pid: number;
}

export async function startWeb(options: ServerOptions): Promise<WebHost> {
  const server = await startServer(options);
  const browser = await startBrowser();
  let context: BrowserContext | undefined;
  const { profile, log, pid, port } = server;
  return {
    profile,
    log,
    pid,
    async newWindow(folder) {
      await context?.close();
      context = await newContext(browser);
      const page = await context.newPage();
      const url = new URL(`http://127.0.0.1:${port}/`);
      // Without a folder it would be the last one.
      if (folder === undefined) url.searchParams.set('ew', 'true');
      else url.searchParams.set('folder', folder);
      await page.goto(url.href);
      return page;
    },
    async stop() {
      await browser.close();
      await server.stop();
    },
  };
}
