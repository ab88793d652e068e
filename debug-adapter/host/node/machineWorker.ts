/** The worker thread that runs the machine: hosts it behind the thread's message port. */
import { parentPort } from 'node:worker_threads';
import { createDebugTarget } from '../../../emulator/index.ts';
import { serveMachine } from '../../machine/server.ts';
import { loadInterpreter } from './interpreter.ts';

const port = parentPort;
if (port === null) throw new Error('this is the script of a worker thread');

serveMachine(
  {
    post: (message) => port.postMessage(message),
    onMessage: (listener) => port.on('message', listener),
    close: () => port.close(),
  },
  createDebugTarget,
  { interpreter: loadInterpreter(), now: () => performance.now(), schedule: setImmediate },
);
