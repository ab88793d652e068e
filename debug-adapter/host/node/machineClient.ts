/** Starts the machine's worker thread. */
import { Worker } from 'node:worker_threads';
import { connectMachine, type MachineConnection } from '../../machine/client.ts';
import type { MachineEvent, MachinePort } from '../../machine/port.ts';

/** `script` is the bundle of machineWorker.ts. */
export function startMachineWorker(script: URL, onEvent: (event: MachineEvent) => void): MachineConnection {
  const worker = new Worker(script);
  const port: MachinePort = {
    post: (message) => worker.postMessage(message),
    onMessage: (listener) => worker.on('message', listener),
    close: () => void worker.terminate(),
  };
  const connection = connectMachine(port, onEvent);
  worker.on('error', (error) => connection.lost(error.message));
  worker.on('exit', () => connection.lost('its thread has ended'));
  return connection;
}
