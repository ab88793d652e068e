/**
 * What travels between the adapter and the thread that runs the machine. The same messages go through a worker
 * thread, a web worker and a message channel inside one thread.
 */
import type { DebugTarget, MachineConfig, StopEvent } from '../../emulator/index.ts';
import type { BreakpointRule } from '../breakpoints/rules.ts';

/** One end of a message channel. Values are cloned structurally. */
export interface MachinePort {
  post(message: unknown): void;
  onMessage(listener: (message: unknown) => void): void;
  close(): void;
}

/** What the machine's thread offers besides run control. */
export interface MachineControl {
  /** Replaces the machine by a new one. */
  create(config: MachineConfig): void;
  /** Conditions, hit counts and messages of breakpoints; hit counts start again for rules that changed. */
  setBreakpointRules(rules: readonly BreakpointRule[]): void;
}

export type MachineCalls = MachineControl & DebugTarget;

/** Every call there is, so that a message can name nothing else. */
export const TARGET_CALLS = [
  'run',
  'pause',
  'isRunning',
  'reset',
  'setBreakpoints',
  'setExitBreakpoints',
  'setDataBreakpoints',
  'vcpus',
  'registers',
  'register',
  'setRegister',
  'restingLevel',
  'currentVmcs',
  'vmcs',
  'setVmcsField',
  'entryReport',
  'readMemory',
  'writeMemory',
  'disassemble',
  'exitReasons',
  'exits',
  'exitAddresses',
  'findExits',
  'exitVmcs',
  'statistics',
  'serialInput',
] as const satisfies readonly (keyof DebugTarget)[];

export const CONTROL_CALLS = [
  'create',
  'setBreakpointRules',
] as const satisfies readonly (keyof MachineControl)[];

export type MachineCallName = (typeof TARGET_CALLS)[number] | (typeof CONTROL_CALLS)[number];

export interface CallMessage {
  readonly kind: 'call';
  readonly id: number;
  readonly name: MachineCallName;
  readonly args: readonly unknown[];
}

export type MachineEvent =
  | { readonly event: 'stopped'; readonly stop: StopEvent }
  | { readonly event: 'serialOutput'; readonly bytes: Uint8Array }
  /** A log point was reached, or a condition could not be computed. */
  | {
      readonly event: 'message';
      readonly breakpoint: number;
      readonly text: string;
      readonly failed: boolean;
    }
  /** The machine's thread is gone; made by the client's end. */
  | { readonly event: 'lost'; readonly reason: string }
  | { readonly event: 'log'; readonly level: string; readonly component: string; readonly message: string };

export type ReplyMessage =
  | { readonly kind: 'result'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'error'; readonly id: number; readonly name: string; readonly message: string }
  | ({ readonly kind: 'event' } & MachineEvent);
