/** The VMCS as the view and expressions see it. */
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

describe('the rows of the VMCS view', () => {
  it('say what was different at the last stop, across a step of the client', async () => {
    const talk = await guestAtEntry();
    expect((await row(talk, 'GUEST_RIP')).previous).toBeUndefined();
    const before = (await row(talk, 'GUEST_RIP')).stored;
    await talk.runs('stepIn', { granularity: 'statement' });
    await talk.runs('stepIn', { granularity: 'statement' });
    const rip = await row(talk, 'GUEST_RIP');
    expect(rip.previous?.stored).toBe(before);
    expect(rip.meaning).toMatch(/^_start/);
    expect(await row(talk, 'VM_EXIT_REASON')).toMatchObject({ meaning: expect.stringMatching(/^[A-Z]/) });
    expect((await row(talk, 'GUEST_CR0')).meaning).toContain('PE');
    // The conditions and lengths of breakpoints that are not enabled are no news.
    expect(await row(talk, 'GUEST_DR7')).toMatchObject({ stored: '0x400' });
    expect((await row(talk, 'GUEST_DR7')).meaning ?? '').toBe('');
  });

  it('have not changed at the first stop', async () => {
    const talk = await Conversation.start();
    await talk.launch({ program: 'exits.elf', mode: 'guest' }, async () => {
      await talk.request('hvm/setVmcsFieldBreakpoints', { fields: [{ key: 'VM_EXIT_REASON' }] });
    });
    const { groups } = await talk.request('hvm/vmcs', { threadId: 1 });
    expect(groups.flatMap(({ rows }) => rows).filter(({ previous }) => previous)).toEqual([]);
    await talk.runs('continue');
    expect((await row(talk, 'VM_EXIT_REASON')).previous).toEqual({ stored: '0xa' });
  });

  it('name the control of a field that does not exist or is not in use', async () => {
    const talk = await guestAtEntry();
    expect(await row(talk, 'GUEST_IA32_FRED_CONFIG')).toMatchObject({
      missing: 'Load IA32_FRED or Save IA32_FRED',
      parts: [],
    });
    expect(await row(talk, 'VMX_PREEMPTION_TIMER_VALUE')).toMatchObject({
      unused: 'Activate VMX-preemption timer',
      stored: '0x0',
    });
  });

  it('take a value for some of the bits', async () => {
    const talk = await guestAtEntry();
    const part = { bit: 9, width: 1 };
    await talk.request('hvm/setVmcsField', { threadId: 1, key: 'GUEST_RFLAGS', value: '1', part });
    expect(await talk.evaluate('rflags.if')).toBe('1');
    expect(
      await talk.failure('hvm/setVmcsField', { threadId: 1, key: 'GUEST_RFLAGS', value: '2', part }),
    ).toBe('0x2 does not fit 1 bit.');
  });

  it('say which VMCS is current', async () => {
    const talk = await guestAtEntry();
    const { hasVmx, pointer, launched, inGuest } = await talk.request('hvm/vmcs', { threadId: 1 });
    expect({ hasVmx, launched, inGuest }).toEqual({ hasVmx: true, launched: true, inGuest: true });
    expect(pointer).toMatch(/^0x[0-9a-f]+$/);
  });
});

describe('completions', () => {
  const labels = async (talk: Conversation, text: string): Promise<string[]> =>
    (await talk.request('completions', { text, column: text.length + 1 })).targets.map(({ label, detail }) =>
      detail === undefined ? label : `${label} (${detail})`,
    );

  it('complete fields and their bits, with the manual’s names', async () => {
    const talk = await guestAtEntry();
    expect(await labels(talk, 'vmcs.guest_ri')).toEqual(['guest_rip (Guest RIP)']);
    expect(await labels(talk, '$vmcs.guest_ri')).toEqual(['guest_rip (Guest RIP)']);
    expect(await labels(talk, '1 + $vm')).toEqual(['$vmcs']);
    expect(await labels(talk, 'vmcs.guest_cr0.p')).toEqual(['pe (Protection enable)', 'pg (Paging)']);
    expect(await labels(talk, 'vmcs.pin_based_vm_execution_controls.nmi')).toEqual([
      'nmiexiting (NMI exiting)',
    ]);
    expect(await talk.evaluate('$vmcs.pin_based_vm_execution_controls.nmiexiting')).toMatch(/^[01]$/);
  });
});
