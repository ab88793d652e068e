/** The reference page of the launch options (docs/generated/launch.md). */
import { cliName, LAUNCH_OPTIONS, type LaunchOption, type LaunchOptionKey } from '../launchConfig.ts';

const ROWS = Object.entries(LAUNCH_OPTIONS) as [LaunchOptionKey, LaunchOption][];

function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}

function defaultText(row: LaunchOption, required: boolean): string {
  if (required) return 'required without `bios`';
  if (row.default === undefined) return '–';
  return `\`${cell(typeof row.default === 'string' ? row.default || '""' : JSON.stringify(row.default))}\``;
}

function table(
  rows: readonly [LaunchOptionKey, LaunchOption][],
  first: (key: LaunchOptionKey) => string,
  other: (key: LaunchOptionKey) => string,
  heads: readonly [string, string],
): string {
  const lines = rows.map(([key, row]) => {
    const form = row.type.placeholder === undefined ? 'switch' : row.type.label;
    return `| ${first(key)} | ${cell(form)} | ${defaultText(row, key === 'program')} | ${other(key)} | ${cell(row.help)} |`;
  });
  return [`| ${heads[0]} | type | default | ${heads[1]} | |`, '|---|---|---|---|---|', ...lines].join('\n');
}

function cliCell(key: LaunchOptionKey): string {
  const name = cliName(key);
  return name === undefined ? '–' : `\`${name}\``;
}

/** The page as markdown. */
export function render(): string {
  const offered = ROWS.filter(([, row]) => row.available);
  const attributes = offered.filter(([, row]) => row.where !== 'cli');
  const cliOnly = offered.filter(([, row]) => row.where === 'cli');
  return `# Launch options

Attributes of a launch configuration (\`launch.json\`) and options of \`hvm run\`. Relative paths are resolved from the
workspace folder, on the command line from the current folder.

${table(attributes, (key) => `\`${key}\``, cliCell, ['attribute', 'command line'])}

## Command line only

${table(cliOnly, cliCell, () => '–', ['option', 'attribute'])}
`;
}
