/** Opens guest memory: in the hex editor, or as text where there is none. */
import type { DebugProtocol as P } from '@vscode/debugprotocol';
import * as vscode from 'vscode';
import type { HvmSession } from '../session/hvmSession.ts';
import type { Sessions } from '../session/sessions.ts';
import { type AddressSpace, addressExpression, plainReference } from './addressSpaces.ts';
import type { MemoryDocuments } from './memoryDocuments.ts';

const HEX_EDITOR = 'ms-vscode.hexeditor';

/** Said once, until VS Code is started again. */
let hasSuggested = false;

/** Asks for an address in `space` and shows what is there. */
export async function openMemory(
  space: AddressSpace,
  sessions: Sessions,
  documents: MemoryDocuments,
): Promise<void> {
  const session = sessions.active;
  if (session === undefined) {
    void vscode.window.showInformationMessage('No machine is running: start one to look at its memory.');
    return;
  }
  const text = await vscode.window.showInputBox({
    title: `Open ${space.title} memory`,
    prompt: 'An address or an expression',
    placeHolder: space.example,
    validateInput: async (value) =>
      value.trim() === '' ? undefined : (await referenceOf(session, space, value)).problem,
  });
  if (text === undefined || text.trim() === '') return;
  const { reference } = await referenceOf(session, space, text);
  if (reference !== undefined) await showMemory(session, reference, documents);
}

async function referenceOf(
  session: HvmSession,
  space: AddressSpace,
  text: string,
): Promise<{ readonly reference?: string; readonly problem?: string }> {
  const plain = plainReference(space, text);
  if (plain !== undefined) return { reference: plain };
  try {
    const body = (await session.debugSession.customRequest('evaluate', {
      expression: addressExpression(space, text),
      context: 'watch',
      frameId: focusedFrame(session),
    })) as P.EvaluateResponse['body'];
    if (body.memoryReference !== undefined) return { reference: body.memoryReference };
    return { problem: 'This is not an address.' };
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) };
  }
}

function focusedFrame({ debugSession }: HvmSession): number | undefined {
  const item = vscode.debug.activeStackItem;
  return item instanceof vscode.DebugStackFrame && item.session.id === debugSession.id
    ? item.frameId
    : undefined;
}

async function showMemory(session: HvmSession, reference: string, documents: MemoryDocuments): Promise<void> {
  if (vscode.extensions.getExtension(HEX_EDITOR) !== undefined) {
    await vscode.commands.executeCommand('workbench.debug.viewlet.action.viewMemory', {
      sessionId: session.debugSession.id,
      variable: { memoryReference: reference },
    });
    return;
  }
  await documents.show(session, reference);
  if (hasSuggested) return;
  hasSuggested = true;
  const install = 'Install the Hex Editor';
  const answer = await vscode.window.showInformationMessage(
    "Memory is shown as text. Microsoft's Hex Editor shows and edits it byte by byte.",
    install,
  );
  if (answer === install)
    await vscode.commands.executeCommand('workbench.extensions.installExtension', HEX_EDITOR);
}
