/**
 * A conversation with the debug adapter, written down as text and compared with a golden file. Numbers that mean
 * nothing are replaced by names; `UPDATE_GOLDEN=1` accepts what was said.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { dirname, resolve } from 'node:path';
import { DebugClient } from '@vscode/debugadapter-testsupport';
import type { DebugProtocol as P } from '@vscode/debugprotocol';
import { afterEach, expect } from 'vitest';
import { serveSockets } from '../../debug-adapter/host/node/adapter.ts';
import type { Requests } from '../../debug-adapter/protocol/connection.ts';
import { startMachineInThread } from './machineInThread.ts';

const root = resolve(import.meta.dirname, '../..');
export const PROGRAMS = resolve(root, 'test/dap/programs');
const GOLDEN = resolve(root, 'test/dap/golden');

/** Events whose number and time depend on how fast the host is. */
const UNTIMED: ReadonlySet<string> = new Set(['hvm/exitsChanged']);
/** Events of text, which arrives in pieces of any size. */
const TEXTS: ReadonlySet<string> = new Set(['output', 'hvm/serialOutput']);

export interface LaunchOptions {
  readonly program: string;
  readonly [attribute: string]: unknown;
}

const open: Conversation[] = [];

afterEach(async () => {
  const ending = open.splice(0);
  const forgotten = ending.filter((conversation) => conversation.wasLogged && !conversation.wasCompared);
  await Promise.all(ending.map((conversation) => conversation.close()));
  expect(forgotten.length, 'conversations that were written down and never compared').toBe(0);
});

export class Conversation {
  readonly client: DebugClient;
  readonly #closeServer: () => void;
  readonly #lines: string[] = [];
  #pendingText: { key: string; text: string } | undefined;
  #disconnected = false;
  wasLogged = false;
  wasCompared = false;

  private constructor(client: DebugClient, closeServer: () => void) {
    this.client = client;
    this.#closeServer = closeServer;
  }

  /** Connects to an adapter of its own. */
  static async start(): Promise<Conversation> {
    const server = serveSockets(startMachineInThread);
    const port = await new Promise<number>((done) =>
      server.listen(0, '127.0.0.1', () => done((server.address() as AddressInfo).port)),
    );
    const client = new DebugClient('node', 'unused', 'hvm');
    takeMessagesOneByOne(client);
    await client.start(port);
    const conversation = new Conversation(client, () => server.close());
    open.push(conversation);
    conversation.#hear();
    return conversation;
  }

  async close(): Promise<void> {
    // A client that has disconnected would wait for an answer that cannot come.
    if (!this.#disconnected) await this.client.stop().catch(() => undefined);
    this.#closeServer();
  }

  /** Sends a request without writing it down. */
  async request<K extends keyof Requests & string>(
    command: K,
    args?: Requests[K][0],
  ): Promise<Requests[K][1]> {
    if (command === 'disconnect') this.#disconnected = true;
    const response = await this.client.customRequest(command, args);
    return response.body as Requests[K][1];
  }

  /** Sends a request and writes down what was asked and answered. */
  async log<K extends keyof Requests & string>(command: K, args?: Requests[K][0]): Promise<Requests[K][1]> {
    this.#note(`-> ${command}${args === undefined ? '' : ` ${show(args)}`}`);
    try {
      const body = await this.request(command, args);
      this.#note(`<- ${command}${body === undefined ? '' : ` ${show(body)}`}`);
      return body;
    } catch (error) {
      this.#note(`<- ${command} failed: ${(error as Error).message}`);
      return undefined as Requests[K][1];
    }
  }

  /** The message of the error a request ends with. */
  async failure<K extends keyof Requests & string>(command: K, args?: Requests[K][0]): Promise<string> {
    return this.request(command, args).then(
      () => {
        throw new Error(`${command} did not fail`);
      },
      (error: Error) => error.message,
    );
  }

  waitFor(event: string): Promise<P.Event> {
    return this.client.waitForEvent(event, 20_000);
  }

  /** Initialize, launch, breakpoints, configurationDone; gives the first stop, or the end of the session. */
  async launch(
    options: LaunchOptions,
    configure: () => Promise<void> = async () => undefined,
  ): Promise<P.Event> {
    await this.initialize();
    const initialized = this.waitFor('initialized');
    const launched = this.request('launch', programOptions(options) as Requests['launch'][0]);
    await Promise.race([initialized, launched]);
    await launched;
    await configure();
    const first = this.stoppedOrEnded();
    await this.request('configurationDone');
    return first;
  }

  initialize(args: Partial<P.InitializeRequestArguments> = {}): Promise<P.Capabilities | undefined> {
    return this.request('initialize', {
      adapterID: 'hvm',
      clientID: 'test',
      linesStartAt1: true,
      columnsStartAt1: true,
      ...args,
    });
  }

  stoppedOrEnded(): Promise<P.Event> {
    return Promise.race([this.waitFor('stopped'), this.waitFor('terminated')]);
  }

  /** Sends a request that makes the machine run and waits for its stop. */
  async runs<K extends 'continue' | 'next' | 'stepIn' | 'stepOut'>(
    command: K,
    args: Partial<Requests[K][0]> = {},
  ): Promise<P.Event> {
    const stopped = this.stoppedOrEnded();
    await this.request(command, { threadId: 1, ...args } as Requests[K][0]);
    return stopped;
  }

  /** `function:line` of the frames, the innermost first. */
  async stack(): Promise<string[]> {
    const { stackFrames } = (await this.request('stackTrace', {
      threadId: 1,
    })) as P.StackTraceResponse['body'];
    return stackFrames.map(({ name, line, source }) => `${name} ${source?.name ?? '?'}:${line}`);
  }

  async evaluate(expression: string, context = 'watch', frameId?: number): Promise<string> {
    const body = await this.request('evaluate', { expression, context, frameId });
    return (body as P.EvaluateResponse['body']).result;
  }

  /** Compares what was written down with test/dap/golden/NAME.txt. */
  compare(name: string): void {
    this.#flushText();
    this.wasCompared = true;
    const path = resolve(GOLDEN, `${name}.txt`);
    const text = `${this.#lines.join('\n')}\n`;
    if (process.env.UPDATE_GOLDEN) {
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, text);
    }
    expect(existsSync(path), `${path} does not exist: UPDATE_GOLDEN=1 makes it`).toBe(true);
    expect(text, 'the conversation has changed: UPDATE_GOLDEN=1 accepts it').toBe(readFileSync(path, 'utf8'));
  }

  /** Writes events down from here on. */
  logEvents(): void {
    this.wasLogged = true;
  }

  #hear(): void {
    const emit = this.client.emit.bind(this.client);
    this.client.emit = (name: string | symbol, ...args: unknown[]) => {
      const event = args[0] as P.Event | undefined;
      if (event?.type === 'event' && event.event === name) this.#event(event);
      return emit(name, ...args);
    };
  }

  #event(event: P.Event): void {
    if (!this.wasLogged || UNTIMED.has(event.event)) return;
    if (TEXTS.has(event.event)) {
      const {
        category = '',
        output,
        text,
      } = event.body as { category?: string; output?: string; text?: string };
      const key = `${event.event} ${category}`.trim();
      if (this.#pendingText?.key !== key) this.#flushText();
      this.#pendingText = { key, text: (this.#pendingText?.text ?? '') + (output ?? text ?? '') };
      return;
    }
    this.#note(`** ${event.event}${event.body === undefined ? '' : ` ${show(event.body)}`}`);
  }

  #flushText(): void {
    const pending = this.#pendingText;
    this.#pendingText = undefined;
    if (pending) this.#lines.push(normalize(`** ${pending.key} ${JSON.stringify(pending.text)}`));
  }

  #note(line: string): void {
    this.wasLogged = true;
    this.#flushText();
    this.#lines.push(normalize(line));
  }
}

/**
 * The promise of a response is kept only after the events that came in the same packet were heard. Each message in a
 * turn of its own keeps the order in which they were sent.
 */
function takeMessagesOneByOne(client: DebugClient): void {
  const receiver = client as unknown as { dispatch(message: string): void };
  const dispatch = receiver.dispatch.bind(client);
  receiver.dispatch = (message) => void setImmediate(() => dispatch(message));
}

/** The attributes of a launch of one of the programs; bare-metal unless said otherwise. */
export function programOptions(options: LaunchOptions): LaunchOptions {
  return { mode: 'bare-metal', memory: '16M', __workspaceFolder: PROGRAMS, ...options };
}

/** A value as people read it: short things on one line. */
function show(value: unknown): string {
  const text = JSON.stringify(value);
  if (text.length <= 120 || typeof value !== 'object' || value === null) return text;
  const inner = Array.isArray(value)
    ? value.map((item) => show(item))
    : Object.entries(value).map(([key, item]) => `${key}: ${show(item)}`);
  const [first, last] = Array.isArray(value) ? '[]' : '{}';
  return `${first}\n${inner.map((line) => line.replace(/^/gm, '  ')).join('\n')}\n${last}`;
}

/** Replaces what differs from run to run and from place to place. */
function normalize(text: string): string {
  return text
    .replaceAll(PROGRAMS, '<programs>')
    .replaceAll(root, '<root>')
    .replace(/"(variablesReference)":[1-9]\d*/g, '"$1":"<reference>"')
    .replace(/"frameId":\d+/g, '"frameId":"<frame>"')
    .replace(/variablesReference: [1-9]\d*/g, 'variablesReference: <reference>');
}
