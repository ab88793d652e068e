import type { DebugProtocol as P } from '@vscode/debugprotocol';
import type { SessionContext, VariableList } from '../context.ts';
import { localScope, readerOf, registerScope, staticScope, vmcsScope } from '../inspect/scopes.ts';

/** What the program calls its own comes first; the other groups are read when somebody opens them. */
export async function scopes(
  context: SessionContext,
  { frameId }: P.ScopesArguments,
): Promise<P.ScopesResponse['body']> {
  const { vcpu, frame } = await context.frame(frameId);
  const container = { vcpu, frameId };
  const groups = frame.resting?.registers ?? (await context.view(vcpu).registers());
  const result: P.Scope[] = [];
  const scope = (name: string, list: VariableList, more: Pick<P.Scope, 'expensive' | 'presentationHint'>) =>
    result.push({ name, ...more, variablesReference: context.variables.create({ ...container, list }) });
  const read = readerOf(context, vcpu, frame);
  const { hasLocals, hasStatics } = await read(({ names }) => ({
    hasLocals: names.locals().length > 0,
    hasStatics: names.hasStatics(),
  }));
  if (hasLocals)
    scope('Locals', localScope(context, vcpu, frame), { expensive: false, presentationHint: 'locals' });
  if (hasStatics) scope('Statics', staticScope(context, vcpu, frame), { expensive: true });
  for (const { key, title } of groups)
    scope(title, registerScope(context, vcpu, frame, key), {
      expensive: key !== 'general',
      ...(key === 'general' && { presentationHint: 'registers' }),
    });
  const fields = await context.view(vcpu).vmcs();
  if (fields.length > 0) scope('VMCS', vmcsScope(context, vcpu), { expensive: true });
  return { scopes: result };
}

export async function variables(
  context: SessionContext,
  args: P.VariablesArguments,
): Promise<P.VariablesResponse['body']> {
  const container = context.requireContainer(args.variablesReference);
  const { start = 0, count, filter } = args;
  if (container.isIndexed) {
    const elements = filter === 'named' ? [] : await container.list({ start, count });
    return { variables: elements.map((variable) => context.show(variable, container)) };
  }
  const all = filter === 'indexed' ? [] : await container.list();
  const shown = all.slice(start, count ? start + count : undefined);
  return { variables: shown.map((variable) => context.show(variable, container)) };
}
