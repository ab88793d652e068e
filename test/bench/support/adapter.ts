/** A debug adapter in a process of its own, as VS Code starts it. */
import { join } from 'node:path';
import { DebugClient } from '@vscode/debugadapter-testsupport';
import { repository } from './hvm.ts';

/** Milliseconds in which anything happens that ever does. */
export const LONGEST = 20_000;

export const helloGuest = join(repository, 'samples/hello-guest/hello-guest.elf');

/** Launches the program; `use` gets the client once the machine runs or, with `runToEntryPoint`, stands there. */
export async function withAdapter<T>(
  launch: { readonly program: string; readonly [attribute: string]: unknown },
  use: (client: DebugClient) => Promise<T>,
): Promise<T> {
  const client = new DebugClient(process.execPath, join(repository, 'dist/adapter.js'), 'hvm');
  await client.start();
  try {
    await client.initializeRequest({ adapterID: 'hvm', linesStartAt1: true, columnsStartAt1: true });
    const launched = client.customRequest('launch', launch);
    await client.waitForEvent('initialized', LONGEST);
    const stopped =
      launch.runToEntryPoint === undefined ? undefined : client.waitForEvent('stopped', LONGEST);
    await client.configurationDoneRequest();
    await launched;
    await stopped;
    return await use(client);
  } finally {
    await client.stop();
  }
}
