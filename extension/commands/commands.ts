/** Commands of package.json that belong to no view. */
import * as vscode from 'vscode';
import type { ExtensionHost } from '../host/extensionHost.ts';
import { ADDRESS_SPACES } from '../memory/addressSpaces.ts';
import type { MemoryDocuments } from '../memory/memoryDocuments.ts';
import { openMemory } from '../memory/openMemory.ts';
import { toggleNumberFormat } from '../numbers/numberFormat.ts';
import type { Sessions } from '../session/sessions.ts';
import type { SerialTerminals } from '../terminal/serialTerminals.ts';
import { debugFile, debugKernel } from './debugImage.ts';
import { explainDump } from './explainDump.ts';
import { openSample } from './openSample.ts';

export interface CommandParts {
  readonly extension: vscode.Uri;
  readonly host: ExtensionHost;
  readonly sessions: Sessions;
  readonly terminals: SerialTerminals;
  readonly documents: MemoryDocuments;
}

export function registerCommands(parts: CommandParts): vscode.Disposable {
  const { extension, host, sessions, terminals, documents } = parts;
  const commands: Readonly<Record<string, (...args: never[]) => Promise<void>>> = {
    'hvm.openSample': () => openSample(extension),
    'hvm.debugFile': (uri?: vscode.Uri) => (uri ? debugFile(host, uri) : debugKernel(host)),
    'hvm.debugKernel': () => debugKernel(host),
    'hvm.explainDump': () => explainDump(extension, host),
    'hvm.toggleNumberFormat': toggleNumberFormat,
    'hvm.showSerial': async () => terminals.show(),
    'hvm.openDisassembly': async () => vscode.commands.executeCommand('debug.action.openDisassemblyView'),
    ...Object.fromEntries(
      ADDRESS_SPACES.map((space) => [space.command, () => openMemory(space, sessions, documents)]),
    ),
  };
  return vscode.Disposable.from(
    ...Object.entries(commands).map(([id, run]) => vscode.commands.registerCommand(id, run)),
  );
}
