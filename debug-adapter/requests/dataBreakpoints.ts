/** Breakpoints on values: of VMCS fields, as they are stored, and of memory. */
import type { DebugProtocol as P } from '@vscode/debugprotocol';
import type { Binding, WatchedData } from '../breakpoints/breakpoints.ts';
import type { SessionContext } from '../context.ts';
import type { Place } from '../expressions/evaluate.ts';
import { parseExpression } from '../expressions/parser.ts';
import { evaluateInFrame } from '../inspect/scope.ts';
import { readerOf } from '../inspect/scopes.ts';
import { formatMemoryReference, parseMemoryReference } from '../memoryReference.ts';
import type { VmcsRequests } from '../protocol/vmcs.ts';
import { replaceBreakpoints } from './breakpoints.ts';

type Info = P.DataBreakpointInfoResponse['body'];

/** Largest value that is watched as one. */
const MOST_BYTES = 8;
const MEMORY: ReadonlySet<string> = new Set(['linear', 'guest-physical', 'host-physical']);
const NOT_WATCHABLE: Info = {
  dataId: null,
  description: 'Only VMCS fields and values in memory can be watched.',
};

export async function dataBreakpointInfo(
  context: SessionContext,
  args: P.DataBreakpointInfoArguments,
): Promise<Info> {
  const { name, variablesReference, frameId, asAddress, bytes } = args;
  if (variablesReference) {
    const container = context.requireContainer(variablesReference);
    const variable = (await container.list()).find((candidate) => candidate.name === name);
    return infoOf(context, variable?.place, name);
  }
  if (asAddress) {
    const address = parseMemoryReference(name, 0);
    if (address === undefined) return { dataId: null, description: `"${name}" is not an address.` };
    return infoOf(context, { kind: 'memory', address, size: bytes ?? 1 }, name);
  }
  const expression = parseExpression(name);
  const { vcpu, frame } = await context.frame(frameId);
  const value = await readerOf(context, vcpu, frame)((reading) => evaluateInFrame(expression, reading));
  return infoOf(context, value.place, name);
}

async function infoOf(context: SessionContext, place: Place | undefined, name: string): Promise<Info> {
  if (place?.kind === 'vmcs') {
    const stop = context.requireStop();
    const field = (await context.view(stop.vcpu).vmcs()).find(({ key }) => key === place.key);
    const description = `${field?.title ?? place.key} (stored in the VMCS)`;
    return { dataId: `vmcs:${place.key}`, description, accessTypes: ['write'], canPersist: true };
  }
  if (place?.kind !== 'memory' || !MEMORY.has(place.address.space)) return NOT_WATCHABLE;
  if (place.size > MOST_BYTES)
    return { dataId: null, description: `At most ${MOST_BYTES} bytes can be watched as one value.` };
  const reference = formatMemoryReference(place.address);
  return {
    dataId: `memory ${place.size} ${reference} ${name}`,
    description: `${name} (${place.size} byte${place.size === 1 ? '' : 's'} at ${reference})`,
    accessTypes: ['write'],
    canPersist: true,
  };
}

/** What a data id names; undefined when it is none of ours. */
function watchedData(dataId: string): WatchedData | undefined {
  const field = /^vmcs:(\w+)$/.exec(dataId);
  if (field) return { vmcsField: field[1] };
  const memory = /^memory ([1-8]) (\S+) (.*)$/.exec(dataId);
  const address = memory && parseMemoryReference(memory[2], 0);
  return memory && address ? { address, size: Number(memory[1]), name: memory[3] } : undefined;
}

export function setDataBreakpoints(context: SessionContext, { breakpoints }: P.SetDataBreakpointsArguments) {
  return replaceBreakpoints(
    context,
    'data',
    breakpoints.map(({ dataId, accessType, condition, hitCondition }) => ({
      key: dataId,
      kind: 'data',
      condition,
      hitCondition,
      find: async () =>
        accessType === 'read' || accessType === 'readWrite'
          ? { problem: 'Only changes can be watched, not reading.' }
          : bindData(context, watchedData(dataId)),
    })),
  );
}

export function setVmcsFieldBreakpoints(
  context: SessionContext,
  { fields }: VmcsRequests['hvm/setVmcsFieldBreakpoints'][0],
): Promise<VmcsRequests['hvm/setVmcsFieldBreakpoints'][1]> {
  return replaceBreakpoints(
    context,
    'VMCS fields',
    fields.map(({ key, condition }) => ({
      key: `vmcs:${key}`,
      kind: 'data',
      condition,
      find: () => bindData(context, { vmcsField: key }),
    })),
  );
}

async function bindData(context: SessionContext, data: WatchedData | undefined): Promise<Binding> {
  if (data === undefined) return { problem: 'This data breakpoint is of another debugger: set it again.' };
  const { machine } = context.requireDebuggee();
  if (!('vmcsField' in data)) {
    const bytes = await machine.readMemory(0, data.address, data.size);
    return bytes.length === data.size
      ? { data }
      : { problem: `Nothing is mapped at ${formatMemoryReference(data.address)} now.` };
  }
  // Without a current VMCS nothing is known of fields; the breakpoint waits for one.
  const fields = await machine.vmcs(0);
  const field = fields.find(({ key }) => key === data.vmcsField);
  if (fields.length === 0) return { data };
  if (field === undefined) return { problem: `There is no VMCS field "${data.vmcsField}".` };
  return field.missing === undefined
    ? { data }
    : { problem: `The processor has no field "${field.title}": it needs "${field.missing}".` };
}
