import type { DebugProtocol as P } from '@vscode/debugprotocol';
import type { StopReason } from '../../emulator/index.ts';
import type { SessionContext } from '../context.ts';
import { isException } from '../control/exceptions.ts';
import { dapError } from '../errors.ts';

const TITLES: Partial<Record<StopReason, string>> = {
  'triple-fault': 'Triple fault',
  'entry-failure': 'VM entry failed',
  unimplemented: 'Not implemented',
  'exit-breakpoint': 'VM exit',
};

/** What went wrong. Failed rules go into the stack trace of the details: the one part that clients show in full. */
export function exceptionInfo(context: SessionContext): P.ExceptionInfoResponse['body'] {
  const stop = context.requireStop();
  if (!isException(stop)) throw dapError('notStopped');
  const title = TITLES[stop.reason] ?? stop.reason;
  return {
    exceptionId: title,
    description: stop.description,
    breakMode: stop.reason === 'exit-breakpoint' ? 'always' : 'unhandled',
    details: {
      message: stop.description,
      typeName: title,
      ...(stop.details.length > 0 && { stackTrace: stop.details.join('\n') }),
    },
  };
}
