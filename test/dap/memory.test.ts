import type { DebugProtocol as P } from '@vscode/debugprotocol';
import { describe, expect, it } from 'vitest';
import { Conversation } from '../support/dapConversation.ts';

async function atEntry(args: Partial<P.InitializeRequestArguments> = {}): Promise<Conversation> {
  const talk = await Conversation.start();
  await talk.launch({ program: 'tour.elf', stopOnEntry: true });
  if (Object.keys(args).length > 0) await talk.initialize(args);
  return talk;
}

const bytes = (data: string | undefined): number[] => [...Buffer.from(data ?? '', 'base64')];

describe('memory', () => {
  it.each(['0x101000', 'gpa:0x101000', 'hpa:0x101000', 'L0.va:0x101000', '1052672'])(
    'is read at %s',
    async (memoryReference) => {
      const talk = await atEntry();
      const body = await talk.request('readMemory', { memoryReference, offset: 4, count: 4 });
      expect(body).toMatchObject({ address: '0x101004' });
      expect(bytes(body?.data)).toEqual([2, 0, 0, 0]);
    },
  );

  it('ends where nothing is mapped', async () => {
    const talk = await atEntry();
    const body = await talk.request('readMemory', { memoryReference: '0xfffffff0', count: 32 });
    expect(body?.unreadableBytes).toBe(16);
    expect(await talk.request('readMemory', { memoryReference: '0x800000000000', count: 8 })).toEqual({
      address: '0x800000000000',
      unreadableBytes: 8,
    });
    expect(await talk.request('readMemory', { memoryReference: '0', count: 0 })).toEqual({ address: '0x0' });
  });

  it('is written, and what is on display is told to be read again', async () => {
    const talk = await atEntry({ supportsMemoryEvent: true });
    await talk.request('readMemory', { memoryReference: '0x101000', count: 16 });
    await talk.request('readMemory', { memoryReference: 'gpa:0x101000', offset: 8, count: 16 });
    const events: unknown[] = [];
    talk.client.on('memory', (event: P.MemoryEvent) => events.push(event.body));
    const data = Buffer.from([9, 8]).toString('base64');
    expect(await talk.request('writeMemory', { memoryReference: 'gpa:0x101000', offset: 4, data })).toEqual({
      bytesWritten: 2,
    });
    expect(await talk.evaluate('[numbers + 1]:4')).toBe('0x809 (2057)');
    expect(events).toEqual([
      { memoryReference: '0x101000', offset: 0, count: 16 },
      { memoryReference: 'gpa:0x101000', offset: 0, count: 24 },
    ]);
  });

  it('code that is written is executed', async () => {
    const talk = await atEntry();
    const entry = /0x[0-9a-f]+/.exec(await talk.evaluate('rip'))?.[0] ?? '';
    // mov $0x77, %eax
    await talk.request('writeMemory', {
      memoryReference: entry,
      data: Buffer.from([0xb8, 0x77, 0, 0, 0]).toString('base64'),
    });
    await talk.runs('stepIn', { granularity: 'instruction' });
    expect(await talk.evaluate('eax')).toBe('0x77 (119)');
  });

  it.each<['readMemory' | 'writeMemory', object, string]>([
    [
      'readMemory',
      { memoryReference: 'here', count: 1 },
      '"here" is not an address: write 0x1000, gpa:0x1000 or hpa:0x1000.',
    ],
    ['writeMemory', { memoryReference: '0x101000', data: '!' }, 'The data to write is not base64.'],
    [
      'writeMemory',
      { memoryReference: '0x800000000000', data: 'AA==' },
      'Cannot write to 0x800000000000: nothing is mapped there.',
    ],
    [
      'readMemory',
      { memoryReference: 'L3.va:0', count: 1 },
      'Nothing is known of level 3 now: memory can be reached as level 0 sees it.',
    ],
  ])('%s %j is refused', async (command, args, message) => {
    const talk = await atEntry();
    expect(await talk.failure(command, args as never)).toBe(message);
  });
});

describe('disassembly', () => {
  it('has symbols, source lines and the targets of branches', async () => {
    const talk = await atEntry();
    const address = /0x[0-9a-f]+/.exec(await talk.evaluate('&square'))?.[0] ?? '';
    await talk.log('disassemble', { memoryReference: address, instructionOffset: -4, instructionCount: 12 });
    talk.compare('disassembly');
  });

  it('gives exactly as many instructions as were asked for, in order', async () => {
    const talk = await atEntry();
    for (const [memoryReference, instructionOffset, instructionCount] of [
      ['0x100060', -50, 100],
      ['0x100060', 0, 3],
      ['0x100060', 10, 5],
      ['0x0', -10, 20],
      ['0xfffffff8', 0, 20],
      ['0x800000000000', -5, 10],
    ] as const) {
      const body = await talk.request('disassemble', {
        memoryReference,
        instructionOffset,
        instructionCount,
      });
      const addresses = (body?.instructions ?? []).map(({ address }) => BigInt(address));
      expect(addresses.length).toBe(instructionCount);
      const sorted = [...addresses].sort((a, b) => (BigInt.asIntN(64, a) < BigInt.asIntN(64, b) ? -1 : 1));
      expect(addresses).toEqual(sorted);
      if (instructionOffset <= 0) expect(addresses[-instructionOffset]).toBe(BigInt(memoryReference));
    }
  });
});
