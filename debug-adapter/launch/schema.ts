/** The JSON schema of a launch configuration, for `contributes.debuggers` in package.json. */
import { LAUNCH_OPTIONS, type LaunchOption } from '../launchConfig.ts';
import type { JsonSchema } from './optionTypes.ts';

/** `configurationAttributes.launch`: what works, and only that. */
export function launchSchema(): JsonSchema {
  const rows = Object.entries(LAUNCH_OPTIONS as Readonly<Record<string, LaunchOption>>);
  const offered = rows.filter(([, row]) => row.available && row.where !== 'cli');
  return {
    required: ['program'],
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
