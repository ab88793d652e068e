/** Every file that is generated from a table, and what renders it. `npm run gen` writes them, a test compares them. */
import { render as renderLaunchReference } from '../debug-adapter/launch/reference.ts';
import { launchSchema } from '../debug-adapter/launch/schema.ts';

export interface Generator {
  /** Path from the top of the repository. */
  readonly file: string;
  /** The whole file; `current` is what stands there now, for a file of which only a part is generated. */
  readonly render: (current: string) => string;
}

export const GENERATORS: readonly Generator[] = [
  { file: 'docs/generated/launch.md', render: renderLaunchReference },
  { file: 'package.json', render: withLaunchSchema },
];

/** package.json with the attributes of a launch configuration. */
function withLaunchSchema(current: string): string {
  const manifest = JSON.parse(current) as {
    contributes: { debuggers: { type: string; configurationAttributes: unknown }[] };
  };
  for (const contributed of manifest.contributes.debuggers) {
    if (contributed.type === 'hvm') contributed.configurationAttributes = { launch: launchSchema() };
  }
  return `${JSON.stringify(manifest, undefined, 2)}\n`;
}
