import { describe, expect, it } from 'vitest';
import { TALLEST, VirtualScroll } from './virtualScroll.ts';

function listOf(rows: number, viewport = 100, tallest?: number): VirtualScroll {
  const list = new VirtualScroll(20, tallest);
  list.resize(rows, viewport);
  return list;
}

describe('a virtual list', () => {
  it('shows the rows that the scroll bar stands at', () => {
    const list = listOf(1000);
    expect(list.visible).toEqual({ first: 0, end: 5, offset: 0 });
    list.scrolled(210);
    expect(list.visible).toEqual({ first: 10, end: 16, offset: 10 });
    expect(list.scrollTop).toBe(210);
  });

  it('shows no more rows than there are', () => {
    expect(listOf(3).visible).toEqual({ first: 0, end: 3, offset: 0 });
    expect(listOf(0).visible).toEqual({ first: 0, end: 0, offset: 0 });
  });

  it('brings a row into view with the smallest move', () => {
    const list = listOf(1000);
    list.reveal(3);
    expect(list.top).toBe(0);
    list.reveal(5);
    expect(list.top).toBe(20);
    list.reveal(0);
    expect(list.top).toBe(0);
  });

  it('stays at what is in view when rows go from its beginning', () => {
    const list = listOf(1000);
    list.scrolled(2000);
    list.dropped(30);
    expect(list.visible.first).toBe(70);
    list.dropped(300);
    expect(list.top).toBe(0);
  });

  it('knows its end', () => {
    const list = listOf(1000);
    expect(list.isAtEnd).toBe(false);
    list.scrollToEnd();
    expect(list.isAtEnd).toBe(true);
    expect(list.visible.end).toBe(1000);
    list.resize(1001, 100);
    expect(list.isAtEnd).toBe(false);
  });
});

describe('a list that is higher than a browser can show', () => {
  const ROWS = 10_000;
  const tall = () => listOf(ROWS, 100, 50_000);

  it('has an element of the greatest height', () => {
    expect(tall().scrollHeight).toBe(50_000);
    expect(listOf(1_048_576).scrollHeight).toBe(TALLEST);
  });

  it('goes by proportion when the bar is dragged far, from the first row to the last', () => {
    const list = tall();
    list.scrolled(49_900);
    expect(list.visible.end).toBe(ROWS);
    list.scrolled(24_950);
    expect(list.visible.first).toBe(4997);
    list.scrolled(0);
    expect(list.top).toBe(0);
  });

  it('goes pixel by pixel when it is scrolled near by', () => {
    const list = tall();
    list.scrolled(24_950);
    const { top } = list;
    list.scrolled(24_990);
    expect(list.top).toBe(top + 40);
  });

  it('reaches both ends by small moves', () => {
    const list = tall();
    list.scrolled(24_950);
    for (let bar = 24_950; bar > 0; bar -= 200) list.scrolled(Math.max(bar, 0));
    list.scrolled(0);
    expect(list.top).toBe(0);
  });

  it('says where the bar belongs, so that it can be put there at rest', () => {
    const list = tall();
    list.scrolled(24_950);
    list.scrolled(24_990);
    const belongs = list.scrollTop;
    expect(belongs).toBeCloseTo(24_960, -1);
    const { top } = list;
    list.settled(Math.round(belongs));
    list.scrolled(Math.round(belongs));
    expect(list.top).toBe(top);
  });
});
