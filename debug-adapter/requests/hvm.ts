/** The requests that only this debugger has, besides those of its views: see protocol/custom.ts. */
import type { SessionContext } from '../context.ts';
import { dapError } from '../errors.ts';
import type { CustomRequests } from '../protocol/custom.ts';
import { encodeText } from '../symbols/text.ts';

type Args<K extends keyof CustomRequests> = CustomRequests[K][0];
type Body<K extends keyof CustomRequests> = Promise<CustomRequests[K][1]>;

export async function statistics(context: SessionContext): Body<'hvm/statistics'> {
  const { machine } = context.requireDebuggee();
  const [statistics, [first]] = await Promise.all([machine.statistics(), machine.vcpus()]);
  return { ...statistics, code: first.mode };
}

export async function setNumberFormat(
  context: SessionContext,
  { format }: Args<'hvm/setNumberFormat'>,
): Promise<undefined> {
  if (format !== 'hexadecimal' && format !== 'decimal') throw dapError('numberFormat');
  context.numberFormat = format;
  if (context.client.invalidatedEvents) context.connection.event('invalidated', { areas: ['variables'] });
  return undefined;
}

export async function serialInput(
  context: SessionContext,
  { text }: Args<'hvm/serialInput'>,
): Body<'hvm/serialInput'> {
  await context.requireDebuggee().machine.serialInput(encodeText(String(text)));
  return undefined;
}
