/**
 * What a breakpoint does when it is reached, decided beside the machine so that a condition that does not hold costs
 * no message: count, test the condition, print a message.
 */

import type { Expression } from '../expressions/ast.ts';
import { ExpressionError } from '../expressions/errors.ts';
import { type ExpressionScope, evaluate, isTrue } from '../expressions/evaluate.ts';
import { formatValue } from '../expressions/format.ts';
import type { TemplatePart } from '../expressions/template.ts';
import { type HitCondition, stopsAtHit } from './hitCondition.ts';

export interface BreakpointRule {
  readonly id: number;
  readonly condition?: Expression;
  readonly hitCondition?: HitCondition;
  /** A log point prints this and goes on. */
  readonly message?: readonly TemplatePart[];
}

export interface RuleOutput {
  message(breakpoint: number, text: string, failed: boolean): void;
}

export class BreakpointRules {
  readonly #output: RuleOutput;
  readonly #rules = new Map<number, { rule: BreakpointRule; text: string; hits: number }>();

  constructor(output: RuleOutput) {
    this.#output = output;
  }

  /** Replaces the rules; a rule that stays the same keeps its count. */
  set(rules: readonly BreakpointRule[]): void {
    const before = new Map(this.#rules);
    this.#rules.clear();
    for (const rule of rules) {
      const text = textOf(rule);
      const same = before.get(rule.id);
      this.#rules.set(rule.id, { rule, text, hits: same?.text === text ? same.hits : 0 });
    }
  }

  resetCounts(): void {
    for (const entry of this.#rules.values()) entry.hits = 0;
  }

  /** Which of the breakpoints that were reached stop the machine. */
  stopping(reached: readonly number[], scope: () => ExpressionScope): number[] {
    return reached.filter((id) => this.#stops(id, scope));
  }

  #stops(id: number, scope: () => ExpressionScope): boolean {
    const entry = this.#rules.get(id);
    if (entry === undefined) return true;
    const { condition, hitCondition, message } = entry.rule;
    try {
      if (condition !== undefined && !isTrue(condition, scope())) return false;
      entry.hits++;
      if (hitCondition !== undefined && !stopsAtHit(hitCondition, entry.hits)) return false;
      if (message === undefined) return true;
      const parts = message.map((part) =>
        typeof part === 'string' ? part : formatValue(evaluate(part, scope()), 'hexadecimal'),
      );
      this.#output.message(id, parts.join(''), false);
      return false;
    } catch (error) {
      if (!(error instanceof ExpressionError)) throw error;
      // A condition that cannot be computed stops: going on would hide both the slip and the place.
      this.#output.message(id, error.message, true);
      return true;
    }
  }
}

function textOf(rule: BreakpointRule): string {
  return JSON.stringify(rule, (_, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value));
}
