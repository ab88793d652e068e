/** Activation of the extension: a list of registrations. */
import { join } from 'node:path';
import * as vscode from 'vscode';

export function activate(context: vscode.ExtensionContext): void {
  const adapter = join(context.extensionPath, 'dist', 'adapter.js');
  context.subscriptions.push(
    vscode.debug.registerDebugAdapterDescriptorFactory('hvm', {
      createDebugAdapterDescriptor: () => new vscode.DebugAdapterExecutable('node', [adapter]),
    }),
  );
}
