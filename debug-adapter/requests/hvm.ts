/** The requests that only this debugger has, besides those of its views: see protocol/custom.ts. */
import type { SessionContext } from '../context.ts';
import type { CustomRequests } from '../protocol/custom.ts';
import { encodeText } from '../symbols/text.ts';

type Args<K extends keyof CustomRequests> = CustomRequests[K][0];
type Body<K extends keyof CustomRequests> = Promise<CustomRequests[K][1]>;

export function statistics(context: SessionContext): Body<'hvm/statistics'> {
  return context.requireDebuggee().machine.statistics();
}

export async function serialInput(
  context: SessionContext,
  { text }: Args<'hvm/serialInput'>,
): Body<'hvm/serialInput'> {
  await context.requireDebuggee().machine.serialInput(encodeText(String(text)));
  return undefined;
}
