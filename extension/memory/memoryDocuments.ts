/** Memory as read-only documents that follow the machine: `hvm-memory:Memory gpa:0x1000?SESSION`. */
import type { DebugProtocol as P } from '@vscode/debugprotocol';
import * as vscode from 'vscode';
import type { HvmSession } from '../session/hvmSession.ts';
import type { Sessions } from '../session/sessions.ts';
import { hexDump } from './hexDump.ts';

const SCHEME = 'hvm-memory';
/** A language without brackets: bytes that look like them mean nothing. */
const LANGUAGE = 'hvm-memory';
const LENGTH = 4096;

export class MemoryDocuments implements vscode.TextDocumentContentProvider, vscode.Disposable {
  readonly #sessions: Sessions;
  readonly #changed = new vscode.EventEmitter<vscode.Uri>();
  readonly #subscriptions: vscode.Disposable[];
  /** What was read last, to be seen after the machine has gone. */
  readonly #shown = new Map<string, { readonly uri: vscode.Uri; text: string }>();

  readonly onDidChange = this.#changed.event;

  constructor(sessions: Sessions) {
    this.#sessions = sessions;
    this.#subscriptions = [
      vscode.workspace.registerTextDocumentContentProvider(SCHEME, this),
      vscode.workspace.onDidCloseTextDocument(({ uri }) => this.#shown.delete(uri.toString())),
      sessions.onDidStart((session) =>
        session.onDidChange(() => session.isStopped && this.#refresh(session)),
      ),
    ];
  }

  dispose(): void {
    for (const subscription of this.#subscriptions) subscription.dispose();
    this.#changed.dispose();
  }

  async show(session: HvmSession, reference: string): Promise<void> {
    const uri = vscode.Uri.from({
      scheme: SCHEME,
      path: `Memory ${reference}`,
      query: session.debugSession.id,
    });
    const document = await vscode.workspace.openTextDocument(uri);
    await vscode.languages.setTextDocumentLanguage(document, LANGUAGE);
    await vscode.window.showTextDocument(document, { preview: true });
  }

  async provideTextDocumentContent(uri: vscode.Uri): Promise<string> {
    const before = this.#shown.get(uri.toString());
    const session = this.#sessions.all.find(({ debugSession }) => debugSession.id === uri.query);
    if (session === undefined) return before?.text ?? 'The machine has ended.\n';
    const text = await readMemory(session, uri.path.replace(/^Memory /, ''));
    this.#shown.set(uri.toString(), { uri, text });
    return text;
  }

  #refresh(session: HvmSession): void {
    for (const { uri } of this.#shown.values())
      if (uri.query === session.debugSession.id) this.#changed.fire(uri);
  }
}

async function readMemory(session: HvmSession, memoryReference: string): Promise<string> {
  try {
    const body = (await session.debugSession.customRequest('readMemory', {
      memoryReference,
      count: LENGTH,
    })) as NonNullable<P.ReadMemoryResponse['body']>;
    const bytes = Uint8Array.from(atob(body.data ?? ''), (character) => character.charCodeAt(0));
    return hexDump(BigInt(body.address), bytes, LENGTH);
  } catch (error) {
    return `${error instanceof Error ? error.message : String(error)}\n`;
  }
}
