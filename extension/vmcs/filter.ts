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
  const text = [key, title, encoding, missing, unused, meaning, ...parts.map(({ name }) => name)]
    .join('\n')
    .toLowerCase();
  return words.every((word) => {
    if (word === '@changed') return field.isChanged;
    if (word === '@watched') return field.watched !== undefined;
    return text.includes(word);
  });
}
