/** "Explain VMCS Dump": what is wrong with the dumps in the selected text, or in the whole editor. */
import * as vscode from 'vscode';
import type { ExtensionHost } from '../host/extensionHost.ts';

export async function explainDump(extension: vscode.Uri, host: ExtensionHost): Promise<void> {
  const editor = vscode.window.activeTextEditor;
  if (editor === undefined) {
    void vscode.window.showInformationMessage(
      'Open the kernel log in which Linux KVM or Xen has dumped a VMCS, or paste it into a new editor.',
    );
    return;
  }
  const { document, selection } = editor;
  const log = document.getText(selection.isEmpty ? undefined : selection);
  const content = await host.explainDumps(extension, log);
  const explanation = await vscode.workspace.openTextDocument({ content, language: 'plaintext' });
  await vscode.window.showTextDocument(explanation, { viewColumn: vscode.ViewColumn.Beside, preview: true });
}
