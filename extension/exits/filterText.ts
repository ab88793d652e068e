/**
 * The filter as it is typed: `#100..200` for numbers, `@5000..` for positions, anything else is text. Single numbers and
 * open ranges are ranges too; `_` and `,` may stand between digits.
 */
import type { ExitFilter } from '../../debug-adapter/protocol/exits.ts';

export interface ParsedFilter {
  readonly filter: ExitFilter;
  /** What is wrong with it, for people. */
  readonly problem?: string;
}

const EXAMPLE = 'write #100..200, #100.. or #..200';

export function parseFilter(typed: string): ParsedFilter {
  const words: string[] = [];
  let filter: ExitFilter = {};
  for (const word of typed.trim().split(/\s+/)) {
    const sign = word[0];
    if ((sign !== '#' && sign !== '@') || word.length === 1) {
      if (word !== '') words.push(word);
      continue;
    }
    const range = parseRange(word.slice(1));
    if (range === undefined) {
      // An address or a symbol may begin so.
      if (!/^[\d.,_]*$/.test(word.slice(1))) {
        words.push(word);
        continue;
      }
      return { filter: {}, problem: `"${word}" is not a range: ${EXAMPLE.replaceAll('#', sign)}` };
    }
    const { from, to } = range;
    filter =
      sign === '#'
        ? { ...filter, ...(from !== undefined && { from }), ...(to !== undefined && { to }) }
        : {
            ...filter,
            ...(from !== undefined && { positionFrom: from }),
            ...(to !== undefined && { positionTo: to }),
          };
  }
  return { filter: words.length === 0 ? filter : { ...filter, text: words.join(' ') } };
}

function parseRange(text: string): { from?: number; to?: number } | undefined {
  const [, first, dots, second] = /^([\d,_]*)(\.\.)?([\d,_]*)$/.exec(text) ?? [];
  if (first === undefined) return undefined;
  const from = parseCount(first);
  const to = parseCount(second);
  if (from === undefined && to === undefined) return undefined;
  if (dots === undefined) return from === undefined ? undefined : { from, to: from };
  if (from !== undefined && to !== undefined && from > to) return undefined;
  return { ...(from !== undefined && { from }), ...(to !== undefined && { to }) };
}

function parseCount(digits: string): number | undefined {
  const value = Number(digits.replace(/[,_]/g, ''));
  return digits === '' || !Number.isSafeInteger(value) ? undefined : value;
}
