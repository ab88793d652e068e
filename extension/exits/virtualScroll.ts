/**
 * Which rows of a long list are in view. Browsers limit how high an element can be, so above a height the scroll bar
 * stands for more pixels than it has: far moves of it are taken by proportion, near ones (wheel, touch, trackpad) pixel
 * by pixel, and when the list comes to rest the bar is put where it belongs.
 */

/** Less than any browser's limit; Firefox has the lowest, about 17.8 million pixels. */
export const TALLEST = 16_000_000;
/** Moves of the scroll bar below this many viewports are near ones. */
const NEAR = 3;

export class VirtualScroll {
  readonly rowHeight: number;
  readonly #tallest: number;
  #viewport = 0;
  #rows = 0;
  #top = 0;
  /** Where the scroll bar was seen last. */
  #bar = 0;

  constructor(rowHeight: number, tallest = TALLEST) {
    this.rowHeight = rowHeight;
    this.#tallest = tallest;
  }

  get rows(): number {
    return this.#rows;
  }

  /** Pixels of the list above the viewport. */
  get top(): number {
    return this.#top;
  }

  /** Height of the element that is scrolled. */
  get scrollHeight(): number {
    return Math.min(this.#rows * this.rowHeight, this.#tallest);
  }

  /** Where the scroll bar belongs. */
  get scrollTop(): number {
    const most = this.#mostTop;
    return most === 0 ? 0 : this.#isScaled ? (this.#top / most) * this.#mostBar : this.#top;
  }

  get isAtEnd(): boolean {
    return this.#top >= this.#mostTop - 1;
  }

  /** The rows in view, partly or whole: the first, the one behind the last, and how many pixels the first is cut. */
  get visible(): { readonly first: number; readonly end: number; readonly offset: number } {
    const first = Math.floor(this.#top / this.rowHeight);
    const end = Math.min(this.#rows, Math.ceil((this.#top + this.#viewport) / this.rowHeight));
    return { first, end, offset: this.#top - first * this.rowHeight };
  }

  /** Rows that fit in whole. */
  get pageRows(): number {
    return Math.max(1, Math.floor(this.#viewport / this.rowHeight));
  }

  resize(rows: number, viewport: number): void {
    this.#rows = rows;
    this.#viewport = viewport;
    this.scrollTo(this.#top);
  }

  /** The scroll bar was moved, by whomever. */
  scrolled(bar: number): void {
    const moved = bar - this.#bar;
    this.#bar = bar;
    if (Math.abs(moved) < 1) return;
    if (!this.#isScaled) this.#setTop(bar);
    else if (bar <= 0) this.#setTop(0);
    else if (bar >= this.#mostBar - 1) this.#setTop(this.#mostTop);
    else if (Math.abs(moved) < NEAR * this.#viewport) this.#setTop(this.#top + moved);
    else this.#setTop((bar / this.#mostBar) * this.#mostTop);
  }

  /** The scroll bar was put to {@link scrollTop}, which may have been rounded to `bar`. */
  settled(bar: number): void {
    this.#bar = bar;
  }

  scrollTo(top: number): void {
    this.#setTop(top);
  }

  scrollToEnd(): void {
    this.#setTop(this.#mostTop);
  }

  /** Moves as little as is needed to bring a whole row into view. */
  reveal(row: number): void {
    const top = row * this.rowHeight;
    if (top < this.#top) this.#setTop(top);
    else if (top + this.rowHeight > this.#top + this.#viewport)
      this.#setTop(top + this.rowHeight - this.#viewport);
  }

  /** Rows have gone from the beginning of the list: what is in view stays where it is. */
  dropped(rows: number): void {
    this.#setTop(this.#top - rows * this.rowHeight);
  }

  get #isScaled(): boolean {
    return this.#rows * this.rowHeight > this.#tallest;
  }

  get #mostTop(): number {
    return Math.max(0, this.#rows * this.rowHeight - this.#viewport);
  }

  get #mostBar(): number {
    return Math.max(0, this.scrollHeight - this.#viewport);
  }

  #setTop(top: number): void {
    this.#top = Math.min(Math.max(0, top), this.#mostTop);
  }
}
