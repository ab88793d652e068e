/**
 * The list of exits as a grid: as many row elements as are in view, filled anew when it is scrolled. The keyboard's
 * focus is the grid's; the row it is at is told as its active descendant.
 *
 * WAI-ARIA 1.2, "grid"; ARIA Authoring Practices Guide, "Grid (Interactive Tabular Data and Layout Containers) Pattern".
 */
import type { ExitRow } from '../../../debug-adapter/protocol/exits.ts';
import { COLUMNS, columnTemplate, narrowest } from '../columns.ts';
import type { ExitList } from '../exitList.ts';
import { VirtualScroll } from '../virtualScroll.ts';
import { element, setAttribute, setText } from './dom.ts';

const ROW_HEIGHT = 22;
const NARROWEST = 32;
/** The scroll bar is put where it belongs when it has rested so long. */
const REST = 150;

export interface GridEvents {
  readonly showSource: (number: number, focus: boolean) => void;
  readonly showVmcs: (number: number) => void;
  readonly followChanged: (follows: boolean) => void;
  readonly moved: () => void;
  readonly resized: (widths: readonly number[]) => void;
}

interface RowElements {
  readonly row: HTMLElement;
  readonly cells: readonly HTMLElement[];
  entry: number;
}

export class ExitGrid {
  readonly root: HTMLElement;
  readonly #list: ExitList;
  readonly #events: GridEvents;
  readonly #scroll = new VirtualScroll(ROW_HEIGHT);
  readonly #header: HTMLElement;
  readonly #layer: HTMLElement;
  readonly #spacer: HTMLElement;
  readonly #rows: RowElements[] = [];
  #widths: number[];
  #selected: number | undefined;
  #frame = 0;
  #restTimer = 0;

  constructor(list: ExitList, events: GridEvents, widths: readonly number[] | undefined) {
    this.#list = list;
    this.#events = events;
    this.#widths = COLUMNS.map(({ width }, index) => widths?.[index] ?? width);
    this.#header = this.#makeHeader();
    this.#layer = element('div', { className: 'rows', attributes: { role: 'rowgroup' } });
    this.#spacer = element('div', { className: 'spacer', attributes: { role: 'presentation' } });
    this.root = element('div', {
      className: 'grid',
      attributes: {
        role: 'grid',
        tabindex: '0',
        'aria-label': 'VM exits',
        'aria-colcount': COLUMNS.length.toString(),
        'aria-describedby': 'keys',
      },
      children: [this.#header, this.#layer, this.#spacer],
    });
    this.#applyWidths();
    this.root.addEventListener('scroll', () => this.#scrolled(), { passive: true });
    this.root.addEventListener('keydown', (event) => this.#key(event));
    this.#layer.addEventListener('click', (event) => this.#clicked(event));
    this.#layer.addEventListener('dblclick', (event) => this.#doubleClicked(event));
    new ResizeObserver(() => this.update()).observe(this.root);
  }

  /** Place of the entry at the top. */
  get top(): number {
    return this.#list.first + this.#scroll.visible.first;
  }

  get selected(): number | undefined {
    return this.#selected;
  }

  restore(top: number, selected: number | undefined): void {
    this.#selected = selected;
    if (!this.#list.follows) {
      this.#measure();
      this.#scroll.scrollTo((top - this.#list.first) * ROW_HEIGHT);
    }
    this.update();
  }

  /** The list has another length, or rows of it are known now. */
  listChanged(dropped: number): void {
    this.#measure();
    if (dropped > 0 && !this.#list.follows) this.#scroll.dropped(dropped);
    this.update();
  }

  goToEnd(): void {
    this.#setFollows(true);
    this.update();
    this.#list.refresh();
  }

  /** Another list: its end is shown, nothing is selected. */
  reset(): void {
    this.#selected = undefined;
    this.#setFollows(true);
    this.update();
  }

  update(): void {
    if (this.#frame !== 0) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      this.#render();
    });
  }

  #measure(): void {
    const height = Math.max(0, this.root.clientHeight - ROW_HEIGHT);
    this.#scroll.resize(this.#list.length, height);
    const wanted = `${this.#scroll.scrollHeight}px`;
    if (this.#spacer.style.height !== wanted) this.#spacer.style.height = wanted;
  }

  #render(): void {
    this.#measure();
    if (this.#list.follows) this.#scroll.scrollToEnd();
    const { first: firstEntry } = this.#list;
    const { first, end, offset } = this.#scroll.visible;
    // A wheel that still turns must not be held up.
    if (this.#list.follows || Math.abs(this.root.scrollTop - this.#scroll.scrollTop) < 1) this.#settle();
    this.#list.want(firstEntry + first, firstEntry + end);
    while (this.#rows.length < end - first) this.#addRow();
    for (const [index, elements] of this.#rows.entries()) {
      const isShown = index < end - first;
      elements.row.hidden = !isShown;
      if (isShown) this.#fill(elements, firstEntry + first + index);
    }
    this.#layer.style.transform = `translateY(${-offset}px)`;
    setAttribute(this.root, 'aria-rowcount', (this.#list.length + 1).toString());
    this.#markActive();
    this.#events.moved();
  }

  #fill(elements: RowElements, entry: number): void {
    const row: ExitRow | undefined = this.#list.row(entry);
    elements.entry = entry;
    setAttribute(elements.row, 'aria-rowindex', (entry - this.#list.first + 2).toString());
    setAttribute(elements.row, 'aria-selected', (entry === this.#selected).toString());
    elements.row.classList.toggle('odd', entry % 2 === 1);
    elements.row.classList.toggle('loading', row === undefined);
    for (const [index, cell] of elements.cells.entries()) {
      const text = row === undefined ? (index === 0 ? '…' : '') : COLUMNS[index].text(row);
      setText(cell, text);
      if (cell.title !== text) cell.title = text;
    }
  }

  #markActive(): void {
    const active = this.#rows.find(({ row, entry }) => !row.hidden && entry === this.#selected);
    if (active) setAttribute(this.root, 'aria-activedescendant', active.row.id);
    else this.root.removeAttribute('aria-activedescendant');
  }

  #scrolled(): void {
    const bar = this.root.scrollTop;
    this.#scroll.scrolled(bar);
    if (this.#scroll.isAtEnd !== this.#list.follows && this.#list.length > 0)
      this.#setFollows(this.#scroll.isAtEnd);
    clearTimeout(this.#restTimer);
    this.#restTimer = window.setTimeout(() => this.#settle(), REST);
    // Filled before the browser paints: there is never an empty row.
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    this.#render();
  }

  #settle(): void {
    const wanted = Math.round(this.#scroll.scrollTop);
    if (Math.abs(this.root.scrollTop - wanted) >= 1) this.root.scrollTop = wanted;
    this.#scroll.settled(this.root.scrollTop);
  }

  #setFollows(follows: boolean): void {
    if (this.#list.follows === follows) return;
    this.#list.follows = follows;
    this.#events.followChanged(follows);
  }

  #clicked(event: MouseEvent): void {
    const entry = this.#entryAt(event);
    if (entry === undefined) return;
    this.#select(entry);
    const row = this.#list.row(entry);
    if (row && event.detail === 1) this.#events.showSource(row.number, false);
  }

  #doubleClicked(event: MouseEvent): void {
    const entry = this.#entryAt(event);
    const row = entry === undefined ? undefined : this.#list.row(entry);
    if (row) this.#events.showVmcs(row.number);
  }

  #entryAt({ target }: MouseEvent): number | undefined {
    const row = (target as HTMLElement).closest('.row');
    return this.#rows.find((candidate) => candidate.row === row)?.entry;
  }

  #select(entry: number): void {
    const { first, end } = this.#list;
    if (end === first) return;
    this.#selected = Math.min(Math.max(entry, first), end - 1);
    this.#measure();
    this.#scroll.reveal(this.#selected - first);
    this.#setFollows(this.#scroll.isAtEnd);
    this.#settle();
    this.update();
  }

  #key(event: KeyboardEvent): void {
    const { first, end } = this.#list;
    const { first: top, end: bottom } = this.#scroll.visible;
    const at = this.#selected;
    const page = this.#scroll.pageRows;
    const places: Readonly<Record<string, number>> = {
      ArrowDown: at === undefined ? first + top : at + 1,
      ArrowUp: at === undefined ? first + bottom - 1 : at - 1,
      PageDown: (at ?? first + top) + page,
      PageUp: (at ?? first + bottom) - page,
      Home: first,
      End: end - 1,
    };
    const place = places[event.key];
    if (place !== undefined && !event.altKey) {
      event.preventDefault();
      this.#select(place);
    } else if (event.key === 'Enter') {
      const row = at === undefined ? undefined : this.#list.row(at);
      if (row === undefined) return;
      event.preventDefault();
      if (event.shiftKey) this.#events.showVmcs(row.number);
      else this.#events.showSource(row.number, true);
    }
  }

  #addRow(): void {
    const cells = COLUMNS.map(({ isNumber, isCode }, index) =>
      element('div', {
        className: `cell${isNumber ? ' number' : ''}${isCode ? ' code' : ''}`,
        attributes: { role: 'gridcell', 'aria-colindex': (index + 1).toString() },
      }),
    );
    const row = element('div', {
      className: 'row',
      id: `row-${this.#rows.length}`,
      attributes: { role: 'row' },
      children: cells,
    });
    this.#rows.push({ row, cells, entry: -1 });
    this.#layer.append(row);
  }

  #makeHeader(): HTMLElement {
    const cells = COLUMNS.map(({ title, about, isNumber }, index) => {
      const cell = element('div', {
        className: `cell${isNumber ? ' number' : ''}`,
        text: title,
        attributes: { role: 'columnheader', 'aria-colindex': (index + 1).toString(), title: about },
      });
      if (index < COLUMNS.length - 1) cell.append(this.#makeHandle(index));
      return cell;
    });
    const row = element('div', {
      className: 'header',
      attributes: { role: 'row', 'aria-rowindex': '1' },
      children: cells,
    });
    return element('div', { className: 'head', attributes: { role: 'rowgroup' }, children: [row] });
  }

  /** Drawn to the side, it makes the column wider or narrower. */
  #makeHandle(index: number): HTMLElement {
    const handle = element('span', { className: 'handle', attributes: { 'aria-hidden': 'true' } });
    handle.addEventListener('pointerdown', (down) => {
      const before = this.#widths[index];
      handle.setPointerCapture(down.pointerId);
      const move = ({ clientX }: PointerEvent): void => {
        this.#widths[index] = Math.max(NARROWEST, before + clientX - down.clientX);
        this.#applyWidths();
      };
      handle.addEventListener('pointermove', move);
      handle.addEventListener(
        'lostpointercapture',
        () => {
          handle.removeEventListener('pointermove', move);
          this.#events.resized(this.#widths);
        },
        { once: true },
      );
      down.preventDefault();
    });
    return handle;
  }

  #applyWidths(): void {
    this.root.style.setProperty('--columns', columnTemplate(this.#widths));
    this.root.style.setProperty('--narrowest', `${narrowest(this.#widths)}px`);
  }
}
