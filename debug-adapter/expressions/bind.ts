/**
 * Replaces the names of symbols by their addresses, so that an expression can be computed where the program's symbols
 * are not: beside the machine, each time a breakpoint is reached.
 */
import { type Expression, mapNames } from './ast.ts';
import { REGISTER_PARTS } from './registerNames.ts';

export function bindSymbols(
  expression: Expression,
  isRegister: (name: string) => boolean,
  symbol: (name: string) => bigint | undefined,
): Expression {
  return mapNames(expression, (node) => {
    const name = node.name.toLowerCase();
    if (node.register || REGISTER_PARTS.has(name) || isRegister(name)) return node;
    const address = symbol(node.name);
    return address === undefined ? node : { kind: 'symbol', name: node.name, address, offset: node.offset };
  });
}
