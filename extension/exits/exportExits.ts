/** Writes the exits, or those that the filter leaves, to a file. Page by page: nothing holds them all. */
import * as vscode from 'vscode';
import type { ExitFilter } from '../../debug-adapter/protocol/exits.ts';
import type { ExtensionHost } from '../host/extensionHost.ts';
import type { HvmSession } from '../session/hvmSession.ts';
import { grouped } from './columns.ts';
import { EXPORT_TEXTS, type ExportFormat } from './exportFormat.ts';

/** Rows of one request. */
const PAGE = 5000;

const KINDS: Readonly<Record<ExportFormat, string>> = { csv: 'CSV', json: 'JSON' };

export async function exportExits(
  host: ExtensionHost,
  session: HvmSession | undefined,
  filter: ExitFilter,
  format: ExportFormat,
): Promise<void> {
  if (session === undefined) {
    void vscode.window.showInformationMessage('VM exits can be exported while a session of HVM is running.');
    return;
  }
  const folder = session.debugSession.workspaceFolder?.uri ?? vscode.workspace.workspaceFolders?.[0]?.uri;
  const file = await vscode.window.showSaveDialog({
    title: `Export VM Exits as ${KINDS[format]}`,
    filters: { [KINDS[format]]: [format] },
    ...(folder && { defaultUri: vscode.Uri.joinPath(folder, `exits.${format}`) }),
  });
  if (file === undefined) return;
  const written = await vscode.window.withProgress(
    {
      location: vscode.ProgressLocation.Notification,
      title: `Exporting VM exits as ${KINDS[format]}`,
      cancellable: true,
    },
    (progress, token) => {
      const report = (rows: number, part: number): void =>
        progress.report({ message: grouped(rows), increment: part * 100 });
      return writeExits(host, session, filter, format, file, report, token);
    },
  );
  void vscode.window.showInformationMessage(
    `${grouped(written)} VM exits written to ${vscode.workspace.asRelativePath(file)}.`,
  );
}

async function writeExits(
  host: ExtensionHost,
  session: HvmSession,
  filter: ExitFilter,
  format: ExportFormat,
  uri: vscode.Uri,
  report: (rows: number, part: number) => void,
  token: vscode.CancellationToken,
): Promise<number> {
  const { beginning, end, rows } = EXPORT_TEXTS[format];
  const file = await host.createTextFile(uri);
  let written = 0;
  try {
    await file.write(beginning);
    // What comes while the file is written is not waited for.
    const { end: last } = await searched(session, filter);
    for (let start = 0; start < last && !token.isCancellationRequested; ) {
      const count = Math.min(PAGE, last - start);
      const page = await session.request('hvm/exits', { start, count, filter });
      if (page.rows.length === 0) break;
      await file.write(rows(page.rows, written === 0));
      written += page.rows.length;
      start = page.start + page.rows.length;
      report(written, page.rows.length / Math.max(1, last - page.first));
    }
    await file.write(end);
  } finally {
    await file.close();
  }
  return written;
}

/** How far the list goes, once the search is at its end. */
async function searched(session: HvmSession, filter: ExitFilter): Promise<{ end: number }> {
  const { total } = await session.request('hvm/exits', { count: 0 });
  for (;;) {
    const page = await session.request('hvm/exits', { count: 0, filter });
    if (page.isComplete || page.searched >= total) return page;
  }
}
