import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { DebugAdapterTracker, DebugSession } from 'vscode';
import { debug } from '../../test/support/fakeVscode.ts';
import type { HvmSession } from './hvmSession.ts';
import { Sessions } from './sessions.ts';

vi.mock('vscode', () => import('../../test/support/fakeVscode.ts'));

let sessions: Sessions;
let started: HvmSession[];
let log: string[];
let tracker: Required<DebugAdapterTracker>;

const event = (name: string, body?: object) => tracker.onDidSendMessage({ type: 'event', event: name, body });
const answer = (command: string) => tracker.onDidSendMessage({ type: 'response', success: true, command });

beforeEach(() => {
  let makeTracker: ((session: DebugSession) => DebugAdapterTracker) | undefined;
  Object.assign(debug, {
    registerDebugAdapterTrackerFactory: (
      _: string,
      factory: { createDebugAdapterTracker: typeof makeTracker },
    ) => {
      makeTracker = factory.createDebugAdapterTracker;
      return { dispose: () => undefined };
    },
  });
  log = [];
  started = [];
  sessions = new Sessions();
  sessions.onDidStart((session) => {
    started.push(session);
    session.onDidChange(() => log.push(session.isStopped ? 'stopped' : 'running'));
    session.onDidRestart(() => log.push('restarted'));
    session.on('hvm/serialOutput', ({ text }) => log.push(`says ${text}`));
  });
  sessions.onDidEnd(({ exitCode }) => log.push(`ended ${exitCode}`));
  sessions.onDidDie(() => log.push('died'));
  tracker = makeTracker?.({ id: 'one' } as DebugSession) as Required<DebugAdapterTracker>;
});

describe('a debug session', () => {
  it('is followed from its first stop to its end', () => {
    answer('configurationDone');
    event('hvm/serialOutput', { text: 'hello' });
    event('stopped');
    answer('continue');
    event('exited', { exitCode: 3 });
    event('terminated');
    tracker.onWillStopSession();
    tracker.onExit(0, undefined);
    expect(log).toEqual(['running', 'says hello', 'stopped', 'running', 'running', 'ended 3']);
    expect(sessions.all).toEqual([]);
    expect(started[0].hasEnded).toBe(true);
  });

  it('that is restarted has no exit status any more', () => {
    event('exited', { exitCode: 3 });
    answer('restart');
    expect(log).toEqual(['restarted', 'running']);
    expect(started[0].exitCode).toBeUndefined();
  });

  it.each([
    ['its process ends', () => tracker.onExit(undefined, undefined)],
    ['its streams break', () => tracker.onError(new Error('read error'))],
  ])('has died when %s and nobody asked for it', (_, happens) => {
    happens();
    tracker.onExit(undefined, undefined);
    expect(log.filter((line) => line !== 'running')).toEqual(['died', 'ended undefined']);
  });

  it.each([
    ['the user stopped it', () => tracker.onWillReceiveMessage({ command: 'terminate' })],
    ['VS Code left it', () => tracker.onWillReceiveMessage({ command: 'disconnect' })],
    ['the program was over', () => event('terminated')],
  ])('has not died when %s before', (_, happens) => {
    happens();
    tracker.onExit(0, undefined);
    expect(log).not.toContain('died');
  });
});
