/** The exits view with its commands. */
import * as vscode from 'vscode';
import type { ExtensionHost } from '../host/extensionHost.ts';
import type { Sessions } from '../session/sessions.ts';
import { EXITS_VIEW, ExitsView } from './exitsView.ts';
import { exportExits } from './exportExits.ts';

export function registerExitsView(
  extension: vscode.Uri,
  host: ExtensionHost,
  sessions: Sessions,
): vscode.Disposable {
  const view = new ExitsView(extension, sessions);
  const commands: Readonly<Record<string, () => unknown>> = {
    'hvm.exits.filter': () => view.focusFilter(),
    'hvm.exits.clearFilter': () => view.clearFilter(),
    'hvm.exits.exportCsv': () => exportExits(host, view.session, view.filter, 'csv'),
    'hvm.exits.exportJson': () => exportExits(host, view.session, view.filter, 'json'),
  };
  return vscode.Disposable.from(
    view,
    // The panel stays when a session has ended, but does not appear where nobody has ever debugged.
    sessions.onDidStart(
      () => void vscode.commands.executeCommand('setContext', `${EXITS_VIEW}.wanted`, true),
    ),
    ...Object.entries(commands).map(([id, run]) => vscode.commands.registerCommand(id, run)),
  );
}
