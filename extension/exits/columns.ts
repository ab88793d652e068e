/** The columns of the list of exits, and what stands in them. */
import type { ExitRow } from '../../debug-adapter/protocol/exits.ts';

export interface Column {
  readonly key: string;
  readonly title: string;
  /** What the title means. */
  readonly about: string;
  /** Pixels at first, and at least when there is too little room; the last column takes what is left. */
  readonly width: number;
  readonly narrowest: number;
  readonly isNumber?: true;
  readonly isCode?: true;
  readonly text: (row: ExitRow) => string;
}

export const COLUMNS: readonly Column[] = [
  {
    key: 'number',
    title: '#',
    about: 'Number of the exit since power-on',
    width: 84,
    narrowest: 80,
    isNumber: true,
    text: ({ number }) => grouped(number),
  },
  {
    key: 'position',
    title: 'Position',
    about: 'Instructions retired before the exit',
    width: 100,
    narrowest: 88,
    isNumber: true,
    text: ({ position }) => grouped(position),
  },
  {
    key: 'level',
    title: 'Level',
    about: 'Virtualization level of the guest, and its virtual processor',
    width: 60,
    narrowest: 56,
    text: ({ level, vcpu }) => `L${level} · ${vcpu}`,
  },
  {
    key: 'cost',
    title: 'Cost (ns)',
    about: 'Virtual time of the exit and the entry after it, in nanoseconds',
    width: 84,
    narrowest: 84,
    isNumber: true,
    text: ({ cost }) => grouped(cost),
  },
  {
    key: 'rip',
    title: 'RIP',
    about: 'Address of the guest instruction, with its symbol',
    width: 220,
    narrowest: 100,
    isCode: true,
    text: ({ rip, location }) => (location === undefined ? shortened(rip) : `${shortened(rip)} ${location}`),
  },
  {
    key: 'source',
    title: 'Source',
    about: 'Source file and line',
    width: 120,
    narrowest: 68,
    text: ({ source }) => source ?? '',
  },
  {
    key: 'reason',
    title: 'Reason',
    about: 'Basic exit reason',
    width: 150,
    narrowest: 100,
    text: ({ reason }) => reason,
  },
  {
    key: 'details',
    title: 'Details',
    about: 'The exit qualification in words',
    width: 170,
    narrowest: 132,
    text: detailsOf,
  },
];

/** What the exit says beyond its reason. */
export function detailsOf({ reason, text }: ExitRow): string {
  if (text === reason) return '';
  return text.startsWith(`${reason}: `) ? text.slice(reason.length + 2) : text;
}

/** `1,234,567`, the same wherever it is read. */
export function grouped(value: number): string {
  return Math.round(value)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, ',');
}

/** `0x0000000000100040` as `0x100040`. */
function shortened(address: string): string {
  return address.replace(/^0x0+(?=[\da-f])/, '0x');
}

/** Virtual time in the largest unit that keeps it above 1. */
export function duration(nanoseconds: number): string {
  const units = [
    ['s', 1e9],
    ['ms', 1e6],
    ['µs', 1e3],
  ] as const;
  for (const [unit, size] of units)
    if (nanoseconds >= size) return `${(nanoseconds / size).toPrecision(3)} ${unit}`;
  return `${Math.round(nanoseconds)} ns`;
}

/** The columns from left to right, for `grid-template-columns`: in a narrow window the wide ones give way. */
export function columnTemplate(widths: readonly number[]): string {
  return widths
    .map((width, index) => {
      const least = Math.min(width, COLUMNS[index].narrowest);
      return index < widths.length - 1 ? `minmax(${least}px, ${width}px)` : `minmax(${least}px, 1fr)`;
    })
    .join(' ');
}

/** Below this width the list is scrolled sideways. */
export function narrowest(widths: readonly number[]): number {
  return widths.reduce((sum, width, index) => sum + Math.min(width, COLUMNS[index].narrowest), 0);
}
