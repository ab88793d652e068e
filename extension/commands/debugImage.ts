/** Debugging a file without a launch.json: from the Explorer's menu, or chosen from a list. */
import * as vscode from 'vscode';
import { configurationsOf } from '../configuration/existingConfiguration.ts';
import { newConfiguration } from '../configuration/newConfiguration.ts';
import type { ExtensionHost } from '../host/extensionHost.ts';
import { type FoundImage, findImages, recognize } from '../images/findImages.ts';

/** Starts `uri`: as launch.json says if it is named there, otherwise with what its kind wants. */
export async function debugFile(host: ExtensionHost, uri: vscode.Uri): Promise<void> {
  const folder = vscode.workspace.getWorkspaceFolder(uri);
  const names = folder ? configuredNames(folder, uri) : [];
  if (names.length > 0) {
    const name = names.length === 1 ? names[0] : await chooseConfiguration(names, uri);
    if (name !== undefined) await vscode.debug.startDebugging(folder, name);
    return;
  }
  // A file that does not look like an image is tried all the same: the adapter says what it is.
  const kind = (await recognize(host, uri))?.kind ?? 'elf';
  await vscode.debug.startDebugging(folder, newConfiguration(uri.fsPath, kind));
}

function configuredNames(folder: vscode.WorkspaceFolder, uri: vscode.Uri): readonly string[] {
  const configurations = vscode.workspace.getConfiguration('launch', folder).get('configurations');
  return configurationsOf(configurations, folder.uri.fsPath, uri.fsPath);
}

async function chooseConfiguration(names: readonly string[], uri: vscode.Uri): Promise<string | undefined> {
  return vscode.window.showQuickPick(names, {
    title: 'Debug in HVM',
    placeHolder: `launch.json has several configurations for ${uri.path.slice(uri.path.lastIndexOf('/') + 1)}`,
  });
}

interface ImageItem extends vscode.QuickPickItem {
  readonly uri?: vscode.Uri;
}

/** Lets the user choose an image, of the workspace or from anywhere, and starts it. */
export async function debugKernel(host: ExtensionHost): Promise<void> {
  const uri = await chooseImage(host);
  if (uri) await debugFile(host, uri);
}

export async function chooseImage(host: ExtensionHost): Promise<vscode.Uri | undefined> {
  const folders = vscode.workspace.workspaceFolders ?? [];
  const images = (await Promise.all(folders.map((folder) => findImages(host, folder)))).flat();
  if (images.length === 0) return browse();
  const items: ImageItem[] = [
    ...images.map(imageItem),
    { label: '', kind: vscode.QuickPickItemKind.Separator },
    { label: '$(folder-opened) Browse…', alwaysShow: true },
  ];
  const picked = await vscode.window.showQuickPick(items, {
    title: 'Debug a Kernel',
    placeHolder: 'An ELF file or a Linux bzImage',
    matchOnDescription: true,
  });
  return picked && (picked.uri ?? browse());
}

function imageItem({ uri, kind }: FoundImage): ImageItem {
  const path = vscode.workspace.asRelativePath(uri);
  const cut = path.lastIndexOf('/') + 1;
  return {
    label: `$(file-binary) ${path.slice(cut)}`,
    description: [kind === 'elf' ? 'ELF' : 'Linux', path.slice(0, cut)].join('  '),
    uri,
  };
}

async function browse(): Promise<vscode.Uri | undefined> {
  const chosen = await vscode.window.showOpenDialog({
    title: 'Choose a kernel: an ELF file or a Linux bzImage',
    openLabel: 'Debug',
    defaultUri: vscode.workspace.workspaceFolders?.[0]?.uri,
  });
  return chosen?.[0];
}
