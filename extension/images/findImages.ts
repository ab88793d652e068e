/** The images of a workspace folder that could be booted. */
import * as vscode from 'vscode';
import type { ExtensionHost } from '../host/extensionHost.ts';
import { BEGINNING_LENGTH, type ImageKind, imageKind } from './imageKind.ts';

export interface FoundImage {
  readonly uri: vscode.Uri;
  readonly kind: ImageKind;
}

/** Names that images have. What has no ending at all is looked for apart: a pattern cannot say it. */
const NAMED = '**/{*.elf,*.bin,*.img,*.kernel,*.out,*.exe,bzImage*,vmlinuz*,vmlinux*,xen*}';
const ANY = '**/*';
const NEVER = '**/node_modules,**/.*,**/CMakeFiles,**/deps,**/incremental';
const WITH_ENDING = '**/*.*';

/** Looking for images must not be felt in a folder of any size. */
const MOST_FILES = 500;
const MOST_IMAGES = 50;

export async function findImages(
  host: ExtensionHost,
  folder: vscode.WorkspaceFolder,
  token?: vscode.CancellationToken,
): Promise<readonly FoundImage[]> {
  const find = (pattern: string, exclude: string) =>
    vscode.workspace.findFiles(
      new vscode.RelativePattern(folder, pattern),
      `{${exclude}}`,
      MOST_FILES,
      token,
    );
  const found = await Promise.all([find(NAMED, NEVER), find(ANY, `${NEVER},${WITH_ENDING}`)]);
  const files = new Map(found.flat().map((uri) => [uri.toString(), uri]));
  const images = await Promise.all([...files.values()].map((uri) => recognize(host, uri)));
  return images
    .filter((image) => image !== undefined)
    .sort((a, b) => depth(a) - depth(b) || (a.uri.path < b.uri.path ? -1 : 1))
    .slice(0, MOST_IMAGES);
}

/** What a build leaves deep inside is rarely what is wanted. */
function depth({ uri }: FoundImage): number {
  return uri.path.split('/').length;
}

/** A file that cannot be read is no image to offer. */
export async function recognize(host: ExtensionHost, uri: vscode.Uri): Promise<FoundImage | undefined> {
  try {
    const kind = imageKind(await host.readBeginning(uri, BEGINNING_LENGTH));
    return kind && { uri, kind };
  } catch {
    return undefined;
  }
}
