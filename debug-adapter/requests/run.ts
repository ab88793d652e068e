/** Running and stepping. The response says that the machine runs; a `stopped` event follows. */
import type { DebugProtocol as P } from '@vscode/debugprotocol';
import type { SessionContext } from '../context.ts';
import { stepInstruction, stepOutOf, stepStatement } from '../control/stepping.ts';
import { runRequest } from '../debuggee.ts';

export function continueRun(context: SessionContext): { allThreadsContinued: boolean } {
  const debuggee = context.requireDebuggee();
  context.run((run) => run(runRequest(debuggee)));
  return { allThreadsContinued: true };
}

export async function pause(context: SessionContext): Promise<undefined> {
  await context.requireDebuggee().control.pause();
  return undefined;
}

export function next(context: SessionContext, { threadId, granularity }: P.NextArguments): undefined {
  const vcpu = context.vcpuOf(threadId);
  context.run(
    granularity === 'instruction' ? stepInstruction(context, vcpu, true) : stepStatement(context, vcpu, true),
  );
  return undefined;
}

export function stepIn(context: SessionContext, { threadId, granularity }: P.StepInArguments): undefined {
  const vcpu = context.vcpuOf(threadId);
  context.run(
    granularity === 'instruction'
      ? stepInstruction(context, vcpu, false)
      : stepStatement(context, vcpu, false),
  );
  return undefined;
}

export async function stepOut(context: SessionContext, { threadId }: P.StepOutArguments): Promise<undefined> {
  context.run(await stepOutOf(context, context.vcpuOf(threadId)));
  return undefined;
}
