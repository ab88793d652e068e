/** How often a breakpoint must be reached before it stops: `>5`, `>=5`, `=5` (or `5`), `<5`, `<=5`, `%5`. */
import { ExpressionError } from '../expressions/errors.ts';

export interface HitCondition {
  readonly operator: '>' | '>=' | '=' | '<' | '<=' | '%';
  readonly count: number;
}

const SYNTAX = /^\s*(>=|<=|==|=|>|<|%)?\s*(\d+)\s*$/;

export function parseHitCondition(text: string): HitCondition {
  const match = SYNTAX.exec(text);
  if (match === null)
    throw new ExpressionError(`the hit count "${text}" is not understood: write >5, >=5, =5, <5, <=5 or %5`);
  const count = Number(match[2]);
  const operator = match[1] === undefined || match[1] === '==' ? '=' : (match[1] as HitCondition['operator']);
  if (operator === '%' && count === 0)
    throw new ExpressionError('the hit count %0 never stops: write %1 or more');
  return { operator, count };
}

/** Whether the breakpoint stops when it is reached for the `hits`-th time (from 1 on). */
export function stopsAtHit({ operator, count }: HitCondition, hits: number): boolean {
  switch (operator) {
    case '>':
      return hits > count;
    case '>=':
      return hits >= count;
    case '=':
      return hits === count;
    case '<':
      return hits < count;
    case '<=':
      return hits <= count;
    case '%':
      return hits % count === 0;
  }
}
