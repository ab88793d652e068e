import type { DebugProtocol as P } from '@vscode/debugprotocol';
import type { StopEvent, StopReason } from '../../emulator/index.ts';
import type { SessionContext } from '../context.ts';
import { isException } from '../control/exceptions.ts';
import { dapError } from '../errors.ts';
import { reportText } from './entryReport.ts';

const TITLES: Partial<Record<StopReason, string>> = {
  'triple-fault': 'Triple fault',
  'entry-failure': 'VM entry failed',
  unimplemented: 'Not implemented',
  'exit-breakpoint': 'VM exit',
  sanitizer: 'Sanitizer',
};

/** What went wrong. Failed rules go into the stack trace of the details: the one part that clients show in full. */
export async function exceptionInfo(context: SessionContext): Promise<P.ExceptionInfoResponse['body']> {
  const stop = context.requireStop();
  if (!isException(stop)) throw dapError('notStopped');
  const title = TITLES[stop.reason] ?? stop.reason;
  const details = await detailsOf(context, stop);
  return {
    exceptionId: title,
    description: stop.description,
    breakMode: stop.reason === 'exit-breakpoint' || stop.reason === 'sanitizer' ? 'always' : 'unhandled',
    details: {
      message: stop.description,
      typeName: title,
      ...(details !== '' && { stackTrace: details }),
    },
  };
}

/** The rules that a failed entry broke are told with the lines of the source that wrote the fields. */
async function detailsOf(context: SessionContext, stop: StopEvent): Promise<string> {
  const { machine, program } = context.requireDebuggee();
  const report =
    stop.reason === 'entry-failure' ? await machine.entryReport(stop.vcpu, 'lastFailure') : undefined;
  return report === undefined ? stop.details.join('\n') : reportText(report, program);
}
