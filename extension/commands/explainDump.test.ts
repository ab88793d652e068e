/** "Explain VMCS Dump": which text is explained, and where the explanation is shown. */
import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { Uri as VscodeUri } from 'vscode';
import { Uri, window, workspace } from '../../test/support/fakeVscode.ts';
import type { ExtensionHost } from '../host/extensionHost.ts';
import { explainDump } from './explainDump.ts';

vi.mock('vscode', () => import('../../test/support/fakeVscode.ts'));

const SELECTED = { isEmpty: false };
const extension = Uri.file('/extension') as unknown as VscodeUri;
const shown: unknown[] = [];
const explained: string[] = [];
const messages: string[] = [];
const host = {
  explainDumps: async (_extension: VscodeUri, log: string) => {
    explained.push(log);
    return 'the explanation';
  },
} as unknown as ExtensionHost;

function editing(selection: { readonly isEmpty: boolean }): void {
  const getText = (range?: unknown) => (range === undefined ? 'the whole log' : 'a part of it');
  Object.assign(window, { activeTextEditor: { document: { getText }, selection } });
}

beforeEach(() => {
  for (const list of [shown, explained, messages]) list.length = 0;
  Object.assign(window, {
    activeTextEditor: undefined,
    showInformationMessage: async (text: string) => void messages.push(text),
    showTextDocument: async (document: unknown, options: unknown) => void shown.push(document, options),
  });
  Object.assign(workspace, { openTextDocument: async (options: unknown) => options });
});

describe('"Explain VMCS Dump"', () => {
  it.each([
    ['the selection', SELECTED, 'a part of it'],
    ['the whole text without one', { isEmpty: true }, 'the whole log'],
  ])('explains %s, in an editor beside', async (_what, selection, log) => {
    editing(selection);
    await explainDump(extension, host);
    expect(explained).toEqual([log]);
    expect(shown).toEqual([
      { content: 'the explanation', language: 'plaintext' },
      { viewColumn: -2, preview: true },
    ]);
  });

  it('says what to do when no editor is open', async () => {
    await explainDump(extension, host);
    expect([explained, shown]).toEqual([[], []]);
    expect(messages[0]).toContain('Open the kernel log');
  });
});
