import { describe, expect, it } from 'vitest';
import type { ExpressionScope } from '../expressions/evaluate.ts';
import { parseExpression } from '../expressions/parser.ts';
import { parseTemplate } from '../expressions/template.ts';
import { parseHitCondition } from './hitCondition.ts';
import { BreakpointRules } from './rules.ts';

function rulesWithOutput() {
  const output: string[] = [];
  const rules = new BreakpointRules({
    message: (id, text, failed) => output.push(`${id}${failed ? '!' : ''} ${text}`),
  });
  return { rules, output };
}

const scopeWith = (rax: bigint) => (): ExpressionScope => ({
  register: (name) => (name === 'rax' ? { name: 'RAX', value: rax, bits: 64, fields: [] } : undefined),
  msr: () => undefined,
  vmcsField: () => undefined,
  readMemory: () => new Uint8Array(0),
});

describe('a breakpoint that is reached', () => {
  it('stops when it has no rule', () => {
    expect(rulesWithOutput().rules.stopping([4, 5], scopeWith(0n))).toEqual([4, 5]);
  });

  it('stops when its condition holds', () => {
    const { rules } = rulesWithOutput();
    rules.set([{ id: 1, condition: parseExpression('rax == 3') }]);
    expect([1n, 3n, 5n].map((rax) => rules.stopping([1], scopeWith(rax)))).toEqual([[], [1], []]);
  });

  it('counts hits of which the condition holds', () => {
    const { rules } = rulesWithOutput();
    rules.set([{ id: 1, condition: parseExpression('rax & 1'), hitCondition: parseHitCondition('=2') }]);
    const hits = [1n, 2n, 3n, 5n].map((rax) => rules.stopping([1], scopeWith(rax)).length);
    expect(hits).toEqual([0, 0, 1, 0]);
  });

  it('a log point prints and goes on', () => {
    const { rules, output } = rulesWithOutput();
    rules.set([{ id: 1, message: parseTemplate('rax is {rax}') }]);
    expect(rules.stopping([1], scopeWith(0x1234n))).toEqual([]);
    expect(output).toEqual(['1 rax is 0x1234']);
  });

  it('stops and says why when its condition cannot be computed', () => {
    const { rules, output } = rulesWithOutput();
    rules.set([{ id: 1, condition: parseExpression('[rax]:8 == 1') }]);
    expect(rules.stopping([1], scopeWith(0x10n))).toEqual([1]);
    expect(output).toEqual(['1! cannot read 8 bytes at 0x10 (linear)']);
  });

  it('keeps its count while other breakpoints change', () => {
    const { rules } = rulesWithOutput();
    const rule = { id: 1, hitCondition: parseHitCondition('=2') };
    rules.set([rule]);
    rules.stopping([1], scopeWith(0n));
    rules.set([{ ...rule }, { id: 2 }]);
    expect(rules.stopping([1], scopeWith(0n))).toEqual([1]);
    rules.set([{ id: 1, hitCondition: parseHitCondition('=1') }]);
    expect(rules.stopping([1], scopeWith(0n))).toEqual([1]);
  });
});
