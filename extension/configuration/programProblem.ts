/** Why a launch configuration's program cannot be started, as far as it can be seen from outside. */
import * as vscode from 'vscode';

export interface Problem {
  readonly message: string;
  readonly advice: string;
}

/** The adapter checks everything else, and the file's contents. */
export async function checkProgram(
  folder: vscode.WorkspaceFolder | undefined,
  { name, program, bios, preLaunchTask }: vscode.DebugConfiguration,
): Promise<Problem | undefined> {
  // A BIOS boots from the disks.
  if (program === undefined && bios !== undefined) return undefined;
  if (program === undefined || program === '')
    return {
      message: `"${name}" names no program.`,
      advice: 'Set "program" in launch.json to the image to boot: an ELF file or a Linux bzImage.',
    };
  // What is no text is the adapter's to complain about, in the words of the option table.
  if (typeof program !== 'string') return undefined;
  const uri = isAbsolute(program)
    ? vscode.Uri.file(program)
    : folder && vscode.Uri.joinPath(folder.uri, program);
  if (uri === undefined)
    return {
      message: `"${program}" is a relative path, and no folder is open.`,
      advice: 'Open the folder of the program, or write the whole path in "program".',
    };
  const type = await fileType(uri);
  if (type === undefined)
    return {
      message: `The program does not exist: ${uri.fsPath}`,
      advice: preLaunchTask
        ? `The task "${taskName(preLaunchTask)}" ran and did not write it. Look at the task's output, or correct "program" in launch.json.`
        : 'Build it first, name the build in "preLaunchTask", or correct "program" in launch.json.',
    };
  if (type & vscode.FileType.Directory)
    return {
      message: `The program is a folder: ${uri.fsPath}`,
      advice: 'Set "program" in launch.json to the image inside it.',
    };
  return undefined;
}

function isAbsolute(path: string): boolean {
  return /^([/\\]|[A-Za-z]:[/\\])/.test(path);
}

function taskName(task: unknown): string {
  return typeof task === 'string' ? task : String((task as { task?: unknown } | null)?.task ?? '');
}

async function fileType(uri: vscode.Uri): Promise<vscode.FileType | undefined> {
  try {
    return (await vscode.workspace.fs.stat(uri)).type;
  } catch {
    return undefined;
  }
}
