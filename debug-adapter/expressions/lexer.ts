/** Splits the text of an expression into tokens. */
import { ExpressionError } from './errors.ts';

export type Token =
  | { readonly kind: 'number'; readonly value: bigint; readonly text: string; readonly offset: number }
  | { readonly kind: 'name' | 'register' | 'punctuator'; readonly text: string; readonly offset: number }
  | { readonly kind: 'end'; readonly text: ''; readonly offset: number };

/** Longest first, so that `<<` is not two `<`. */
const PUNCTUATORS = [
  '<<',
  '>>',
  '<=',
  '>=',
  '==',
  '!=',
  '&&',
  '||',
  '->',
  '+',
  '-',
  '*',
  '/',
  '%',
  '&',
  '|',
  '^',
  '~',
  '!',
  '<',
  '>',
  '(',
  ')',
  '[',
  ']',
  '.',
  ':',
  '?',
  ',',
];

const SPACE = /\s/;
const NUMBER = /^(0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+|[0-9][0-9_]*)/;
/** Names may have what compilers and assemblers put into symbols; `::` and `@` need a quoted name. */
const NAME = /^[A-Za-z_][A-Za-z0-9_]*/;
const QUOTED = /^`([^`]+)`/;
/** A character as C writes it. */
const CHARACTER = /^'(\\x[0-9a-fA-F]{1,2}|\\[0-7]{1,3}|\\.|[^'\\])'/u;
const ESCAPES: Readonly<Record<string, number>> = {
  n: 10,
  t: 9,
  r: 13,
  b: 8,
  f: 12,
  v: 11,
  a: 7,
  e: 27,
  '\\': 92,
  "'": 39,
  '"': 34,
};

export function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  let offset = 0;
  while (offset < text.length) {
    if (SPACE.test(text[offset])) {
      offset++;
      continue;
    }
    const token = nextToken(text.slice(offset), offset);
    tokens.push(token.token);
    offset += token.length;
  }
  tokens.push({ kind: 'end', text: '', offset: text.length });
  return tokens;
}

function nextToken(rest: string, offset: number): { token: Token; length: number } {
  const number = NUMBER.exec(rest)?.[0];
  if (number !== undefined) {
    if (/^[A-Za-z_]/.test(rest.slice(number.length)))
      throw new ExpressionError(`"${/^\w+/.exec(rest)?.[0]}" is neither a number nor a name`, offset);
    return {
      token: { kind: 'number', value: numberOf(number, offset), text: number, offset },
      length: number.length,
    };
  }
  if (rest[0] === '$') {
    const name = NAME.exec(rest.slice(1))?.[0];
    if (name === undefined) throw new ExpressionError('a register name must follow "$"', offset);
    return { token: { kind: 'register', text: name, offset }, length: name.length + 1 };
  }
  const name = NAME.exec(rest)?.[0];
  if (name !== undefined) return { token: { kind: 'name', text: name, offset }, length: name.length };
  const character = CHARACTER.exec(rest);
  if (character !== null) {
    const value = characterValue(character[1], offset);
    return { token: { kind: 'number', value, text: character[0], offset }, length: character[0].length };
  }
  const quoted = QUOTED.exec(rest);
  if (quoted !== null) return { token: { kind: 'name', text: quoted[1], offset }, length: quoted[0].length };
  const punctuator = PUNCTUATORS.find((candidate) => rest.startsWith(candidate));
  if (punctuator === undefined)
    throw new ExpressionError(`"${rest[0]}" has no meaning in an expression`, offset);
  return { token: { kind: 'punctuator', text: punctuator, offset }, length: punctuator.length };
}

function numberOf(text: string, offset: number): bigint {
  const digits = text.replaceAll('_', '');
  if (/^0[xbo]$/i.test(digits)) throw new ExpressionError(`"${text}" has no digits`, offset);
  const value = BigInt(digits);
  if (value >> 64n) throw new ExpressionError(`${text} does not fit 64 bits`, offset);
  return value;
}

function characterValue(text: string, offset: number): bigint {
  if (text[0] !== '\\' || text.length === 1) return BigInt(text.codePointAt(0) as number);
  if (text[1] === 'x') return BigInt(`0x${text.slice(2)}`);
  if (/^[0-7]/.test(text[1])) return BigInt(Number.parseInt(text.slice(1), 8));
  const value = ESCAPES[text[1]];
  if (value === undefined) throw new ExpressionError(`"${text}" is no character`, offset);
  return BigInt(value);
}
