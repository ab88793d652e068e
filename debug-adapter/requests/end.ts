import type { SessionContext } from '../context.ts';

/** Switches the machine off; the client ends the session when it has seen the event. */
export async function terminate(context: SessionContext): Promise<undefined> {
  await context.closeDebuggee();
  context.connection.event('terminated', undefined);
  return undefined;
}

/** The client leaves. The machine has no life of its own. */
export async function disconnect(context: SessionContext): Promise<undefined> {
  await context.closeDebuggee();
  // After the response has gone out.
  context.host.after(0, () => context.host.exit());
  return undefined;
}
