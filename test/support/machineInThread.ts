/** A machine in the test's own thread, behind the same messages as in a worker. */
import { MessageChannel } from 'node:worker_threads';
import { connectMachine, type MachineConnection } from '../../debug-adapter/machine/client.ts';
import type { MachineEvent, MachinePort } from '../../debug-adapter/machine/port.ts';
import { serveMachine, type TargetFactory } from '../../debug-adapter/machine/server.ts';
import { createDebugTarget } from '../../emulator/index.ts';
import { interpreterModule } from './bareProcessor.ts';

export function startMachineInThread(
  onEvent: (event: MachineEvent) => void,
  createTarget: TargetFactory = createDebugTarget,
): MachineConnection {
  const { port1, port2 } = new MessageChannel();
  const portOf = (port: typeof port1): MachinePort => ({
    post: (message) => port.postMessage(message),
    onMessage: (listener) => port.on('message', listener),
    close: () => port.close(),
  });
  serveMachine(portOf(port1), createTarget, {
    interpreter: interpreterModule(),
    now: () => performance.now(),
    schedule: setImmediate,
  });
  return connectMachine(portOf(port2), onEvent);
}
