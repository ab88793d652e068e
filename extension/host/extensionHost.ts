/** What the extension needs from the place where it runs: a desktop (Node), or a worker of a browser. */
import type * as vscode from 'vscode';

export interface ExtensionHost {
  /** How VS Code starts the debug adapter. */
  adapterDescriptor(context: vscode.ExtensionContext): vscode.DebugAdapterDescriptor;
  /** The first `length` bytes of a file, or fewer when it is shorter. */
  readBeginning(file: vscode.Uri, length: number): Promise<Uint8Array>;
  /** A file that is written piece by piece; an existing one is replaced. */
  createTextFile(file: vscode.Uri): Promise<TextFile>;
}

export interface TextFile {
  write(text: string): Promise<void>;
  close(): Promise<void>;
}
