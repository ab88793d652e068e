/** What a stop means for the command line: its exit status, and what it says on standard error. */

import { isFailure } from '../debug-adapter/control/exceptions.ts';
import { exitStatus, STATUS as RUN_STATUS } from '../debug-adapter/control/exitStatus.ts';
import type { StopEvent } from '../emulator/index.ts';

export const STATUS = {
  ...RUN_STATUS,
  /** Bad arguments, an unreadable image, something that does not exist yet. */
  USAGE: 2,
  /** An error in hvm itself (EX_SOFTWARE). */
  INTERNAL: 70,
  INTERRUPTED: 130,
} as const;

export interface Outcome {
  readonly status: number;
  /** For standard error; empty when there is nothing to say. */
  readonly message: string;
}

export function outcomeOf(stop: StopEvent): Outcome {
  const status = exitStatus(stop);
  if (status === undefined)
    return { status: STATUS.INTERNAL, message: `hvm: the machine stopped for no reason (${stop.reason})` };
  return { status, message: isFailure(stop) ? outcomeText(stop) : '' };
}

/** A stop with its details, as standard error has it. */
export function outcomeText(stop: StopEvent): string {
  return [`hvm: ${stop.description}`, ...stop.details.map((line) => `  ${line}`)].join('\n');
}
