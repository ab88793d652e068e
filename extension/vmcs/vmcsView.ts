/**
 * The VMCS view: the fields of the machine that is focused in the call stack, as they are at its stop or as they were at
 * a VM exit. It asks for them only while somebody can see them.
 */
import * as vscode from 'vscode';
import type { VmcsBody, VmcsGroup } from '../../debug-adapter/protocol/vmcs.ts';
import { onDidChangeNumberFormat } from '../numbers/numberFormat.ts';
import type { HvmSession } from '../session/hvmSession.ts';
import type { Sessions } from '../session/sessions.ts';
import { type FieldBreakpoints, messageOf } from './fieldBreakpoints.ts';
import { messageFor, type VmcsState } from './messages.ts';
import { buildTree, type EntryReport, recordedFields, type VmcsNode } from './model.ts';
import { VmcsTreeProvider } from './vmcsTree.ts';

const VIEW = 'hvm.vmcs';
const HIDE_ABSENT = 'vmcs.hideAbsent';
/** A step is over sooner: the view says that the guest runs only when it does for longer. */
const RUNNING_AFTER = 300;

type Content =
  | ({ readonly kind: 'now'; readonly reports: readonly EntryReport[] } & VmcsBody)
  | { readonly kind: 'exit'; readonly number: number; readonly groups: readonly VmcsGroup[] };

export class VmcsView implements vscode.Disposable {
  readonly #sessions: Sessions;
  readonly #breakpoints: FieldBreakpoints;
  readonly #workspace: vscode.Memento;
  readonly #provider = new VmcsTreeProvider();
  readonly #tree: vscode.TreeView<VmcsNode>;
  readonly #subscriptions: vscode.Disposable[];
  #sessionSubscription: vscode.Disposable | undefined;
  #content: Content | undefined;
  /** The exit that is shown instead of what is now. */
  #exit: number | undefined;
  #filter = '';
  #hideAbsent: boolean;
  /** The last request counts. */
  #ticket = 0;
  #isStale = true;
  #runningTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(sessions: Sessions, breakpoints: FieldBreakpoints, workspace: vscode.Memento) {
    this.#sessions = sessions;
    this.#breakpoints = breakpoints;
    this.#workspace = workspace;
    this.#hideAbsent = workspace.get(HIDE_ABSENT, false);
    this.#tree = vscode.window.createTreeView(VIEW, { treeDataProvider: this.#provider });
    this.#subscriptions = [
      this.#tree,
      vscode.window.registerFileDecorationProvider(this.#provider),
      sessions.onDidChangeActive((session) => this.#follow(session)),
      vscode.debug.onDidChangeActiveStackItem(() => this.#refresh()),
      breakpoints.onDidChange(() => this.#refresh()),
      onDidChangeNumberFormat(() => this.#render()),
      this.#tree.onDidChangeVisibility(({ visible }) => {
        if (visible && this.#isStale) this.#refresh();
      }),
    ];
    this.#setContext('hideAbsent', this.#hideAbsent);
    this.#follow(sessions.active);
  }

  get session(): HvmSession | undefined {
    return this.#sessions.active;
  }

  get selection(): VmcsNode | undefined {
    return this.#tree.selection[0];
  }

  get filter(): string {
    return this.#filter;
  }

  /** The thread that is focused, whose fields are shown. */
  get threadId(): number {
    const item = vscode.debug.activeStackItem;
    return item?.session.id === this.session?.debugSession.id ? (item?.threadId ?? 1) : 1;
  }

  setFilter(filter: string): void {
    this.#filter = filter;
    this.#setContext('filtered', filter.trim() !== '');
    this.#render();
  }

  async setHideAbsent(hide: boolean): Promise<void> {
    this.#hideAbsent = hide;
    this.#setContext('hideAbsent', hide);
    this.#render();
    await this.#workspace.update(HIDE_ABSENT, hide);
  }

  async reveal(key: string): Promise<void> {
    const node = this.#provider.field(key);
    if (node) await this.#tree.reveal(node, { select: true, focus: true, expand: true });
  }

  /** Shows the fields as they were recorded at a VM exit; without a number, as they are now. */
  async showExit(number: number | undefined): Promise<void> {
    this.#exit = number;
    this.#setContext('atExit', number !== undefined);
    if (number !== undefined) await vscode.commands.executeCommand(`${VIEW}.focus`);
    await this.#load();
  }

  dispose(): void {
    clearTimeout(this.#runningTimer);
    this.#sessionSubscription?.dispose();
    for (const subscription of this.#subscriptions) subscription.dispose();
  }

  #follow(session: HvmSession | undefined): void {
    this.#sessionSubscription?.dispose();
    this.#sessionSubscription =
      session &&
      vscode.Disposable.from(
        session.onDidChange(() => this.#refresh()),
        session.onDidRestart(() => void this.showExit(undefined)),
      );
    this.#content = undefined;
    this.#exit = undefined;
    this.#setContext('atExit', false);
    this.#refresh();
  }

  #refresh(): void {
    this.#isStale = true;
    if (this.#tree.visible || !this.session) void this.#load();
  }

  async #load(): Promise<void> {
    clearTimeout(this.#runningTimer);
    const ticket = ++this.#ticket;
    const { session } = this;
    this.#isStale = false;
    if (session === undefined || session.hasEnded) {
      this.#content = undefined;
      this.#render({ kind: 'noSession' });
      return;
    }
    if (this.#exit === undefined && !session.isStopped) {
      const isOld = this.#content?.kind !== 'now';
      if (isOld) this.#content = undefined;
      this.#runningTimer = setTimeout(
        () => this.#render({ kind: 'running', hasFields: this.#content !== undefined }),
        isOld ? 0 : RUNNING_AFTER,
      );
      return;
    }
    try {
      const content =
        this.#exit === undefined ? await this.#requestNow(session) : await requestExit(session, this.#exit);
      if (ticket !== this.#ticket) return;
      this.#content = content;
      this.#render();
    } catch (error) {
      // The machine may have gone on in the meantime; then another request follows.
      if (ticket !== this.#ticket || session.hasEnded) return;
      this.#content = undefined;
      this.#render({ kind: 'failed', reason: messageOf(error) });
    }
  }

  async #requestNow(session: HvmSession): Promise<Content> {
    const { threadId } = this;
    const body = await session.request('hvm/vmcs', { threadId });
    const reportOn = async (which: 'current' | 'lastFailure') =>
      (await session.request('hvm/entryReport', { threadId, which })).report;
    const isEnterable = body.pointer !== undefined && !body.inGuest;
    const reports = body.hasVmx
      ? await Promise.all([reportOn('lastFailure'), isEnterable ? reportOn('current') : undefined])
      : [];
    return {
      kind: 'now',
      ...body,
      reports: reports.flatMap((report) => (report && !report.enters ? [report] : [])),
    };
  }

  #render(state?: VmcsState): void {
    const content = this.#content;
    const { roots, shown, total } = buildTree(content?.groups ?? [], {
      reports: content?.kind === 'now' ? content.reports : [],
      filter: this.#filter,
      hideAbsent: this.#hideAbsent,
      breakpoints: this.session ? this.#breakpoints.fields : new Map(),
      isEditable: content?.kind === 'now',
    });
    this.#provider.show(roots);
    this.#tree.message = messageFor(state ?? this.#state(shown, total));
    this.#tree.description = describe(content);
  }

  #state(shown: number, total: number): VmcsState {
    const content = this.#content;
    if (!this.session) return { kind: 'noSession' };
    if (content?.kind === 'now' && !content.hasVmx) return { kind: 'noVmx' };
    if (content?.kind === 'now' && content.pointer === undefined) return { kind: 'noCurrentVmcs' };
    if (content === undefined) return { kind: 'running', hasFields: false };
    const exit = content.kind === 'exit' ? { exit: content.number } : {};
    return { kind: 'shown', shown, total, filter: this.#filter, ...exit };
  }

  #setContext(name: string, value: boolean): void {
    void vscode.commands.executeCommand('setContext', `${VIEW}.${name}`, value);
  }
}

async function requestExit(session: HvmSession, number: number): Promise<Content> {
  const [{ groups }, before] = await Promise.all([
    session.request('hvm/exitVmcs', { number }),
    // What the exit before left is what this one has changed; the first has none.
    number === 0 ? undefined : session.request('hvm/exitVmcs', { number: number - 1 }).catch(() => undefined),
  ]);
  return { kind: 'exit', number, groups: recordedFields(groups, before?.groups ?? []) };
}

function describe(content: Content | undefined): string {
  if (content === undefined) return '';
  if (content.kind === 'exit') return `at exit ${content.number}`;
  if (content.pointer === undefined) return '';
  return `${content.pointer}, ${content.launched ? 'launched' : 'clear'}`;
}
