import type { SessionContext } from '../context.ts';
import { runRequest } from '../debuggee.ts';
import { dapError } from '../errors.ts';
import { createDebuggee, type LaunchArguments, prepareLaunch, reportFailure } from '../launch/start.ts';
import type { MachineConnection } from '../machine/client.ts';
import type { MachineEvent } from '../machine/port.ts';
import { conditionNames } from './breakpoints.ts';

/** Makes the machine. It starts to run when the client has said where to stop. */
export async function launch(context: SessionContext, args: LaunchArguments): Promise<undefined> {
  if (context.debuggee) throw dapError('alreadyLaunched');
  const prepared = await prepareLaunch(context, args);
  const connection: MachineConnection = context.host.startMachine((event) => onMachineEvent(context, event));
  try {
    await connection.machine.create(prepared.config);
    context.debuggee = await createDebuggee(context, prepared, connection.machine);
  } catch (error) {
    connection.close();
    throw error;
  }
  context.machineConnection = connection;
  context.launchArguments = args;
  context.connection.event('initialized', undefined);
  return undefined;
}

/** The client has set its breakpoints. */
export async function configurationDone(context: SessionContext): Promise<undefined> {
  await start(context);
  return undefined;
}

/** Power-on again, with the image and the symbols read again. */
export async function restart(
  context: SessionContext,
  args: { arguments?: unknown } | undefined,
): Promise<undefined> {
  const before = context.requireDebuggee();
  const values = (args?.arguments ?? context.launchArguments) as LaunchArguments;
  const prepared = await prepareLaunch(context, values);
  // What is wrong with the image shows here, and the machine that was there stays.
  await before.machine.create(prepared.config);
  before.exits.stop();
  await Promise.all([before.serial.close(), before.exits.close()]);
  context.debuggee = await createDebuggee(context, prepared, before.machine);
  context.machineRuns();
  for (const breakpoint of await context.breakpoints.rebind(conditionNames(context)))
    context.connection.event('breakpoint', { reason: 'changed', breakpoint });
  await start(context);
  return undefined;
}

/** From power-on to the first stop that is wanted. */
async function start(context: SessionContext): Promise<void> {
  const debuggee = context.requireDebuggee();
  const { options, machine, control, noDebug } = debuggee;
  context.breakpoints.setTemporary(noDebug ? undefined : debuggee.entryPoint);
  if (!noDebug) await context.breakpoints.apply(machine);
  if (options.stopOnEntry && !noDebug) {
    control.rest({
      reason: 'entry',
      vcpu: 0,
      position: 0,
      description: 'At the first instruction',
      breakpoints: [],
      details: [],
    });
    return;
  }
  context.run((run) => run(runRequest(debuggee)));
}

/** What the program prints on its debug console (ports 0xe9 and 0x402). */
const DEBUG_CONSOLE = 'debug console';

function onMachineEvent(context: SessionContext, event: MachineEvent): void {
  switch (event.event) {
    case 'stopped':
      context.debuggee?.control.stopped(event.stop);
      break;
    case 'serialOutput':
      context.debuggee?.serial.write(event.bytes);
      break;
    case 'message':
      context.output(
        event.failed ? 'stderr' : 'console',
        event.failed ? `Breakpoint ${event.breakpoint}: ${event.text}` : event.text,
      );
      break;
    case 'lost':
      reportFailure(context, dapError('machineLost', { reason: event.reason }));
      break;
    case 'log':
      if (event.level === 'warn' || event.level === 'error' || event.component === DEBUG_CONSOLE)
        context.output('console', `${event.component}: ${event.message}`);
      break;
  }
}
