/** Says that a debug adapter has died: VS Code ends the session without a word. */
import * as vscode from 'vscode';
import type { HvmSession } from './hvmSession.ts';
import type { Sessions } from './sessions.ts';

export function reportAdapterDeaths(sessions: Sessions): vscode.Disposable {
  return sessions.onDidDie((session) => void report(session));
}

async function report({ debugSession }: HvmSession): Promise<void> {
  const { name, workspaceFolder, configuration } = debugSession;
  const again = 'Start Again';
  const answer = await vscode.window.showErrorMessage(
    `The debug adapter of "${name}" has ended unexpectedly, and its machine with it.`,
    again,
  );
  if (answer === again) await vscode.debug.startDebugging(workspaceFolder, configuration);
}
