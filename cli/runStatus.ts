/** What a stop means for the command line: its exit status, and what it says on standard error. */
import type { StopEvent } from '../emulator/index.ts';

export const STATUS = {
  OK: 0,
  /** Bad arguments, an unreadable image, something that does not exist yet. */
  USAGE: 2,
  /** Triple fault, failed VM entry, something unimplemented. */
  FAILED: 4,
  /** An error in hvm itself (EX_SOFTWARE). */
  INTERNAL: 70,
  LIMIT: 124,
  INTERRUPTED: 130,
} as const;

export interface Outcome {
  readonly status: number;
  /** For standard error; empty when there is nothing to say. */
  readonly message: string;
}

export function outcomeOf(stop: StopEvent): Outcome {
  switch (stop.reason) {
    case 'powered-off':
      return { status: STATUS.OK, message: '' };
    case 'debug-exit':
      return { status: (((stop.exitValue ?? 0) << 1) | 1) & 0xff, message: '' };
    case 'limit':
      return { status: STATUS.LIMIT, message: '' };
    case 'triple-fault':
    case 'entry-failure':
    case 'unimplemented':
      return {
        status: STATUS.FAILED,
        message: [`hvm: ${stop.description}`, ...stop.details.map((line) => `  ${line}`)].join('\n'),
      };
    default:
      return { status: STATUS.INTERNAL, message: `hvm: the machine stopped for no reason (${stop.reason})` };
  }
}
