import type { DebugProtocol as P } from '@vscode/debugprotocol';
import { describe, expect, it } from 'vitest';
import { Conversation } from '../support/dapConversation.ts';

async function atSquare(): Promise<Conversation> {
  const talk = await Conversation.start();
  await talk.launch({ program: 'tour.elf', runToEntryPoint: 'square' });
  return talk;
}

async function scope(talk: Conversation, name: string, frame = 0): Promise<number> {
  const { stackFrames } = await talk.request('stackTrace', { threadId: 1 });
  const { scopes } = await talk.request('scopes', { frameId: stackFrames[frame].id });
  return scopes.find((candidate) => candidate.name === name)?.variablesReference ?? 0;
}

const find = (variables: P.Variable[], name: string): P.Variable =>
  variables.find((variable) => variable.name === name) as P.Variable;

describe('variables', () => {
  it('registers have their values, parts and the manual', async () => {
    const talk = await atSquare();
    const { variables } = await talk.request('variables', {
      variablesReference: await scope(talk, 'Registers'),
    });
    expect(find(variables, 'RDI')).toMatchObject({
      value: '0x0000000000000001',
      evaluateName: '$rdi',
      memoryReference: '0x1',
    });
    expect(find(variables, 'RIP').value).toMatch(/^0x0{10}100\w{3} <square\+0x[0-9a-f]+>$/);
    const { variables: flags } = await talk.request('variables', {
      variablesReference: find(variables, 'RFLAGS').variablesReference,
    });
    expect(find(flags, 'IF')).toMatchObject({
      value: '0',
      type: 'bit 9: Interrupt enable',
      evaluateName: '$rflags.if',
    });
  });

  it("a caller's registers are those that were saved", async () => {
    const talk = await atSquare();
    const own = await talk.request('variables', { variablesReference: await scope(talk, 'Registers', 0) });
    const caller = await talk.request('variables', { variablesReference: await scope(talk, 'Registers', 1) });
    expect(BigInt(find(caller.variables, 'RSP').value)).toBeGreaterThan(
      BigInt(find(own.variables, 'RSP').value.split(' ')[0]),
    );
    expect(find(caller.variables, 'RAX')).toBeUndefined();
    expect(find(caller.variables, 'RBP').presentationHint).toEqual({ attributes: ['readOnly'] });
  });

  it('can be fetched page by page', async () => {
    const talk = await atSquare();
    const variablesReference = await scope(talk, 'Registers');
    const { variables } = await talk.request('variables', { variablesReference, start: 2, count: 3 });
    expect(variables.map(({ name }) => name)).toEqual(['RDX', 'RBX', 'RSP']);
  });

  it('are decimal numbers where the user wants that; addresses stay hexadecimal', async () => {
    const talk = await atSquare();
    const variablesReference = await scope(talk, 'Registers');
    await talk.request('hvm/setNumberFormat', { format: 'decimal' });
    const { variables } = await talk.request('variables', { variablesReference });
    expect(find(variables, 'RDI')).toMatchObject({ value: '1', memoryReference: '0x1' });
    expect(find(variables, 'RIP').value).toMatch(/^10\d{5} <square\+0x[0-9a-f]+>$/);
    expect(await talk.evaluate('rdi + 0x1f')).toBe('32');
    expect(await talk.evaluate('&numbers')).toBe('0x101000 <numbers>');
    await talk.request('hvm/setNumberFormat', { format: 'hexadecimal' });
    expect(await talk.evaluate('rdi + 0x1f')).toBe('0x20');
    const wrong = { format: 'octal' as 'decimal' };
    expect(await talk.failure('hvm/setNumberFormat', wrong)).toContain('"hexadecimal" or "decimal"');
  });

  it('are set to the value of an expression', async () => {
    const talk = await atSquare();
    const variablesReference = await scope(talk, 'Registers');
    expect(
      await talk.request('setVariable', { variablesReference, name: 'RBX', value: 'rdi + 0x10' }),
    ).toMatchObject({ value: '0x0000000000000011' });
    expect(await talk.evaluate('rbx')).toBe('0x11');
    const { variables } = await talk.request('variables', { variablesReference });
    const flags = find(variables, 'RFLAGS').variablesReference;
    expect(
      await talk.request('setVariable', { variablesReference: flags, name: 'CF', value: '1' }),
    ).toMatchObject({ value: '1' });
    expect(await talk.evaluate('rflags.cf')).toBe('1');
    expect(find((await talk.request('variables', { variablesReference: flags })).variables, 'CF').value).toBe(
      '1',
    );
  });

  it.each<[string, string, string, string]>([
    ['Registers', 'RAX', '1 +', 'the expression ends too early'],
    ['Registers', 'XMM0', '1', 'There is no "XMM0" here.'],
    ['Control Registers', 'CR0', '0', 'The processor does not take 0x0 for CR0: writing it would be #GP(0).'],
    ['Local APIC', 'VERSION', '1', '"VERSION" cannot be assigned to.'],
    ['Segments', 'CS', '0x12345', '0x12345 does not fit 16 bits.'],
  ])('%s: %s = %s is refused', async (group, name, value, message) => {
    const talk = await atSquare();
    expect(
      await talk.failure('setVariable', { variablesReference: await scope(talk, group), name, value }),
    ).toBe(message);
  });

  it('numbers of a stop are invalid once the program has run on', async () => {
    const talk = await atSquare();
    const variablesReference = await scope(talk, 'Registers');
    const { stackFrames } = await talk.request('stackTrace', { threadId: 1 });
    await talk.runs('next');
    expect(await talk.failure('variables', { variablesReference })).toBe(
      `Variables reference ${variablesReference} is no longer valid.`,
    );
    expect(await talk.failure('scopes', { frameId: stackFrames[0].id })).toBe(
      `Stack frame ${stackFrames[0].id} is no longer valid.`,
    );
  });
});

describe('evaluate', () => {
  it.each([
    ['counter', '0'],
    ['numbers', '{1, 2, 3, 4}'],
    ['&numbers', '0x101000 <numbers>'],
    ['((i32*)numbers)[2]', '3'],
    ['*greeting', "72 'H'"],
    ['edi', '1'],
    ['$rdi == 1 && cr0.pg', '1'],
    ['msr.ia32_efer.lma', '1'],
    ['[gpa:0x101000]:4', '1'],
    ['[hpa:0x101004]:4', '2'],
    ['[L0.va:0x101004]:4', '2'],
    ['[msr:0xc0000080]:8', '0x500'],
  ])('%s is %s', async (expression, result) => {
    const talk = await atSquare();
    expect(await talk.evaluate(expression)).toBe(result);
  });

  it('in the frame of a caller uses its registers', async () => {
    const talk = await atSquare();
    const { stackFrames } = await talk.request('stackTrace', { threadId: 1 });
    expect(await talk.evaluate('rip', 'watch', stackFrames[1].id)).toMatch(/<_start\+0x[0-9a-f]+>$/);
    expect(await talk.failure('evaluate', { expression: 'rax', frameId: stackFrames[1].id })).toContain(
      '"rax" is no register',
    );
  });

  it.each([
    ['nothing', '"nothing" is no register and no symbol of the program'],
    ['[0xffffffff00000000]:8', 'cannot read 8 bytes at 0xffffffff00000000 (linear)'],
    ['[L1.va:0]:1', 'Nothing is known of level 1 now: memory can be reached as level 0 sees it.'],
    ['vmcs.guest_rip', 'the VMCS has no field "guest_rip"'],
  ])('%s: %s', async (expression, message) => {
    const talk = await atSquare();
    expect(await talk.failure('evaluate', { expression, context: 'hover' })).toBe(message);
  });

  it('gives the parts of a register', async () => {
    const talk = await atSquare();
    const body = await talk.request('evaluate', { expression: 'cr0', context: 'watch' });
    const { variables } = await talk.request('variables', { variablesReference: body.variablesReference });
    expect(find(variables, 'PG')).toMatchObject({ value: '1', evaluateName: 'cr0.pg' });
  });

  it('assigns in the console, and only there', async () => {
    const talk = await atSquare();
    expect(await talk.evaluate('counter = 0x77', 'repl')).toBe('0x77 (119)');
    expect(await talk.evaluate('counter', 'watch')).toBe('0x77 (119)');
    expect(await talk.failure('evaluate', { expression: 'counter = 1', context: 'watch' })).toContain(
      '"=" has no meaning in an expression',
    );
  });

  it('setExpression writes registers, parts of them and memory', async () => {
    const talk = await atSquare();
    expect(await talk.request('setExpression', { expression: 'ah', value: '0x12' })).toMatchObject({
      value: '0x12 (18)',
    });
    expect(
      await talk.request('setExpression', { expression: '((i32*)numbers)[1]', value: '-5' }),
    ).toMatchObject({ value: '-5 (0xfffffffb)' });
    expect(await talk.evaluate('[numbers + 1]:4')).toBe('0xfffffffb (4294967291)');
    expect(await talk.failure('setExpression', { expression: '1 + 2', value: '3' })).toBe(
      '"1 + 2" cannot be assigned to.',
    );
  });
});

describe('completions', () => {
  const labels = async (talk: Conversation, text: string): Promise<string[]> =>
    (await talk.request('completions', { text, column: text.length + 1 })).targets.map(({ label }) => label);

  it('complete registers, MSRs, parts and symbols', async () => {
    const talk = await atSquare();
    expect(await labels(talk, 'rs')).toEqual(expect.arrayContaining(['rsp', 'rsi']));
    expect(await labels(talk, '1 + $r1')).toEqual(['$r10', '$r11', '$r12', '$r13', '$r14', '$r15']);
    expect(await labels(talk, 'msr.ia32_ef')).toEqual(['ia32_efer']);
    expect(await labels(talk, 'cr0.p')).toEqual(['pe', 'pg']);
    expect(await labels(talk, 'squ')).toEqual(['square']);
    expect(await labels(talk, '1 + ')).toEqual([]);
  });
});

it('loadedSources and modules name the program', async () => {
  const talk = await atSquare();
  await talk.log('loadedSources');
  await talk.log('modules');
  talk.compare('modules');
});
