import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Conversation } from '../support/dapConversation.ts';

const HELLO_GUEST = resolve(import.meta.dirname, '../../samples/hello-guest/hello-guest.elf');

/** At the first line of the function. */
async function inside(name: string): Promise<Conversation> {
  const talk = await Conversation.start();
  await talk.launch({ program: 'tour.elf', runToEntryPoint: name });
  return talk;
}

async function steps(talk: Conversation, ...commands: ('next' | 'stepIn' | 'stepOut')[]): Promise<string[]> {
  const places: string[] = [];
  for (const command of commands) {
    const stop = await talk.runs(command);
    expect(stop.body).toMatchObject({ reason: 'step' });
    places.push((await talk.stack())[0]);
  }
  return places;
}

/** hello-guest in kmain; gcc has inlined what kmain calls. */
async function sample(breakpoint?: number): Promise<Conversation> {
  const talk = await Conversation.start();
  await talk.launch({ program: HELLO_GUEST, mode: 'guest', runToEntryPoint: 'kmain' }, async () => {
    const breakpoints = breakpoint === undefined ? [] : [{ line: breakpoint }];
    await talk.request('setBreakpoints', { source: { path: join(HELLO_GUEST, '../kernel.c') }, breakpoints });
  });
  return talk;
}

describe('steps of the source language', () => {
  it('next goes from statement to statement, through calls', async () => {
    const talk = await inside('_start');
    expect(await steps(talk, 'next', 'next', 'next', 'next', 'next')).toEqual([
      '_start tour.c:38',
      '_start tour.c:39',
      '_start tour.c:38',
      '_start tour.c:39',
      '_start tour.c:38',
    ]);
  });

  it('stepIn goes into a call and stops behind the prologue', async () => {
    const talk = await inside('_start');
    await steps(talk, 'next', 'next');
    expect(await steps(talk, 'stepIn', 'next', 'next', 'next')).toEqual([
      'square tour.c:24',
      'square tour.c:25',
      'square tour.c:26',
      'square tour.c:27',
    ]);
  });

  it('the end of a function leads back into the middle of the calling statement, and on to the next', async () => {
    const talk = await inside('square');
    await steps(talk, 'next', 'next', 'next');
    expect(await steps(talk, 'next', 'next')).toEqual(['_start tour.c:39', '_start tour.c:38']);
  });

  it('next over a recursive call stays in its own frame', async () => {
    const talk = await inside('sum');
    expect(await steps(talk, 'next')).toEqual(['sum tour.c:31']);
    expect((await talk.stack()).length).toBe(2);
    expect(await steps(talk, 'next')).toEqual(['sum tour.c:32']);
    expect(await talk.stack()).toEqual(['sum tour.c:32', '_start tour.c:42']);
  });

  it('stepOut ends where the function was called', async () => {
    const talk = await inside('square');
    expect(await steps(talk, 'stepOut')).toEqual(['_start tour.c:39']);
    expect(await talk.evaluate('eax')).toBe('1');
  });

  it('stepIn goes into inlined code, stepOut out of it', async () => {
    const talk = await Conversation.start();
    await talk.launch({ program: 'tour.elf' }, async () => {
      await talk.request('setFunctionBreakpoints', { breakpoints: [{ name: 'twice' }] });
    });
    expect((await talk.stack()).map((frame) => frame.split(' ')[0])).toEqual(['twice', '_start']);
    const [place] = await steps(talk, 'stepOut');
    expect(place).toMatch(/^_start tour\.c:4[12]$/);
  });

  it('a step arrives in front of an inlined call; stepIn shows it without running, next goes through it', async () => {
    const talk = await inside('_start');
    for (let i = 0; i < 20 && !(await talk.stack())[0].endsWith('tour.c:41'); i++) await talk.runs('next');
    expect(await talk.stack()).toEqual(['_start tour.c:41']);
    const address = await talk.evaluate('rip');
    expect(await steps(talk, 'stepIn')).toEqual(['twice tour.c:15']);
    expect(await talk.evaluate('rip')).toBe(address);
    expect(await steps(talk, 'stepOut')).toEqual(['_start tour.c:42']);
  });

  it('next in front of an inlined call goes through it', async () => {
    const talk = await inside('_start');
    for (let i = 0; i < 20 && !(await talk.stack())[0].endsWith('tour.c:41'); i++) await talk.runs('next');
    expect(await steps(talk, 'next')).toEqual(['_start tour.c:42']);
  });

  it('a line whose last row at an address is no statement is stepped to all the same', async () => {
    const talk = await sample();
    expect(await steps(talk, 'next', 'next', 'next', 'next')).toEqual([
      'kmain kernel.c:113',
      'kmain kernel.c:114',
      'kmain kernel.c:115',
      'kmain kernel.c:119',
    ]);
  });

  it('of inlined calls that begin at one instruction stepIn shows one after the other', async () => {
    const talk = await sample();
    await steps(talk, 'next', 'next', 'next', 'next');
    expect(await steps(talk, 'next', 'stepIn', 'stepIn')).toEqual([
      'kmain kernel.c:121',
      'show_processor kernel.c:59',
      'cpuid cpu.h:26',
    ]);
  });

  it('a breakpoint on the line of an inlined call stops in front of it', async () => {
    const talk = await sample(121);
    await talk.runs('continue');
    expect(await talk.stack()).toEqual(['kmain kernel.c:121', 'long_mode boot.S:113']);
    expect(await steps(talk, 'next')).toEqual(['kmain kernel.c:122']);
  });

  it('an inlined call whose first instruction was moved ahead of its first statement is not missed', async () => {
    const talk = await sample(122);
    await talk.runs('continue');
    expect(await steps(talk, 'next', 'next')).toEqual(['kmain kernel.c:123', 'kmain kernel.c:124']);
  });

  it('a breakpoint on a line that is nothing but an inlined call stops there', async () => {
    const talk = await sample(123);
    await talk.runs('continue');
    expect(await talk.stack()).toEqual(['kmain kernel.c:123', 'long_mode boot.S:113']);
  });

  it('stepOut of an inlined call arrives in front of the next', async () => {
    const talk = await sample(123);
    await talk.runs('continue');
    expect(await steps(talk, 'stepIn', 'stepOut')).toEqual(['show_clock kernel.c:85', 'kmain kernel.c:124']);
  });

  it('steps into assembly and through it', async () => {
    const talk = await Conversation.start();
    await talk.launch({ program: 'tour.elf', runToEntryPoint: 'tick' });
    expect(await steps(talk, 'next', 'next')).toEqual(['tick tick.S:10', 'tick tick.S:11']);
    expect(await steps(talk, 'stepOut')).toEqual(['_start tour.c:44']);
  });

  it('a breakpoint inside a call that is stepped over stops there', async () => {
    const talk = await inside('_start');
    await talk.request('setFunctionBreakpoints', { breakpoints: [{ name: 'square' }] });
    await talk.runs('next');
    await talk.runs('next');
    const stop = await talk.runs('next');
    expect(stop.body).toMatchObject({ reason: 'function breakpoint' });
    expect((await talk.stack())[0]).toBe('square tour.c:24');
  });
});

describe('steps of instructions', () => {
  const rip = async (talk: Conversation) => BigInt(/0x[0-9a-f]+/.exec(await talk.evaluate('rip'))?.[0] ?? 0);

  it('stepIn executes one', async () => {
    const talk = await Conversation.start();
    await talk.launch({ program: 'tour.elf', stopOnEntry: true });
    const start = await rip(talk);
    await talk.runs('stepIn', { granularity: 'instruction' });
    expect(await rip(talk)).toBe(start + 1n);
  });

  it('next goes through a call', async () => {
    const talk = await inside('_start');
    for (let i = 0; i < 12; i++) {
      await talk.runs('next', { granularity: 'instruction' });
      expect((await talk.stack())[0]).toMatch(/^_start/);
    }
  });
});

it('stepping out of the outermost function is refused', async () => {
  const talk = await inside('_start');
  expect(await talk.failure('stepOut', { threadId: 1 })).toBe(
    'Cannot step out: the caller of this function is not known.',
  );
});
