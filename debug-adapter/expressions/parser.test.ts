import { describe, expect, it } from 'vitest';
import type { Expression } from './ast.ts';
import { parseExpression } from './parser.ts';

/** The tree with all parentheses written. */
function show(node: Expression): string {
  switch (node.kind) {
    case 'number':
      return node.value.toString();
    case 'name':
      return node.register ? `$${node.name}` : node.name;
    case 'symbol':
      return `<${node.name}>`;
    case 'member':
      return `${show(node.object)}.${node.member}`;
    case 'index':
      return `${show(node.object)}[${show(node.index)}]`;
    case 'unary':
      return `(${node.operator}${show(node.operand)})`;
    case 'binary':
      return `(${show(node.left)} ${node.operator} ${show(node.right)})`;
    case 'conditional':
      return `(${show(node.test)} ? ${show(node.whenTrue)} : ${show(node.whenFalse)})`;
    case 'cast':
      return `(${node.type.scalar.name}${'*'.repeat(node.type.pointers)})${show(node.operand)}`;
    case 'programCast':
      return `(${node.namespace} ${node.name}${'*'.repeat(node.pointers)})${show(node.operand)}`;
    case 'sizeof':
      return `sizeof ${node.operand ? show(node.operand) : (node.type?.name ?? node.scalar?.scalar.name)}`;
    case 'bits':
      return `bits(${show(node.operand)})`;
    case 'memory':
      return `[${show(node.address)}]:${node.size}`;
    case 'space':
      return `${node.level === undefined ? '' : `L${node.level}.`}${node.space}:${show(node.operand)}`;
  }
}

describe('parsing an expression', () => {
  it.each([
    ['1 + 2 * 3', '(1 + (2 * 3))'],
    ['1 - 2 - 3', '((1 - 2) - 3)'],
    ['a & 1 == 0', '(a & (1 == 0))'],
    ['a | b ^ c & d', '(a | (b ^ (c & d)))'],
    ['1 << 2 + 3', '(1 << (2 + 3))'],
    ['a || b && c', '(a || (b && c))'],
    ['a ? b : c ? d : e', '(a ? b : (c ? d : e))'],
    ['-a * ~b', '((-a) * (~b))'],
    ['!a.b', '(!a.b)'],
    ['0x10 + 0b101 + 0o17 + 1_000', '(((16 + 5) + 15) + 1000)'],
    ['$rax', '$rax'],
    ['vmcs.guest_rip', 'vmcs.guest_rip'],
    ['*(u64*)rsp', '(*(u64*)rsp)'],
    ['(u8)rax + 1', '((u8)rax + 1)'],
    ['(unsigned int)x', '(unsigned int)x'],
    ['(rax)', 'rax'],
    ['(rax) * 2', '(rax * 2)'],
    ['[rsp + 8]:4', '[(rsp + 8)]:4'],
    ['[rsp]', '[rsp]:8'],
    ['[gpa:cr3 + 8]:8', '[(guest-physical:cr3 + 8)]:8'],
    ['L1.va:0x1000', 'L1.linear:4096'],
    ['p->next', '(*p).next'],
    ['((u32*)p)[1]', '(u32*)p[1]'],
    ['`std::x`', 'std::x'],
  ])('%s is %s', (text, expected) => {
    expect(show(parseExpression(text))).toBe(expected);
  });

  it.each([
    ['', 'the expression is empty'],
    ['1 +', 'the expression ends too early'],
    ['(1', '")" expected'],
    ['1 2', 'unexpected "2"'],
    ['0x', '"0x" is neither a number nor a name'],
    ['12ab', '"12ab" is neither a number nor a name'],
    ['0x10000000000000000', 'does not fit 64 bits'],
    ['[rsp]:3', 'the size must be 1, 2, 4 or 8'],
    ['a # b', '"#" has no meaning'],
    ['$', 'a register name must follow'],
    ['L1.foo', 'an address is expected'],
    ['('.repeat(500), 'nested too deeply'],
  ])('%j is refused: %s', (text, message) => {
    expect(() => parseExpression(text)).toThrow(message);
  });
});
