/** Copies a sample out of the extension into a folder of the user and opens it there. */
import * as vscode from 'vscode';
import { SAMPLES, type Sample } from './samples.ts';

export async function openSample(extension: vscode.Uri): Promise<void> {
  const sample = await chooseSample();
  if (sample === undefined) return;
  const target = await chooseTarget(sample);
  if (target === undefined) return;
  if (!(await exists(target)))
    await vscode.workspace.fs.copy(vscode.Uri.joinPath(extension, 'samples', sample.folder), target);
  await vscode.commands.executeCommand('vscode.openFolder', target, {
    forceNewWindow: vscode.workspace.workspaceFolders !== undefined,
    filesToOpen: [vscode.Uri.joinPath(target, sample.firstFile)],
  });
}

async function chooseSample(): Promise<Sample | undefined> {
  if (SAMPLES.length === 1) return SAMPLES[0];
  const items = SAMPLES.map((sample) => ({ label: sample.folder, detail: sample.description, sample }));
  const picked = await vscode.window.showQuickPick(items, { title: 'Open a Sample' });
  return picked?.sample;
}

/** A folder that does not exist yet, or a copy from before that the user wants to see again. */
async function chooseTarget({ folder }: Sample): Promise<vscode.Uri | undefined> {
  const [parent] =
    (await vscode.window.showOpenDialog({
      title: `Choose where to put the folder "${folder}"`,
      openLabel: 'Put the Sample Here',
      canSelectFiles: false,
      canSelectFolders: true,
    })) ?? [];
  if (parent === undefined) return undefined;
  const target = vscode.Uri.joinPath(parent, folder);
  if (!(await exists(target))) return target;
  const open = 'Open What Is There';
  const answer = await vscode.window.showInformationMessage(
    `${target.fsPath} exists already.`,
    { modal: true, detail: 'Nothing is overwritten. Choose another folder for a fresh copy.' },
    open,
  );
  return answer === open ? target : undefined;
}

async function exists(uri: vscode.Uri): Promise<boolean> {
  try {
    await vscode.workspace.fs.stat(uri);
    return true;
  } catch {
    return false;
  }
}
