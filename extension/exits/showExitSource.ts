/** Shows where a VM exit came from: its line of source, or the disassembly around it. */
import * as vscode from 'vscode';
import type { HvmSession } from '../session/hvmSession.ts';

export async function showExitSource(session: HvmSession, number: number, focus: boolean): Promise<void> {
  const { path, sourceReference, name, line } = await session.request('hvm/exitSource', { number });
  // What the adapter hands out lies in folders that the user has opened or named.
  const uri =
    path !== undefined
      ? vscode.Uri.file(path)
      : vscode.debug.asDebugSourceUri({ name, sourceReference }, session.debugSession);
  const start = new vscode.Position(Math.max(0, line - 1), 0);
  await vscode.window.showTextDocument(uri, {
    selection: new vscode.Range(start, start),
    preserveFocus: !focus,
    preview: true,
  });
}
