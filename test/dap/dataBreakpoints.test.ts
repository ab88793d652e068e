/** Breakpoints on what is stored in VMCS fields and in memory. */
import type { DebugProtocol as P } from '@vscode/debugprotocol';
import { describe, expect, it } from 'vitest';
import type { VmcsRow } from '../../debug-adapter/protocol/vmcs.ts';
import { Conversation } from '../support/dapConversation.ts';

async function guestAtEntry(): Promise<Conversation> {
  const talk = await Conversation.start();
  await talk.launch({ program: 'exits.elf', mode: 'guest', stopOnEntry: true });
  return talk;
}

async function row(talk: Conversation, key: string): Promise<VmcsRow> {
  const { groups } = await talk.request('hvm/vmcs', { threadId: 1 });
  return groups.flatMap(({ rows }) => rows).find((candidate) => candidate.key === key) as VmcsRow;
}

async function variable(talk: Conversation, scope: string, group: string): Promise<number> {
  const { stackFrames } = await talk.request('stackTrace', { threadId: 1 });
  const { scopes } = await talk.request('scopes', { frameId: stackFrames[0].id });
  const reference = scopes.find(({ name }) => name === scope)?.variablesReference ?? 0;
  const { variables } = await talk.request('variables', { variablesReference: reference });
  return variables.find(({ name }) => name === group)?.variablesReference ?? reference;
}

describe('a field of the VMCS', () => {
  it('is watched from the Variables view, and the stop tells what happened', async () => {
    const talk = await guestAtEntry();
    const variablesReference = await variable(talk, 'VMCS', 'Guest register state');
    talk.logEvents();
    const info = await talk.log('dataBreakpointInfo', { name: 'Guest RIP', variablesReference });
    await talk.log('setDataBreakpoints', { breakpoints: [{ dataId: info.dataId as string }] });
    await talk.runs('continue');
    await talk.runs('continue');
    await talk.log('setDataBreakpoints', { breakpoints: [] });
    await talk.log('setDataBreakpoints', {
      breakpoints: [
        { dataId: 'vmcs:GUEST_RIP', accessType: 'read' },
        { dataId: 'vmcs:GUEST_IA32_FRED_CONFIG' },
        { dataId: 'vmcs:NO_SUCH_FIELD' },
        { dataId: 'something else' },
      ],
    });
    talk.compare('dataBreakpoints');
  });

  it('is watched from the VMCS view, beside the data breakpoints of the client', async () => {
    const talk = await guestAtEntry();
    await talk.request('setDataBreakpoints', { breakpoints: [{ dataId: 'vmcs:VM_EXIT_REASON' }] });
    expect(
      await talk.request('hvm/setVmcsFieldBreakpoints', {
        fields: [{ key: 'GUEST_RSP' }, { key: 'GUEST_IA32_FRED_CONFIG' }],
      }),
    ).toEqual({
      breakpoints: [
        expect.objectContaining({ verified: true }),
        expect.objectContaining({
          verified: false,
          message: expect.stringContaining('Load IA32_FRED or Save IA32_FRED'),
        }),
      ],
    });
    const watched = async (key: string) => (await row(talk, key)).watched;
    expect([await watched('VM_EXIT_REASON'), await watched('GUEST_RSP'), await watched('GUEST_RIP')]).toEqual(
      [true, true, undefined],
    );
    await talk.request('hvm/setVmcsFieldBreakpoints', { fields: [] });
    expect(await watched('GUEST_RSP')).toBeUndefined();
    expect((await talk.runs('continue')).body).toMatchObject({
      reason: 'data breakpoint',
      description: expect.stringMatching(/^Exit reason changed from 0x0 to 0xa /),
    });
  });

  it('stops only where the condition holds', async () => {
    const talk = await guestAtEntry();
    await talk.request('setDataBreakpoints', {
      breakpoints: [{ dataId: 'vmcs:VM_EXIT_REASON', condition: 'vmcs.vm_exit_reason == 30' }],
    });
    expect((await talk.runs('continue')).body).toMatchObject({
      description: expect.stringContaining('to 0x1e (VM exit: I/O instruction'),
    });
    expect(await talk.stack()).toEqual(['_start exits.S:9']);
  });

  it('stops only where the condition of the VMCS view holds; a wrong one is told', async () => {
    const talk = await guestAtEntry();
    const watch = (condition: string) =>
      talk.request('hvm/setVmcsFieldBreakpoints', { fields: [{ key: 'VM_EXIT_REASON', condition }] });
    expect((await watch('1 +')).breakpoints).toEqual([
      expect.objectContaining({ verified: false, message: expect.any(String) }),
    ]);
    await watch('vmcs.vm_exit_reason == 30');
    expect((await talk.runs('continue')).body).toMatchObject({
      description: expect.stringContaining('to 0x1e (VM exit: I/O instruction'),
    });
  });

  it('is watched still after a restart', async () => {
    const talk = await guestAtEntry();
    await talk.request('hvm/setVmcsFieldBreakpoints', { fields: [{ key: 'VM_EXIT_REASON' }] });
    const stopped = talk.stoppedOrEnded();
    await talk.request('restart', {});
    await stopped;
    expect((await talk.runs('continue')).body).toMatchObject({ reason: 'data breakpoint' });
  });
});

describe('a variable in memory', () => {
  it('is watched by its name or its address', async () => {
    const talk = await Conversation.start();
    await talk.launch({ program: 'tour.elf', runToEntryPoint: 'square' });
    const info = await talk.request('dataBreakpointInfo', { name: 'counter' });
    expect(info).toMatchObject({ accessTypes: ['write'], canPersist: true });
    expect(info.description).toMatch(/^counter \(\d bytes? at 0x[0-9a-f]+\)$/);
    await talk.request('setDataBreakpoints', { breakpoints: [{ dataId: info.dataId as string }] });
    expect((await talk.runs('continue')).body).toMatchObject({
      reason: 'data breakpoint',
      description: 'counter changed from 0x0 to 0x1',
    });
    expect(await talk.evaluate('counter')).toBe('1');
    const address = /at (0x[0-9a-f]+)/.exec(info.description)?.[1] as string;
    expect(
      await talk.request('dataBreakpointInfo', { name: address, asAddress: true, bytes: 4 }),
    ).toMatchObject({ dataId: `memory 4 ${address} ${address}` });
  });

  it.each<[P.DataBreakpointInfoArguments, string]>([
    [{ name: '$rax' }, 'Only VMCS fields and values in memory can be watched.'],
    [{ name: 'nowhere', asAddress: true }, '"nowhere" is not an address.'],
    [{ name: '0x1000', asAddress: true, bytes: 64 }, 'At most 8 bytes can be watched as one value.'],
    [{ name: 'msr:0x10', asAddress: true }, 'Only VMCS fields and values in memory can be watched.'],
  ])('%j cannot be watched', async (args, description) => {
    const talk = await guestAtEntry();
    expect(await talk.request('dataBreakpointInfo', args)).toEqual({ dataId: null, description });
  });

  it('where nothing is mapped is not verified', async () => {
    const talk = await guestAtEntry();
    const { breakpoints } = await talk.request('setDataBreakpoints', {
      breakpoints: [{ dataId: 'memory 8 0xffff800000000000 far' }],
    });
    expect(breakpoints).toMatchObject([
      { verified: false, message: 'Nothing is mapped at 0xffff800000000000 now.' },
    ]);
  });
});
