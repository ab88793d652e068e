/** What a debug target needs from the place where it runs. */
import type { LogLevel } from '../base/logger.ts';
import type { StopEvent } from './target.ts';

export interface DebugTargetHost {
  /** The interpreter's module (dist/interpreter.wasm). */
  readonly interpreter: WebAssembly.Module;
  /** Milliseconds of the host's time, which decide when calls are served and never what the machine does. */
  now(): number;
  /** Calls back after the event loop had a turn: between batches of instructions, so that calls are served. */
  schedule(callback: () => void): void;
  /**
   * Bytes the guest wrote to the first serial port, as it writes them; `pause` here stops the machine after the
   * instruction. The array may be used again after the call.
   */
  serialOutput(bytes: Uint8Array): void;
  stopped(event: StopEvent): void;
  log(level: LogLevel, component: string, message: string): void;
  /**
   * Asked when breakpoints are reached, with the machine at rest: those that stop it. The others are passed over as if
   * they were not there. Absent: all stop.
   */
  stopsAt?(breakpoints: readonly number[], vcpu: number): readonly number[];
}
