/** From the arguments of a launch request (or of a command line) to checked options with their defaults. */
import {
  LAUNCH_OPTIONS,
  type LaunchOption,
  type LaunchOptionKey,
  type LaunchOptions,
} from '../launchConfig.ts';
import { OptionError } from './optionTypes.ts';

/** The arguments cannot be used; the message is one sentence that names the option. */
export class LaunchError extends Error {
  override readonly name = 'LaunchError';
}

/** What clients put into every launch configuration for themselves. */
const CLIENT_ATTRIBUTES: ReadonlySet<string> = new Set([
  'type',
  'request',
  'name',
  'noDebug',
  'preLaunchTask',
  'postDebugTask',
  'presentation',
  'internalConsoleOptions',
  'debugServer',
  'serverReadyAction',
  'suppressMultipleSessionWarning',
  'windows',
  'linux',
  'osx',
  'cwd',
]);

const ROWS = Object.entries(LAUNCH_OPTIONS) as [LaunchOptionKey, LaunchOption][];

/** How an option is called where the user wrote it. */
export type NameOf = (key: LaunchOptionKey) => string;

export interface CheckedLaunch {
  readonly options: LaunchOptions;
  /** One sentence each: attributes that mean nothing here. */
  readonly warnings: readonly string[];
}

/** Checks the arguments of a launch request. Throws {@link LaunchError} at the first thing that is wrong. */
export function checkLaunchArguments(values: Readonly<Record<string, unknown>>): CheckedLaunch {
  const warnings: string[] = [];
  for (const key of Object.keys(values)) {
    const known =
      Object.hasOwn(LAUNCH_OPTIONS, key) && LAUNCH_OPTIONS[key as LaunchOptionKey].where !== 'cli';
    if (known || CLIENT_ATTRIBUTES.has(key) || key.startsWith('__')) continue;
    warnings.push(
      `launch.json: "${key}" is not an attribute of this debugger and is ignored.${suggestion(key)}`,
    );
  }
  return { options: checkOptions(values, (key) => `"${key}"`), warnings };
}

/** Checks options given by attribute name and fills in the defaults. */
export function checkOptions(values: Readonly<Record<string, unknown>>, nameOf: NameOf): LaunchOptions {
  const options: Record<string, unknown> = {};
  for (const [key, row] of ROWS) options[key] = checkOption(key, row, values[key], nameOf);
  if (options.program === undefined && options.bios === undefined)
    throw new LaunchError(`${nameOf('program')} is missing: name the image to boot.`);
  return options as LaunchOptions;
}

function checkOption(key: LaunchOptionKey, row: LaunchOption, value: unknown, nameOf: NameOf): unknown {
  const given = value === undefined || value === null ? row.default : value;
  if (given === undefined) return undefined;
  if (!row.available && JSON.stringify(given) !== JSON.stringify(row.default))
    throw new LaunchError(`${nameOf(key)} does not exist yet.`);
  try {
    return row.type.check(given);
  } catch (error) {
    if (error instanceof OptionError) throw new LaunchError(`${nameOf(key)} ${error.message}.`);
    throw error;
  }
}

/** `Did you mean …?` for a slip of one or two letters. */
function suggestion(key: string): string {
  const near = ROWS.filter(([, row]) => row.where !== 'cli' && row.available)
    .map(([name]) => ({ name, distance: editDistance(key.toLowerCase(), name.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance)[0];
  return near.distance <= 2 ? ` Did you mean "${near.name}"?` : '';
}

/** Number of letters to insert, remove or replace. */
function editDistance(from: string, to: string): number {
  let previous = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 1; i <= from.length; i++) {
    const row = [i];
    for (let j = 1; j <= to.length; j++)
      row[j] = Math.min(
        row[j - 1] + 1,
        previous[j] + 1,
        previous[j - 1] + (from[i - 1] === to[j - 1] ? 0 : 1),
      );
    previous = row;
  }
  return previous[to.length];
}
