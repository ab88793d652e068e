/** Every file that is generated from a table, and what renders it. `npm run gen` writes them, a test compares them. */
import { render as renderLaunchReference } from '../debug-adapter/launch/reference.ts';
import { initialConfigurations, launchSchema, launchSnippets } from '../debug-adapter/launch/schema.ts';
import { BREAKPOINT_LANGUAGES } from '../extension/manifest/languages.ts';
import { renderInstructionCoverage } from './instructionCoverage.ts';
import { renderSanitizerRules } from './sanitizerRules.ts';
import { renderVmxCoverage } from './vmxCoverage.ts';

export interface Generator {
  /** Path from the top of the repository. */
  readonly file: string;
  /** The whole file; `current` is what stands there now, for a file of which only a part is generated. */
  readonly render: (current: string) => string;
}

export const GENERATORS: readonly Generator[] = [
  { file: 'docs/generated/launch.md', render: renderLaunchReference },
  { file: 'docs/generated/instructions.md', render: renderInstructionCoverage },
  { file: 'docs/generated/vmx.md', render: renderVmxCoverage },
  { file: 'docs/generated/sanitizer.md', render: renderSanitizerRules },
  { file: 'package.json', render: renderManifest },
];

/** package.json with what it says about launch configurations and about languages. */
function renderManifest(current: string): string {
  const manifest = JSON.parse(current) as {
    contributes: { breakpoints: unknown; debuggers: Record<string, unknown>[] };
  };
  const { contributes } = manifest;
  contributes.breakpoints = BREAKPOINT_LANGUAGES.map(({ id }) => ({ language: id }));
  const hvm = contributes.debuggers.find(({ type }) => type === 'hvm');
  if (hvm) {
    hvm.languages = BREAKPOINT_LANGUAGES.filter(({ startsHere }) => startsHere).map(({ id }) => id);
    hvm.configurationAttributes = { launch: launchSchema() };
    hvm.initialConfigurations = initialConfigurations();
    hvm.configurationSnippets = launchSnippets();
  }
  return `${JSON.stringify(manifest, undefined, 2)}\n`;
}
