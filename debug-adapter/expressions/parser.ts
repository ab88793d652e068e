/**
 * Reads an expression with a Pratt parser: every operator has a binding power, and `parse(minimum)` takes as much as
 * binds at least that tightly. The powers are those of C.
 */
import {
  type BinaryOperator,
  type Expression,
  type ExpressionSpace,
  SPACE_PREFIXES,
  type SpaceName,
  type TypeName,
  type UnaryOperator,
} from './ast.ts';
import { ExpressionError } from './errors.ts';
import { type Token, tokenize } from './lexer.ts';
import { SCALAR_TYPES } from './values.ts';

const BINARY_POWER: Readonly<Record<BinaryOperator, number>> = {
  '||': 2,
  '&&': 3,
  '|': 4,
  '^': 5,
  '&': 6,
  '==': 7,
  '!=': 7,
  '<': 8,
  '<=': 8,
  '>': 8,
  '>=': 8,
  '<<': 9,
  '>>': 9,
  '+': 10,
  '-': 10,
  '*': 11,
  '/': 11,
  '%': 11,
};
const CONDITIONAL_POWER = 1;
const UNARY_POWER = 12;

const UNARY_OPERATORS: readonly string[] = ['+', '-', '~', '!', '*', '&'] satisfies UnaryOperator[];
const MEMORY_SIZES = [1, 2, 4, 8];
/** Nesting that nobody types; a deeper tree would exhaust the stack. */
const DEEPEST = 200;

/** Reads the whole text as one expression. */
export function parseExpression(text: string): Expression {
  if (text.trim() === '') throw new ExpressionError('the expression is empty');
  return new Parser(text).whole();
}

class Parser {
  readonly #tokens: readonly Token[];
  #position = 0;
  #depth = 0;

  constructor(text: string) {
    this.#tokens = tokenize(text);
  }

  whole(): Expression {
    const expression = this.#parse(0);
    const rest = this.#peek();
    if (rest.kind !== 'end') throw new ExpressionError(`unexpected "${rest.text}"`, rest.offset);
    return expression;
  }

  #parse(minimum: number): Expression {
    if (++this.#depth > DEEPEST)
      throw new ExpressionError('the expression is nested too deeply', this.#peek().offset);
    let left = this.#prefix();
    for (;;) {
      const token = this.#peek();
      if (token.kind !== 'punctuator') break;
      if (token.text === '?' && minimum <= CONDITIONAL_POWER) {
        left = this.#conditional(left);
        continue;
      }
      const operator = token.text as BinaryOperator;
      const power = BINARY_POWER[operator];
      if (power === undefined || power < minimum) break;
      this.#next();
      const right = this.#parse(power + 1);
      left = { kind: 'binary', operator, left, right, offset: token.offset };
    }
    this.#depth--;
    return left;
  }

  #conditional(test: Expression): Expression {
    const { offset } = this.#next();
    const whenTrue = this.#parse(0);
    this.#expect(':');
    const whenFalse = this.#parse(CONDITIONAL_POWER);
    return { kind: 'conditional', test, whenTrue, whenFalse, offset };
  }

  #prefix(): Expression {
    const token = this.#next();
    if (token.kind === 'number') return { kind: 'number', value: token.value, offset: token.offset };
    if (token.kind === 'register')
      return this.#postfix({ kind: 'name', name: token.text, register: true, offset: token.offset });
    if (token.kind === 'name') return this.#name(token);
    if (token.kind === 'end') throw new ExpressionError('the expression ends too early', token.offset);
    if (token.text === '(') return this.#parenthesis(token);
    if (token.text === '[') return this.#memory(token);
    if (UNARY_OPERATORS.includes(token.text)) {
      const operand = this.#parse(UNARY_POWER);
      return { kind: 'unary', operator: token.text as UnaryOperator, operand, offset: token.offset };
    }
    throw new ExpressionError(`unexpected "${token.text}"`, token.offset);
  }

  #name(token: Token): Expression {
    const level = /^L\d+$/.test(token.text) && this.#at('.') ? Number(token.text.slice(1)) : undefined;
    if (level !== undefined) {
      this.#next();
      const space = this.#next();
      if (!isSpace(space.text) || !this.#at(':'))
        throw new ExpressionError(
          `after "L${level}." an address is expected, such as L${level}.va:0x1000`,
          space.offset,
        );
      return this.#space(space, level);
    }
    if (isSpace(token.text) && this.#at(':')) return this.#space(token, undefined);
    return this.#postfix({ kind: 'name', name: token.text, register: false, offset: token.offset });
  }

  #space(token: Token, level: number | undefined): Expression {
    this.#expect(':');
    const space: ExpressionSpace = SPACE_PREFIXES[token.text as SpaceName];
    return { kind: 'space', space, level, operand: this.#parse(UNARY_POWER), offset: token.offset };
  }

  #postfix(expression: Expression): Expression {
    let object = expression;
    for (;;) {
      const token = this.#peek();
      if (token.kind !== 'punctuator') return object;
      if (token.text === '.' || token.text === '->') {
        this.#next();
        const member = this.#next();
        if (member.kind !== 'name')
          throw new ExpressionError(`a name must follow "${token.text}"`, member.offset);
        const target: Expression =
          token.text === '->'
            ? { kind: 'unary', operator: '*', operand: object, offset: token.offset }
            : object;
        object = { kind: 'member', object: target, member: member.text, offset: member.offset };
      } else if (token.text === '[') {
        this.#next();
        const index = this.#parse(0);
        this.#expect(']');
        object = { kind: 'index', object, index, offset: token.offset };
      } else return object;
    }
  }

  #parenthesis(open: Token): Expression {
    const type = this.#typeName();
    if (type !== undefined)
      return { kind: 'cast', type, operand: this.#parse(UNARY_POWER), offset: open.offset };
    const inner = this.#parse(0);
    this.#expect(')');
    return this.#postfix(inner);
  }

  /** `u32*)` after an opening parenthesis; leaves the position alone when it is something else. */
  #typeName(): TypeName | undefined {
    const start = this.#position;
    let name = this.#next().text;
    if ((name === 'unsigned' || name === 'signed') && SCALAR_TYPES.has(this.#peek().text))
      name = `${name} ${this.#next().text}`;
    let pointers = 0;
    while (this.#at('*')) {
      this.#next();
      pointers++;
    }
    const scalar = SCALAR_TYPES.get(name) ?? signedType(name);
    if (scalar !== undefined && this.#at(')')) {
      this.#next();
      return { scalar, pointers };
    }
    this.#position = start;
    return undefined;
  }

  #memory(open: Token): Expression {
    const address = this.#parse(0);
    this.#expect(']');
    let size = 8;
    if (this.#at(':')) {
      this.#next();
      const token = this.#next();
      size = token.kind === 'number' ? Number(token.value) : 0;
      if (!MEMORY_SIZES.includes(size))
        throw new ExpressionError('the size must be 1, 2, 4 or 8', token.offset);
    }
    return { kind: 'memory', address, size, offset: open.offset };
  }

  #peek(): Token {
    return this.#tokens[Math.min(this.#position, this.#tokens.length - 1)];
  }

  #next(): Token {
    const token = this.#peek();
    this.#position++;
    return token;
  }

  #at(punctuator: string): boolean {
    const token = this.#peek();
    return token.kind === 'punctuator' && token.text === punctuator;
  }

  #expect(punctuator: string): void {
    const token = this.#next();
    if (token.kind !== 'punctuator' || token.text !== punctuator)
      throw new ExpressionError(
        `"${punctuator}" expected${token.kind === 'end' ? '' : ` before "${token.text}"`}`,
        token.offset,
      );
  }
}

function isSpace(text: string): text is SpaceName {
  return Object.hasOwn(SPACE_PREFIXES, text);
}

/** `unsigned int` and the like. */
function signedType(name: string): ReturnType<typeof SCALAR_TYPES.get> {
  const [sign, base] = name.split(' ');
  const type = base === undefined ? undefined : SCALAR_TYPES.get(base);
  return type && { name, bits: type.bits, signed: sign === 'signed' };
}
