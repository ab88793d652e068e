/** From the arguments of a launch (or a restart) to a machine at power-on with its breakpoints. */
import type { SessionContext } from '../context.ts';
import { ExitPump } from '../control/exitPump.ts';
import { reportStop } from '../control/reportStop.ts';
import { RunControl } from '../control/runControl.ts';
import type { Debuggee } from '../debuggee.ts';
import { dapError, toDapError } from '../errors.ts';
import type { OutputFile, OutputKind } from '../host/adapterHost.ts';
import type { LaunchOptions } from '../launchConfig.ts';
import type { Machine } from '../machine/client.ts';
import { Program, type SymbolInput } from '../program/program.ts';
import { Sources } from '../program/sources.ts';
import { SerialOutput } from '../serial/serialOutput.ts';
import { baseName, resolvePath } from '../symbols/paths.ts';
import { ExitPlaces } from '../trace/exitPlaces.ts';
import { FileError, readInput, readMachineConfig } from './image.ts';
import { checkLaunchArguments, LaunchError } from './validate.ts';

/** Where `trace: true` writes. */
const DEFAULT_TRACE = 'hvm-dap.log';

export type LaunchArguments = Readonly<Record<string, unknown>>;

/** Everything that can be refused is refused here, before a machine that may exist already is touched. */
export async function prepareLaunch(context: SessionContext, values: LaunchArguments) {
  const { files, currentFolder } = context.host;
  const { options, warnings } = checkLaunchArguments(values);
  const base = typeof values.__workspaceFolder === 'string' ? values.__workspaceFolder : currentFolder;
  for (const warning of warnings) context.output('console', warning);
  const config = await readMachineConfig(options, base, files);
  const symbols = await readSymbolFiles(context, options, base);
  return {
    options,
    base,
    config,
    noDebug: values.noDebug === true,
    inputs: [...(config.image ? [{ path: config.image.name, bytes: config.image.bytes }] : []), ...symbols],
  };
}

type Prepared = Awaited<ReturnType<typeof prepareLaunch>>;

async function readSymbolFiles(
  { host }: SessionContext,
  options: LaunchOptions,
  base: string,
): Promise<SymbolInput[]> {
  const inputs: SymbolInput[] = [];
  for (const entry of options.symbolFiles) {
    const { file, loadBias } = typeof entry === 'string' ? { file: entry, loadBias: undefined } : entry;
    const { name, bytes } = await readInput(host.files, base, file as string, 'the symbol file');
    inputs.push({ path: name, bytes, loadBias });
  }
  return inputs;
}

/** Makes everything around a machine that has just been made. */
export async function createDebuggee(
  context: SessionContext,
  prepared: Prepared,
  machine: Machine,
): Promise<Debuggee> {
  const { options, base, config, inputs, noDebug } = prepared;
  const { host, connection } = context;
  const program = new Program(noDebug ? [] : inputs, host.inflate, (text) => context.output('console', text));
  const entryPoint = noDebug ? undefined : entryPointOf(program, options.runToEntryPoint);
  const sources = new Sources({
    base,
    programs: inputs.map(({ path }) => path),
    sourceMap: options.sourceMap,
    exists: (path) => host.files.exists(path),
  });
  const open = (path: string | undefined, kind: OutputKind) => openOutput(context, base, path, kind);
  const serialFile =
    typeof options.serial === 'object' ? await open(options.serial.file, 'serial') : undefined;
  const serial = new SerialOutput(
    serialFile ?? (options.serial as Exclude<LaunchOptions['serial'], object>),
    {
      // Only VS Code has our serial terminal; other clients show output events.
      terminal: (text) =>
        context.client.isVsCode ? connection.event('hvm/serialOutput', { text }) : outputText(context, text),
      console: (text) => outputText(context, text),
    },
    host.after,
  );
  const traceFile = options.trace === true ? DEFAULT_TRACE : options.trace || undefined;
  const trace = await open(traceFile, 'trace');
  if (trace) context.traceTo(trace);
  const exits = new ExitPump({
    machine,
    file: await open(options.traceExits, 'exits'),
    after: host.after,
    changed: (total) => connection.event('hvm/exitsChanged', { total }),
  });
  const control = new RunControl(
    machine,
    (stop) => void reportStop(context, stop).catch((error: unknown) => reportFailure(context, error)),
    (error) => reportFailure(context, error),
  );
  const [vcpus, registers, exitReasons] = await Promise.all([
    machine.vcpus(),
    machine.registers(0),
    machine.exitReasons(),
  ]);
  const registerNames = new Set(
    registers.flatMap((group) => group.registers.map(({ name }) => name.toLowerCase())),
  );
  return {
    options,
    base,
    noDebug,
    config,
    programName: baseName((inputs[0] ?? { path: options.bios ?? '' }).path),
    program,
    sources,
    machine,
    control,
    serial,
    exits,
    exitPlaces: new ExitPlaces(program),
    entryPoint,
    vcpuCount: vcpus.length,
    exitReasons,
    registerNames,
  };
}

function entryPointOf(program: Program, symbol: string | undefined): bigint | undefined {
  if (symbol === undefined) return undefined;
  const body = program.functionsByName(symbol)[0]?.function?.body ?? program.symbol(symbol);
  if (body === undefined) throw dapError('entryPoint', { symbol });
  return body;
}

function outputText(context: SessionContext, text: string): void {
  context.connection.event('output', { category: 'stdout', output: text });
}

async function openOutput(
  context: SessionContext,
  base: string,
  path: string | undefined,
  kind: OutputKind,
): Promise<OutputFile | undefined> {
  if (path === undefined) return undefined;
  const full = resolvePath(base, path);
  try {
    return await context.host.files.create(full, base, kind);
  } catch (error) {
    if (error instanceof FileError) throw new LaunchError(`Cannot write ${full}: ${error.message}.`);
    throw error;
  }
}

/** The machine itself has failed: nothing is left to debug. */
export function reportFailure(context: SessionContext, error: unknown): void {
  context.output('stderr', toDapError(error).message);
  context.connection.event('terminated', undefined);
}
