/** Reads the command line of `hvm run` by the table of options. */

import { OptionError } from '../debug-adapter/launch/optionTypes.ts';
import { checkOptions } from '../debug-adapter/launch/validate.ts';
import {
  cliName,
  LAUNCH_OPTIONS,
  type LaunchOption,
  type LaunchOptionKey,
  type LaunchOptions,
} from '../debug-adapter/launchConfig.ts';

/** The command line cannot be used; the message is one sentence that names the option. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

const OPTIONS: ReadonlyMap<string, readonly [LaunchOptionKey, LaunchOption]> = new Map(
  (Object.entries(LAUNCH_OPTIONS) as [LaunchOptionKey, LaunchOption][]).flatMap(([key, row]) => {
    const name = cliName(key);
    return name?.startsWith('--') ? [[name, [key, row] as const] as const] : [];
  }),
);

/** Options of `hvm run`: all attributes, checked. `help` when `--help` is among the arguments. */
export function parseRunArguments(args: readonly string[]): LaunchOptions | 'help' {
  const values: Record<string, unknown> = {};
  const images: string[] = [];
  for (let position = 0; position < args.length; position++) {
    const argument = args[position];
    if (argument === '--help' || argument === '-h') return 'help';
    if (argument === '--') {
      images.push(...args.slice(position + 1));
      break;
    }
    if (!argument.startsWith('-') || argument === '-') images.push(argument);
    else position += readOption(argument, args[position + 1], values);
  }
  if (images.length > 1)
    throw new UsageError(`Only one IMAGE can be run, and there are ${images.length}: ${images.join(' ')}.`);
  values.program = images[0];
  return checkOptions(values, (key) => cliName(key) ?? key);
}

/** Reads one option into `values`; gives how many of the following arguments it used up. */
function readOption(argument: string, following: string | undefined, values: Record<string, unknown>): 0 | 1 {
  const equals = argument.indexOf('=');
  const name = equals < 0 ? argument : argument.slice(0, equals);
  const found = OPTIONS.get(name);
  if (found === undefined)
    throw new UsageError(`${name} is not an option of "hvm run": see "hvm run --help".`);
  const [key, row] = found;
  if (!row.available) throw new UsageError(`${name} does not exist yet.`);
  const isSwitch = row.type.placeholder === undefined;
  if (isSwitch && equals >= 0) throw new UsageError(`${name} takes no value.`);
  const separate = !isSwitch && equals < 0;
  // A text may begin with a dash (a kernel command line), an option may not stand where a value belongs.
  if (separate && (following === undefined || OPTIONS.has(following)))
    throw new UsageError(`${name} needs a value: ${name} ${row.type.placeholder}.`);
  if (key in values && !row.type.repeats) throw new UsageError(`${name} is given twice.`);
  const text = isSwitch ? '' : equals < 0 ? (following as string) : argument.slice(equals + 1);
  try {
    values[key] = row.type.fromText(text, values[key]);
    // Checked here too, so that the message names the option and not what another one made of it.
    row.type.check(values[key]);
  } catch (error) {
    if (error instanceof OptionError) throw new UsageError(`${name} ${error.message}.`);
    throw error;
  }
  return separate ? 1 : 0;
}
