/** Mode `guest`: the program runs in VMX non-root operation, and every exit is a real one. */
import type { DebugProtocol as P } from '@vscode/debugprotocol';
import { describe, expect, it } from 'vitest';
import { Conversation } from '../support/dapConversation.ts';

async function atEntry(
  program: string,
  configure?: (talk: Conversation) => Promise<void>,
): Promise<Conversation> {
  const talk = await Conversation.start();
  await talk.launch(
    { program, mode: 'guest', stopOnEntry: true },
    () => configure?.(talk) ?? Promise.resolve(),
  );
  return talk;
}

const find = (variables: P.Variable[], name: string): P.Variable =>
  variables.find((variable) => variable.name === name) as P.Variable;

async function lines(
  talk: Conversation,
  count: number,
  granularity: P.SteppingGranularity,
): Promise<string[]> {
  const places: string[] = [];
  for (let i = 0; i < count; i++) {
    await talk.runs('stepIn', { granularity });
    places.push((await talk.stack())[0]);
  }
  return places;
}

describe('a guest that is stepped', () => {
  it.each<P.SteppingGranularity>(['instruction', 'statement'])(
    'by %s: an exit is part of its instruction',
    async (granularity) => {
      const talk = await atEntry('exits.elf');
      expect(await lines(talk, 8, granularity)).toEqual(
        [6, 7, 8, 9, 10, 11, 12, 13].map((line) => `_start exits.S:${line}`),
      );
      expect(await talk.evaluate('ecx')).toBe('0xc0000080 (3221225600)');
    },
  );

  it('the console has what was written before the step ended', async () => {
    const talk = await atEntry('exits.elf');
    let output = '';
    talk.client.on('output', ({ body }: P.OutputEvent) => {
      output += body.output;
    });
    await lines(talk, 4, 'instruction');
    expect(output).toBe('');
    await lines(talk, 1, 'instruction');
    expect(output).toBe('A');
  });
});

describe('a VM exit', () => {
  it('stops at the instruction of the guest, before it is handled', async () => {
    const talk = await atEntry('exits.elf', async () => undefined);
    await talk.request('setExceptionBreakpoints', {
      filters: [],
      filterOptions: [{ filterId: 'vm-exit', condition: 'I/O instruction, RDMSR' }],
    });
    const stop = await talk.runs('continue');
    expect(stop.body).toMatchObject({
      reason: 'exception',
      description: 'VM exit: I/O instruction: OUT 0x3f8, 1 byte',
    });
    expect(await talk.stack()).toEqual(['_start exits.S:9']);
    expect(await talk.request('exceptionInfo', { threadId: 1 })).toMatchObject({
      exceptionId: 'VM exit',
      breakMode: 'always',
    });
    // The registers are the guest's, although the processor is in root operation.
    expect(await talk.evaluate('al')).toBe('0x41 (65)');
    expect(await talk.evaluate('cr0.pg && msr.ia32_efer.lma')).toBe('1');
    expect(await talk.evaluate('rip')).toContain('<_start');
    expect(await talk.evaluate('vmcs.vm_exit_reason')).toBe('0x1e (30)');
  });

  it('by the name of a function breakpoint', async () => {
    const talk = await atEntry('exits.elf', async (open) => {
      await open.request('setFunctionBreakpoints', {
        breakpoints: [{ name: 'exit:CPUID', condition: 'eax == 0' }],
      });
    });
    expect((await talk.runs('continue')).body).toMatchObject({
      description: 'VM exit: CPUID: leaf 0x0, subleaf 0x0',
    });
    expect(await talk.stack()).toEqual(['_start exits.S:6']);
  });

  it('with a wrong reason is not verified', async () => {
    const talk = await atEntry('exits.elf');
    const body = await talk.request('setExceptionBreakpoints', {
      filters: ['triple-fault'],
      filterOptions: [{ filterId: 'vm-exit', condition: 'CPUID, CIPUD' }],
    });
    expect(body?.breakpoints).toMatchObject([
      { verified: true },
      { verified: false, message: 'There is no exit reason "CIPUD".' },
    ]);
  });

  it('lets the guest be changed before it is handled', async () => {
    const talk = await atEntry('exits.elf');
    await talk.request('setExceptionBreakpoints', {
      filters: [],
      filterOptions: [{ filterId: 'vm-exit', condition: '30' }],
    });
    let output = '';
    talk.client.on('output', ({ body }: P.OutputEvent) => {
      output += body.output;
    });
    await talk.runs('continue');
    await talk.request('setExpression', { expression: 'al', value: '0x42' });
    await talk.runs('continue');
    expect(output).toBe('B');
  });

  it('is in the list, with its decoded text', async () => {
    const talk = await atEntry('exits.elf');
    await lines(talk, 8, 'instruction');
    const { total, rows } = await talk.request('hvm/exits', { start: 0, count: 100 });
    expect(rows.length).toBe(total);
    const own = rows.filter(({ reason }) => reason !== 'External interrupt');
    expect(own.map(({ text, location, level }) => `L${level} ${location} ${text}`)).toEqual([
      'L1 _start+0x2 CPUID: leaf 0x0, subleaf 0x0',
      'L1 _start+0xb I/O instruction: OUT 0x3f8, 1 byte',
      expect.stringContaining('EPT violation'),
    ]);
    expect(
      (await talk.request('hvm/exits', { start: 1, count: 1 })).rows.map(({ number }) => number),
    ).toEqual([1]);
    expect(await talk.failure('hvm/exits', { start: -1, count: 1 })).toContain('whole numbers');
    const { exits, exitsByReason, execution } = await talk.request('hvm/statistics', undefined);
    expect(exits).toBe(total);
    expect(execution).toEqual({ level: 1, operation: 'VMX non-root' });
    expect(exitsByReason.map(({ name }) => name)).toContain('CPUID');
  });
});

describe('the VMCS', () => {
  async function group(talk: Conversation, name: string): Promise<P.Variable[]> {
    const { stackFrames } = await talk.request('stackTrace', { threadId: 1 });
    const { scopes } = await talk.request('scopes', { frameId: stackFrames[0].id });
    const scope = scopes.find((candidate) => candidate.name === 'VMCS');
    expect(scope?.expensive).toBe(true);
    const { variables } = await talk.request('variables', {
      variablesReference: scope?.variablesReference ?? 0,
    });
    return (await talk.request('variables', { variablesReference: find(variables, name).variablesReference }))
      .variables;
  }

  it('shows what is stored and what the processor holds', async () => {
    const talk = await atEntry('exits.elf');
    await lines(talk, 3, 'instruction');
    const rip = find(await group(talk, 'Guest register state'), 'Guest RIP');
    const { variables } = await talk.request('variables', { variablesReference: rip.variablesReference });
    // The last exit was CPUID's, and the VMM moved RIP behind it.
    const stored = BigInt(find(variables, 'Stored').value);
    const live = BigInt(find(variables, 'Live').value);
    expect(live - stored).toBe(2n);
    expect(live).toBe(BigInt((await talk.evaluate('rip')).split(' ')[0]));
  });

  it('decodes controls and names what a missing field needs', async () => {
    const talk = await atEntry('exits.elf');
    const controls = await group(talk, 'VM-execution controls');
    const pin = controls.find(({ name }) => name.startsWith('Pin-based')) as P.Variable;
    const { variables } = await talk.request('variables', { variablesReference: pin.variablesReference });
    expect(variables.find(({ type }) => type?.includes('External-interrupt exiting'))?.value).toBe('1');
    const missing = controls.find(({ name }) => name === 'Virtual timer vector');
    expect(missing).toMatchObject({
      value: 'does not exist: needs "APIC-timer virtualization"',
      presentationHint: { attributes: ['readOnly'] },
    });
  });

  it('guest state that is set is live', async () => {
    const talk = await atEntry('exits.elf');
    await lines(talk, 1, 'instruction');
    const { groups } = await talk.request('hvm/vmcs', { threadId: 1 });
    expect(groups.map(({ title }) => title)).toContain('VM-exit information');
    const answer = await talk.request('hvm/setVmcsField', { threadId: 1, key: 'GUEST_RIP', value: '_start' });
    expect(answer.value).toBe('0x100000');
    expect(await talk.stack()).toEqual(['_start exits.S:5']);
  });

  it('does not exist for a program without VT-x', async () => {
    const talk = await Conversation.start();
    await talk.launch({ program: 'exits.elf', stopOnEntry: true });
    const { stackFrames } = await talk.request('stackTrace', { threadId: 1 });
    const { scopes } = await talk.request('scopes', { frameId: stackFrames[0].id });
    expect(scopes.map(({ name }) => name)).not.toContain('VMCS');
    expect((await talk.request('hvm/vmcs', { threadId: 1 })).groups).toEqual([]);
  });
});

describe('with "sanitize" in the launch configuration', () => {
  it('a mistake is a stop that names the rule and its section', async () => {
    const talk = await Conversation.start();
    const stop = await talk.launch({ program: 'stale.elf', sanitize: true }, async () => {
      await talk.request('setExceptionBreakpoints', { filters: ['sanitizer'] });
    });
    expect(stop.body).toMatchObject({ reason: 'exception' });
    const info = await talk.request('exceptionInfo', { threadId: 1 });
    expect(info).toMatchObject({ exceptionId: 'Sanitizer', breakMode: 'always' });
    expect(info.description).toMatch(/^stale\.invlpg: linear 0x1900000000 may still be cached as 0x200000/);
    expect(info.details?.stackTrace).toContain(
      'SDM 5.10.4, "Invalidation of TLBs and Paging-Structure Caches"',
    );
    expect((await talk.stack())[0]).toMatch(/stale\.S:/);
    const end = await talk.runs('continue');
    expect(end.event).toBe('terminated');
  });

  it('a hypervisor stops where it enters with a misaligned HOST_RSP, and where its guest uses a stale EPT entry', async () => {
    const talk = await Conversation.start();
    const launch = { program: 'careless.elf', mode: 'bare-metal', sanitize: true };
    await talk.launch(launch, async () => {
      await talk.request('setExceptionBreakpoints', { filters: ['sanitizer'] });
    });
    const stops: string[] = [];
    let place = '';
    do {
      const { exceptionId, description } = await talk.request('exceptionInfo', { threadId: 1 });
      stops.push(`${exceptionId}: ${description?.split(':')[0]}`);
      [place] = await talk.stack();
    } while ((await talk.runs('continue')).event !== 'terminated');
    expect(stops).toEqual([
      'Sanitizer: host.rsp',
      'Sanitizer: host.idt',
      'Sanitizer: host.rsp',
      'Sanitizer: stale.invept',
    ]);
    expect(place).toMatch(/^guest_main careless\.c:/);
  });

  it('nothing stops without the filter', async () => {
    const talk = await Conversation.start();
    const end = await talk.launch({ program: 'stale.elf', sanitize: true }, async () => {
      await talk.request('setExceptionBreakpoints', { filters: [] });
    });
    expect(end.event).toBe('terminated');
  });
});

describe('a hypervisor whose VM entry fails', () => {
  it('stops at VMLAUNCH with every rule that is broken', async () => {
    const talk = await Conversation.start();
    const stop = await talk.launch({ program: 'launch.elf', virtualization: 'vt-x' }, async () => {
      await talk.request('setExceptionBreakpoints', { filters: ['entry-failure'] });
    });
    expect(stop.body).toMatchObject({ reason: 'exception' });
    const info = await talk.request('exceptionInfo', { threadId: 1 });
    expect(info.exceptionId).toBe('VM entry failed');
    expect(info.description).toMatch(
      /^VMLAUNCH at RIP 0x[0-9a-f]+ failed: VMfailValid\(7\): VM entry with invalid control fields: Reserved bits /,
    );
    const lines = (info.details?.stackTrace ?? '').split('\n');
    expect(lines[0]).toBe('1. Reserved bits in the pin-based VM-execution controls must be set properly');
    expect(lines[1]).toBe('   PIN_BASED_VM_EXECUTION_CONTROLS (0x4000) is 0x0; at fault: bits 2:1, bit 4');
    expect(lines.filter((line) => /^\d+\. /.test(line)).length).toBeGreaterThan(5);
    expect((await talk.stack())[0]).toMatch(/^_start launch\.S:/);
    const end = await talk.runs('continue');
    expect(end.event).toBe('terminated');
  });

  it('has a report on the entry that failed and on the next one', async () => {
    const talk = await Conversation.start();
    await talk.launch({ program: 'launch.elf', stopOnEntry: true }, async () => {
      await talk.request('setExceptionBreakpoints', { filters: ['entry-failure'] });
    });
    const before = await talk.request('hvm/entryReport', { threadId: 1, which: 'lastFailure' });
    expect(before.report).toBeUndefined();
    const { report: early } = await talk.request('hvm/entryReport', { threadId: 1 });
    expect(early).toMatchObject({
      enters: false,
      outcome: 'VMfailInvalid: there is no current VMCS',
      rules: [{ id: 'basic.noVmcs' }],
    });
    await talk.runs('continue');
    const { report: last } = await talk.request('hvm/entryReport', { threadId: 1, which: 'lastFailure' });
    expect(last).toMatchObject({
      instruction: 'VMLAUNCH',
      enters: false,
      failedAt: { location: expect.stringMatching(/^_start\+0x[0-9a-f]+ launch\.S:23$/) },
    });
    const { report: next } = await talk.request('hvm/entryReport', { threadId: 1, which: 'current' });
    expect(next?.rules).toEqual(last?.rules);
    expect(next?.rules[0]).toMatchObject({
      id: 'controls.pinBased.reserved',
      field: { value: '0x0', offendingBits: '0x16', passing: '0x16' },
    });
  });

  it('without the filter goes on and sees the error number itself', async () => {
    const talk = await Conversation.start();
    const exited = talk.waitFor('exited');
    await talk.launch({ program: 'launch.elf' }, async () => {
      await talk.request('setExceptionBreakpoints', { filters: [] });
    });
    expect((await exited).body).toEqual({ exitCode: 15 });
  });
});
