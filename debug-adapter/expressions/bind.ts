/**
 * Replaces the names of symbols by their addresses, so that an expression can be computed where the program's symbols
 * are not: beside the machine, each time a breakpoint is reached.
 */
import { type Expression, mapNames } from './ast.ts';
import { REGISTER_PARTS } from './registerNames.ts';
import type { ScalarType } from './values.ts';

/** What names of the program mean: a variable of a known scalar type, or just an address. */
export interface SymbolNames {
  isRegister(name: string): boolean;
  symbol(name: string): bigint | undefined;
  variable(name: string): { readonly address: bigint; readonly type: ScalarType } | undefined;
}

export function bindSymbols(expression: Expression, names: SymbolNames): Expression {
  return mapNames(expression, (node) => {
    const { name, offset } = node;
    if (node.register) return node;
    const variable = names.variable(name);
    if (variable) {
      const operand: Expression = { kind: 'symbol', name, address: variable.address, offset };
      const pointer: Expression = {
        kind: 'cast',
        type: { scalar: variable.type, pointers: 1 },
        operand,
        offset,
      };
      return { kind: 'unary', operator: '*', operand: pointer, offset };
    }
    const lower = name.toLowerCase();
    if (REGISTER_PARTS.has(lower) || names.isRegister(lower)) return node;
    const address = names.symbol(name);
    return address === undefined ? node : { kind: 'symbol', name, address, offset };
  });
}
