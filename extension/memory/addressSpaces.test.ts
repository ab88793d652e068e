import { describe, expect, it } from 'vitest';
import { parseExpression } from '../../debug-adapter/expressions/parser.ts';
import { parseMemoryReference } from '../../debug-adapter/memoryReference.ts';
import { ADDRESS_SPACES, addressExpression, plainReference } from './addressSpaces.ts';

describe.each(ADDRESS_SPACES)('$title memory', (space) => {
  it.each(['0x1000', ' 4096 ', '0x1_000'])('opens at %s', (text) => {
    const reference = plainReference(space, text);
    expect(parseMemoryReference(reference as string)).toEqual({ space: space.title, address: 0x1000n });
  });

  it.each(['rsp', '', '0x', '1 + 1', '0x1ffffffffffffffff', '99999999999999999999'])(
    'asks the debugger what "%s" is',
    (text) => {
      expect(plainReference(space, text)).toBeUndefined();
    },
  );

  it.each(space.example.split(', '))('can be asked for at %s, as its hint says', (text) => {
    expect(parseExpression(addressExpression(space, text))).toMatchObject({
      kind: 'space',
      space: space.title,
    });
  });
});
