/** The nodes of the VMCS view as VS Code's tree takes them. */
import * as vscode from 'vscode';
import { wantedNumberFormat } from '../numbers/numberFormat.ts';
import { childrenOf, placesOf, type VmcsNode } from './model.ts';
import { hoverOf, present } from './presentation.ts';

/** Grey is a decoration of these URIs: items have no colour of their own. */
const SCHEME = 'hvm-vmcs';
const ABSENT_COLOR = 'hvm.absentForeground';

export class VmcsTreeProvider implements vscode.TreeDataProvider<VmcsNode>, vscode.FileDecorationProvider {
  readonly #changed = new vscode.EventEmitter<undefined>();
  #roots: readonly VmcsNode[] = [];
  #places: ReturnType<typeof placesOf> = new Map();

  readonly onDidChangeTreeData = this.#changed.event;

  show(roots: readonly VmcsNode[]): void {
    this.#roots = roots;
    this.#places = placesOf(roots);
    this.#changed.fire(undefined);
  }

  getChildren(node?: VmcsNode): VmcsNode[] {
    return [...(node === undefined ? this.#roots : childrenOf(node))];
  }

  getParent(node: VmcsNode): VmcsNode | undefined {
    return this.#places.get(node.id)?.parent;
  }

  /** The node of a field, when it is shown. */
  field(key: string): VmcsNode | undefined {
    return this.#places.get(`field ${key}`)?.node;
  }

  getTreeItem(node: VmcsNode): vscode.TreeItem {
    const { label, description, icon, iconColor, spoken, context, isGrey, isExpanded, leadsTo } = present(
      node,
      wantedNumberFormat(),
    );
    const item = new vscode.TreeItem(label, collapsibleState(node, isExpanded));
    item.id = node.id;
    // VS Code puts one right behind the other: without a space, they are one word for whoever reads the page.
    item.description = description === '' ? '' : ` ${description}`;
    item.iconPath = new vscode.ThemeIcon(
      icon,
      iconColor === undefined ? undefined : new vscode.ThemeColor(iconColor),
    );
    item.accessibilityInformation = { label: spoken };
    item.contextValue = context;
    if (isGrey) item.resourceUri = vscode.Uri.from({ scheme: SCHEME, path: `/${node.id}` });
    if (leadsTo !== undefined)
      item.command = { command: 'hvm.vmcs.revealField', title: 'Show the Field', arguments: [leadsTo] };
    return item;
  }

  /** Hovers are made when they are asked for. Names of symbols are nobody's Markdown. */
  resolveTreeItem(item: vscode.TreeItem, node: VmcsNode): vscode.TreeItem {
    const hover = hoverOf(node);
    if (hover === undefined) return item;
    const text = new vscode.MarkdownString('**').appendText(hover.title).appendMarkdown('**');
    for (const [what, value] of hover.lines) text.appendMarkdown(`\n\n${what}: `).appendText(value);
    item.tooltip = text;
    return item;
  }

  provideFileDecoration(uri: vscode.Uri): vscode.FileDecoration | undefined {
    if (uri.scheme !== SCHEME) return undefined;
    return new vscode.FileDecoration(undefined, undefined, new vscode.ThemeColor(ABSENT_COLOR));
  }
}

function collapsibleState(node: VmcsNode, isExpanded: boolean): vscode.TreeItemCollapsibleState {
  if (childrenOf(node).length === 0) return vscode.TreeItemCollapsibleState.None;
  return isExpanded ? vscode.TreeItemCollapsibleState.Expanded : vscode.TreeItemCollapsibleState.Collapsed;
}
