import { beforeEach, describe, expect, it } from 'vitest';
import type { ExitFilter, ExitPage } from '../../debug-adapter/protocol/exits.ts';
import { ExitList } from './exitList.ts';
import { testRow } from './testRow.ts';

interface Request {
  readonly id: number;
  readonly start?: number;
  readonly count: number;
  readonly filter: ExitFilter;
}

let requests: Request[];
let later: (() => void)[];
let dropped: number;
let list: ExitList;

beforeEach(() => {
  requests = [];
  later = [];
  dropped = 0;
  list = new ExitList({
    request: (id, part) => requests.push({ id, ...part }),
    changed: (change) => {
      dropped += change.dropped;
    },
    after: (_, callback) => later.push(callback),
  });
});

/** Answers the last request of a machine with so many exits. */
function answer(total: number, more: Partial<ExitPage> = {}): void {
  const { id, start, count } = requests[requests.length - 1];
  const first = more.first ?? 0;
  const from = Math.max(first, start ?? total - count);
  const rows = Array.from({ length: Math.max(0, Math.min(count, total - from)) }, (_, i) =>
    testRow(from + i),
  );
  list.receive(id, {
    total,
    kept: first,
    first,
    end: total,
    isComplete: true,
    searched: total,
    reasons: [],
    hypervisor: 'built-in',
    start: from,
    rows,
    ...more,
  });
}

const parts = () => requests.map(({ start, count }) => [start, count]);

describe('the list in the webview', () => {
  it('asks for the newest while it follows them', () => {
    list.want(0, 10);
    list.reset(true);
    expect(parts()).toEqual([[undefined, 32]]);
    answer(1000);
    expect(list.row(999)?.number).toBe(999);
    expect([list.first, list.end]).toEqual([0, 1000]);
  });

  it('asks in whole blocks for the rows in view that it does not know', () => {
    list.reset(true);
    answer(1000);
    list.follows = false;
    list.want(300, 320);
    // 128 rows before and behind, too.
    expect(parts().at(-1)).toEqual([160, 288]);
    answer(1000);
    list.want(310, 340);
    expect(requests).toHaveLength(2);
    list.want(400, 420);
    expect(parts().at(-1)).toEqual([448, 128]);
  });

  it('asks for one part at a time, and then for what is wanted last', () => {
    list.reset(true);
    answer(10_000);
    list.follows = false;
    list.want(100, 120);
    list.want(3000, 3020);
    list.want(6016, 6020);
    expect(requests).toHaveLength(2);
    answer(10_000);
    expect(parts().at(-1)).toEqual([5888, 288]);
  });

  it('asks for counts alone when everything in view is known', () => {
    list.reset(true);
    answer(1000);
    list.follows = false;
    list.want(980, 1000);
    answer(1000);
    list.refresh();
    expect(parts().at(-1)).toEqual([980, 0]);
    answer(2000);
    expect(list.end).toBe(2000);
  });

  it('forgets everything with another filter, and ignores late answers to the old one', () => {
    list.reset(true);
    const [old] = requests;
    list.setFilter({ text: 'x' });
    expect(requests.at(-1)?.filter).toEqual({ text: 'x' });
    list.receive(old.id, { ...emptyPage, total: 7, end: 7 });
    expect(list.end).toBe(0);
    answer(3);
    expect(list.end).toBe(3);
    list.setFilter({ text: 'x' });
    expect(requests).toHaveLength(2);
  });

  it('goes on asking while a search is not at its end', () => {
    list.reset(true);
    answer(100, { isComplete: false });
    expect(requests).toHaveLength(1);
    later.pop()?.();
    expect(requests).toHaveLength(2);
  });

  it('tells how much has dropped out of the beginning', () => {
    list.reset(true);
    answer(1000);
    list.refresh();
    answer(1500, { first: 500 });
    expect(dropped).toBe(500);
  });

  it('does not ask again for what did not come', () => {
    list.reset(true);
    answer(1000);
    list.follows = false;
    list.want(300, 310);
    answer(1000, { rows: [] });
    expect(requests).toHaveLength(2);
    list.want(300, 311);
    list.want(300, 310);
    expect(requests).toHaveLength(2);
  });

  it('shows what went wrong', () => {
    list.reset(true);
    list.fail(requests[0].id, 'gone');
    expect(list.problem).toBe('gone');
  });

  it('asks nothing without a session', () => {
    list.reset(false);
    list.want(0, 10);
    list.setFilter({ text: 'x' });
    list.refresh();
    expect(requests).toEqual([]);
  });
});

const emptyPage: ExitPage = {
  total: 0,
  kept: 0,
  first: 0,
  end: 0,
  isComplete: true,
  searched: 0,
  reasons: [],
  hypervisor: 'built-in',
  start: 0,
  rows: [],
};
