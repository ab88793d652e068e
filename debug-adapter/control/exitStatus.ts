/** The status a run ends with: the command's exit status, and the exit code a debug client is told. */
import type { StopEvent } from '../../emulator/index.ts';

export const STATUS = {
  OK: 0,
  /** Triple fault, failed VM entry, something unimplemented. */
  FAILED: 4,
  /** The limit of instructions, or of time. */
  LIMIT: 124,
} as const;

/** Undefined for a stop that is no end. */
export function exitStatus(stop: StopEvent): number | undefined {
  switch (stop.reason) {
    case 'powered-off':
      return STATUS.OK;
    case 'debug-exit':
      return (((stop.exitValue ?? 0) << 1) | 1) & 0xff;
    case 'limit':
      return STATUS.LIMIT;
    case 'triple-fault':
    case 'entry-failure':
    case 'unimplemented':
      return STATUS.FAILED;
    default:
      return undefined;
  }
}
