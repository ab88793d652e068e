/** Launch configurations: what is missing is asked for, what cannot work is said before anything starts. */
import * as vscode from 'vscode';
import { chooseImage } from '../commands/debugImage.ts';
import type { ExtensionHost } from '../host/extensionHost.ts';
import { findImages, recognize } from '../images/findImages.ts';
import { newConfiguration } from './newConfiguration.ts';
import { checkProgram } from './programProblem.ts';

export class ConfigurationProvider implements vscode.DebugConfigurationProvider {
  readonly #host: ExtensionHost;

  constructor(host: ExtensionHost) {
    this.#host = host;
  }

  /** F5 without a launch.json gives an empty configuration. */
  async resolveDebugConfiguration(
    folder: vscode.WorkspaceFolder | undefined,
    configuration: vscode.DebugConfiguration,
  ): Promise<vscode.DebugConfiguration | undefined> {
    if (configuration.type || configuration.request || configuration.name) return configuration;
    const uri = await this.#onlyImage(folder);
    if (uri === undefined) return undefined;
    const kind = (await recognize(this.#host, uri))?.kind ?? 'elf';
    return { ...newConfiguration(uri.fsPath, kind), noDebug: configuration.noDebug };
  }

  /** After the build task and with variables replaced. */
  async resolveDebugConfigurationWithSubstitutedVariables(
    folder: vscode.WorkspaceFolder | undefined,
    configuration: vscode.DebugConfiguration,
  ): Promise<vscode.DebugConfiguration | undefined> {
    const problem = await checkProgram(folder, configuration);
    if (problem !== undefined) {
      const open = 'Open launch.json';
      const answer = await vscode.window.showErrorMessage(
        problem.message,
        { modal: true, detail: problem.advice },
        open,
      );
      if (answer === open) await vscode.commands.executeCommand('workbench.action.debug.configure');
      return undefined;
    }
    return {
      ...configuration,
      __workspaceFolder: folder?.uri.fsPath ?? folderOf(configuration.program ?? configuration.bios),
    };
  }

  async #onlyImage(folder: vscode.WorkspaceFolder | undefined): Promise<vscode.Uri | undefined> {
    const images = folder ? await findImages(this.#host, folder) : [];
    return images.length === 1 ? images[0].uri : chooseImage(this.#host);
  }
}

function folderOf(program: unknown): string | undefined {
  return typeof program === 'string' ? vscode.Uri.joinPath(vscode.Uri.file(program), '..').fsPath : undefined;
}

/** Offered in the list of the Run view and behind F5; from there VS Code can write them to launch.json. */
export class DynamicConfigurations implements vscode.DebugConfigurationProvider {
  readonly #host: ExtensionHost;

  constructor(host: ExtensionHost) {
    this.#host = host;
  }

  async provideDebugConfigurations(
    folder: vscode.WorkspaceFolder | undefined,
    token?: vscode.CancellationToken,
  ): Promise<vscode.DebugConfiguration[]> {
    if (folder === undefined) return [];
    const images = await findImages(this.#host, folder, token);
    return images.map(({ uri, kind }) =>
      newConfiguration(`\${workspaceFolder}/${vscode.workspace.asRelativePath(uri, false)}`, kind),
    );
  }
}
