/** The machine's end of the port: makes machines, calls them, and decides at breakpoints whether to stop. */
import type { DebugTarget, DebugTargetHost, MachineConfig } from '../../emulator/index.ts';
import { BreakpointRules } from '../breakpoints/rules.ts';
import {
  type CallMessage,
  CONTROL_CALLS,
  type MachineEvent,
  type MachinePort,
  type ReplyMessage,
  TARGET_CALLS,
} from './port.ts';
import { targetScope } from './targetScope.ts';

export type TargetFactory = (config: MachineConfig, host: DebugTargetHost) => DebugTarget;

/** What the thread gives to every machine. */
export type MachineEnvironment = Pick<DebugTargetHost, 'interpreter' | 'now' | 'schedule'>;

/** Serves machines that `createTarget` makes. */
export function serveMachine(
  port: MachinePort,
  createTarget: TargetFactory,
  environment: MachineEnvironment,
): void {
  const send = (message: ReplyMessage): void => port.post(message);
  const emit = (event: MachineEvent): void => send({ kind: 'event', ...event });
  const rules = new BreakpointRules({
    message: (breakpoint, text, failed) => emit({ event: 'message', breakpoint, text, failed }),
  });
  const serial = new SerialBatch((bytes) => emit({ event: 'serialOutput', bytes }), environment.schedule);
  let target: DebugTarget | undefined;

  /** A machine that was replaced must not be heard any more. */
  const create = (config: MachineConfig): void => {
    const before = target;
    const isCurrent = () => made === target;
    const made: DebugTarget = createTarget(config, {
      ...environment,
      serialOutput: (bytes) => {
        if (isCurrent()) serial.add(bytes);
      },
      log: (level, component, message) => emit({ event: 'log', level, component, message }),
      stopsAt: (reached, vcpu) => rules.stopping(reached, () => targetScope(made, vcpu)),
      stopped(stop) {
        if (!isCurrent()) return;
        serial.flush();
        emit({ event: 'stopped', stop });
      },
    });
    target = made;
    rules.resetCounts();
    // It is not current any more: nobody hears of this stop.
    if (before?.isRunning()) before.pause();
  };

  const call = ({ name, args }: CallMessage): unknown => {
    if (name === 'create') return create(args[0] as MachineConfig);
    if (name === 'setBreakpointRules') return rules.set(args[0] as Parameters<BreakpointRules['set']>[0]);
    if (!(TARGET_CALLS as readonly string[]).includes(name)) throw new Error(`no such call: ${String(name)}`);
    if (target === undefined) throw new Error(`${name} before a machine was made (${CONTROL_CALLS[0]})`);
    const method = target[name] as (...values: readonly unknown[]) => unknown;
    return method.apply(target, args as unknown[]);
  };

  port.onMessage((received) => {
    const message = received as CallMessage;
    try {
      send({ kind: 'result', id: message.id, value: call(message) });
    } catch (error) {
      const { name, message: text } = error instanceof Error ? error : new Error(String(error));
      send({ kind: 'error', id: message.id, name, message: text });
    }
  });
}

/** Collects serial output, so that a byte is not a message. */
class SerialBatch {
  readonly #send: (bytes: Uint8Array) => void;
  readonly #schedule: (callback: () => void) => void;
  #chunks: Uint8Array[] = [];

  constructor(send: (bytes: Uint8Array) => void, schedule: (callback: () => void) => void) {
    this.#send = send;
    this.#schedule = schedule;
  }

  add(bytes: Uint8Array): void {
    if (this.#chunks.length === 0) this.#schedule(() => this.flush());
    this.#chunks.push(bytes.slice());
  }

  flush(): void {
    if (this.#chunks.length === 0) return;
    const joined = new Uint8Array(this.#chunks.reduce((length, chunk) => length + chunk.length, 0));
    let offset = 0;
    for (const chunk of this.#chunks) {
      joined.set(chunk, offset);
      offset += chunk.length;
    }
    this.#chunks = [];
    this.#send(joined);
  }
}
