/** The launch configurations that stand in a launch.json already. */

export interface ExistingConfiguration {
  readonly type?: unknown;
  readonly name?: unknown;
  readonly program?: unknown;
}

/** Names of the configurations that launch `program`, an absolute path inside or outside of `folder`. */
export function configurationsOf(
  configurations: unknown,
  folder: string,
  program: string,
): readonly string[] {
  if (!Array.isArray(configurations)) return [];
  return (configurations as (ExistingConfiguration | null)[])
    .filter((each) => each?.type === 'hvm' && typeof each.name === 'string')
    .filter((each) => typeof each?.program === 'string' && absolute(each.program, folder) === plain(program))
    .map((each) => each?.name as string);
}

/** What VS Code makes of the variables that people use here. */
function absolute(path: string, folder: string): string {
  const substituted = path.replace(/\$\{workspaceFolder\}|\$\{workspaceRoot\}/g, () => folder);
  const isAbsolute = /^([/\\]|[A-Za-z]:)/.test(substituted);
  return plain(isAbsolute ? substituted : `${folder}/${substituted}`);
}

function plain(path: string): string {
  return path.replaceAll('\\', '/').replaceAll('/./', '/').replace(/\/+/g, '/');
}
