/**
 * One conversation: takes requests in, gives responses and events out. Knows no transport. Requests are handled one
 * after the other in the order of arrival, so that a breakpoint set before `continue` is there when the machine runs;
 * those named `immediate` do not wait.
 *
 * The only place where an error becomes a failed response.
 */
import type { DebugProtocol as P } from '@vscode/debugprotocol';
import { type DapError, dapError, toDapError } from '../errors.ts';
import type { CustomEvents, CustomRequests } from './custom.ts';
import type { StandardEvents, StandardRequests } from './standard.ts';

export type Requests = StandardRequests & CustomRequests;
export type Events = StandardEvents & CustomEvents;

/** Says whether the client has cancelled the request being handled. */
export interface CancellationToken {
  readonly cancelled: boolean;
}

export type RequestHandler<K extends keyof Requests> = (
  args: Requests[K][0],
  token: CancellationToken,
) => Requests[K][1] | Promise<Requests[K][1]>;

export type RequestHandlers = { readonly [K in keyof Requests]: RequestHandler<K> };

type AnyHandler = (args: unknown, token: CancellationToken) => unknown;

export interface ConnectionOptions {
  readonly handlers: RequestHandlers;
  /** Answered at once, even while another request is being handled. */
  readonly immediate: readonly (keyof Requests)[];
  /** Called with every message, in and out. */
  readonly trace?: (direction: '->' | '<-', message: P.ProtocolMessage) => void;
}

export class Connection {
  readonly #options: ConnectionOptions;
  readonly #send: (message: P.ProtocolMessage) => void;
  readonly #tokens = new Map<number, { cancelled: boolean }>();
  #sequence = 1;
  #queue: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(options: ConnectionOptions, send: (message: P.ProtocolMessage) => void) {
    this.#options = options;
    this.#send = send;
  }

  /** Takes one message from the client. */
  receive(message: P.ProtocolMessage): void {
    this.#options.trace?.('->', message);
    if (message.type !== 'request') return;
    const request = message as P.Request;
    const token = { cancelled: false };
    this.#tokens.set(request.seq, token);
    if (this.#options.immediate.includes(request.command as keyof Requests))
      void this.#handle(request, token);
    else this.#queue = this.#queue.then(() => this.#handle(request, token));
  }

  /** Marks a request as cancelled; one that has not begun is answered without being handled. */
  cancel(requestId: number): void {
    const token = this.#tokens.get(requestId);
    if (token) token.cancelled = true;
  }

  event<K extends keyof Events>(event: K, body: Events[K]): void {
    const message: P.Event = { seq: 0, type: 'event', event, ...(body !== undefined && { body }) };
    this.#post(message);
  }

  /** Nothing is sent from here on. */
  close(): void {
    this.#closed = true;
  }

  async #handle(request: P.Request, token: { cancelled: boolean }): Promise<void> {
    try {
      if (token.cancelled) throw dapError('cancelled');
      const handlers = this.#options.handlers as Readonly<Record<string, AnyHandler>>;
      if (!Object.hasOwn(handlers, request.command))
        throw dapError('unknownRequest', { command: request.command });
      const body = await handlers[request.command](request.arguments, token);
      if (token.cancelled) throw dapError('cancelled');
      this.#respond(request, { success: true, ...(body !== undefined && { body }) });
    } catch (error) {
      this.#fail(request, toDapError(error));
    } finally {
      this.#tokens.delete(request.seq);
    }
  }

  #fail(request: P.Request, error: DapError): void {
    const { code, format, variables, showUser } = error;
    const body = { error: { id: code, format, variables, showUser } };
    // VS Code knows a cancelled request by this very message.
    this.#respond(request, {
      success: false,
      message: error.isCancelled ? 'cancelled' : error.message,
      body,
    });
  }

  #respond(request: P.Request, result: { success: boolean; message?: string; body?: unknown }): void {
    const { seq, command } = request;
    this.#post({ seq: 0, type: 'response', request_seq: seq, command, ...result } as P.Response);
  }

  #post(message: P.ProtocolMessage): void {
    if (this.#closed) return;
    message.seq = this.#sequence++;
    this.#options.trace?.('<-', message);
    this.#send(message);
  }
}
