/** Starts the machine's worker thread. */
import { Worker } from 'node:worker_threads';
import { connectMachine, type MachineConnection } from '../../machine/client.ts';
import type { MachineEvent, MachinePort } from '../../machine/port.ts';

type StartMachine = (onEvent: (event: MachineEvent) => void) => MachineConnection;

/** `script` is the bundle of machineWorker.ts. */
export function startMachineWorker(script: URL, onEvent: (event: MachineEvent) => void): MachineConnection {
  return prepareMachineWorker(script)(onEvent);
}

/** For one machine: its thread loads while the debugger still says what to launch, and keeps no process alive until then. */
export function prepareMachineWorker(script: URL): StartMachine {
  const worker = new Worker(script);
  worker.unref();
  let lost: string | undefined;
  let tell = (reason: string): void => {
    lost ??= reason;
  };
  worker.on('error', (error) => tell(error.message));
  worker.on('exit', () => tell('its thread has ended'));
  return (onEvent) => {
    worker.ref();
    const port: MachinePort = {
      post: (message) => worker.postMessage(message),
      onMessage: (listener) => worker.on('message', listener),
      close: () => void worker.terminate(),
    };
    const connection = connectMachine(port, onEvent);
    const reason = lost;
    if (reason !== undefined) setImmediate(() => connection.lost(reason));
    tell = (why) => connection.lost(why);
    return connection;
  };
}
