/** The adapter as VS Code starts it: a process of its own, with the machine in a worker thread. */
import { spawnSync } from 'node:child_process';
import { join, resolve } from 'node:path';
import { DebugClient } from '@vscode/debugadapter-testsupport';
import type { DebugProtocol as P } from '@vscode/debugprotocol';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { buildIfOutdated } from '../../scripts/support/setup.mjs';
import { PROGRAMS } from '../support/dapConversation.ts';

const ADAPTER = resolve(import.meta.dirname, '../../dist/adapter.js');
const clients: DebugClient[] = [];

beforeAll(() => buildIfOutdated());
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.stop().catch(() => undefined)));
});

async function start(): Promise<DebugClient> {
  const client = new DebugClient('node', ADAPTER, 'hvm');
  clients.push(client);
  await client.start();
  await client.initializeRequest({ adapterID: 'hvm', clientID: 'vscode' });
  return client;
}

async function launch(client: DebugClient, program: string, options: object = {}): Promise<void> {
  await client.launchRequest({
    program: join(PROGRAMS, program),
    memory: '16M',
    ...options,
  } as P.LaunchRequestArguments);
}

describe('the adapter process', () => {
  it('starts by `require`, as VS Code does it on a desktop', () => {
    const request = JSON.stringify({ seq: 1, type: 'request', command: 'initialize', arguments: {} });
    const { stdout, stderr } = spawnSync(process.execPath, ['-e', 'require(process.argv[1])', ADAPTER], {
      encoding: 'utf8',
      input: `Content-Length: ${request.length}\r\n\r\n${request}`,
    });
    expect(stderr).toBe('');
    expect(stdout).toContain('"command":"initialize","success":true');
  });

  it('runs a program to its end', async () => {
    const client = await start();
    let text = '';
    client.on('hvm/serialOutput', ({ body }: { body: { text: string } }) => {
      text += body.text;
    });
    await launch(client, 'tour.elf');
    const exited = client.waitForEvent('exited');
    await client.configurationDoneRequest();
    expect((await exited).body).toEqual({ exitCode: 7 });
    expect(text).toBe('Hello\nBye\n');
  });

  it.each(['bare-metal', 'guest'])('answers a pause in less than 50 ms in mode %s', async (mode) => {
    const client = await start();
    await launch(client, 'spin.elf', { mode });
    await client.configurationDoneRequest();
    await new Promise((done) => setTimeout(done, 300));
    const durations: number[] = [];
    for (let i = 0; i < 10; i++) {
      const stopped = client.waitForEvent('stopped');
      const asked = performance.now();
      await client.pauseRequest({ threadId: 1 });
      await stopped;
      durations.push(performance.now() - asked);
      await client.continueRequest({ threadId: 1 });
      await new Promise((done) => setTimeout(done, 20));
    }
    durations.sort((a, b) => a - b);
    expect(durations[5], durations.map(Math.round).join()).toBeLessThan(50);
  });

  it('reads memory while the program runs', async () => {
    const client = await start();
    await launch(client, 'spin.elf');
    await client.configurationDoneRequest();
    const asked = performance.now();
    for (let i = 0; i < 20; i++) {
      const { body } = await client.customRequest('readMemory', { memoryReference: '0x100000', count: 16 });
      expect((body as P.ReadMemoryResponse['body'])?.data).toMatch(/^McBI/);
    }
    expect((performance.now() - asked) / 20).toBeLessThan(50);
  });

  it('a condition that never holds costs no message', async () => {
    const client = await start();
    await launch(client, 'spin.elf', { mode: 'bare-metal' });
    await client.setFunctionBreakpointsRequest({
      breakpoints: [{ name: 'again', condition: 'rax == 20000' }],
    });
    const stopped = client.waitForEvent('stopped', 20_000);
    const began = performance.now();
    await client.configurationDoneRequest();
    await stopped;
    expect(performance.now() - began).toBeLessThan(10_000);
    const { body } = await client.evaluateRequest({ expression: 'rax' });
    expect(body.result).toBe('0x4e20');
  });

  it('a launch that fails leaves a session that can be ended', async () => {
    const client = await start();
    await expect(launch(client, 'missing.elf')).rejects.toThrow('there is no such file');
    await client.disconnectRequest({});
    clients.length = 0;
  });
});
