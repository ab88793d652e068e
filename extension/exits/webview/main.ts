/** The page of the exits view: filter, list and summary, and the messages to and from the extension. */
import type { ExitFilter } from '../../../debug-adapter/protocol/exits.ts';
import { emptyText, type ListState, statusText } from '../emptyState.ts';
import { ExitList } from '../exitList.ts';
import { parseFilter } from '../filterText.ts';
import type { ViewMessage } from '../messages.ts';
import { element, setText } from './dom.ts';
import { ExitGrid } from './grid.ts';
import { pageState, remember, vscode } from './state.ts';
import { ReasonSummary } from './summary.ts';

/** Typing rests for so long before it is searched for. */
const TYPING = 150;
/** The state is kept at most so often. */
const REMEMBERING = 300;
/** A screen reader is told of matches when the search has rested. */
const ANNOUNCING = 600;

const main = document.getElementById('exits') as HTMLElement;
let session: string | undefined;
let isRestoring = false;
let typingTimer = 0;
let rememberTimer = 0;
let announceTimer = 0;

const list = new ExitList({
  request: (id, part) => vscode.postMessage({ kind: 'request', id, ...part }),
  changed: ({ dropped }) => listChanged(dropped),
  after: (milliseconds, callback) => window.setTimeout(callback, milliseconds),
});

const input = element('input', {
  className: 'filter',
  attributes: {
    type: 'search',
    placeholder: 'Filter: text, symbol or file, #from..to, @position..to',
    'aria-label': 'Filter VM exits by text, by numbers (#100..200) and by positions (@5000..9000)',
    'aria-describedby': 'problem',
    spellcheck: 'false',
  },
});
const clear = element('button', {
  className: 'action',
  text: 'Clear Filter',
  attributes: { type: 'button' },
});
const follow = element('button', {
  className: 'action',
  text: 'Follow',
  attributes: {
    type: 'button',
    'aria-pressed': 'true',
    title: 'Keep the newest exits in view',
  },
});
const status = element('span', { className: 'status' });
const problem = element('span', { className: 'problem', id: 'problem', attributes: { role: 'alert' } });
const announcement = element('span', { className: 'unseen', attributes: { role: 'status' } });
const empty = element('p', { className: 'empty' });
const keys = element('span', {
  className: 'unseen',
  id: 'keys',
  text: 'Enter shows the source of an exit, Shift and Enter the VMCS at that exit.',
});

const grid = new ExitGrid(
  list,
  {
    showSource: (number, focus) => vscode.postMessage({ kind: 'showSource', number, focus }),
    showVmcs: (number) => vscode.postMessage({ kind: 'showVmcs', number }),
    followChanged: (follows) => {
      follow.setAttribute('aria-pressed', follows.toString());
      remember({ follows });
    },
    moved: rememberPlace,
    resized: (widths) => remember({ widths }),
  },
  pageState().widths,
);
const summary = new ReasonSummary(
  {
    chosen: (reasons) => {
      remember({ reasons });
      applyFilter();
    },
    sorted: (sortBy) => remember({ sortBy }),
  },
  pageState().reasons,
  pageState().sortBy,
);

main.append(
  element('h1', { className: 'unseen', text: 'VM exits' }),
  element('div', { className: 'toolbar', children: [input, clear, follow, status, problem] }),
  element('div', {
    className: 'content',
    children: [element('div', { className: 'list', children: [grid.root, empty] }), summary.root],
  }),
  announcement,
  keys,
);

input.value = pageState().typed;
input.addEventListener('input', () => {
  clearTimeout(typingTimer);
  typingTimer = window.setTimeout(applyFilter, TYPING);
});
input.addEventListener('keydown', ({ key }) => {
  if (key === 'Enter') applyFilter();
  else if (key === 'ArrowDown') grid.root.focus();
  else if (key === 'Escape') {
    input.value = '';
    applyFilter();
  }
});
clear.addEventListener('click', clearFilter);
follow.addEventListener('click', () => {
  if (list.follows) {
    list.follows = false;
    follow.setAttribute('aria-pressed', 'false');
    remember({ follows: false });
  } else grid.goToEnd();
});
window.addEventListener('keydown', (event) => {
  if (event.key !== 'f' || !(event.ctrlKey || event.metaKey)) return;
  event.preventDefault();
  input.select();
  input.focus();
});
window.addEventListener('message', ({ data }: MessageEvent<ViewMessage>) => take(data));

function take(message: ViewMessage): void {
  switch (message.kind) {
    case 'session':
      showSession(message.id);
      break;
    case 'changed':
      list.refresh();
      break;
    case 'page':
      list.receive(message.id, message.page);
      break;
    case 'failed':
      list.fail(message.id, message.reason);
      break;
    case 'focusFilter':
      input.select();
      input.focus();
      break;
    case 'clearFilter':
      clearFilter();
      break;
  }
}

function showSession(id: string | undefined): void {
  session = id;
  // The place in the list is restored with its first rows.
  isRestoring = id !== undefined && id === pageState().session;
  list.follows = isRestoring ? pageState().follows : true;
  follow.setAttribute('aria-pressed', list.follows.toString());
  if (!isRestoring) grid.reset();
  if (id !== undefined && !isRestoring) remember({ session: id, selected: undefined, top: 0, follows: true });
  list.reset(id !== undefined);
  listChanged(0);
}

function currentFilter(): ExitFilter | undefined {
  const { filter, problem: wrong } = parseFilter(input.value);
  setText(problem, wrong ?? '');
  input.toggleAttribute('aria-invalid', wrong !== undefined);
  if (wrong !== undefined) return undefined;
  const { reasons } = pageState();
  return reasons.length === 0 ? filter : { ...filter, reasons };
}

function applyFilter(): void {
  clearTimeout(typingTimer);
  remember({ typed: input.value });
  const filter = currentFilter();
  if (filter === undefined || JSON.stringify(filter) === JSON.stringify(list.filter)) return;
  vscode.postMessage({ kind: 'filter', filter });
  isRestoring = false;
  grid.reset();
  list.setFilter(filter);
  listChanged(0);
  announce();
}

function clearFilter(): void {
  input.value = '';
  remember({ reasons: [] });
  summary.choose([]);
  applyFilter();
}

function listState(): ListState {
  const { problem: failure, total, kept, length, isComplete, searched, hypervisor } = list;
  return {
    hasSession: session !== undefined,
    isFiltered: isFiltered(),
    problem: failure,
    total,
    kept,
    length,
    isComplete,
    searched,
    hypervisor,
  };
}

function isFiltered(): boolean {
  return Object.keys(list.filter).length > 0;
}

function listChanged(dropped: number): void {
  if (isRestoring && list.hypervisor !== undefined) {
    isRestoring = false;
    grid.restore(pageState().top, pageState().selected);
  }
  grid.listChanged(dropped);
  const state = listState();
  const text = emptyText(state);
  setText(status, statusText(state));
  setText(empty, text ?? '');
  empty.hidden = text === undefined;
  grid.root.classList.toggle('bare', text !== undefined);
  clear.hidden = !isFiltered();
  summary.root.hidden = list.reasons.length === 0 && pageState().reasons.length === 0;
  summary.show(list.reasons);
}

/** Counts change ten times a second: only what the user has asked for is spoken. */
function announce(): void {
  clearTimeout(announceTimer);
  announceTimer = window.setTimeout(() => {
    if (list.isLoading || !list.isComplete) return announce();
    const state = listState();
    setText(announcement, emptyText(state) ?? statusText(state));
  }, ANNOUNCING);
}

function rememberPlace(): void {
  if (rememberTimer !== 0 || isRestoring || session === undefined) return;
  rememberTimer = window.setTimeout(() => {
    rememberTimer = 0;
    if (!isRestoring && session !== undefined)
      remember({ top: grid.top, ...(grid.selected !== undefined && { selected: grid.selected }) });
  }, REMEMBERING);
}

const initial = currentFilter();
if (initial !== undefined) {
  list.setFilter(initial);
  vscode.postMessage({ kind: 'filter', filter: initial });
}
listChanged(0);
vscode.postMessage({ kind: 'ready' });
