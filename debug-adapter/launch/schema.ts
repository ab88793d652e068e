/** What package.json says about launch configurations: their JSON schema, and configurations to begin with. */
import { LAUNCH_OPTIONS, type LaunchOption } from '../launchConfig.ts';
import type { JsonSchema } from './optionTypes.ts';

/** `configurationAttributes.launch`: what works, and only that. */
export function launchSchema(): JsonSchema {
  const rows = Object.entries(LAUNCH_OPTIONS as Readonly<Record<string, LaunchOption>>);
  const offered = rows.filter(([, row]) => row.available && row.where !== 'cli');
  return {
    anyOf: [{ required: ['program'] }, { required: ['bios'] }],
    properties: Object.fromEntries(
      offered.map(([key, row]) => [
        key,
        {
          ...row.type.schema,
          ...(row.default !== undefined && { default: row.default }),
          markdownDescription: row.help,
        },
      ]),
    ),
  };
}

/** A place to fill in, number and proposal. */
const field = (number: number, proposal: string): string => `\${${number}:${proposal}}`;

/** VS Code's variable, in a launch.json and inside of a snippet. */
const FOLDER = `\${workspaceFolder}`;
const FOLDER_IN_SNIPPET = `\\${FOLDER}`;

interface Snippet {
  readonly label: string;
  readonly description: string;
  /** Attributes besides type, request and name. */
  readonly attributes: Readonly<Record<string, unknown>>;
}

const SNIPPETS: readonly Snippet[] = [
  {
    label: 'HVM: Kernel as a guest',
    description: 'Boot a kernel as a guest of the built-in hypervisor and stop at its main function.',
    attributes: {
      program: `${FOLDER_IN_SNIPPET}/${field(1, 'kernel.elf')}`,
      runToEntryPoint: field(2, 'kmain'),
    },
  },
  {
    label: 'HVM: Kernel that owns the machine',
    description: 'Boot a kernel or a hypervisor that owns the machine, and stop at its first instruction.',
    attributes: {
      program: `${FOLDER_IN_SNIPPET}/${field(1, 'kernel.elf')}`,
      mode: 'bare-metal',
      stopOnEntry: true,
    },
  },
  {
    label: 'HVM: Linux',
    description: 'Boot a Linux bzImage with its console on the serial terminal.',
    attributes: {
      program: `${FOLDER_IN_SNIPPET}/${field(1, 'bzImage')}`,
      initrd: `${FOLDER_IN_SNIPPET}/${field(2, 'initrd.img')}`,
      append: `console=ttyS0${field(3, '')}`,
      memory: '512M',
    },
  },
];

const START = { type: 'hvm', request: 'launch' } as const;

/** `configurationSnippets`: offered by "Add Configuration…". */
export function launchSnippets(): readonly JsonSchema[] {
  return SNIPPETS.map(({ label, description, attributes }) => ({
    label,
    description,
    body: {
      ...START,
      name: label.replace(/^HVM: /, ''),
      ...Object.fromEntries(Object.entries(attributes).map(([key, value]) => [key, inSnippet(value)])),
    },
  }));
}

/** VS Code takes a text that begins with `^` as it is, quotes included. */
function inSnippet(value: unknown): unknown {
  return typeof value === 'string' && value.includes('$') ? `^"${value}"` : value;
}

/** `initialConfigurations`: what a new launch.json holds. */
export function initialConfigurations(): readonly JsonSchema[] {
  return [{ ...START, name: 'Debug a kernel', program: `${FOLDER}/kernel.elf`, stopOnEntry: true }];
}
