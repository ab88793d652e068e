/** Requests of the VMCS view: see protocol/vmcs.ts. */
import type { SessionContext } from '../context.ts';
import { dapError } from '../errors.ts';
import { hex } from '../expressions/format.ts';
import { parseExpression } from '../expressions/parser.ts';
import { assign, othersChanged } from '../inspect/assign.ts';
import { evaluateInFrame } from '../inspect/scope.ts';
import { readerOf } from '../inspect/scopes.ts';
import { vmcsGroups } from '../inspect/vmcsRows.ts';
import type { VmcsRequests } from '../protocol/vmcs.ts';

type Args<K extends keyof VmcsRequests> = VmcsRequests[K][0];
type Body<K extends keyof VmcsRequests> = Promise<VmcsRequests[K][1]>;

export async function vmcs(context: SessionContext, { threadId }: Args<'hvm/vmcs'>): Body<'hvm/vmcs'> {
  const vcpu = context.vcpuOf(threadId);
  const { machine, program } = context.requireDebuggee();
  const fields = await context.view(vcpu).vmcs();
  const { hasVmx, pointer, launched, inGuest } = await machine.currentVmcs(vcpu);
  return {
    groups: vmcsGroups(fields, {
      symbol: (address) => program.describe(address),
      watched: context.breakpoints.watchedFields(),
    }),
    hasVmx,
    ...(pointer !== undefined && { pointer: hex(pointer) }),
    launched,
    inGuest,
  };
}

/** Between two exits guest state is the processor's: what is written is the live value. */
export async function setVmcsField(
  context: SessionContext,
  { threadId, key, value, part }: Args<'hvm/setVmcsField'>,
): Body<'hvm/setVmcsField'> {
  const vcpu = context.vcpuOf(threadId);
  const view = context.view(vcpu);
  const field = (await view.vmcs()).find((candidate) => candidate.key === key);
  if (field === undefined) throw dapError('unknownVariable', { name: key });
  const expression = parseExpression(value);
  const computed = await readerOf(
    context,
    vcpu,
    undefined,
  )((reading) => evaluateInFrame(expression, reading));
  const { bit: shift, width: bits } = part ?? { bit: 0, width: field.bits };
  const after = await assign(context, vcpu, { kind: 'vmcs', key, shift, bits }, computed.value);
  othersChanged(context);
  return { value: hex(after) };
}
