/** The requests that only this debugger has: see protocol/custom.ts. */

import type { ExitRecord, VmcsFieldValue } from '../../emulator/index.ts';
import type { SessionContext } from '../context.ts';
import { dapError } from '../errors.ts';
import { evaluate } from '../expressions/evaluate.ts';
import { hex } from '../expressions/format.ts';
import { parseExpression } from '../expressions/parser.ts';
import { assign, othersChanged } from '../inspect/assign.ts';
import { groupVmcsFields } from '../inspect/registers.ts';
import { frameScope } from '../inspect/scope.ts';
import type { CustomRequests, ExitRow, VmcsRow } from '../protocol/custom.ts';
import { encodeText } from '../symbols/text.ts';

type Args<K extends keyof CustomRequests> = CustomRequests[K][0];
type Body<K extends keyof CustomRequests> = Promise<CustomRequests[K][1]>;

const MOST_ROWS = 10_000;

/** A page of the exits list; works while the machine runs. */
export async function exits(context: SessionContext, { start, count }: Args<'hvm/exits'>): Body<'hvm/exits'> {
  if (!Number.isSafeInteger(start) || !Number.isSafeInteger(count) || start < 0 || count < 0)
    throw dapError('exitsRange');
  const { machine, program } = context.requireDebuggee();
  const { total, records } = await machine.exits(start, Math.min(count, MOST_ROWS));
  return { total, rows: records.map((record) => exitRow(record, program.describe(record.rip))) };
}

function exitRow(record: ExitRecord, location: string | undefined): ExitRow {
  const { number, position, vcpu, level, reasonName, text, cost, instructionLength } = record;
  return {
    number,
    position,
    vcpu,
    level,
    reason: reasonName,
    rip: hex(record.rip),
    ...(location !== undefined && { location }),
    qualification: hex(record.qualification),
    guestPhysical: hex(record.guestPhysical),
    instructionLength,
    interruptionInformation: hex(BigInt(record.interruptionInformation), 32),
    text,
    cost,
  };
}

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
