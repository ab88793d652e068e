/** The machine as the adapter sees it: every call gives a promise. */
import {
  type CallMessage,
  CONTROL_CALLS,
  type MachineCallName,
  type MachineCalls,
  type MachineEvent,
  type MachinePort,
  type ReplyMessage,
  TARGET_CALLS,
} from './port.ts';

export type Machine = {
  readonly [K in MachineCallName]: (
    ...args: Parameters<MachineCalls[K]>
  ) => Promise<ReturnType<MachineCalls[K]>>;
};

export interface MachineConnection {
  readonly machine: Machine;
  /** The thread is gone; calls that wait fail with this reason. */
  lost(reason: string): void;
  close(): void;
}

/** Connects to a machine's thread. */
export function connectMachine(port: MachinePort, onEvent: (event: MachineEvent) => void): MachineConnection {
  const waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
  let lastId = 0;
  let lostReason: string | undefined;
  let closed = false;

  port.onMessage((message) => {
    const reply = message as ReplyMessage;
    if (reply.kind === 'event') {
      onEvent(reply);
      return;
    }
    const call = waiting.get(reply.id);
    waiting.delete(reply.id);
    if (reply.kind === 'result') call?.resolve(reply.value);
    else call?.reject(namedError(reply.name, reply.message));
  });

  const call = (name: MachineCallName, args: readonly unknown[]): Promise<unknown> =>
    new Promise((resolve, reject) => {
      if (lostReason !== undefined) {
        reject(namedError('MachineLost', lostReason));
        return;
      }
      const id = ++lastId;
      waiting.set(id, { resolve, reject });
      port.post({ kind: 'call', id, name, args } satisfies CallMessage);
    });

  const names: readonly MachineCallName[] = [...CONTROL_CALLS, ...TARGET_CALLS];
  const machine = Object.fromEntries(names.map((name) => [name, (...args: unknown[]) => call(name, args)]));
  return {
    machine: machine as unknown as Machine,
    lost(reason) {
      if (lostReason !== undefined) return;
      lostReason = reason;
      if (!closed) onEvent({ event: 'lost', reason });
      for (const { reject } of waiting.values()) reject(namedError('MachineLost', reason));
      waiting.clear();
    },
    close() {
      closed = true;
      port.close();
    },
  };
}

function namedError(name: string, message: string): Error {
  const error = new Error(message);
  error.name = name;
  return error;
}
