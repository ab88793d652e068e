/** The sample hypervisor under the debug adapter: it works, and each of its mistakes is named by the report. */
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Conversation } from '../support/dapConversation.ts';

const SAMPLE = resolve(import.meta.dirname, '../../samples/tiny-hypervisor');
const LAUNCH = { program: 'tiny-hypervisor.elf', memory: '64M', __workspaceFolder: SAMPLE };

async function failedEntry(mistake: string) {
  const talk = await Conversation.start();
  const stop = await talk.launch({ ...LAUNCH, append: `mistake=${mistake}` }, async () => {
    await talk.request('setExceptionBreakpoints', { filters: ['entry-failure'] });
  });
  expect(stop.body).toMatchObject({ reason: 'exception' });
  const { report } = await talk.request('hvm/entryReport', { threadId: 1, which: 'lastFailure' });
  if (report === undefined) throw new Error('there is no report');
  return { talk, report };
}

/** What a mistake breaks: the rule, the field, and the line of mistakes.c that wrote it. */
const MISTAKES = [
  ['controls', 'controls.pinBased.reserved', 'PIN_BASED_VM_EXECUTION_CONTROLS', '0x16'],
  ['eptp', 'controls.eptp.walkLength', 'EPT_POINTER', undefined],
  ['bitmap', 'controls.ioBitmaps.alignment', 'IO_BITMAP_B', undefined],
  ['host-tr', 'host.selectors.csTr', 'HOST_TR_SELECTOR', '0x18'],
  ['host-selector', 'host.selectors.rplTi', 'HOST_SS_SELECTOR', '0x10'],
  ['host-cr4', 'host.cr4.fixed', 'HOST_CR4', '0x2020'],
  ['cr0', 'guest.cr0.fixed', 'GUEST_CR0', '0x80000031'],
  ['segment', 'guest.cs.db', 'GUEST_CS_ACCESS_RIGHTS', '0xa09b'],
  ['tss', 'guest.tr.type.ia32eMode', 'GUEST_TR_ACCESS_RIGHTS', '0x8b'],
  ['rflags', 'guest.rflags.reserved', 'GUEST_RFLAGS', '0x2'],
  ['activity', 'guest.activity.supported', 'GUEST_ACTIVITY_STATE', '0x0'],
  ['link-pointer', 'guest.linkPointer.revision', 'VMCS_LINK_POINTER', '0xffffffffffffffff'],
] as const;

describe('the report of a mistake', () => {
  it.each(MISTAKES)('%s names the rule %s', async (mistake, id, key, passing) => {
    const { report } = await failedEntry(mistake);
    const [rule] = report.rules;
    expect(rule.id).toBe(id);
    expect(rule.field).toMatchObject({
      key,
      writtenIn: expect.stringMatching(new RegExp(`^${mistake.replace('-', '_')}.* mistakes\\.c:\\d+$`)),
    });
    expect(rule.field?.passing).toBeDefined();
    if (passing !== undefined) expect(rule.field?.passing).toBe(passing);
    expect(report.failedAt?.location).toMatch(/^enter_guest\+0x[0-9a-f]+ enter\.S:\d+$/);
  });

  it('msr names the entry of the MSR area', async () => {
    const { report } = await failedEntry('msr');
    expect(report.outcome).toContain('exit reason 34, qualification 1');
    expect(report.rules[0].text).toContain('MSR 0xc0000100 (IA32_FS_BASE)');
  });

  it('resume says to use VMLAUNCH', async () => {
    const { report } = await failedEntry('resume');
    expect(report.instruction).toBe('VMRESUME');
    expect(report.rules.map(({ id }) => id)).toEqual(['basic.vmresumeNonLaunchedVmcs']);
  });

  it('goes away when the value that passes is written', async () => {
    const { talk, report } = await failedEntry('segment');
    const { key, passing } = report.rules[0].field as { key: string; passing: string };
    await talk.request('hvm/setVmcsField', { threadId: 1, key, value: passing });
    const { report: next } = await talk.request('hvm/entryReport', { threadId: 1, which: 'current' });
    expect(next).toMatchObject({ enters: true, rules: [] });
  });
});

describe('the sample hypervisor', () => {
  it('runs its guest to the end', async () => {
    const talk = await Conversation.start();
    let output = '';
    talk.client.on('output', ({ body }) => {
      output += body.output;
    });
    const exited = talk.waitFor('exited');
    await talk.launch(LAUNCH, async () => {
      await talk.request('setExceptionBreakpoints', { filters: ['entry-failure', 'triple-fault'] });
    });
    expect((await exited).body).toEqual({ exitCode: 0 });
    expect(output.replaceAll('\r', '')).toContain(
      [
        'hypervisor: CPUID',
        'guest: CPUID says I run under TinyHypervis',
        'hypervisor: EPT violation at 0x20000000, mapping memory there',
        'guest: memory came when I wrote to it',
        'hypervisor: VMCALL, the guest has ended',
        'hypervisor: out of VMX operation',
      ].join('\n'),
    );
  });

  it('would enter before its first VMLAUNCH', async () => {
    const talk = await Conversation.start();
    await talk.launch({ ...LAUNCH, runToEntryPoint: 'enter_guest' });
    const { report } = await talk.request('hvm/entryReport', { threadId: 1 });
    // HOST_RSP is written in enter_guest; 0 is canonical.
    expect(report).toMatchObject({ instruction: 'VMLAUNCH', enters: true, rules: [] });
  });

  it('is level 0, in VMX root operation once it has a VMCS; its guest is level 1', async () => {
    const talk = await Conversation.start();
    const level = async () => (await talk.request('hvm/statistics', undefined)).execution;
    await talk.launch({ ...LAUNCH, runToEntryPoint: 'kmain' });
    expect(await level()).toEqual({ level: 0 });
    await talk.request('setFunctionBreakpoints', {
      breakpoints: [{ name: 'enter_guest' }, { name: 'guest_main' }],
    });
    await talk.runs('continue');
    expect(await level()).toEqual({ level: 0, operation: 'VMX root' });
    await talk.runs('continue');
    expect(await level()).toEqual({ level: 1, operation: 'VMX non-root' });
  });
});

describe('the level that does not run', () => {
  const frames = async (talk: Conversation) => {
    const { stackFrames } = await talk.request('stackTrace', { threadId: 1 });
    return stackFrames;
  };
  const stopIn = async (...names: string[]) => {
    const talk = await Conversation.start();
    await talk.launch({ ...LAUNCH, runToEntryPoint: 'kmain' });
    for (const name of names) {
      await talk.request('setFunctionBreakpoints', { breakpoints: [{ name }] });
      await talk.runs('continue');
    }
    return talk;
  };
  const evaluateIn = (talk: Conversation, frameId: number) => async (expression: string) =>
    (await talk.request('evaluate', { expression, frameId, context: 'watch' })).result;

  it('is not there before the first VM entry', async () => {
    const talk = await stopIn('enter_guest');
    expect((await frames(talk)).filter(({ presentationHint }) => presentationHint === 'label')).toEqual([]);
  });

  it('is the hypervisor while its guest runs: the stack goes on where the next VM exit comes', async () => {
    const talk = await stopIn('guest_main');
    const stack = await frames(talk);
    const label = stack.findIndex(({ presentationHint }) => presentationHint === 'label');
    expect(stack[0].name).toBe('guest_main');
    expect(stack[label].name).toBe('Level 0: the next VM exit comes here');
    expect(stack.slice(label + 1).map(({ name }) => name)).toEqual([
      'vm_exit',
      'run_guest',
      'kmain',
      'long_mode',
    ]);
    const evaluate = evaluateIn(talk, stack[label + 1].id);
    expect(await evaluate('$rip')).toContain('<vm_exit>');
    expect(await evaluate('$rip == vmcs.host_rip && $rsp == vmcs.host_rsp && $cr3 == vmcs.host_cr3')).toBe(
      '1',
    );
    expect(await evaluate('*(u64*)$rsp')).toBe(await evaluate('*(u64*)L0.va:(vmcs.host_rsp)'));
    await expect(evaluate('$rax')).rejects.toThrow();
  });

  it('is the guest while its hypervisor handles a VM exit, with variables and memory as it sees them', async () => {
    const talk = await stopIn('guest_main', 'handle_exit');
    const stack = await frames(talk);
    const label = stack.findIndex(({ presentationHint }) => presentationHint === 'label');
    expect(stack[0].name).toBe('handle_exit');
    expect(stack[label].name).toBe('Level 1: VM exit, CPUID');
    const guest = stack[label + 1];
    expect(guest.source?.name).toMatch(/^(guest\.c|cpu\.h)$/);
    const evaluate = evaluateIn(talk, guest.id);
    expect(await evaluate('$rip == vmcs.guest_rip && $cr0 == vmcs.guest_cr0')).toBe('1');
    const { scopes } = await talk.request('scopes', { frameId: guest.id });
    const general = scopes.find(({ presentationHint }) => presentationHint === 'registers');
    const { variables } = await talk.request('variables', {
      variablesReference: general?.variablesReference ?? 0,
    });
    expect(variables.map(({ name }) => name)).toEqual(['RSP', 'RIP', 'RFLAGS']);
    expect(variables[0].memoryReference).toMatch(/^L1\.va:0x/);
    const bytes = async (memoryReference = '') =>
      (await talk.request('readMemory', { memoryReference, count: 16 }))?.data;
    const [rsp] = (await evaluate('$rsp')).split(' ');
    expect(await bytes(variables[0].memoryReference)).toBe(await bytes(`hpa:${rsp}`));
    // What the guest cannot reach is not there, whatever level 0 has at the address.
    expect(await bytes('L1.gpa:0x20000000')).toBeUndefined();
  });
});
