/** Everything a launch makes: the program's symbols, the machine, and where its output goes. */
import type { MachineConfig, RunRequest } from '../emulator/index.ts';
import type { ExitPump } from './control/exitPump.ts';
import type { RunControl } from './control/runControl.ts';
import type { LaunchOptions } from './launchConfig.ts';
import type { Machine } from './machine/client.ts';
import type { Program } from './program/program.ts';
import type { Sources } from './program/sources.ts';
import type { SerialOutput } from './serial/serialOutput.ts';
import type { ExitPlaces } from './trace/exitPlaces.ts';

export interface Debuggee {
  readonly options: LaunchOptions;
  /** The folder relative paths start from. */
  readonly base: string;
  /** Run without stopping: the client asked for no debugging. */
  readonly noDebug: boolean;
  readonly config: MachineConfig;
  /** The file that is debugged, for messages: the image, or the first file with symbols. */
  readonly programName: string;
  readonly program: Program;
  readonly sources: Sources;
  readonly machine: Machine;
  readonly control: RunControl;
  readonly serial: SerialOutput;
  readonly exits: ExitPump;
  readonly exitPlaces: ExitPlaces;
  /** Where `runToEntryPoint` stops. */
  readonly entryPoint: bigint | undefined;
  readonly vcpuCount: number;
  readonly exitReasons: readonly { readonly key: string; readonly name: string; readonly number: number }[];
  /** Names of registers, in lower case, for binding conditions. */
  readonly registerNames: ReadonlySet<string>;
}

/** A run to wherever it stops, within the limit of the launch. */
export function runRequest(debuggee: Pick<Debuggee, 'options'>, request: RunRequest = {}): RunRequest {
  const { maxInstructions } = debuggee.options;
  return maxInstructions === undefined ? request : { ...request, limit: maxInstructions };
}
