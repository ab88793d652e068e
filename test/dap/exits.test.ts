/** Requests of the exits view: pages, filters, sources, the VMCS at an exit. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { ExitFilter } from '../../debug-adapter/protocol/exits.ts';
import { Conversation } from '../support/dapConversation.ts';

let talk: Conversation;

/** Stopped behind CPUID, OUT and a store to a device, without external interrupts. */
beforeEach(async () => {
  talk = await Conversation.start();
  await talk.launch({ program: 'exits.elf', mode: 'guest', stopOnEntry: true });
  for (let i = 0; i < 8; i++) await talk.runs('stepIn', { granularity: 'instruction' });
});

const find = (filter: ExitFilter) => talk.request('hvm/exits', { start: 0, count: 100, filter });
const texts = async (filter: ExitFilter) => (await find(filter)).rows.map(({ text }) => text);

describe('the list of VM exits', () => {
  it('has symbol and source of every exit', async () => {
    const { rows, hypervisor } = await talk.request('hvm/exits', { start: 0, count: 1 });
    expect(rows).toMatchObject([
      { number: 0, level: 1, vcpu: 0, location: '_start+0x2', source: 'exits.S:6', cost: 800 },
    ]);
    expect(hypervisor).toBe('built-in');
  });

  it('is counted from 0 on, with the counts and costs of the reasons', async () => {
    const { total, kept, first, end, reasons } = await talk.request('hvm/exits', { start: 0, count: 0 });
    expect([kept, first, end]).toEqual([0, 0, total]);
    expect(reasons.find(({ key }) => key === 'cpuid')).toMatchObject({ name: 'CPUID', count: 1, cost: 800 });
    expect(reasons.reduce((sum, { count }) => sum + count, 0)).toBe(total);
  });

  it('gives its last entries without being told where they are', async () => {
    const { rows: all, total } = await talk.request('hvm/exits', { start: 0, count: 100 });
    const last = await talk.request('hvm/exits', { count: 2 });
    expect([last.start, last.rows.map(({ number }) => number)]).toEqual([total - 2, [total - 2, total - 1]]);
    const reasons = ['cpuid', 'ioInstruction'];
    const filtered = await talk.request('hvm/exits', { count: 1, filter: { reasons } });
    expect([filtered.start, filtered.rows]).toEqual([
      1,
      all.filter(({ reason }) => reason === 'I/O instruction'),
    ]);
  });

  it('can be filtered by reasons', async () => {
    expect(await texts({ reasons: ['ioInstruction', 'cpuid'] })).toEqual([
      'CPUID: leaf 0x0, subleaf 0x0',
      'I/O instruction: OUT 0x3f8, 1 byte',
    ]);
    const { reasons, end } = await find({ reasons: ['cpuid'] });
    expect(end).toBe(1);
    expect(reasons.map(({ key }) => key)).toContain('ioInstruction');
  });

  it('can be filtered by numbers and positions', async () => {
    const { rows } = await find({});
    expect(await texts({ from: 1, to: 1 })).toEqual([rows[1].text]);
    const { position } = rows.find(({ reason }) => reason === 'I/O instruction') ?? rows[0];
    const here = rows.filter((row) => row.position === position).map(({ text }) => text);
    expect(await texts({ positionFrom: position, positionTo: position })).toEqual(here);
    expect(await texts({ positionTo: position - 1 })).toHaveLength(
      rows.filter((row) => row.position < position).length,
    );
  });

  it('can be filtered by text: of the decoded exit, of the symbol, of the source', async () => {
    expect(await texts({ text: 'out 0x3F8' })).toEqual(['I/O instruction: OUT 0x3f8, 1 byte']);
    expect(await texts({ text: '_start+0x2' })).toEqual(['CPUID: leaf 0x0, subleaf 0x0']);
    expect(await texts({ text: 'exits.s:9' })).toEqual(['I/O instruction: OUT 0x3f8, 1 byte']);
    expect(await texts({ text: 'nowhere' })).toEqual([]);
  });

  it('refuses what is no filter', async () => {
    const filter = { reasons: ['cipud'] };
    expect(await talk.failure('hvm/exits', { start: 0, count: 1, filter })).toContain(
      'no exit reason "cipud"',
    );
    expect(await talk.failure('hvm/exits', { start: 0, count: 1, filter: { from: -1 } })).toContain(
      'whole numbers',
    );
  });
});

describe('one VM exit', () => {
  it('leads to its source', async () => {
    const { name, path, line } = await talk.request('hvm/exitSource', { number: 0 });
    expect({ name, line }).toEqual({ name: 'exits.S', line: 6 });
    expect(path).toMatch(/test\/dap\/programs\/exits\.S$/);
  });

  it('has the fields of the VMCS that were recorded, and says which were not', async () => {
    const { groups } = await talk.request('hvm/exitVmcs', { number: 0 });
    const rows = groups.flatMap((group) => group.rows);
    const row = (key: string) => rows.find((candidate) => candidate.key === key);
    expect(row('VM_EXIT_REASON')).toMatchObject({ stored: '0xa', meaning: 'CPUID' });
    expect(row('GUEST_RIP')).toMatchObject({ meaning: '_start+0x2' });
    expect(row('GUEST_CR0')?.stored).toMatch(/^0x/);
    const absent = row('GUEST_FS_BASE');
    expect(absent).toMatchObject({ meaning: 'not recorded' });
    expect(absent).not.toHaveProperty('stored');
  });

  it('that has not happened is refused', async () => {
    expect(await talk.failure('hvm/exitVmcs', { number: 1e6 })).toContain(
      'VM exit 1000000 is not in the list',
    );
    expect(await talk.failure('hvm/exitSource', { number: 1e6 })).toContain('not in the list');
  });
});

it('without VT-x there is no hypervisor and no exit', async () => {
  const bare = await Conversation.start();
  await bare.launch({ program: 'halt.elf', mode: 'bare-metal', virtualization: 'none', stopOnEntry: true });
  expect(await bare.request('hvm/exits', { start: 0, count: 10, filter: { text: 'x' } })).toMatchObject({
    total: 0,
    hypervisor: 'none',
    rows: [],
  });
});
