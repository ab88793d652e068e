/** The debug adapter in Node: on standard input and output, or on a port of 127.0.0.1. */

import { createServer, type Server, type Socket } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import { DebugSession, type Trace, traceLine } from '../../session.ts';
import type { AdapterHost } from '../adapterHost.ts';
import { nodeFiles, openOutput } from './files.ts';
import { FramingError, frameMessage, MessageReader } from './framing.ts';
import { inflate } from './inflate.ts';
import { prepareMachineWorker, startMachineWorker } from './machineClient.ts';

export interface AdapterOptions {
  /** Serve on this port of 127.0.0.1 (0: any free one) instead of standard input and output. */
  readonly port?: number;
  /** Log the conversation to this file, or to standard error when it is empty. */
  readonly trace?: string;
}

const WORKER_SCRIPT = new URL('./machineWorker.js', import.meta.url);

/** Everything of the host but the end of the process, which only a session of its own may bring about. */
export function nodeHost(exit: () => void, startMachine: AdapterHost['startMachine']): AdapterHost {
  return {
    files: nodeFiles,
    currentFolder: process.cwd(),
    inflate,
    startMachine,
    after(milliseconds, callback) {
      const timer = setTimeout(callback, milliseconds);
      return () => clearTimeout(timer);
    },
    exit,
  };
}

function openTrace(file: string | undefined): Trace | undefined {
  if (file === undefined) return undefined;
  const out = file === '' ? { write: (text: string) => void process.stderr.write(text) } : openOutput(file);
  return (direction, message) => out.write(traceLine(direction, message));
}

/** Holds a conversation over a pair of streams. */
export function serveStreams(
  input: Readable,
  output: Writable,
  host: AdapterHost,
  trace?: Trace,
): DebugSession {
  const session = new DebugSession(host, (message) => void output.write(frameMessage(message)), trace);
  const reader = new MessageReader();
  input.on('data', (chunk: Buffer) => {
    try {
      for (const message of reader.read(chunk)) session.receive(message);
    } catch (error) {
      if (!(error instanceof FramingError)) throw error;
      input.destroy();
      output.end();
      void session.close();
    }
  });
  input.on('close', () => void session.close());
  return session;
}

/** Serves sessions on a port of this computer, one for each connection. */
export function serveSockets(startMachine: AdapterHost['startMachine'], trace?: Trace): Server {
  // Messages are small and each is waited for: none may wait for a full packet.
  return createServer({ noDelay: true }, (socket: Socket) => {
    socket.on('error', () => socket.destroy());
    serveStreams(
      socket,
      socket,
      nodeHost(() => socket.end(), startMachine),
      trace,
    );
  });
}

/** Starts the adapter. */
export function startAdapter(options: AdapterOptions, workerScript: URL = WORKER_SCRIPT): void {
  const trace = openTrace(options.trace);
  const startMachine: AdapterHost['startMachine'] = (onEvent) => startMachineWorker(workerScript, onEvent);
  if (options.port === undefined) {
    let prepared: typeof startMachine | undefined = prepareMachineWorker(workerScript);
    const host = nodeHost(
      () => process.exit(0),
      (onEvent) => {
        const start = prepared ?? startMachine;
        prepared = undefined;
        return start(onEvent);
      },
    );
    serveStreams(process.stdin, process.stdout, host, trace);
    process.stdin.on('close', () => process.exit(0));
    return;
  }
  const server = serveSockets(startMachine, trace);
  server.on('error', (error) => {
    process.stderr.write(`hvm dap: cannot listen on port ${options.port}: ${error.message}\n`);
    process.exit(2);
  });
  server.listen(options.port, '127.0.0.1', () => {
    const address = server.address();
    if (typeof address === 'object' && address)
      process.stderr.write(`listening on 127.0.0.1:${address.port}\n`);
  });
}
