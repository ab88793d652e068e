/** Requests of the VMCS view: see protocol/vmcs.ts. */
import type { VmcsFieldValue } from '../../emulator/index.ts';
import type { SessionContext } from '../context.ts';
import { dapError } from '../errors.ts';
import { evaluate } from '../expressions/evaluate.ts';
import { hex } from '../expressions/format.ts';
import { parseExpression } from '../expressions/parser.ts';
import { assign, othersChanged } from '../inspect/assign.ts';
import { groupVmcsFields } from '../inspect/registers.ts';
import { frameScope } from '../inspect/scope.ts';
import type { VmcsRequests, VmcsRow } from '../protocol/vmcs.ts';

type Args<K extends keyof VmcsRequests> = VmcsRequests[K][0];
type Body<K extends keyof VmcsRequests> = Promise<VmcsRequests[K][1]>;

export async function vmcs(context: SessionContext, { threadId }: Args<'hvm/vmcs'>): Body<'hvm/vmcs'> {
  const fields = await context.view(context.vcpuOf(threadId)).vmcs();
  return {
    groups: [...groupVmcsFields(fields)].map(([title, group]) => ({ title, rows: group.map(vmcsRow) })),
  };
}

function vmcsRow({
  key,
  title,
  encoding,
  stored,
  live,
  missing,
  fields,
  reference,
}: VmcsFieldValue): VmcsRow {
  return {
    key,
    title,
    encoding: hex(BigInt(encoding), 32),
    ...(stored !== undefined && { stored: hex(stored) }),
    ...(live !== undefined && live !== stored && { live: hex(live) }),
    ...(missing !== undefined && { missing }),
    parts: fields.map(({ key: part, name, value, meaning }) => ({
      name: `${part}: ${name}`,
      value: hex(value),
      meaning,
    })),
    reference,
  };
}

/** Between two exits guest state is the processor's: what is written is the live value. */
export async function setVmcsField(
  context: SessionContext,
  { threadId, key, value }: Args<'hvm/setVmcsField'>,
): Body<'hvm/setVmcsField'> {
  const vcpu = context.vcpuOf(threadId);
  const { program } = context.requireDebuggee();
  const view = context.view(vcpu);
  const field = (await view.vmcs()).find((candidate) => candidate.key === key);
  if (field === undefined) throw dapError('unknownVariable', { name: key });
  const expression = parseExpression(value);
  const computed = await view.read((state) => evaluate(expression, frameScope(state, program, undefined)));
  const after = await assign(
    context,
    vcpu,
    { kind: 'vmcs', key, shift: 0, bits: field.bits },
    computed.value,
  );
  othersChanged(context);
  return { value: hex(after) };
}
