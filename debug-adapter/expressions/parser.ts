/**
 * Reads an expression with a Pratt parser: every operator has a binding power, and `parse(minimum)` takes as much as
 * binds at least that tightly. The powers are those of C.
 */
import type { TypeNamespace } from '../symbols/program.ts';
import {
  type BinaryOperator,
  type Expression,
  type ExpressionSpace,
  type ProgramTypeName,
  SPACE_PREFIXES,
  type SpaceName,
  type TypeName,
  type UnaryOperator,
} from './ast.ts';
import { ExpressionError } from './errors.ts';
import { type Token, tokenize } from './lexer.ts';
import { scalarOfWords } from './values.ts';

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

const QUALIFIERS: ReadonlySet<string> = new Set(['const', 'volatile', 'restrict', '_Atomic']);
/** Base types of C that are no scalars of ours: `long double`. */
const C_WORDS: ReadonlySet<string> = new Set([
  'unsigned',
  'signed',
  'long',
  'short',
  'int',
  'char',
  'double',
]);
const NAMESPACES: Readonly<Record<string, TypeNamespace | undefined>> = {
  struct: 'record',
  union: 'record',
  class: 'record',
  enum: 'enum',
};

/**
 * Reads the whole text as one expression.
 *
 * @param isType whether a name is a type of the program
 */
export function parseExpression(text: string, isType: (name: string) => boolean = () => false): Expression {
  if (text.trim() === '') throw new ExpressionError('the expression is empty');
  return new Parser(text, isType).whole();
}

class Parser {
  readonly #tokens: readonly Token[];
  readonly #isType: (name: string) => boolean;
  #position = 0;
  #depth = 0;

  constructor(text: string, isType: (name: string) => boolean) {
    this.#tokens = tokenize(text);
    this.#isType = isType;
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
    if (token.kind === 'name')
      return token.text === 'sizeof' && !this.#at(':') ? this.#sizeof(token) : this.#name(token);
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
    const named = this.#programTypeName();
    if (named !== undefined)
      return { kind: 'programCast', ...named, operand: this.#parse(UNARY_POWER), offset: open.offset };
    const inner = this.#parse(0);
    this.#expect(')');
    return this.#postfix(inner);
  }

  /** `u32*)` after an opening parenthesis; leaves the position alone when it is something else. */
  #typeName(): TypeName | undefined {
    const start = this.#position;
    const words: string[] = [];
    while (this.#peek().kind === 'name') {
      const { text } = this.#next();
      if (!QUALIFIERS.has(text)) words.push(text);
    }
    const pointers = this.#pointers();
    const scalar = scalarOfWords(words);
    if (scalar !== undefined && this.#at(')')) {
      this.#next();
      return { scalar, pointers };
    }
    this.#position = start;
    return undefined;
  }

  /**
   * `struct foo *)` or `foo_t)` after an opening parenthesis. A bare name in parentheses is a type where nothing but an
   * operand can follow, or where the program says so: `(count) - 1` and `(u8_t) - 1` look alike.
   */
  #programTypeName(): ProgramTypeName | undefined {
    const start = this.#position;
    const words: string[] = [];
    while (this.#peek().kind === 'name') {
      const { text } = this.#next();
      if (!QUALIFIERS.has(text)) words.push(text);
    }
    const pointers = this.#pointers();
    const keyword = words.length === 2 ? NAMESPACES[words[0]] : undefined;
    const isNamed = keyword !== undefined || words.length === 1 || words.every((word) => C_WORDS.has(word));
    if (words.length > 0 && isNamed && this.#at(')')) {
      this.#next();
      const name = keyword === undefined ? words.join(' ') : words[1];
      if (keyword !== undefined || pointers > 0 || this.#isType(name) || this.#startsOperand())
        return { name, namespace: keyword ?? 'any', pointers };
    }
    this.#position = start;
    return undefined;
  }

  /** Whether what comes next can only be the operand of a cast. */
  #startsOperand(): boolean {
    const { kind } = this.#peek();
    return kind === 'number' || kind === 'name' || kind === 'register' || this.#at('(');
  }

  #pointers(): number {
    let pointers = 0;
    for (;;) {
      if (this.#at('*')) pointers++;
      else if (pointers === 0 || !QUALIFIERS.has(this.#peek().text)) return pointers;
      this.#next();
    }
  }

  #sizeof({ offset }: Token): Expression {
    if (this.#at('(')) {
      const start = this.#position;
      this.#next();
      const scalar = this.#typeName();
      if (scalar) return { kind: 'sizeof', scalar, offset };
      const type = this.#programTypeName();
      // `sizeof (x)`: nothing follows that tells a type from a variable.
      if (type) return { kind: 'sizeof', type, offset };
      this.#position = start;
    }
    return { kind: 'sizeof', operand: this.#parse(UNARY_POWER), offset };
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
