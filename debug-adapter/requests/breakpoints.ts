/** setBreakpoints and its relatives: each replaces one list and tells the machine. */
import type { DebugProtocol as P } from '@vscode/debugprotocol';
import type { Binding, BreakpointWish, NamesAt } from '../breakpoints/breakpoints.ts';
import type { SessionContext } from '../context.ts';
import { exitsOfFilter, parseExitReasons } from '../control/exceptions.ts';
import { namesAt } from '../inspect/programNames.ts';
import { parseMemoryReference } from '../memoryReference.ts';
import { baseName } from '../symbols/paths.ts';

/** What the names in conditions mean: at an address, or where none is known. */
export function conditionNames(context: SessionContext): NamesAt {
  const { program, registerNames } = context.requireDebuggee();
  return (address) => namesAt(program, address, (name) => registerNames.has(name));
}

/** Replaces one list of breakpoints and tells the machine. */
export async function replaceBreakpoints(
  context: SessionContext,
  list: string,
  wishes: readonly BreakpointWish[],
): Promise<{ breakpoints: P.Breakpoint[] }> {
  const { machine, noDebug } = context.requireDebuggee();
  const breakpoints = await context.breakpoints.replace(list, wishes, conditionNames(context));
  if (!noDebug) await context.breakpoints.apply(machine);
  return { breakpoints };
}

export function setBreakpoints(context: SessionContext, args: P.SetBreakpointsArguments) {
  const { source } = args;
  const wanted = args.breakpoints ?? (args.lines ?? []).map((line) => ({ line }) as P.SourceBreakpoint);
  const place = source.sourceReference ? `#${source.sourceReference}` : (source.path ?? '');
  return replaceBreakpoints(
    context,
    `source ${place}`,
    wanted.map(({ line, column, condition, hitCondition, logMessage }) => ({
      key: `${place}:${line}:${column ?? ''}`,
      kind: 'source',
      condition,
      hitCondition,
      logMessage,
      find: () =>
        source.sourceReference
          ? bindGenerated(context, source, line)
          : bindLine(context, source, line, column),
    })),
  );
}

async function bindLine(
  context: SessionContext,
  source: P.Source,
  line: number,
  column: number | undefined,
): Promise<Binding> {
  const { program, sources } = context.requireDebuggee();
  const { firstLine, firstColumn } = context.client;
  const path = source.path ?? '';
  const at = line + 1 - firstLine;
  const inColumn = column === undefined ? undefined : column + 1 - firstColumn;
  for (const candidate of sources.toProgram(path)) {
    const found = program.lineToAddresses(candidate, at, inColumn);
    if (found.length === 0) continue;
    const first = found[0];
    return {
      addresses: found.map(({ address }) => address),
      line: first.line - 1 + firstLine,
      ...(inColumn !== undefined && first.column > 0 && { column: first.column - 1 + firstColumn }),
      source,
    };
  }
  return { problem: whyUnbound(context, path, at) };
}

/** Why a line has no address, and what to do about it. */
function whyUnbound(context: SessionContext, path: string, line: number): string {
  const { program, sources, programName } = context.requireDebuggee();
  if (!program.hasDebugInfo) return `${programName} has no debug information: build it with -g.`;
  const known = program.sources();
  if (sources.toProgram(path).some((candidate) => known.includes(candidate)))
    return `No code at line ${line} or after it.`;
  const elsewhere = known.find((candidate) => baseName(candidate) === baseName(path));
  return elsewhere === undefined
    ? `${baseName(path)} is not part of ${programName}.`
    : `${programName} was built from ${elsewhere}: map its folder in "sourceMap".`;
}

/** A line of generated disassembly stands for the instruction on it. */
async function bindGenerated(context: SessionContext, source: P.Source, line: number): Promise<Binding> {
  const { firstLine } = context.client;
  const generated = context.generated.get(source.sourceReference as number);
  const from = line - firstLine;
  const at = generated?.addresses.findIndex((address, index) => index >= from && address !== undefined) ?? -1;
  const address = at < 0 ? undefined : generated?.addresses[at];
  if (address === undefined) return { problem: 'This disassembly is no longer valid.' };
  return { addresses: [address], line: at + firstLine, source };
}

export function setFunctionBreakpoints(
  context: SessionContext,
  { breakpoints }: P.SetFunctionBreakpointsArguments,
) {
  return replaceBreakpoints(
    context,
    'function',
    breakpoints.map(({ name, condition, hitCondition }) => ({
      key: name,
      kind: 'function',
      condition,
      hitCondition,
      find: async () => bindFunction(context, name.trim()),
    })),
  );
}

/** A function, a label, an address, or `exit:REASON`. */
function bindFunction(context: SessionContext, name: string): Binding {
  const { program, exitReasons, programName } = context.requireDebuggee();
  const exit = /^exit:(.*)$/i.exec(name);
  if (exit) {
    return bindExits(parseExitReasons(exit[1], exitReasons));
  }
  if (/^0x[0-9a-f]{1,16}$/i.test(name)) return { addresses: [BigInt(name)] };
  const addresses = program
    .functionsByName(name)
    .flatMap((found) => [...(found.function ? [found.function.body] : []), ...found.inlinedAt]);
  if (addresses.length > 0) return { addresses: [...new Set(addresses)] };
  const symbol = program.symbol(name);
  if (symbol !== undefined) return { addresses: [symbol] };
  return { problem: `${programName} has no function "${name}".` };
}

export function setInstructionBreakpoints(
  context: SessionContext,
  { breakpoints }: P.SetInstructionBreakpointsArguments,
) {
  return replaceBreakpoints(
    context,
    'instruction',
    breakpoints.map(({ instructionReference, offset, condition, hitCondition }) => ({
      key: `${instructionReference}+${offset ?? 0}`,
      kind: 'instruction',
      condition,
      hitCondition,
      find: async () => bindInstruction(instructionReference, offset),
    })),
  );
}

function bindInstruction(reference: string, offset: number | undefined): Binding {
  const found = parseMemoryReference(reference, offset);
  if (found?.space !== 'linear' || found.level !== undefined)
    return { problem: `"${reference}" is not a linear address: instruction breakpoints stop at one.` };
  return { addresses: [found.address] };
}

export async function setExceptionBreakpoints(
  context: SessionContext,
  args: P.SetExceptionBreakpointsArguments,
) {
  const { exitReasons } = context.requireDebuggee();
  const options = args.filterOptions ?? [];
  const wanted = [...args.filters.map((filterId) => ({ filterId, condition: undefined })), ...options];
  context.filters = new Set(wanted.map(({ filterId }) => filterId));
  const stopping = wanted.filter(({ filterId }) => exitsOfFilter(filterId, undefined, exitReasons));
  const { breakpoints } = await replaceBreakpoints(
    context,
    'exception',
    stopping.map(({ filterId, condition }) => ({
      key: filterId,
      kind: 'exception',
      find: async () => bindExits(exitsOfFilter(filterId, condition, exitReasons) ?? { keys: [] }),
    })),
  );
  // One answer for each filter, in their order.
  return {
    breakpoints: wanted.map(
      (filter) => (stopping.includes(filter) ? breakpoints.shift() : undefined) ?? { verified: true },
    ),
  };
}

function bindExits(parsed: { readonly keys: readonly string[] } | { readonly unknown: string }): Binding {
  return 'keys' in parsed
    ? { exits: parsed.keys }
    : { problem: `There is no exit reason "${parsed.unknown}".` };
}

export async function breakpointLocations(context: SessionContext, args: P.BreakpointLocationsArguments) {
  const { program, sources } = context.requireDebuggee();
  const { firstLine, firstColumn } = context.client;
  const start = args.line + 1 - firstLine;
  const end = (args.endLine ?? args.line) + 1 - firstLine;
  for (const candidate of sources.toProgram(args.source.path ?? '')) {
    const found = program.breakpointLocations(candidate, start, end);
    if (found.length === 0) continue;
    return {
      breakpoints: found.map(({ line, column }) => ({
        line: line - 1 + firstLine,
        ...(column > 0 && { column: column - 1 + firstColumn }),
      })),
    };
  }
  return { breakpoints: [] };
}
