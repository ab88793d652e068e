import type { DebugProtocol as P } from '@vscode/debugprotocol';
import type { SessionContext } from '../context.ts';

/** A list longer than this helps nobody. */
const LIMIT = 100;

interface Named {
  readonly name: string;
  readonly detail?: string;
}

/** Completes the word before the cursor: registers, `vmcs.` and `msr.` names, parts of registers, symbols. */
export async function completions(
  context: SessionContext,
  args: P.CompletionsArguments,
): Promise<P.CompletionsResponse['body']> {
  const { program, control } = context.requireDebuggee();
  const before = args.text.slice(0, args.column - context.client.firstColumn);
  const word = /[$A-Za-z_][\w$]*(?:\.\w*)*$/.exec(before)?.[0] ?? '';
  if (word === '' || control.lastStop === undefined) return { targets: [] };
  const view = context.view((await context.frame(args.frameId)).vcpu);
  const groups = await view.registers();
  const lower = word.toLowerCase();
  const family = /^\$?(vmcs|msr)\.(\w*)$/.exec(lower);
  const target = (
    label: string,
    type: P.CompletionItemType,
    length: number,
    detail?: string,
  ): P.CompletionItem => ({
    label,
    type,
    start: before.length - length,
    length,
    ...(detail !== undefined && { detail }),
  });

  if (family) {
    const names: readonly Named[] =
      family[1] === 'vmcs'
        ? (await view.vmcs()).map(({ key, title }) => ({ name: key, detail: title }))
        : groups.filter(({ key }) => key === 'msr').flatMap(({ registers }) => registers);
    const found = names.filter(({ name }) => name.toLowerCase().startsWith(family[2]));
    return {
      targets: found
        .slice(0, LIMIT)
        .map(({ name, detail }) => target(name.toLowerCase(), 'field', family[2].length, detail)),
    };
  }
  const part = /^\$?(?:(vmcs|msr)\.)?(\w+)\.(\w*)$/.exec(lower);
  if (part) {
    const owner =
      part[1] === 'vmcs'
        ? (await view.vmcs()).find(({ key }) => key.toLowerCase() === part[2])
        : groups.flatMap((group) => group.registers).find(({ name }) => name.toLowerCase() === part[2]);
    const found = (owner?.fields ?? []).filter(({ key }) => key.toLowerCase().startsWith(part[3]));
    return {
      targets: found.map(({ key, name }) => target(key.toLowerCase(), 'field', part[3].length, name)),
    };
  }
  const sigil = word.startsWith('$') ? '$' : '';
  const registers = groups
    .filter(({ key }) => key !== 'msr')
    .flatMap(namesOf)
    .map((name) => `${sigil}${name.toLowerCase()}`)
    .filter((name) => name.startsWith(lower));
  const families = ['vmcs', 'msr'].map((name) => `${sigil}${name}`).filter((name) => name.startsWith(lower));
  const symbols = sigil === '' ? program.namesBeginning(word, LIMIT) : [];
  const targets = [
    ...registers.map((name) => target(name, 'variable', word.length)),
    ...families.map((name) => target(name, 'module', word.length)),
    ...symbols.map((name) => target(name, 'function', word.length)),
  ];
  return { targets: targets.slice(0, LIMIT) };
}

function namesOf(group: { readonly registers: readonly { readonly name: string }[] }): string[] {
  return group.registers.map(({ name }) => name);
}
