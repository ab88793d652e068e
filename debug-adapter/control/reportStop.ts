/** Tells the client that the machine has stopped, or that the run is over. */
import type { StopEvent } from '../../emulator/index.ts';
import { TEMPORARY } from '../breakpoints/breakpoints.ts';
import { type SessionContext, threadOf } from '../context.ts';
import { isFailure } from './exceptions.ts';
import { exitStatus } from './exitStatus.ts';
import { arriveAtBreakpoint } from './stepping.ts';

export async function reportStop(context: SessionContext, stop: StopEvent): Promise<void> {
  const { exits, machine, noDebug, serial } = context.requireDebuggee();
  exits.stop();
  serial.flush();
  if (context.breakpoints.hasTemporary && stop.breakpoints.includes(TEMPORARY)) {
    context.breakpoints.setTemporary(undefined);
    await context.breakpoints.apply(machine);
  }
  await exits.drain();
  if (isFailure(stop) || stop.reason === 'sanitizer')
    context.output('stderr', [stop.description, ...stop.details].join('\n'));
  else if (stop.reason === 'limit') context.output('console', stop.description);
  const code = exitStatus(stop);
  // What has failed is worth looking at, unless the user said otherwise; something unimplemented always is.
  const isShown =
    isFailure(stop) && !noDebug && (stop.reason === 'unimplemented' || context.filters.has(stop.reason));
  if (code !== undefined && !isShown) {
    context.connection.event('exited', { exitCode: code });
    context.connection.event('terminated', undefined);
    return;
  }
  context.memoryChanged();
  if (stop.reason === 'breakpoint') await arriveAtBreakpoint(context, stop);
  context.connection.event('stopped', stoppedBody(context, stop));
}

function stoppedBody(context: SessionContext, stop: StopEvent) {
  const { reason, text } = reasonOf(context, stop);
  return {
    reason,
    description: stop.description,
    threadId: threadOf(stop.vcpu),
    allThreadsStopped: true,
    ...(text !== undefined && { text }),
    ...(stop.breakpoints.length > 0 && { hitBreakpointIds: stop.breakpoints.filter((id) => id > 0) }),
  };
}

function reasonOf(context: SessionContext, stop: StopEvent): { reason: string; text?: string } {
  switch (stop.reason) {
    case 'entry':
    case 'pause':
    case 'step':
      return { reason: stop.reason };
    case 'breakpoint': {
      const kind = context.breakpoints.kindOf(stop.breakpoints[0]);
      if (kind === undefined) return { reason: 'entry' };
      return { reason: kind === 'source' ? 'breakpoint' : `${kind} breakpoint` };
    }
    case 'data-breakpoint':
      return { reason: 'data breakpoint' };
    default:
      return { reason: 'exception', text: stop.description };
  }
}
