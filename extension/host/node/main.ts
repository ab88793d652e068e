/** The extension on a desktop or a server, where VS Code's extension host is a Node process. */
import { open } from 'node:fs/promises';
import * as vscode from 'vscode';
import { startExtension } from '../../extension.ts';
import type { ExtensionHost, TextFile } from '../extensionHost.ts';
import { explainDumps } from './explainDumps.ts';

const nodeHost: ExtensionHost = {
  // VS Code forks its own Node for the command "node", so that none has to be installed.
  adapterDescriptor: ({ extensionUri, globalStorageUri }) =>
    new vscode.DebugAdapterExecutable(
      'node',
      [vscode.Uri.joinPath(extensionUri, 'dist', 'adapter.js').fsPath],
      { env: { HVM_COMPILED_SCRIPTS: vscode.Uri.joinPath(globalStorageUri, 'compiled').fsPath } },
    ),

  explainDumps: (extension, log) =>
    explainDumps(vscode.Uri.joinPath(extension, 'dist', 'adapter.js').fsPath, log),

  async readBeginning(file, length) {
    // A kernel with its debug information has hundreds of megabytes; the API reads whole files only.
    if (file.scheme !== 'file') return (await vscode.workspace.fs.readFile(file)).subarray(0, length);
    const handle = await open(file.fsPath, 'r');
    try {
      const { bytesRead, buffer } = await handle.read(new Uint8Array(length), 0, length, 0);
      return buffer.subarray(0, bytesRead);
    } finally {
      await handle.close();
    }
  },

  async createTextFile(file) {
    // The API writes whole files only.
    if (file.scheme !== 'file') return wholeFile(file);
    const handle = await open(file.fsPath, 'w');
    return { write: (text) => handle.writeFile(text), close: () => handle.close() };
  },
};

function wholeFile(file: vscode.Uri): TextFile {
  const parts: string[] = [];
  return {
    write: async (text) => void parts.push(text),
    close: async () => vscode.workspace.fs.writeFile(file, new TextEncoder().encode(parts.join(''))),
  };
}

export function activate(context: vscode.ExtensionContext): void {
  startExtension(context, nodeHost);
}
