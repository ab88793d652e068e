/** What the filter of the VMCS view finds: words of names, encodings, controls and bits; @changed and @watched. */
import type { FieldNode } from './model.ts';

/** Every word has to be found somewhere. */
export function matchesFilter(field: FieldNode, filter: string): boolean {
  const words = filter
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== '');
  if (words.length === 0) return true;
  const { key, title, encoding, missing, unused, meaning, parts } = field.row;
  const names = [key, title, encoding].join('\n').toLowerCase();
  // Many names of bits are sentences: there, words count from their beginning.
  const sentences = [missing, unused, meaning, ...parts.map(({ name }) => name)].join('\n').toLowerCase();
  return words.every((word) => {
    if (word === '@changed') return field.isChanged;
    if (word === '@watched') return field.watched !== undefined;
    return names.includes(word) || hasWord(sentences, word);
  });
}

function hasWord(text: string, beginning: string): boolean {
  for (let at = text.indexOf(beginning); at >= 0; at = text.indexOf(beginning, at + 1))
    if (at === 0 || !/[a-z0-9]/.test(text[at - 1])) return true;
  return false;
}
