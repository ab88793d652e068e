import { beforeEach, describe, expect, it, vi } from 'vitest';
import { EventEmitter, workspace } from '../../test/support/fakeVscode.ts';
import type { Sessions } from '../session/sessions.ts';
import { followNumberFormat, toggleNumberFormat } from './numberFormat.ts';

vi.mock('vscode', () => import('../../test/support/fakeVscode.ts'));

let setting: string | undefined;
const configurationChanged = new EventEmitter<{ affectsConfiguration: (section: string) => boolean }>();

beforeEach(() => {
  setting = undefined;
  Object.assign(workspace, {
    getConfiguration: () => ({
      get: (_: string, standard: string) => setting ?? standard,
      update: async (_: string, value: string | undefined) => {
        setting = value;
        configurationChanged.fire({ affectsConfiguration: (section) => section === 'hvm.numberFormat' });
      },
    }),
    onDidChangeConfiguration: configurationChanged.event,
  });
});

function follow() {
  const told: string[] = [];
  const started = new EventEmitter<object>();
  const changed = new EventEmitter<void>();
  const session = {
    hasEnded: false,
    onDidChange: changed.event,
    request: async (_: string, { format }: { format: string }) => void told.push(format),
  };
  const all: object[] = [];
  const subscription = followNumberFormat({ onDidStart: started.event, all } as unknown as Sessions);
  const start = () => {
    all.push(session);
    started.fire(session);
    changed.fire();
  };
  return { told, start, changed, subscription };
}

describe('the number format', () => {
  it('is changed in the settings, and the sessions are told', async () => {
    const { told, start, subscription } = follow();
    start();
    expect(told).toEqual([]);
    await toggleNumberFormat();
    expect(setting).toBe('decimal');
    await toggleNumberFormat();
    expect(setting).toBeUndefined();
    expect(told).toEqual(['decimal', 'hexadecimal']);
    subscription.dispose();
  });

  it('is told once to a session that starts later', () => {
    setting = 'decimal';
    const { told, start, changed, subscription } = follow();
    start();
    changed.fire();
    expect(told).toEqual(['decimal']);
    subscription.dispose();
  });
});
