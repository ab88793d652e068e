/** The requests that only this debugger has, besides those of its views: see protocol/custom.ts. */
import type { CurrentVmcs } from '../../emulator/index.ts';
import type { SessionContext } from '../context.ts';
import { dapError } from '../errors.ts';
import type { CustomRequests, ExecutionLevel } from '../protocol/custom.ts';
import { encodeText } from '../symbols/text.ts';

type Args<K extends keyof CustomRequests> = CustomRequests[K][0];
type Body<K extends keyof CustomRequests> = Promise<CustomRequests[K][1]>;

export async function statistics(context: SessionContext): Body<'hvm/statistics'> {
  const { machine, config } = context.requireDebuggee();
  const [statistics, [first], vmcs] = await Promise.all([
    machine.statistics(),
    machine.vcpus(),
    machine.currentVmcs(0),
  ]);
  const execution = executionLevel(vmcs, config.mode === 'guest');
  return { ...statistics, code: first.mode, ...(execution && { execution }) };
}

/** The built-in hypervisor is nobody's program: while it handles an exit, its guest is what is debugged. */
function executionLevel(
  { hasVmx, inGuest, pointer }: CurrentVmcs,
  isBuiltIn: boolean,
): ExecutionLevel | undefined {
  if (!hasVmx) return undefined;
  if (inGuest) return { level: 1, operation: 'VMX non-root' };
  const level = isBuiltIn ? 1 : 0;
  return pointer === undefined ? { level } : { level, operation: 'VMX root' };
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
