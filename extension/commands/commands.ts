/** Commands of package.json that belong to no view. */
import * as vscode from 'vscode';
import type { ExtensionHost } from '../host/extensionHost.ts';
import { debugFile, debugKernel } from './debugImage.ts';
import { openSample } from './openSample.ts';

export function registerCommands(extension: vscode.Uri, host: ExtensionHost): vscode.Disposable {
  const commands: Readonly<Record<string, (...args: never[]) => Promise<void>>> = {
    'hvm.openSample': () => openSample(extension),
    'hvm.debugFile': (uri?: vscode.Uri) => (uri ? debugFile(host, uri) : debugKernel(host)),
    'hvm.debugKernel': () => debugKernel(host),
  };
  return vscode.Disposable.from(
    ...Object.entries(commands).map(([id, run]) => vscode.commands.registerCommand(id, run)),
  );
}
