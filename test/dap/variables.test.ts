/** Variables of the program in the Variables view. */
import type { DebugProtocol as P } from '@vscode/debugprotocol';
import { describe, expect, it } from 'vitest';
import { Conversation } from '../support/dapConversation.ts';

async function at(symbol: string): Promise<Conversation> {
  const talk = await Conversation.start();
  await talk.launch({ program: 'tour.elf', runToEntryPoint: symbol });
  return talk;
}

async function scopes(talk: Conversation, frame = 0): Promise<P.Scope[]> {
  const { stackFrames } = await talk.request('stackTrace', { threadId: 1 });
  return (await talk.request('scopes', { frameId: stackFrames[frame].id })).scopes;
}

async function variables(talk: Conversation, scope: string, frame = 0): Promise<P.Variable[]> {
  const found = (await scopes(talk, frame)).find(({ name }) => name === scope);
  return (await talk.request('variables', { variablesReference: found?.variablesReference ?? 0 })).variables;
}

const brief = (list: readonly P.Variable[]) =>
  list.map(({ name, value, type }) => `${type} ${name} = ${value}`);

describe('the variables of a frame', () => {
  it('come first, with their types', async () => {
    const talk = await at('square');
    expect((await scopes(talk)).slice(0, 3)).toMatchObject([
      { name: 'Locals', expensive: false, presentationHint: 'locals' },
      { name: 'Statics', expensive: true },
      { name: 'Registers', presentationHint: 'registers' },
    ]);
    expect(brief(await variables(talk, 'Locals'))).toEqual([
      'int value = 1',
      expect.stringMatching(/^int result = /),
    ]);
    expect(brief(await variables(talk, 'Locals', 1))).toEqual(['int i = 0']);
  });

  it('with a fixed address are in the second scope', async () => {
    const talk = await at('square');
    expect(brief(await variables(talk, 'Statics'))).toEqual([
      'volatile uint64_t counter = 0',
      'int [4] numbers = {1, 2, 3, 4}',
      expect.stringMatching(/^const char \* greeting = 0x[0-9a-f]+ "Hello\\n"$/),
    ]);
  });
});
