import { setTimeout } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { MachineConnection } from '../../machine/client.ts';
import { prepareMachineWorker } from './machineClient.ts';

const script = (text: string): URL => new URL(`data:text/javascript,${encodeURIComponent(text)}`);

/** Why the machine is lost. */
function lost(start: ReturnType<typeof prepareMachineWorker>): Promise<string> {
  return new Promise((resolve) => {
    const connection: MachineConnection = start((event) => {
      // As a session does it, which has the connection by then.
      if (event.event === 'lost') resolve(`${event.reason}, ${typeof connection.close}`);
    });
  });
}

describe('a thread for a machine that is still to come', () => {
  it('tells that it died before it was wanted', async () => {
    const start = prepareMachineWorker(script('throw new Error("no memory")'));
    await setTimeout(500);
    expect(await lost(start)).toBe('no memory, function');
  });

  it('tells that it died when it was', async () => {
    const start = prepareMachineWorker(script('setTimeout(() => process.exit(), 500)'));
    expect(await lost(start)).toBe('its thread has ended, function');
  });
});
