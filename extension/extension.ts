/** Activation of the extension: a list of registrations. */
import { join } from 'node:path';
import * as vscode from 'vscode';
import { DEBUG_TYPE, Sessions } from './session/sessions.ts';

export function activate(context: vscode.ExtensionContext): void {
  const adapter = join(context.extensionPath, 'dist', 'adapter.js');
  const sessions = new Sessions();
  context.subscriptions.push(
    sessions,
    vscode.debug.registerDebugAdapterDescriptorFactory(DEBUG_TYPE, {
      createDebugAdapterDescriptor: () => new vscode.DebugAdapterExecutable('node', [adapter]),
    }),
  );
}
