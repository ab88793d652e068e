/** Activation of the extension: a list of registrations. */
import * as vscode from 'vscode';
import { registerCommands } from './commands/commands.ts';
import { ConfigurationProvider, DynamicConfigurations } from './configuration/configurationProvider.ts';
import { registerExitsView } from './exits/register.ts';
import type { ExtensionHost } from './host/extensionHost.ts';
import { MemoryDocuments } from './memory/memoryDocuments.ts';
import { followNumberFormat } from './numbers/numberFormat.ts';
import { reportAdapterDeaths } from './session/adapterDeath.ts';
import { DEBUG_TYPE, Sessions } from './session/sessions.ts';
import { StatusBar } from './statusBar/statusBar.ts';
import { SerialTerminals } from './terminal/serialTerminals.ts';
import { registerVmcsView } from './vmcs/register.ts';

export function startExtension(context: vscode.ExtensionContext, host: ExtensionHost): void {
  const { extensionUri } = context;
  const sessions = new Sessions();
  const terminals = new SerialTerminals(sessions);
  const documents = new MemoryDocuments(sessions);
  context.subscriptions.push(
    sessions,
    terminals,
    documents,
    reportAdapterDeaths(sessions),
    new StatusBar(sessions),
    followNumberFormat(sessions),
    vscode.debug.registerDebugAdapterDescriptorFactory(DEBUG_TYPE, {
      createDebugAdapterDescriptor: () => host.adapterDescriptor(context),
    }),
    vscode.debug.registerDebugConfigurationProvider(DEBUG_TYPE, new ConfigurationProvider(host)),
    vscode.debug.registerDebugConfigurationProvider(
      DEBUG_TYPE,
      new DynamicConfigurations(host),
      vscode.DebugConfigurationProviderTriggerKind.Dynamic,
    ),
    registerCommands({ extension: extensionUri, host, sessions, terminals, documents }),
    registerVmcsView(context, sessions),
    registerExitsView(extensionUri, host, sessions),
  );
}
