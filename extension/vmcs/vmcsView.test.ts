import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { DebugSession, Memento, TreeDataProvider, TreeItem } from 'vscode';
import { EventEmitter, window } from '../../test/support/fakeVscode.ts';
import { HvmSession } from '../session/hvmSession.ts';
import type { Sessions } from '../session/sessions.ts';
import { FieldBreakpoints } from './fieldBreakpoints.ts';
import type { VmcsNode } from './model.ts';
import { VmcsView } from './vmcsView.ts';

vi.mock('vscode', () => import('../../test/support/fakeVscode.ts'));

const ROW = { encoding: '0x681e', bits: 64, parts: [], reference: 'SDM "Guest Register State"' };
const GROUPS = [
  {
    title: 'Guest register state',
    rows: [{ ...ROW, key: 'GUEST_RIP', title: 'Guest RIP', stored: '0x10', live: '0x12', meaning: 'a_*b*' }],
  },
  {
    title: 'Controls',
    rows: [{ ...ROW, key: 'HLAT_POINTER', title: 'HLATP', missing: 'Enable HLAT' }],
  },
];
const BODY = { groups: GROUPS, hasVmx: true, pointer: '0x1000', launched: true, inGuest: true };
const REPORT = { instruction: 'VMLAUNCH', enters: false, outcome: 'VMfailValid(7)', rules: [], text: '' };

/** What the adapter answers, by request. */
type Answers = Record<string, (args: never) => unknown>;

interface FakeTree {
  message?: string;
  description?: string;
  visible: boolean;
}

let tree: FakeTree;
let visibility: EventEmitter<{ visible: boolean }>;
let provider: TreeDataProvider<VmcsNode>;
let active: HvmSession | undefined;
let activeChanged: EventEmitter<HvmSession | undefined>;
let started: EventEmitter<HvmSession>;
let asked: string[];
let stored: Map<string, unknown>;
let view: VmcsView;
let breakpoints: FieldBreakpoints;
let warnings: string[];

/** Until what was asked is answered and shown. */
const settled = () => vi.advanceTimersByTimeAsync(0);
const texts = (node?: VmcsNode): string[] =>
  (provider.getChildren(node) as VmcsNode[]).map((child) => {
    const { label, description } = provider.getTreeItem(child) as TreeItem;
    return `${label}:${description}`;
  });

function session(answers: Answers = {}): HvmSession {
  const all: Answers = {
    'hvm/vmcs': () => BODY,
    'hvm/entryReport': () => ({}),
    'hvm/setVmcsFieldBreakpoints': () => ({ breakpoints: [] }),
    ...answers,
  };
  return new HvmSession({
    id: 'one',
    customRequest: async (command: string, args: never) => {
      asked.push(`${command} ${JSON.stringify(args)}`);
      return all[command](args);
    },
  } as unknown as DebugSession);
}

function activate(next: HvmSession | undefined): void {
  active = next;
  activeChanged.fire(next);
}

beforeEach(() => {
  vi.useFakeTimers();
  visibility = new EventEmitter();
  activeChanged = new EventEmitter();
  started = new EventEmitter();
  tree = { visible: true };
  asked = [];
  warnings = [];
  stored = new Map();
  active = undefined;
  Object.assign(window, {
    createTreeView: (_: string, options: { treeDataProvider: TreeDataProvider<VmcsNode> }) => {
      provider = options.treeDataProvider;
      return Object.assign(tree, { onDidChangeVisibility: visibility.event, dispose: () => undefined });
    },
    showWarningMessage: async (text: string) => void warnings.push(text),
  });
  const memento = {
    get: (key: string, standard: unknown) => stored.get(key) ?? standard,
    update: async (key: string, value: unknown) => void stored.set(key, value),
  } as unknown as Memento;
  const sessions = {
    get active() {
      return active;
    },
    get all() {
      return active ? [active] : [];
    },
    onDidStart: started.event,
    onDidChangeActive: activeChanged.event,
  } as unknown as Sessions;
  breakpoints = new FieldBreakpoints(memento, sessions);
  view = new VmcsView(sessions, breakpoints, memento);
});

describe('the VMCS view', () => {
  it('says what to do without a session', async () => {
    await settled();
    expect(tree.message).toContain('Start debugging');
    expect(texts()).toEqual([]);
  });

  it('asks at a stop, and shows which VMCS it is', async () => {
    const one = session();
    activate(one);
    one.receive('stopped', {});
    await settled();
    expect(asked[0]).toBe('hvm/vmcs {"threadId":1}');
    expect([tree.message, tree.description]).toEqual([undefined, '0x1000, launched']);
    expect(texts()).toEqual(['Guest register state:', 'Controls:']);
  });

  it('asks nothing while nobody sees it', async () => {
    tree.visible = false;
    const one = session();
    activate(one);
    one.receive('stopped', {});
    await settled();
    expect(asked).toEqual([]);
    tree.visible = true;
    visibility.fire({ visible: true });
    await settled();
    expect(texts().length).toBe(2);
  });

  it('keeps the fields of the last stop while the machine runs, and says so after a moment', async () => {
    const one = session();
    activate(one);
    await settled();
    expect(tree.message).toBe('The guest runs. Pause to see its VMCS.');
    one.receive('stopped', {});
    await settled();
    one.resumed();
    await vi.advanceTimersByTimeAsync(200);
    expect(tree.message).toBeUndefined();
    await vi.advanceTimersByTimeAsync(200);
    expect(tree.message).toContain('these are of the last stop');
    expect(texts().length).toBe(2);
  });

  it('does not show an answer that a later stop has overtaken', async () => {
    const answers: ((body: object) => void)[] = [];
    const one = session({ 'hvm/vmcs': () => new Promise((done) => answers.push(done)) });
    activate(one);
    one.receive('stopped', {});
    one.resumed();
    one.receive('stopped', {});
    answers[1]({ ...BODY, pointer: '0x2000' });
    await settled();
    answers[0](BODY);
    await settled();
    expect(tree.description).toBe('0x2000, launched');
  });

  it.each([
    [{ ...BODY, groups: [], hasVmx: false, pointer: undefined }, 'no VT-x'],
    [{ ...BODY, groups: [], pointer: undefined }, 'VMPTRLD'],
  ])('says why there are no fields', async (body, why) => {
    const one = session({ 'hvm/vmcs': () => body });
    activate(one);
    one.receive('stopped', {});
    await settled();
    expect(tree.message).toContain(why);
  });

  it('says what went wrong', async () => {
    const one = session({
      'hvm/vmcs': () => {
        throw new Error('no machine');
      },
    });
    activate(one);
    one.receive('stopped', {});
    await settled();
    expect(tree.message).toBe('The VMCS cannot be shown: no machine');
  });

  it('follows the session that is focused', async () => {
    const [one, other] = [session(), session({ 'hvm/vmcs': () => ({ ...BODY, pointer: '0x9000' }) })];
    for (const each of [one, other]) each.receive('stopped', {});
    activate(one);
    await settled();
    activate(other);
    await settled();
    expect(tree.description).toBe('0x9000, launched');
    one.receive('invalidated', {});
    other.ended();
    activate(undefined);
    await settled();
    expect([tree.description, tree.message]).toEqual(['', expect.stringContaining('Start debugging')]);
  });

  it('has the reason of a failed VM entry on top, and asks for the next one in root operation only', async () => {
    const one = session({
      'hvm/vmcs': () => ({ ...BODY, inGuest: false }),
      'hvm/entryReport': () => ({ report: REPORT }),
    });
    activate(one);
    one.receive('stopped', {});
    await settled();
    expect(texts()[0]).toBe('VMLAUNCH would fail: VMfailValid(7)');
    expect(asked.filter((text) => text.includes('"current"')).length).toBe(1);
  });

  it('filters, and hides what is absent for good', async () => {
    const one = session();
    activate(one);
    one.receive('stopped', {});
    await settled();
    view.setFilter('rip');
    expect([texts().length, tree.message]).toEqual([1, '1 of 2 fields match "rip".']);
    view.setFilter('');
    await view.setHideAbsent(true);
    expect(texts()).toEqual(['Guest register state:']);
    expect(stored.get('vmcs.hideAbsent')).toBe(true);
  });

  it('shows what was recorded at an exit, and comes back', async () => {
    const one = session({
      'hvm/exitVmcs': ({ number }: { number: number }) => ({
        groups: [{ title: 'G', rows: [{ ...ROW, key: 'R', title: 'R', stored: `0x${number}` }] }],
      }),
    });
    activate(one);
    one.receive('stopped', {});
    await settled();
    await view.showExit(5);
    expect([tree.description, tree.message]).toEqual(['at exit 5', expect.stringContaining('VM exit 5')]);
    const [group] = provider.getChildren() as VmcsNode[];
    expect(texts(group)).toEqual(['R: Δ 0x5 · was 0x4']);
    await view.showExit(undefined);
    expect(tree.description).toBe('0x1000, launched');
    await view.showExit(5);
    one.restarted();
    await settled();
    expect(tree.description).not.toBe('at exit 5');
  });

  it('makes hovers when they are asked for, with nothing of a symbol as Markdown', async () => {
    const one = session();
    activate(one);
    one.receive('stopped', {});
    await settled();
    const [group] = provider.getChildren() as VmcsNode[];
    const [field] = provider.getChildren(group) as VmcsNode[];
    const item = provider.getTreeItem(field) as TreeItem;
    expect(item.tooltip).toBeUndefined();
    provider.resolveTreeItem?.(item, field, undefined as never);
    const { value } = item.tooltip as { value: string };
    expect(value).toContain('Meaning: a\\_\\*b\\*');
  });
});

describe('breakpoints on fields', () => {
  it('are kept, and given to every session before it runs', async () => {
    const breakpoint = { title: 'Guest RIP', condition: '$rax == 1' };
    await breakpoints.add('GUEST_RIP', breakpoint);
    expect(stored.get('vmcs.breakpoints')).toEqual([['GUEST_RIP', breakpoint]]);
    const one = session();
    started.fire(one);
    one.receive('initialized', undefined);
    expect(asked).toEqual([
      'hvm/setVmcsFieldBreakpoints {"fields":[{"key":"GUEST_RIP","condition":"$rax == 1"}]}',
    ]);
  });

  it('are listed in the view and told to the session that runs', async () => {
    const one = session();
    activate(one);
    one.receive('stopped', {});
    await settled();
    await breakpoints.add('GUEST_RIP', { title: 'Guest RIP' });
    await settled();
    expect(texts()[0]).toBe('Stops when changed: 1 field');
    await breakpoints.clear();
    await settled();
    expect(texts().length).toBe(2);
    expect(asked.filter((text) => text.startsWith('hvm/setVmcsFieldBreakpoints'))).toEqual([
      'hvm/setVmcsFieldBreakpoints {"fields":[{"key":"GUEST_RIP"}]}',
      'hvm/setVmcsFieldBreakpoints {"fields":[]}',
    ]);
  });

  it('that cannot be are told', async () => {
    activate(
      session({
        'hvm/setVmcsFieldBreakpoints': () => ({
          breakpoints: [{ verified: false, message: 'There is no such field.' }],
        }),
      }),
    );
    await breakpoints.add('HLAT_POINTER', { title: 'HLATP' });
    expect(warnings).toEqual(['There is no such field.']);
  });
});
