/** Activation of the extension: a list of registrations. */
import * as vscode from 'vscode';
import { registerCommands } from './commands/commands.ts';
import { ConfigurationProvider, DynamicConfigurations } from './configuration/configurationProvider.ts';
import type { ExtensionHost } from './host/extensionHost.ts';
import { DEBUG_TYPE, Sessions } from './session/sessions.ts';
import { registerVmcsView } from './vmcs/register.ts';

export function startExtension(context: vscode.ExtensionContext, host: ExtensionHost): void {
  const { extensionUri } = context;
  const sessions = new Sessions();
  context.subscriptions.push(
    sessions,
    vscode.debug.registerDebugAdapterDescriptorFactory(DEBUG_TYPE, {
      createDebugAdapterDescriptor: () => host.adapterDescriptor(extensionUri),
    }),
    vscode.debug.registerDebugConfigurationProvider(DEBUG_TYPE, new ConfigurationProvider(host)),
    vscode.debug.registerDebugConfigurationProvider(
      DEBUG_TYPE,
      new DynamicConfigurations(host),
      vscode.DebugConfigurationProviderTriggerKind.Dynamic,
    ),
    registerCommands(extensionUri, host),
    registerVmcsView(context, sessions),
  );
}
