/** What may follow an expression that is shown: `,x` and the like say how, `,[8]` how many elements. */

export const FORMAT_LETTERS = ['x', 'd', 'b', 'o', 'c', 's'] as const;

export type FormatLetter = (typeof FORMAT_LETTERS)[number];

export interface Suffixed {
  readonly expression: string;
  readonly format?: FormatLetter;
  /** An expression: the number of elements that a pointer's target or an array is shown with. */
  readonly count?: string;
}

const SUFFIX = /^(.*\S)\s*,\s*(?:([xdbocs])|\[([^[\]]+)\]|(\d+))$/s;

export function splitSuffix(text: string): Suffixed {
  const match = SUFFIX.exec(text.trim());
  if (match === null) return { expression: text };
  const [, rest, letter, count, number] = match;
  // `p,[4],x`
  const inner = splitSuffix(rest);
  return {
    ...inner,
    ...(letter !== undefined && { format: letter as FormatLetter }),
    ...((count ?? number) !== undefined && { count: count ?? number }),
  };
}
