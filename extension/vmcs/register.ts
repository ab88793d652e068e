/** The VMCS view with its commands. */
import * as vscode from 'vscode';
import type { Sessions } from '../session/sessions.ts';
import { registerVmcsCommands } from './commands.ts';
import { FieldBreakpoints } from './fieldBreakpoints.ts';
import { VmcsView } from './vmcsView.ts';

export function registerVmcsView(context: vscode.ExtensionContext, sessions: Sessions): vscode.Disposable {
  const breakpoints = new FieldBreakpoints(context.workspaceState, sessions);
  const view = new VmcsView(sessions, breakpoints, context.workspaceState);
  return vscode.Disposable.from(view, breakpoints, registerVmcsCommands(view, breakpoints));
}
