/** Hexadecimal or decimal numbers: a setting, which a command changes and the sessions are told. */
import * as vscode from 'vscode';
import type { NumberFormat } from '../../debug-adapter/protocol/custom.ts';
import type { HvmSession } from '../session/hvmSession.ts';
import type { Sessions } from '../session/sessions.ts';

const SECTION = 'hvm';
const SETTING = 'numberFormat';
const STANDARD: NumberFormat = 'hexadecimal';

export function wantedNumberFormat(): NumberFormat {
  return vscode.workspace.getConfiguration(SECTION).get<NumberFormat>(SETTING, STANDARD);
}

/** VS Code never asks an adapter for another format: the setting is ours. */
export async function toggleNumberFormat(): Promise<void> {
  const other: NumberFormat = wantedNumberFormat() === 'decimal' ? 'hexadecimal' : 'decimal';
  await vscode.workspace
    .getConfiguration(SECTION)
    .update(SETTING, other === STANDARD ? undefined : other, vscode.ConfigurationTarget.Global);
}

export function onDidChangeNumberFormat(listener: () => void): vscode.Disposable {
  return vscode.workspace.onDidChangeConfiguration((change) => {
    if (change.affectsConfiguration(`${SECTION}.${SETTING}`)) listener();
  });
}

export function followNumberFormat(sessions: Sessions): vscode.Disposable {
  const told = new WeakMap<HvmSession, NumberFormat>();
  const tell = (session: HvmSession): void => {
    const format = wantedNumberFormat();
    if (session.hasEnded || (told.get(session) ?? STANDARD) === format) return;
    told.set(session, format);
    // A session that does not run yet, or no longer, has nothing to show.
    session.request('hvm/setNumberFormat', { format }).catch(() => told.delete(session));
  };
  return vscode.Disposable.from(
    sessions.onDidStart((session) => session.onDidChange(() => tell(session))),
    onDidChangeNumberFormat(() => {
      for (const session of sessions.all) tell(session);
    }),
  );
}
