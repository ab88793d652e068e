/** Commands of the VMCS view. */
import * as vscode from 'vscode';
import { problemWith } from './editing.ts';
import { type FieldBreakpoints, messageOf } from './fieldBreakpoints.ts';
import type { FieldNode, PartNode, VmcsNode } from './model.ts';
import type { VmcsView } from './vmcsView.ts';

export function registerVmcsCommands(view: VmcsView, breakpoints: FieldBreakpoints): vscode.Disposable {
  /** A menu gives the row; a key is for the selected one. */
  const onNode =
    (run: (node: VmcsNode) => unknown) =>
    async (node: VmcsNode | undefined = view.selection): Promise<void> => {
      if (node !== undefined) await run(node);
    };
  const commands: Readonly<Record<string, (...args: never[]) => unknown>> = {
    'hvm.vmcs.edit': onNode((node) => edit(view, node)),
    'hvm.vmcs.copyValue': onNode((node) => copy(currentValue(node))),
    'hvm.vmcs.copyName': onNode((node) => copy(nameOf(node))),
    'hvm.vmcs.filter': () => askForFilter(view),
    'hvm.vmcs.clearFilter': () => view.setFilter(''),
    'hvm.vmcs.hideAbsent': () => view.setHideAbsent(true),
    'hvm.vmcs.showAbsent': () => view.setHideAbsent(false),
    'hvm.vmcs.breakOnChange': onNode((node) => toggle(breakpoints, node, true)),
    'hvm.vmcs.editCondition': onNode((node) => editCondition(breakpoints, node)),
    'hvm.vmcs.removeBreakpoint': onNode((node) => toggle(breakpoints, node, false)),
    'hvm.vmcs.removeAllBreakpoints': () => breakpoints.clear(),
    'hvm.vmcs.revealField': (key: string) => view.reveal(key),
    'hvm.vmcs.showNow': () => view.showExit(undefined),
    'hvm.showVmcsAtExit': async (number?: number) => {
      const exit = number ?? (await askForExit());
      if (exit !== undefined) await view.showExit(exit);
    },
  };
  return vscode.Disposable.from(
    ...Object.entries(commands).map(([id, run]) => vscode.commands.registerCommand(id, run)),
  );
}

async function toggle(breakpoints: FieldBreakpoints, node: VmcsNode, isOn: boolean): Promise<void> {
  if (node.kind === 'breakpoint') await breakpoints.remove(node.key);
  if (node.kind !== 'field') return;
  if (isOn) await breakpoints.add(node.row.key, { title: node.row.title });
  else await breakpoints.remove(node.row.key);
}

/** Sets the breakpoint where there is none yet. */
async function editCondition(breakpoints: FieldBreakpoints, node: VmcsNode): Promise<void> {
  if (node.kind !== 'field' && node.kind !== 'breakpoint') return;
  const { key, title } = node.kind === 'field' ? node.row : node;
  const text = await vscode.window.showInputBox({
    title: `Stop When ${title} Changes and …`,
    prompt: 'An expression that has to be true as well. Without one, every change stops the machine.',
    placeHolder: 'vmcs.vm_exit_reason == 48',
    value: breakpoints.fields.get(key)?.condition ?? '',
  });
  if (text === undefined) return;
  const condition = text.trim();
  await breakpoints.add(key, condition === '' ? { title } : { title, condition });
}

async function copy(text: string | undefined): Promise<void> {
  if (text !== undefined) await vscode.env.clipboard.writeText(text);
}

function currentValue(node: VmcsNode): string | undefined {
  if (node.kind === 'part') return node.part.value;
  if (node.kind === 'report') return node.report.text;
  if (node.kind === 'rule') return node.rule.field?.value;
  return node.kind === 'field' || node.kind === 'value' ? node.value : undefined;
}

/** As expressions name it: `vmcs.guest_rip`. */
function nameOf(node: VmcsNode): string | undefined {
  switch (node.kind) {
    case 'rule':
      return node.rule.text;
    case 'field':
      return `vmcs.${node.row.key.toLowerCase()}`;
    case 'part':
    case 'value':
      return `vmcs.${node.field.key.toLowerCase()}`;
    default:
      return undefined;
  }
}

async function edit(view: VmcsView, node: VmcsNode): Promise<void> {
  const { session, threadId } = view;
  if ((node.kind !== 'field' && node.kind !== 'part') || !node.isEditable || session === undefined) return;
  if (!session.isStopped) {
    void vscode.window.showInformationMessage('Pause the machine to change its VMCS.');
    return;
  }
  const target = editTarget(node);
  const value = await vscode.window.showInputBox({
    title: target.title,
    prompt: target.prompt,
    value: target.value,
    valueSelection: [0, target.value.length],
    validateInput: (text) => problemWith(text, target.bits),
  });
  if (value === undefined) return;
  try {
    await session.request('hvm/setVmcsField', { threadId, key: target.key, value, ...target.part });
  } catch (error) {
    void vscode.window.showErrorMessage(messageOf(error));
  }
}

function editTarget(node: FieldNode | PartNode) {
  if (node.kind === 'part') {
    const { bit, width, name, value } = node.part;
    return {
      title: `${node.field.title}: ${name}`,
      prompt: `${width} bit${width === 1 ? '' : 's'} from bit ${bit}. A number or an expression.`,
      value,
      bits: width,
      key: node.field.key,
      part: { part: { bit, width } },
    };
  }
  const { row, value } = node;
  const what = row.live === undefined ? 'field' : 'processor’s live value';
  return {
    title: row.title,
    prompt: `${row.bits} bits, written to the ${what}. A number or an expression, such as rip + 2.`,
    value: value ?? '',
    bits: row.bits,
    key: row.key,
    part: {},
  };
}

/** Filters while it is typed; Escape brings the filter back that was there. */
function askForFilter(view: VmcsView): void {
  const before = view.filter;
  let isAccepted = false;
  const input = vscode.window.createInputBox();
  input.title = 'Filter VMCS Fields';
  input.placeholder = 'Words of the name, encoding, control or bits; @changed; @watched';
  input.value = before;
  input.onDidChangeValue((value) => view.setFilter(value));
  input.onDidAccept(() => {
    isAccepted = true;
    input.hide();
  });
  input.onDidHide(() => {
    if (!isAccepted) view.setFilter(before);
    input.dispose();
  });
  input.show();
}

async function askForExit(): Promise<number | undefined> {
  const text = await vscode.window.showInputBox({
    title: 'Show VMCS at VM Exit',
    prompt: 'Number of the VM exit, counted from 0 at power-on.',
    validateInput: (typed) => (/^\d{1,15}$/.test(typed.trim()) ? undefined : 'Type a whole number.'),
  });
  return text === undefined ? undefined : Number(text);
}
