import type { DebugProtocol as P } from '@vscode/debugprotocol';
import { type SessionContext, threadOf } from '../context.ts';

/** The vCPUs. */
export async function threads(context: SessionContext): Promise<P.ThreadsResponse['body']> {
  if (context.debuggee === undefined) return { threads: [] };
  const vcpus = await context.debuggee.machine.vcpus();
  return { threads: vcpus.map(({ id, name }) => ({ id: threadOf(id), name })) };
}
