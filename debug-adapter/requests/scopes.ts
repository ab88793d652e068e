import type { DebugProtocol as P } from '@vscode/debugprotocol';
import type { SessionContext } from '../context.ts';
import { registerScope, vmcsScope } from '../inspect/scopes.ts';

/** Groups of registers after the first are only read when somebody opens them. */
export async function scopes(
  context: SessionContext,
  { frameId }: P.ScopesArguments,
): Promise<P.ScopesResponse['body']> {
  const { vcpu, frame } = await context.frame(frameId);
  const container = { vcpu, frameId };
  const groups = await context.view(vcpu).registers();
  const result: P.Scope[] = groups.map(({ key, title }) => ({
    name: title,
    expensive: key !== 'general',
    ...(key === 'general' && { presentationHint: 'registers' }),
    variablesReference: context.variables.create({
      ...container,
      list: registerScope(context, vcpu, frame, key),
    }),
  }));
  const fields = await context.view(vcpu).vmcs();
  if (fields.length > 0) {
    const list = vmcsScope(context, vcpu);
    result.push({
      name: 'VMCS',
      expensive: true,
      variablesReference: context.variables.create({ ...container, list }),
    });
  }
  return { scopes: result };
}

export async function variables(
  context: SessionContext,
  args: P.VariablesArguments,
): Promise<P.VariablesResponse['body']> {
  const container = context.requireContainer(args.variablesReference);
  const all = await container.list();
  const start = args.start ?? 0;
  const shown =
    args.filter === 'indexed' ? [] : all.slice(start, args.count ? start + args.count : undefined);
  return { variables: shown.map((variable) => context.show(variable, container)) };
}
