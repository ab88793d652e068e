/** The text of a log point: `{expression}` is replaced by a value, `{{` and `}}` are braces. */
import type { Expression } from './ast.ts';
import { ExpressionError } from './errors.ts';
import { parseExpression } from './parser.ts';

export type TemplatePart = string | Expression;

export function parseTemplate(text: string, isType?: (name: string) => boolean): TemplatePart[] {
  const parts: TemplatePart[] = [];
  let literal = '';
  let position = 0;
  while (position < text.length) {
    const character = text[position];
    const doubled = text[position + 1] === character;
    if ((character === '{' || character === '}') && doubled) {
      literal += character;
      position += 2;
    } else if (character === '{') {
      const end = text.indexOf('}', position);
      if (end < 0) throw new ExpressionError('"{" without "}" in the message', position);
      if (literal !== '') parts.push(literal);
      literal = '';
      parts.push(parseExpression(text.slice(position + 1, end), isType));
      position = end + 1;
    } else {
      literal += character;
      position++;
    }
  }
  if (literal !== '') parts.push(literal);
  return parts;
}
