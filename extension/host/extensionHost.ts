/** What the extension needs from the place where it runs: a desktop (Node), or a worker of a browser. */
import type * as vscode from 'vscode';

export interface ExtensionHost {
  /** How VS Code starts the debug adapter. */
  adapterDescriptor(context: vscode.ExtensionContext): vscode.DebugAdapterDescriptor;
  /** What is wrong with the VMCS dumps in a log, as text. */
  explainDumps(extension: vscode.Uri, log: string): Promise<string>;
  /** The first `length` bytes of a file, or fewer when it is shorter. */
  readBeginning(file: vscode.Uri, length: number): Promise<Uint8Array>;
  /** A file that is written piece by piece; an existing one is replaced. */
  createTextFile(file: vscode.Uri): Promise<TextFile>;
}

export interface TextFile {
  write(text: string): Promise<void>;
  close(): Promise<void>;
}
