import type { DebugProtocol as P } from '@vscode/debugprotocol';
import { describe, expect, it } from 'vitest';
import { Conversation, PROGRAMS } from '../support/dapConversation.ts';

const TOUR = `${PROGRAMS}/tour.c`;

/** Launches with breakpoints in tour.c; gives the conversation at its first stop and what was answered. */
async function withBreakpoints(breakpoints: P.SourceBreakpoint[], path = TOUR) {
  const talk = await Conversation.start();
  let answer: P.Breakpoint[] = [];
  const first = await talk.launch({ program: 'tour.elf' }, async () => {
    answer = (await talk.request('setBreakpoints', { source: { path }, breakpoints })).breakpoints;
  });
  return { talk, first, answer };
}

describe('a breakpoint on a line', () => {
  it('stops before the line is executed and names itself', async () => {
    const { talk, first, answer } = await withBreakpoints([{ line: 25 }]);
    expect(answer).toMatchObject([{ verified: true, line: 25 }]);
    expect(first.body).toMatchObject({ reason: 'breakpoint', hitBreakpointIds: [answer[0].id], threadId: 1 });
    expect(await talk.stack()).toEqual(['square tour.c:25', '_start tour.c:39']);
  });

  it('on a line without code moves to the next one that has some', async () => {
    const { answer } = await withBreakpoints([{ line: 22 }]);
    expect(answer).toMatchObject([{ verified: true, line: 24 }]);
  });

  it('in inlined code stops there, with the frames of the source', async () => {
    const { talk } = await withBreakpoints([{ line: 15 }]);
    expect(await talk.stack()).toEqual(['twice tour.c:15', '_start tour.c:41']);
  });

  it('in assembly stops there, and the stack is unwound without frame pointers', async () => {
    const { talk } = await withBreakpoints([{ line: 11 }], `${PROGRAMS}/tick.S`);
    expect(await talk.stack()).toEqual(['tick tick.S:11', '_start tour.c:43']);
  });

  it('stops when its condition holds', async () => {
    const { talk } = await withBreakpoints([{ line: 25, condition: 'counter == 5' }]);
    expect(await talk.evaluate('counter')).toBe('5');
    expect((await talk.runs('continue')).event).toBe('terminated');
  });

  it.each([
    ['>3', 14n],
    ['=2', 1n],
    ['%3', 5n],
  ])('with the hit count %s stops when counter is %d', async (hitCondition, counter) => {
    const { talk } = await withBreakpoints([{ line: 25, hitCondition }]);
    expect(BigInt(await talk.evaluate('counter,d'))).toBe(counter);
  });

  it('with a message prints it and goes on', async () => {
    const talk = await Conversation.start();
    const output: string[] = [];
    talk.client.on('output', (event: P.OutputEvent) => {
      if (event.body.category === 'console') output.push(event.body.output);
    });
    const first = await talk.launch({ program: 'tour.elf' }, async () => {
      await talk.request('setBreakpoints', {
        source: { path: TOUR },
        breakpoints: [{ line: 25, condition: 'counter > 0', logMessage: 'edi {edi}, counter {counter}' }],
      });
    });
    expect(first.event).toBe('terminated');
    expect(output).toEqual(['edi 2, counter 0x1\n', 'edi 3, counter 0x5\n', 'edi 4, counter 0xe\n']);
  });

  it('stops and says why when its condition cannot be computed', async () => {
    const { talk, first } = await withBreakpoints([{ line: 25, condition: '[0xffffffff00000000]:8 == 1' }]);
    expect(first.event).toBe('stopped');
    expect(await talk.stack()).toEqual(['square tour.c:25', '_start tour.c:39']);
  });

  it.each<[string, P.SourceBreakpoint, string, string]>([
    [
      'a file that is not in the program',
      { line: 1 },
      `${PROGRAMS}/other.c`,
      'other.c is not part of tour.elf.',
    ],
    ['a line behind the last one', { line: 500 }, TOUR, 'No code at line 500 or after it.'],
    [
      'a condition that is none',
      { line: 25, condition: 'counter ==' },
      TOUR,
      'the expression ends too early',
    ],
    [
      'a hit count that is none',
      { line: 25, hitCondition: 'often' },
      TOUR,
      'the hit count "often" is not understood: write >5, >=5, =5, <5, <=5 or %5',
    ],
    ['a message that is none', { line: 25, logMessage: 'x {' }, TOUR, '"{" without "}" in the message'],
    [
      'a file of another folder',
      { line: 25 },
      '/elsewhere/tour.c',
      `tour.elf was built from ${TOUR}: map its folder in "sourceMap".`,
    ],
  ])('is not verified for %s', async (_, breakpoint, path, message) => {
    const { answer, first } = await withBreakpoints([breakpoint], path);
    expect(answer).toEqual([{ id: 1, verified: false, message }]);
    expect(first.event).toBe('terminated');
  });

  it('a mapped folder binds', async () => {
    const talk = await Conversation.start();
    await talk.launch({ program: 'tour.elf', sourceMap: { [PROGRAMS]: '/elsewhere' } }, async () => {
      const { breakpoints } = await talk.request('setBreakpoints', {
        source: { path: '/elsewhere/tour.c' },
        breakpoints: [{ line: 25 }],
      });
      expect(breakpoints[0].verified).toBe(true);
    });
  });

  it('can be removed while the program rests', async () => {
    const { talk } = await withBreakpoints([{ line: 25 }]);
    await talk.request('setBreakpoints', { source: { path: TOUR }, breakpoints: [] });
    expect((await talk.runs('continue')).event).toBe('terminated');
  });

  it('keeps its hit count while others come and go', async () => {
    const { talk } = await withBreakpoints([{ line: 24 }, { line: 25, hitCondition: '=2' }]);
    await talk.runs('continue');
    await talk.request('setBreakpoints', {
      source: { path: TOUR },
      breakpoints: [{ line: 25, hitCondition: '=2' }],
    });
    await talk.runs('continue');
    expect(await talk.evaluate('counter')).toBe('1');
  });
});

describe('other breakpoints', () => {
  it('on a function stops behind its prologue', async () => {
    const talk = await Conversation.start();
    const first = await talk.launch({ program: 'tour.elf' }, async () => {
      const { breakpoints } = await talk.request('setFunctionBreakpoints', {
        breakpoints: [
          { name: 'sum', condition: 'edi == 2' },
          { name: 'nothing' },
          { name: 'exit:CPUID' },
          { name: 'exit:NONSENSE' },
        ],
      });
      expect(breakpoints).toMatchObject([
        { verified: true },
        { verified: false, message: 'tour.elf has no function "nothing".' },
        { verified: true },
        { verified: false, message: 'There is no exit reason "NONSENSE".' },
      ]);
    });
    expect(first.body).toMatchObject({ reason: 'function breakpoint' });
    expect(await talk.stack()).toEqual(['sum tour.c:30', 'sum tour.c:31', '_start tour.c:42']);
  });

  it('on an instruction stops at its address', async () => {
    const talk = await Conversation.start();
    await talk.launch({ program: 'tour.elf', stopOnEntry: true });
    const square = await talk.evaluate('&square');
    const reference = /0x[0-9a-f]+/.exec(square)?.[0] ?? '';
    const { breakpoints } = await talk.request('setInstructionBreakpoints', {
      breakpoints: [{ instructionReference: reference, offset: 1 }, { instructionReference: 'gpa:0x100000' }],
    });
    expect(breakpoints).toMatchObject([
      { verified: true },
      {
        verified: false,
        message: '"gpa:0x100000" is not a linear address: instruction breakpoints stop at one.',
      },
    ]);
    const stop = await talk.runs('continue');
    expect(stop.body).toMatchObject({ reason: 'instruction breakpoint' });
    expect(BigInt(/0x[0-9a-f]+/.exec(await talk.evaluate('rip'))?.[0] ?? 0)).toBe(BigInt(reference) + 1n);
  });

  it('in generated disassembly stops at the instruction of the line', async () => {
    const talk = await Conversation.start();
    await talk.launch({ program: 'spin.elf', stopOnEntry: true, symbolFiles: [] });
    const { stackFrames } = await talk.request('stackTrace', { threadId: 1 });
    expect(stackFrames[0].source?.path).toBe(`${PROGRAMS}/spin.S`);
  });

  it('runToEntryPoint stops at the function', async () => {
    const talk = await Conversation.start();
    const first = await talk.launch({ program: 'tour.elf', runToEntryPoint: 'square' });
    expect(first.body).toMatchObject({ reason: 'entry' });
    expect(await talk.stack()).toEqual(['square tour.c:24', '_start tour.c:39']);
  });

  it('breakpointLocations gives the lines with code', async () => {
    const talk = await Conversation.start();
    await talk.launch({ program: 'tour.elf', stopOnEntry: true });
    const { breakpoints } = await talk.request('breakpointLocations', {
      source: { path: TOUR },
      line: 22,
      endLine: 27,
    });
    expect([...new Set(breakpoints.map(({ line }) => line))]).toEqual([23, 24, 25, 26, 27]);
  });
});
