import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DebugProtocol as P } from '@vscode/debugprotocol';
import { describe, expect, it } from 'vitest';
import { serveSockets } from '../../debug-adapter/host/node/adapter.ts';
import { Conversation, PROGRAMS, programOptions } from '../support/dapConversation.ts';
import { startMachineInThread } from '../support/machineInThread.ts';

async function spinning(): Promise<Conversation> {
  const talk = await Conversation.start();
  await talk.initialize();
  await talk.request('launch', programOptions({ program: 'spin.elf' }) as never);
  await talk.request('configurationDone');
  return talk;
}

const milliseconds = (duration: number) => new Promise((done) => setTimeout(done, duration));

describe('a program that runs', () => {
  it('is paused', async () => {
    const talk = await spinning();
    await milliseconds(50);
    const stopped = talk.waitFor('stopped');
    const asked = performance.now();
    await talk.request('pause', { threadId: 1 });
    expect((await stopped).body).toMatchObject({ reason: 'pause', threadId: 1 });
    expect(performance.now() - asked).toBeLessThan(1000);
    expect((await talk.stack())[0]).toMatch(/^_start spin\.S:[67]$/);
    const first = BigInt(await talk.evaluate('rax'));
    expect(first).toBeGreaterThan(0n);
    await talk.request('continue', { threadId: 1 });
    await milliseconds(20);
    const again = talk.waitFor('stopped');
    await talk.request('pause', { threadId: 1 });
    await again;
    expect(BigInt(await talk.evaluate('rax'))).toBeGreaterThan(first);
  });

  it('shows its memory, and refuses what needs it at rest', async () => {
    const talk = await spinning();
    const body = await talk.request('readMemory', { memoryReference: 'gpa:0x100000', count: 2 });
    expect(Buffer.from(body?.data ?? '', 'base64')).toEqual(Buffer.from([0x31, 0xc0]));
    for (const [command, args] of [
      ['stackTrace', { threadId: 1 }],
      ['continue', { threadId: 1 }],
      ['next', { threadId: 1 }],
      ['evaluate', { expression: 'rax' }],
    ] as const)
      expect(await talk.failure(command, args as never)).toBe('The machine is running: pause it first.');
  });

  it('takes new breakpoints', async () => {
    const talk = await spinning();
    const stopped = talk.waitFor('stopped');
    await talk.request('setBreakpoints', {
      source: { path: `${PROGRAMS}/spin.S` },
      breakpoints: [{ line: 7 }],
    });
    expect((await stopped).body).toMatchObject({ reason: 'breakpoint' });
  });

  it('stops at maxInstructions with the status of the command line', async () => {
    const talk = await Conversation.start();
    const exited = talk.waitFor('exited');
    const end = await talk.launch({ program: 'spin.elf', maxInstructions: 1000 });
    expect(end.event).toBe('terminated');
    expect((await exited).body).toEqual({ exitCode: 124 });
  });

  it('is terminated', async () => {
    const talk = await spinning();
    const terminated = talk.waitFor('terminated');
    await talk.request('terminate');
    await terminated;
    expect(await talk.failure('stackTrace', { threadId: 1 })).toContain('No machine');
  });
});

describe('restart', () => {
  it('of a running program is no stop of it', async () => {
    const talk = await Conversation.start();
    await talk.launch({ program: 'spin.elf', stopOnEntry: true });
    await talk.request('continue', { threadId: 1 });
    let stops = 0;
    talk.client.on('stopped', () => {
      stops++;
    });
    await talk.request('restart', {});
    await talk.waitFor('stopped');
    await talk.request('continue', { threadId: 1 });
    await talk.request('pause', { threadId: 1 });
    await talk.waitFor('stopped');
    expect(stops).toBe(2);
  });

  it('reads the program again and binds the breakpoints again', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'hvm-restart-'));
    try {
      copyFileSync(join(PROGRAMS, 'spin.elf'), join(folder, 'program.elf'));
      const talk = await Conversation.start();
      await talk.launch(
        { program: 'program.elf', stopOnEntry: true, __workspaceFolder: folder },
        async () => {
          const { breakpoints } = await talk.request('setFunctionBreakpoints', {
            breakpoints: [{ name: 'square' }],
          });
          expect(breakpoints[0].verified).toBe(false);
        },
      );
      copyFileSync(join(PROGRAMS, 'tour.elf'), join(folder, 'program.elf'));
      const changed = talk.waitFor('breakpoint');
      const stopped = talk.waitFor('stopped');
      await talk.request('restart', {
        arguments: programOptions({ program: 'program.elf', __workspaceFolder: folder }) as never,
      });
      expect((await changed).body).toMatchObject({ reason: 'changed', breakpoint: { verified: true } });
      expect((await stopped).body).toMatchObject({ reason: 'function breakpoint' });
      expect(await talk.evaluate('counter')).toBe('0');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('without arguments starts the same program again, also while it runs', async () => {
    const talk = await spinning();
    const stopped = talk.waitFor('stopped');
    await talk.request('setFunctionBreakpoints', { breakpoints: [{ name: 'again' }] });
    await stopped;
    await talk.request('continue', { threadId: 1 });
    await talk.request('restart');
    await talk.waitFor('stopped');
    expect(await talk.evaluate('rax')).toBe('0x0');
  });

  it('that cannot be leaves the session as it is', async () => {
    const talk = await Conversation.start();
    await talk.launch({ program: 'tour.elf', stopOnEntry: true });
    expect(
      await talk.failure('restart', { arguments: programOptions({ program: 'missing.elf' }) as never }),
    ).toContain('there is no such file');
    expect((await talk.stack())[0]).toMatch(/^_start/);
  });
});

describe('a failure', () => {
  it('stops where the processor shuts down, and says so', async () => {
    const talk = await Conversation.start();
    talk.logEvents();
    const first = await talk.launch({ program: 'triple.elf' }, async () => {
      await talk.request('setExceptionBreakpoints', { filters: ['triple-fault'] });
    });
    expect(first.event).toBe('stopped');
    await talk.log('exceptionInfo', { threadId: 1 });
    expect(await talk.failure('continue', { threadId: 1 })).toMatch(
      /^The machine has stopped for good \(triple fault/,
    );
    talk.compare('tripleFault');
  });

  it('without the filter ends the session with status 4', async () => {
    const talk = await Conversation.start();
    const exited = talk.waitFor('exited');
    const end = await talk.launch({ program: 'triple.elf' }, async () => {
      await talk.request('setExceptionBreakpoints', { filters: [] });
    });
    expect(end.event).toBe('terminated');
    expect((await exited).body).toEqual({ exitCode: 4 });
  });

  it('exceptionInfo without one is refused', async () => {
    const talk = await Conversation.start();
    await talk.launch({ program: 'tour.elf', stopOnEntry: true });
    expect(await talk.failure('exceptionInfo', { threadId: 1 })).toBe(
      'The machine has not stopped because of an error.',
    );
  });

  it('with noDebug nothing stops the program', async () => {
    const talk = await Conversation.start();
    const exited = talk.waitFor('exited');
    const end = await talk.launch({ program: 'tour.elf', noDebug: true, stopOnEntry: true }, async () => {
      await talk.request('setFunctionBreakpoints', { breakpoints: [{ name: 'square' }] });
    });
    expect(end.event).toBe('terminated');
    expect((await exited).body).toEqual({ exitCode: 7 });
  });
});

describe('serial output', () => {
  async function textOf(
    event: 'output' | 'hvm/serialOutput',
    clientID: string,
    options: Record<string, unknown>,
  ): Promise<string> {
    const talk = await Conversation.start();
    let text = '';
    talk.client.on(event, ({ body }: { body: { output?: string; text?: string } }) => {
      text += body.output ?? body.text ?? '';
    });
    await talk.initialize({ clientID });
    await talk.request('launch', programOptions({ program: 'tour.elf', ...options }) as never);
    const ended = talk.waitFor('terminated');
    await talk.request('configurationDone');
    await ended;
    return text;
  }

  it('goes to the terminal of the extension', async () => {
    expect(await textOf('hvm/serialOutput', 'vscode', {})).toBe('Hello\nBye\n');
  });

  it('goes to the debug console of other clients', async () => {
    expect(await textOf('output', 'neovim', {})).toBe('Hello\nBye\n');
  });

  it('goes where "serial" says', async () => {
    expect(await textOf('output', 'vscode', { serial: 'debugConsole' })).toBe('Hello\nBye\n');
    expect(await textOf('output', 'vscode', { serial: 'none' })).toBe('');
    const folder = mkdtempSync(join(tmpdir(), 'hvm-serial-'));
    try {
      await textOf('output', 'vscode', {
        program: join(PROGRAMS, 'tour.elf'),
        serial: { file: 'serial.log' },
        __workspaceFolder: folder,
      });
      expect(readFileSync(join(folder, 'serial.log'), 'utf8')).toBe('Hello\nBye\n');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe('the connection', () => {
  it('a request can be cancelled while it waits', async () => {
    const talk = await Conversation.start();
    await talk.initialize();
    const launch = talk.request(
      'launch',
      programOptions({ program: 'tour.elf', stopOnEntry: true }) as never,
    );
    const threads = talk.failure('threads');
    // DebugClient numbers its requests from 1 on: initialize, launch, threads.
    await talk.request('cancel', { requestId: 3 });
    expect(await threads).toBe('cancelled');
    await launch;
  });

  it('is closed when a web page knocks', async () => {
    const server = serveSockets(startMachineInThread);
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    const { port } = server.address() as AddressInfo;
    const answer = await new Promise<string>((done) => {
      let text = '';
      const socket = connect(port, '127.0.0.1');
      socket.on('data', (chunk) => {
        text += String(chunk);
      });
      socket.on('close', () => done(text));
      socket.on('error', () => undefined);
      socket.write(
        'POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 60\r\n\r\n{"seq":1,"type":"request","command":"initialize"}',
      );
    });
    expect(answer).toBe('');
    server.close();
  });

  it('writes the conversation down when "trace" says so', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'hvm-trace-'));
    try {
      const talk = await Conversation.start();
      await talk.launch({
        program: join(PROGRAMS, 'tour.elf'),
        stopOnEntry: true,
        trace: true,
        __workspaceFolder: folder,
      });
      await talk.request('threads');
      await milliseconds(50);
      const lines = readFileSync(join(folder, 'hvm-dap.log'), 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as P.Request & { dap: string });
      expect(lines.map(({ dap, command }) => `${dap} ${command ?? 'event'}`)).toContain('-> threads');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
