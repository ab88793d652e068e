/** What a client and the adapter say to each other from the first request to the last. */
import { describe, it } from 'vitest';
import { Conversation, PROGRAMS, programOptions } from '../support/dapConversation.ts';

const source = { path: `${PROGRAMS}/tour.c` };

describe('a conversation', () => {
  it('from initialize to the exit of the program', async () => {
    const talk = await Conversation.start();
    talk.logEvents();
    await talk.log('initialize', { adapterID: 'hvm', clientID: 'test', supportsVariableType: true });
    const initialized = talk.waitFor('initialized');
    await talk.log('launch', programOptions({ program: 'tour.elf', stopOnEntry: true }));
    await initialized;
    await talk.log('setBreakpoints', { source, breakpoints: [{ line: 25 }] });
    await talk.log('setExceptionBreakpoints', { filters: ['triple-fault', 'entry-failure'] });
    const entry = talk.waitFor('stopped');
    await talk.log('configurationDone');
    await entry;
    await talk.log('threads');
    const stack = await talk.log('stackTrace', { threadId: 1 });
    await talk.log('scopes', { frameId: stack.stackFrames[0].id });
    const atBreakpoint = talk.waitFor('stopped');
    await talk.log('continue', { threadId: 1 });
    await atBreakpoint;
    await talk.log('stackTrace', { threadId: 1, startFrame: 0, levels: 20 });
    await talk.log('setBreakpoints', { source, breakpoints: [] });
    const ended = talk.waitFor('terminated');
    await talk.log('continue', { threadId: 1 });
    await ended;
    await talk.log('disconnect');
    talk.compare('conversation');
  });

  it('shows the parts of a register', async () => {
    const talk = await Conversation.start();
    await talk.launch({ program: 'tour.elf', stopOnEntry: true });
    const { stackFrames } = await talk.request('stackTrace', { threadId: 1 });
    const { scopes } = await talk.request('scopes', { frameId: stackFrames[0].id });
    const control = scopes.find(({ name }) => name === 'Control Registers');
    const { variables } = await talk.request('variables', {
      variablesReference: control?.variablesReference ?? 0,
    });
    const cr0 = variables.find(({ name }) => name === 'CR0');
    await talk.log('variables', { variablesReference: cr0?.variablesReference ?? 0 });
    talk.compare('registerParts');
  });

  it('without a program ends with one failed request', async () => {
    const talk = await Conversation.start();
    await talk.log('threads');
    for (const command of ['stackTrace', 'continue', 'next'] as const)
      await talk.log(command, { threadId: 1 });
    await talk.log('evaluate', { expression: 'rax' });
    await talk.log('nonsense' as 'threads');
    await talk.log('disconnect');
    talk.compare('withoutProgram');
  });
});
