/** Counts and costs of the exit reasons; choosing some filters the list. */
import type { ExitReasonCount } from '../../../debug-adapter/protocol/exits.ts';
import { duration, grouped } from '../columns.ts';
import { element, setAttribute, setText } from './dom.ts';

type SortKey = 'count' | 'cost';

interface ReasonElements {
  readonly row: HTMLElement;
  readonly button: HTMLButtonElement;
  readonly count: HTMLElement;
  readonly cost: HTMLElement;
}

export interface SummaryEvents {
  readonly chosen: (reasons: readonly string[]) => void;
  readonly sorted: (key: SortKey) => void;
}

export class ReasonSummary {
  readonly root: HTMLElement;
  readonly #events: SummaryEvents;
  readonly #body = element('tbody');
  readonly #heads = new Map<SortKey, HTMLElement>();
  readonly #rows = new Map<string, ReasonElements>();
  #chosen: readonly string[];
  #sortBy: SortKey;
  #reasons: readonly ExitReasonCount[] = [];

  constructor(events: SummaryEvents, chosen: readonly string[], sortBy: SortKey) {
    this.#events = events;
    this.#chosen = chosen;
    this.#sortBy = sortBy;
    const head = element('thead', {
      children: [
        element('tr', {
          children: [
            element('th', { text: 'Reason', attributes: { scope: 'col' } }),
            this.#makeHead('count', 'Count'),
            this.#makeHead('cost', 'Cost'),
          ],
        }),
      ],
    });
    const table = element('table', {
      attributes: { 'aria-label': 'Exit reasons: choose some to filter the list' },
      children: [head, this.#body],
    });
    this.root = element('div', { className: 'summary', children: [table] });
    this.#markHeads();
  }

  show(reasons: readonly ExitReasonCount[]): void {
    this.#reasons = reasons;
    this.#render();
  }

  choose(reasons: readonly string[]): void {
    this.#chosen = reasons;
    this.#render();
  }

  #render(): void {
    const sorted = this.#reasons.toSorted((a, b) => b[this.#sortBy] - a[this.#sortBy]);
    const keys = new Set(sorted.map(({ key }) => key));
    // What was chosen stays, so that it can be let go.
    const absent = this.#chosen.filter((key) => !keys.has(key));
    for (const [key, { row }] of this.#rows) {
      if (keys.has(key) || absent.includes(key)) continue;
      row.remove();
      this.#rows.delete(key);
    }
    const shown = [
      ...sorted.map((reason) => this.#fill(reason)),
      ...absent.map((key) =>
        this.#fill({ key, name: this.#rows.get(key)?.button.textContent ?? key, count: 0, cost: 0 }),
      ),
    ];
    // An element that is moved loses the focus: only what stands elsewhere is moved.
    for (const [index, row] of shown.entries())
      if (this.#body.children[index] !== row)
        this.#body.insertBefore(row, this.#body.children[index] ?? null);
  }

  #fill({ key, name, count, cost }: ExitReasonCount): HTMLElement {
    const { row, button, count: countCell, cost: costCell } = this.#rows.get(key) ?? this.#makeRow(key);
    setText(button, name);
    setAttribute(button, 'aria-pressed', this.#chosen.includes(key).toString());
    setText(countCell, grouped(count));
    setText(costCell, duration(cost));
    return row;
  }

  #makeRow(key: string): ReasonElements {
    const button = element('button', { attributes: { type: 'button' } });
    const count = element('td', { className: 'number' });
    const cost = element('td', { className: 'number' });
    const name = element('th', { attributes: { scope: 'row' }, children: [button] });
    const row = element('tr', { children: [name, count, cost] });
    row.addEventListener('click', () => this.#toggle(key));
    const elements = { row, button, count, cost };
    this.#rows.set(key, elements);
    return elements;
  }

  #toggle(key: string): void {
    const chosen = this.#chosen.includes(key)
      ? this.#chosen.filter((other) => other !== key)
      : [...this.#chosen, key];
    this.choose(chosen);
    this.#events.chosen(chosen);
  }

  #makeHead(key: SortKey, title: string): HTMLElement {
    const button = element('button', { text: title, attributes: { type: 'button' } });
    const head = element('th', { className: 'number', attributes: { scope: 'col' }, children: [button] });
    button.addEventListener('click', () => {
      this.#sortBy = key;
      this.#markHeads();
      this.#render();
      this.#events.sorted(key);
    });
    this.#heads.set(key, head);
    return head;
  }

  #markHeads(): void {
    for (const [key, head] of this.#heads)
      setAttribute(head, 'aria-sort', key === this.#sortBy ? 'descending' : 'none');
  }
}
