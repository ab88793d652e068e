import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { EventEmitter, window } from '../../test/support/fakeVscode.ts';
import type { Sessions } from '../session/sessions.ts';
import { StatusBar } from './statusBar.ts';

vi.mock('vscode', () => import('../../test/support/fakeVscode.ts'));

/** A session that runs, and the status bar's item about it. */
function shown() {
  const item = { text: '', tooltip: '', isVisible: false };
  Object.assign(window, {
    createStatusBarItem: () =>
      Object.assign(item, {
        show: () => {
          item.isVisible = true;
        },
        hide: () => {
          item.isVisible = false;
        },
        dispose: () => undefined,
      }),
  });
  const changed = new EventEmitter<void>();
  const activeChanged = new EventEmitter<object | undefined>();
  let asked = 0;
  const session = {
    debugSession: { configuration: { mode: 'bare-metal' } },
    isStopped: false,
    hasEnded: false,
    onDidChange: changed.event,
    request: async () => {
      asked++;
      return {
        instructions: asked * 1_000_000,
        ticks: 0,
        exits: 0,
        translations: 0,
        code: '32-bit',
        exitsByReason: [],
      };
    },
  };
  const sessions = { active: undefined as object | undefined, onDidChangeActive: activeChanged.event };
  const bar = new StatusBar(sessions as unknown as Sessions);
  const activate = (active: object | undefined) => {
    sessions.active = active;
    activeChanged.fire(active);
  };
  const stop = (isStopped: boolean) => {
    session.isStopped = isStopped;
    changed.fire();
  };
  return { item, bar, session, activate, stop, asked: () => asked };
}

describe('the status bar', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('asks a running machine twice a second', async () => {
    const { item, activate, session, asked, bar } = shown();
    activate(session);
    await vi.advanceTimersByTimeAsync(0);
    expect(item.text).toBe('$(vm-running) bare-metal, 32-bit  1.00M instructions');
    await vi.advanceTimersByTimeAsync(2000);
    expect(asked()).toBe(5);
    expect(item.text).toContain('5.00M instructions  2.0 MIPS');
    bar.dispose();
  });

  it('asks a stopped machine once, and again when it goes on', async () => {
    const { item, activate, session, stop, asked, bar } = shown();
    activate(session);
    await vi.advanceTimersByTimeAsync(0);
    stop(true);
    await vi.advanceTimersByTimeAsync(5000);
    expect(asked()).toBe(2);
    expect(item.text).toBe('$(debug-pause) bare-metal, 32-bit  2.00M instructions');
    stop(false);
    await vi.advanceTimersByTimeAsync(600);
    expect(asked()).toBe(4);
    bar.dispose();
  });

  it('reads again when the machine stops while it is being asked', async () => {
    const { item, activate, session, stop, bar } = shown();
    activate(session);
    stop(true);
    await vi.advanceTimersByTimeAsync(0);
    expect(item.text).toBe('$(debug-pause) bare-metal, 32-bit  2.00M instructions');
    bar.dispose();
  });

  it('shows nothing where no machine is debugged', async () => {
    const { item, activate, session, asked, bar } = shown();
    activate(session);
    await vi.advanceTimersByTimeAsync(0);
    expect(item.isVisible).toBe(true);
    activate(undefined);
    expect(item.isVisible).toBe(false);
    const before = asked();
    await vi.advanceTimersByTimeAsync(5000);
    expect(asked()).toBe(before);
    bar.dispose();
  });
});
